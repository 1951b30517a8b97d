//! How often the terminal has panicked since the last checkpoint. Each worker reads the same output
//! again, so output that makes one worker panic makes the next one panic too. After the second
//! panic it is not read again.

use std::sync::atomic::Ordering;

use super::{PANICS_WORD, SessionMemory};

/// Number of panics after which the output is not read again.
const ENOUGH: u64 = 2;

impl SessionMemory {
    /// Records that the terminal panicked.
    pub(in crate::session) fn note_panic(&self) {
        self.word(PANICS_WORD).fetch_add(1, Ordering::Relaxed);
    }

    /// Resets the count: there is a checkpoint after the output that caused the panics.
    pub(in crate::session) fn forget_panics(&self) {
        self.word(PANICS_WORD).store(0, Ordering::Relaxed);
    }

    /// Makes the next terminal start blank.
    pub(super) fn poison(&self) {
        self.word(PANICS_WORD).store(ENOUGH, Ordering::Relaxed);
    }

    /// Whether the output since the checkpoint must not be read again.
    pub(in crate::session) fn is_poisoned(&self) -> bool {
        self.word(PANICS_WORD).load(Ordering::Relaxed) >= ENOUGH
    }
}
