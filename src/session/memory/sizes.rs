//! The sizes that the terminal has had, each with the offset in the output from which it applies: a
//! reader that replays the output must resize at the same places. Written by one thread, which
//! never overwrites a size after the checkpoint.

use std::sync::atomic::Ordering;

use super::{SIZE_WORDS, SIZES_WORD, SessionMemory};
use crate::names::TermSize;

/// Slots for sizes. One slot stays unused so that the oldest entry after the checkpoint is not
/// overwritten while it is read. When full, [`SessionMemory::add_size`] returns false until the
/// next checkpoint, and the newest requested size waits until then.
pub(super) const SIZES: usize = 64;

impl SessionMemory {
    /// Records that the terminal has this size from here on; returns false if there is no room. For
    /// one thread only.
    pub(in crate::session) fn add_size(&self, size: TermSize) -> bool {
        let count = self.sizes();
        if count.saturating_sub(self.checkpoint_sizes()) >= SIZES as u64 - 1 {
            return false;
        }
        let at = place(count);
        self.word(at).store(self.head(), Ordering::Relaxed);
        self.word(at + 1).store(to_word(size), Ordering::Relaxed);
        self.word(SIZES_WORD).store(count + 1, Ordering::Release);
        true
    }

    /// Number of sizes recorded so far.
    pub(in crate::session) fn sizes(&self) -> u64 {
        self.word(SIZES_WORD).load(Ordering::Acquire)
    }

    /// The latest size.
    pub(in crate::session) fn latest_size(&self) -> Option<TermSize> {
        self.size(self.sizes().checked_sub(1)?).map(|(_, size)| size)
    }

    /// The size with this number, counted from 0, and the offset from which it applies. `None` if
    /// it has been overwritten.
    pub(in crate::session) fn size(&self, number: u64) -> Option<(u64, TermSize)> {
        let at = place(number);
        let offset = self.word(at).load(Ordering::Relaxed);
        let size = from_word(self.word(at + 1).load(Ordering::Relaxed))?;
        let count = self.sizes();
        (number < count && count - number < SIZES as u64).then_some((offset, size))
    }
}

pub(super) fn to_word(size: TermSize) -> u64 {
    u64::from(size.cols()) << 16 | u64::from(size.rows())
}

pub(super) fn from_word(word: u64) -> Option<TermSize> {
    TermSize::new(u16::try_from(word >> 16).ok()?, u16::try_from(word & 0xffff).ok()?).ok()
}

fn place(number: u64) -> usize {
    SIZE_WORDS + 2 * usize::try_from(number % SIZES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_behind_the_checkpoint_are_kept() {
        let memory = SessionMemory::new().unwrap();
        let size = |cols| TermSize::new(cols, 24).unwrap();
        for cols in (1..).take(SIZES - 1) {
            assert!(memory.add_size(size(cols)));
        }
        // A worker that continues from the checkpoint reads all of them.
        assert!(!memory.add_size(size(500)));
        assert_eq!(memory.size(0), Some((0, size(1))));
        assert_eq!(memory.size(63), None);
        memory.set_checkpoint(0, size(10), 10, b"");
        assert!(memory.add_size(size(500)));
        assert_eq!(memory.size(63), Some((0, size(500))));
        assert!(memory.add_size(size(501)));
        assert_eq!(memory.size(0), None, "overwritten");
        assert_eq!(memory.sizes(), 65);
    }
}
