//! The last snapshot of the terminal, as bytes, with the offset at which it was taken. There are
//! two places: the next snapshot is written completely before it becomes current, so a worker that
//! is killed leaves either the old one or the new one.

use std::sync::atomic::Ordering;

use super::sizes::{from_word, to_word};
use super::{CHECKPOINT_WORD, HEADER, SessionMemory, bytes, ring_buffer};
use crate::names::TermSize;

/// Size of one place in bytes. A longer snapshot is refused: see [`SessionMemory::set_checkpoint`].
pub(super) const PLACE: usize = 12 * 1024 * 1024;

/// A place that is no longer current is returned to the kernel between floods if it took more than
/// this many bytes: see [`SessionMemory::free_old_checkpoint`].
const WORTH_FREEING: usize = 256 * 1024;

/// A snapshot in the memory file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Checkpoint {
    /// The snapshot contains the output before this offset.
    pub(in crate::session) offset: u64,
    pub(in crate::session) size: TermSize,
    /// How many sizes came before it.
    pub(in crate::session) sizes: u64,
    pub(in crate::session) bytes: Vec<u8>,
}

impl SessionMemory {
    /// Replaces the checkpoint; returns false, and changes nothing, if it is too long. For the
    /// emulator's thread.
    pub(in crate::session) fn set_checkpoint(
        &self,
        offset: u64,
        size: TermSize,
        sizes: u64,
        bytes: &[u8],
    ) -> bool {
        if bytes.len() > PLACE {
            return false;
        }
        let before = self.word(CHECKPOINT_WORD).load(Ordering::Relaxed);
        let next = if before == 1 { 2 } else { 1 };
        bytes::write(&self.mapping, start(next), bytes);
        let words = words(next);
        let length = bytes.len() as u64;
        for (word, value) in (words..).zip([offset, length, to_word(size), sizes]) {
            self.word(word).store(value, Ordering::Relaxed);
        }
        self.word(CHECKPOINT_WORD).store(next, Ordering::Release);
        true
    }

    /// Returns the memory of the checkpoint before the current one to the kernel, if that is worth
    /// it. Not after every checkpoint, because the next one would take as much again: in a flood,
    /// that cost more than the checkpoint. For the emulator's thread.
    pub(in crate::session) fn free_old_checkpoint(&self) {
        let old = match self.word(CHECKPOINT_WORD).load(Ordering::Relaxed) {
            1 => 2,
            2 => 1,
            _ => return,
        };
        let length = self.word(words(old) + 1).load(Ordering::Relaxed);
        if usize::try_from(length).is_ok_and(|length| length > WORTH_FREEING) {
            self.mapping.free(start(old), PLACE);
            self.word(words(old) + 1).store(0, Ordering::Relaxed);
        }
    }

    /// The checkpoint, if there is one.
    pub(in crate::session) fn checkpoint(&self) -> Option<Checkpoint> {
        let which = self.word(CHECKPOINT_WORD).load(Ordering::Acquire);
        let value = |word: usize| self.word(words(which) + word).load(Ordering::Relaxed);
        let length = usize::try_from(value(1)).ok().filter(|length| *length <= PLACE)?;
        let size = from_word(value(2)).filter(|_| which == 1 || which == 2)?;
        let mut bytes = Vec::new();
        bytes::read(&self.mapping, start(which), length, &mut bytes);
        Some(Checkpoint { offset: value(0), size, sizes: value(3), bytes })
    }

    /// Offset of the checkpoint; 0 before the first one.
    pub(in crate::session) fn checkpoint_offset(&self) -> u64 {
        match self.word(CHECKPOINT_WORD).load(Ordering::Acquire) {
            0 => 0,
            which => self.word(words(which)).load(Ordering::Relaxed),
        }
    }

    /// How many bytes and sizes lie between the checkpoint and this position.
    pub(in crate::session) fn since_checkpoint(&self, offset: u64, sizes: u64) -> (u64, u64) {
        (offset.saturating_sub(self.checkpoint_offset()), sizes.saturating_sub(self.checkpoint_sizes()))
    }

    /// How many sizes came before it.
    pub(super) fn checkpoint_sizes(&self) -> u64 {
        match self.word(CHECKPOINT_WORD).load(Ordering::Acquire) {
            0 => 0,
            which => self.word(words(which) + 3).load(Ordering::Relaxed),
        }
    }
}

/// Where the bytes of a place begin.
fn start(which: u64) -> usize {
    HEADER + ring_buffer::RING + if which == 2 { PLACE } else { 0 }
}

/// The first word of those that describe a place.
fn words(which: u64) -> usize {
    CHECKPOINT_WORD + if which == 2 { 5 } else { 1 }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_last_checkpoint_counts() {
        let memory = SessionMemory::new().unwrap();
        memory.set_word_of_header(super::super::HEAD_WORD, 4);
        memory.set_word_of_header(super::super::SIZES_WORD, 4);
        assert_eq!(memory.checkpoint(), None);
        let size = TermSize::new(80, 24).unwrap();
        let long = vec![b'x'; 2 * WORTH_FREEING];
        for (offset, bytes) in [(1, &long[..]), (2, b""), (3, b"three"), (4, b"four")] {
            assert!(memory.set_checkpoint(offset, size, offset, bytes));
            let expected = Checkpoint { offset, size, sizes: offset, bytes: bytes.to_vec() };
            assert_eq!(memory.checkpoint(), Some(expected));
        }
        let in_first_place = || {
            let mut bytes = Vec::new();
            bytes::read(&memory.mapping, start(1), long.len(), &mut bytes);
            bytes
        };
        assert!(memory.set_checkpoint(4, size, 4, &long) && memory.set_checkpoint(4, size, 4, b"four"));
        assert_eq!(in_first_place(), long);
        memory.free_old_checkpoint();
        assert_eq!(in_first_place(), vec![0; long.len()]);
        assert!(!memory.set_checkpoint(5, size, 5, &vec![0; PLACE + 1]));
        let again = crate::session::recovery::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(again.checkpoint().unwrap().bytes, b"four");
    }

    #[test]
    fn what_is_not_a_memory_file_is_not_taken_for_one() {
        let file = tempfile::tempfile().unwrap();
        assert!(crate::session::recovery::open(file.into()).is_err());
        let other = crate::sys::mapping::Mapping::new(c"other", super::super::LENGTH).unwrap();
        assert!(crate::session::recovery::open(other.as_fd().try_clone_to_owned().unwrap()).is_err());
    }
}
