//! What the worker can tell the broker about its session. The threads record it here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::names::Label;
use crate::protocol::Alert;

/// What the threads have recorded.
#[derive(Debug)]
pub(super) struct SessionStats {
    title: Mutex<Option<Label>>,
    began: Instant,
    /// Time of the last output or input, in milliseconds since `began`.
    active: AtomicU64,
    viewers: AtomicU64,
    /// The text and the time of the last alert since which nobody has typed.
    alert: Mutex<Option<(Option<Label>, Instant)>>,
}

impl SessionStats {
    pub(super) fn new() -> Self {
        let (active, viewers) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { title: Mutex::default(), began: Instant::now(), active, viewers, alert: Mutex::default() }
    }

    /// Records the title of the terminal.
    pub(super) fn set_title(&self, title: &str) {
        *self.title.lock().unwrap_or_else(PoisonError::into_inner) = Label::cut(title);
    }

    pub(super) fn title(&self) -> Option<Label> {
        self.title.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records an alert with this text.
    pub(super) fn note_alert(&self, text: &str) {
        *self.last_alert() = Some((Label::cut(text), Instant::now()));
    }

    /// Records that somebody has typed, which answers an alert.
    pub(super) fn note_typed(&self) {
        *self.last_alert() = None;
        self.note_activity();
    }

    /// The last alert since which nobody has typed. A restarted worker knows of none.
    pub(super) fn alert(&self) -> Option<Alert> {
        let alert = self.last_alert();
        let (text, at) = alert.as_ref()?;
        Some(Alert { text: text.clone(), ago: u32::try_from(at.elapsed().as_secs()).unwrap_or(u32::MAX) })
    }

    fn last_alert(&self) -> MutexGuard<'_, Option<(Option<Label>, Instant)>> {
        self.alert.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records output or input.
    pub(super) fn note_activity(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(since, Ordering::Relaxed);
    }

    /// Time since the last output or input. A restarted worker counts from its own start.
    pub(super) fn idle(&self) -> Duration {
        let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(active)
    }

    /// Records the number of viewers.
    pub(super) fn set_viewers(&self, viewers: usize) {
        self.viewers.store(viewers as u64, Ordering::Relaxed);
    }

    pub(super) fn viewers(&self) -> u16 {
        u16::try_from(self.viewers.load(Ordering::Relaxed)).unwrap_or(u16::MAX)
    }
}
