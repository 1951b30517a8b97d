//! The memory file, which outlives the worker. It is a memfd that systemd keeps, with the latest
//! output of the shell (`ring_buffer`), the last snapshot of its screen (`checkpoint`), every size
//! that the terminal has had since then (`sizes`), the position of each viewer (`cursors`), input
//! that waits to be typed (`typed`), the theme (`theme`), and the number of panics of the terminal
//! (`panics`). The next worker restores the whole terminal from the checkpoint and the output after
//! it, so the ring never overwrites output after the checkpoint.
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
//! words   345..362    theme: how often it was set; the last two
//! bytes   HEADER..    the ring
//! then                the two places of the checkpoint
//! then                typed
//! ```
//!
//! A version with another layout uses another MAGIC.

mod bytes;
mod checkpoint;
mod cursors;
mod panics;
mod ring_buffer;
mod sizes;
mod theme;
mod typed;

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use self::cursors::Position;
pub(super) use self::ring_buffer::{Behind, Filled};
use crate::names::{ReportKey, TermSize};
use crate::sys::mapping::Mapping;
use crate::wire::VERSION;

/// "TEREBOX3".
const MAGIC: u64 = u64::from_be_bytes(*b"TEREBOX3");

/// Bytes before the ring.
const HEADER: usize = 4096;

/// Length of the memfd in bytes. Only pages that were written take memory.
const LENGTH: NonZeroUsize = match NonZeroUsize::new(TYPED_PLACE + typed::TYPED) {
    Some(length) => length,
    None => NonZeroUsize::MIN,
};

/// Where the typed input begins.
const TYPED_PLACE: usize = HEADER + ring_buffer::RING + 2 * checkpoint::PLACE;

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
const THEME_WORD: usize = 345;

/// No counter gets as far in the life of a session. A greater one was not written by a worker.
const COUNT_MAX: u64 = 1 << 62;

const _: () = assert!(SIZE_WORDS + 2 * sizes::SIZES <= CURSOR_WORDS);
const _: () = assert!(CURSOR_WORDS + cursors::WORDS <= VERSION_WORD);
const _: () = assert!(READY_WORD >= TYPED_WORD + 2 && THEME_WORD >= REPORT_KEY_WORD + ReportKey::LENGTH / 8);
const _: () = assert!(8 * (THEME_WORD + theme::WORDS) <= HEADER);

/// The memory file.
#[derive(Debug)]
pub(super) struct SessionMemory {
    mapping: Mapping,
}

impl SessionMemory {
    /// Creates an empty memory file.
    pub(super) fn new() -> io::Result<Self> {
        let memory = Self { mapping: Mapping::new(c"tere-session-memory", LENGTH)? };
        memory.word(MAGIC_WORD).store(MAGIC, Ordering::Relaxed);
        memory.word(VERSION_WORD).store(VERSION.into(), Ordering::Relaxed);
        Ok(memory)
    }

    /// Puts this empty memory file in place of one that cannot be read. The terminal's output so
    /// far is lost.
    pub(super) fn replace_an_unreadable_one(&self, size: TermSize) {
        self.add_size(size);
        self.poison();
        // The shell is older than this worker: it may be at its prompt and print nothing more.
        self.note_ready();
    }

    /// Opens the memory file that a previous worker left, and changes nothing in it: see
    /// [`super::recovery::open`].
    pub(super) fn open(fd: OwnedFd) -> io::Result<Self> {
        let memory = Self { mapping: Mapping::open(fd, LENGTH)? };
        if memory.word(MAGIC_WORD).load(Ordering::Relaxed) != MAGIC || !memory.is_consistent() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(memory)
    }

    /// Whether the counters can be those of a worker, wherever it was killed. If they cannot, the
    /// worker would type what nobody has typed, or wait for output that never comes.
    fn is_consistent(&self) -> bool {
        let counters = [self.head(), self.sizes(), self.themes(), self.typed_end()];
        counters.iter().all(|counter| *counter <= COUNT_MAX)
            && self.checkpoint_offset() <= self.head()
            && self.answered() <= self.head()
            && self.checkpoint_sizes() <= self.sizes()
            && self.typed_end().saturating_sub(self.typed_begin()) <= typed::TYPED as u64
    }

    /// Whether the viewers speak this worker's version of the protocols. To be asked once: the call
    /// records that from now on they do.
    pub(super) fn viewers_are_of_this_version(&self) -> bool {
        self.word(VERSION_WORD).swap(VERSION.into(), Ordering::Relaxed) == u64::from(VERSION)
    }

    /// Records that systemd has finished preparing the terminal, so that input is no longer
    /// discarded.
    fn note_ready(&self) {
        self.word(READY_WORD).store(1, Ordering::Release);
    }

    /// Marks a shell that has printed something as ready: a worker of an older build did not set
    /// the mark.
    pub(super) fn recover_ready(&self) {
        if self.head() > 0 {
            self.note_ready();
        }
    }

    /// Whether the shell can be typed to. Until its first output, systemd is still preparing the
    /// terminal and would discard input.
    pub(super) fn is_ready(&self) -> bool {
        self.word(READY_WORD).load(Ordering::Acquire) != 0
    }

    /// Records that the shell was seen to have the terminal. For the reader's thread.
    pub(super) fn note_leader(&self) {
        self.word(LEADER_WORD).store(1, Ordering::Relaxed);
    }

    /// Whether the shell, or the script before it, was ever seen to have the terminal.
    pub(super) fn had_leader(&self) -> bool {
        self.word(LEADER_WORD).load(Ordering::Relaxed) != 0
    }

    /// Records the key of the report of the shell's end. For the control thread.
    pub(super) fn set_report_key(&self, key: &ReportKey) {
        for (word, part) in (REPORT_KEY_WORD..).zip(key.as_str().as_bytes().chunks_exact(8)) {
            let part = part.try_into().map_or(0, u64::from_be_bytes);
            self.word(word).store(part, Ordering::Relaxed);
        }
    }

    /// The key of the report of the shell's end; `None` in a session of an older build.
    pub(super) fn report_key(&self) -> Option<ReportKey> {
        let words = (REPORT_KEY_WORD..).take(ReportKey::LENGTH / 8);
        let bytes = words.flat_map(|word| self.word(word).load(Ordering::Relaxed).to_be_bytes()).collect();
        String::from_utf8(bytes).ok()?.parse().ok()
    }

    /// Sets a word of the header to whatever an attacker or a fault may have left in it.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn set_word_of_header(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Relaxed);
    }

    /// The same for bytes behind the header.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn set_bytes_behind_header(&self, at: usize, bytes: &[u8]) {
        bytes::write(&self.mapping, HEADER + at, bytes);
    }

    /// Makes an empty memory file of this one.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn start_over(&self) {
        bytes::clear(&self.mapping, 0, HEADER);
        self.mapping.free(HEADER, LENGTH.get() - HEADER);
        self.word(MAGIC_WORD).store(MAGIC, Ordering::Relaxed);
        self.word(VERSION_WORD).store(VERSION.into(), Ordering::Relaxed);
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        // Every index in this module lies in the header, so the fallback is never used.
        self.mapping.word(index).unwrap_or(&NONE)
    }
}

impl AsFd for SessionMemory {
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
        let memory = SessionMemory::new().unwrap();
        assert!(!memory.is_ready());
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"$ ").unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        assert!(memory.is_ready());
        let next = crate::session::recovery::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert!(next.is_ready());
    }

    #[test]
    fn the_next_worker_knows_the_report_key_and_that_the_shell_had_the_terminal() {
        let memory = SessionMemory::new().unwrap();
        assert!(memory.report_key().is_none() && !memory.had_leader());
        let key = ReportKey::random().unwrap();
        memory.set_report_key(&key);
        memory.note_leader();
        let next = SessionMemory::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(next.report_key(), Some(key));
        assert!(next.had_leader());
    }

    #[test]
    fn a_shell_at_its_prompt_can_be_typed_to_after_its_output_was_lost() {
        let memory = SessionMemory::new().unwrap();
        memory.replace_an_unreadable_one(TermSize::DEFAULT);
        assert_eq!(memory.head(), 0);
        assert!(memory.is_ready(), "nothing is typed until the shell prints, and an idle one does not");
    }

    #[test]
    fn counters_that_no_worker_leaves_are_not_believed() {
        let next = |words: &[(usize, u64)]| {
            let memory = SessionMemory::new().unwrap();
            assert!(memory.add_typed(b"typed"));
            words.iter().for_each(|(word, value)| memory.set_word_of_header(*word, *value));
            crate::session::recovery::open(memory.as_fd().try_clone_to_owned().unwrap())
        };
        let typed = typed::TYPED as u64;
        assert!(next(&[]).is_ok());
        assert!(next(&[(TYPED_WORD, 1000), (TYPED_WORD + 1, 1000 + typed)]).is_ok());
        assert!(next(&[(HEAD_WORD, 7), (CHECKPOINT_WORD, 1), (CHECKPOINT_WORD + 1, 7)]).is_ok());
        for words in [
            // The worker would type whatever is there, until the end of the numbers.
            &[(TYPED_WORD, 1000), (TYPED_WORD + 1, 1001 + typed)][..],
            &[(TYPED_WORD + 1, u64::MAX)],
            &[(TYPED_WORD, u64::MAX - 5), (TYPED_WORD + 1, u64::MAX)],
            // It would wait until the shell has printed as much.
            &[(HEAD_WORD, 7), (CHECKPOINT_WORD, 1), (CHECKPOINT_WORD + 1, 8)],
            &[(HEAD_WORD, 7), (ANSWERED_WORD, 8)],
            &[(CHECKPOINT_WORD, 2), (CHECKPOINT_WORD + 8, 1)],
            // And it would count beyond the last number.
            &[(HEAD_WORD, u64::MAX)],
            &[(SIZES_WORD, u64::MAX)],
            &[(THEME_WORD, u64::MAX)],
        ] {
            let error = next(words).map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{words:?}");
        }
    }
}
