//! What a worker can say about its session when the broker asks: the threads note it here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::names::Label;

/// What is known.
#[derive(Debug)]
pub(super) struct About {
    title: Mutex<Option<Label>>,
    began: Instant,
    /// When something was printed or typed last, milliseconds since `began`.
    active: AtomicU64,
    viewers: AtomicU64,
}

impl About {
    pub(super) fn new() -> Self {
        let (active, viewers) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { title: Mutex::default(), began: Instant::now(), active, viewers }
    }

    /// Notes the title of the terminal.
    pub(super) fn set_title(&self, title: &str) {
        *self.title.lock().unwrap_or_else(PoisonError::into_inner) = Label::cut(title);
    }

    pub(super) fn title(&self) -> Option<Label> {
        self.title.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that something was printed or typed.
    pub(super) fn note_activity(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(since, Ordering::Relaxed);
    }

    /// How long nothing was printed or typed. A worker that was started again counts from then.
    pub(super) fn idle(&self) -> Duration {
        let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(active)
    }

    /// Notes how many viewers there are.
    pub(super) fn set_viewers(&self, viewers: usize) {
        self.viewers.store(viewers as u64, Ordering::Relaxed);
    }

    pub(super) fn viewers(&self) -> u16 {
        u16::try_from(self.viewers.load(Ordering::Relaxed)).unwrap_or(u16::MAX)
    }
}
