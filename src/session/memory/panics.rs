//! How often the terminal could not go on since the last checkpoint. What was printed is read again by
//! each worker, and what makes one panic makes the next one panic too: after the second time it is not
//! read a third.

use std::sync::atomic::Ordering;

use super::{PANICS_WORD, SessionMemory};

/// So many panics are enough.
const ENOUGH: u64 = 2;

impl SessionMemory {
    /// Notes that the terminal panicked.
    pub(in crate::session) fn note_panic(&self) {
        self.word(PANICS_WORD).fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it went on: there is a checkpoint behind what it panicked at.
    pub(in crate::session) fn forget_panics(&self) {
        self.word(PANICS_WORD).store(0, Ordering::Relaxed);
    }

    /// Has the next terminal begin blank.
    pub(super) fn poison(&self) {
        self.word(PANICS_WORD).store(ENOUGH, Ordering::Relaxed);
    }

    /// Whether what was printed since the checkpoint is better not read again.
    pub(in crate::session) fn is_poisoned(&self) -> bool {
        self.word(PANICS_WORD).load(Ordering::Relaxed) >= ENOUGH
    }
}
