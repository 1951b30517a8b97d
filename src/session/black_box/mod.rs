//! What outlives a worker: a memfd that systemd keeps, with the last bytes that the shell printed
//! (`ring`), the last snapshot of its screen (`checkpoint`), every size that the terminal had since
//! then (`sizes`), how far each viewer was (`cursors`), what was typed and no program has read (`typed`), and how often
//! the terminal panicked (`panics`). From the checkpoint and the bytes behind it the next worker has the whole terminal
//! again; so the ring overwrites nothing that is behind the checkpoint.
//!
//! Each part is written by one thread and read by all.
//!
//! ```text
//! word    0           MAGIC
//! words   1..4        ring: head; announced; answered
//! words   4..13       checkpoint: which of the two places counts; for each its offset, length,
//!                     size and number of sizes
//! words   13, 16..    sizes: how many there were; the last ones, an offset and a size each
//! word    14          panics
//! word    15          ring: cleared
//! words   144..       cursors: for each viewer its number, its cursor, its number of sizes
//! word    336         the version of the protocols that the viewers were greeted in
//! words   337, 338    typed: where it begins and ends
//! word    339         1 once the shell is ready for input
//! word    340         1 once the shell was seen to have the terminal
//! words   341..345    the key of the report of the shell's end
//! bytes   HEADER..    the ring
//! then                the two places of the checkpoint
//! then                typed
//! ```
//!
//! A worker of another version that lays this out otherwise has another MAGIC.

mod checkpoint;
mod cursors;
mod panics;
mod ring;
mod sizes;
mod typed;

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use self::cursors::Left;
pub(super) use self::ring::{Behind, Filled};
use crate::names::{ReportKey, TermSize};
use crate::sys::mapping::Mapping;
use crate::wire::VERSION;

/// "TEREBOX3".
const MAGIC: u64 = u64::from_be_bytes(*b"TEREBOX3");

/// Bytes before the ring.
const HEADER: usize = 4096;

/// Length of the memfd, bytes. Memory is taken only by the pages that were written.
const LENGTH: NonZeroUsize = match NonZeroUsize::new(TYPED_PLACE + typed::TYPED) {
    Some(length) => length,
    None => NonZeroUsize::MIN,
};

/// Where what was typed begins.
const TYPED_PLACE: usize = HEADER + ring::RING + 2 * checkpoint::PLACE;

const MAGIC_WORD: usize = 0;
const HEAD_WORD: usize = 1;
const ANNOUNCED_WORD: usize = 2;
const ANSWERED_WORD: usize = 3;
const CHECKPOINT_WORD: usize = 4;
const SIZES_WORD: usize = 13;
const PANICS_WORD: usize = 14;
const CLEARED_WORD: usize = 15;
const SIZE_WORDS: usize = 16;
const CURSOR_WORDS: usize = 144;
const VERSION_WORD: usize = 336;
const TYPED_WORD: usize = 337;
const READY_WORD: usize = 339;
const LEADER_WORD: usize = 340;
const REPORT_KEY_WORD: usize = 341;

const _: () = assert!(SIZE_WORDS + 2 * sizes::SIZES <= CURSOR_WORDS);
const _: () = assert!(CURSOR_WORDS + cursors::WORDS <= VERSION_WORD);
const _: () = assert!(READY_WORD >= TYPED_WORD + 2 && 8 * (READY_WORD + 1) <= HEADER);

/// The black box.
#[derive(Debug)]
pub(super) struct BlackBox {
    mapping: Mapping,
}

impl BlackBox {
    /// An empty one.
    pub(super) fn new() -> io::Result<Self> {
        let black_box = Self { mapping: Mapping::new(c"tere-black-box", LENGTH)? };
        black_box.word(MAGIC_WORD).store(MAGIC, Ordering::Relaxed);
        black_box.word(VERSION_WORD).store(VERSION.into(), Ordering::Relaxed);
        Ok(black_box)
    }

    /// An empty one in the place of one that cannot be read: what the terminal was fed is lost.
    pub(super) fn in_place_of_a_lost_one(size: TermSize) -> io::Result<Self> {
        let black_box = Self::new()?;
        black_box.add_size(size);
        black_box.poison();
        // The shell was there before this worker: it may be at its prompt, and print nothing more.
        black_box.note_ready();
        Ok(black_box)
    }

    /// The one that an earlier worker left.
    pub(super) fn open(fd: OwnedFd) -> io::Result<Self> {
        let black_box = Self { mapping: Mapping::open(fd, LENGTH)? };
        if black_box.word(MAGIC_WORD).load(Ordering::Relaxed) != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        black_box.mend();
        black_box.mend_typed();
        if black_box.head() > 0 {
            // A worker of a build before this mark did not set it.
            black_box.note_ready();
        }
        Ok(black_box)
    }

    /// Takes the viewers over: whether they speak the version of the protocols that this worker speaks.
    pub(super) fn take_over_viewers(&self) -> bool {
        self.word(VERSION_WORD).swap(VERSION.into(), Ordering::Relaxed) == u64::from(VERSION)
    }

    /// Notes that systemd has done with the terminal, so that input is not thrown away any more.
    fn note_ready(&self) {
        self.word(READY_WORD).store(1, Ordering::Release);
    }

    /// Whether the shell can be typed to. Until its first output, systemd still prepares the
    /// terminal, and would throw away what comes earlier.
    pub(super) fn is_ready(&self) -> bool {
        self.word(READY_WORD).load(Ordering::Acquire) != 0
    }

    /// Notes that the shell was seen to have the terminal. For the reader's thread.
    pub(super) fn note_leader(&self) {
        self.word(LEADER_WORD).store(1, Ordering::Relaxed);
    }

    /// Whether the shell, or the script before it, was ever seen to have the terminal.
    pub(super) fn had_leader(&self) -> bool {
        self.word(LEADER_WORD).load(Ordering::Relaxed) != 0
    }

    /// Notes the key of the report of the shell's end. For the control thread.
    pub(super) fn set_report_key(&self, key: &ReportKey) {
        for (word, part) in (REPORT_KEY_WORD..).zip(key.as_str().as_bytes().chunks_exact(8)) {
            let part = part.try_into().map_or(0, u64::from_be_bytes);
            self.word(word).store(part, Ordering::Relaxed);
        }
    }

    /// The key of the report of the shell's end; nothing in a session of a build before it.
    pub(super) fn report_key(&self) -> Option<ReportKey> {
        let words = (REPORT_KEY_WORD..).take(ReportKey::LENGTH / 8);
        let bytes = words.flat_map(|word| self.word(word).load(Ordering::Relaxed).to_be_bytes()).collect();
        String::from_utf8(bytes).ok()?.parse().ok()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        // Every index in this folder lies in the header, so the spare is never taken.
        self.mapping.word(index).unwrap_or(&NONE)
    }
}

impl AsFd for BlackBox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_shell_is_ready_once_it_has_printed_something_and_stays_so() {
        let black_box = BlackBox::new().unwrap();
        assert!(!black_box.is_ready());
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"$ ").unwrap();
        black_box.fill_from(read.as_fd()).unwrap();
        assert!(black_box.is_ready());
        let next = BlackBox::open(black_box.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert!(next.is_ready());
    }

    #[test]
    fn the_next_worker_knows_the_report_key_and_that_the_shell_had_the_terminal() {
        let black_box = BlackBox::new().unwrap();
        assert!(black_box.report_key().is_none() && !black_box.had_leader());
        let key = ReportKey::random().unwrap();
        black_box.set_report_key(&key);
        black_box.note_leader();
        let next = BlackBox::open(black_box.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(next.report_key(), Some(key));
        assert!(next.had_leader());
    }

    #[test]
    fn a_shell_at_its_prompt_can_be_typed_to_after_its_output_was_lost() {
        let black_box = BlackBox::in_place_of_a_lost_one(TermSize::DEFAULT).unwrap();
        assert_eq!(black_box.head(), 0);
        assert!(black_box.is_ready(), "nothing is typed until the shell prints, and an idle one does not");
    }
}
