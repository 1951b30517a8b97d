//! The latest output of the shell, addressed by absolute offsets. The oldest bytes are overwritten
//! first. One thread writes. Each reader (the emulator, each viewer) is a cursor, which is an
//! offset of its own, so memory does not grow with the number of readers.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{Ordering, fence};

use super::{ANNOUNCED_WORD, ANSWERED_WORD, CLEARED_WORD, HEAD_WORD, HEADER, SessionMemory, bytes};

/// Size of the ring in bytes. A viewer that falls further behind than [`KEPT`] has lost what was
/// overwritten, and gets a snapshot instead. The shell waits when there are [`KEPT`] bytes of
/// output after the checkpoint.
pub(super) const RING: usize = 2 * 1024 * 1024;

/// Maximum bytes of one read from the PTY; the kernel gives no more at a time. The writer announces
/// that many before it writes, so this part of the ring is never offered to readers.
const STRIDE: usize = 4096;

/// Number of latest bytes that can always be read.
const KEPT: u64 = (RING - STRIDE) as u64;

/// Result of a read from the PTY.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Filled {
    /// This many bytes.
    Bytes(usize),
    /// No more output will come.
    End,
    /// Nothing was read: there is no room before the next checkpoint.
    NoRoom,
}

/// Result of a read at a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Behind {
    /// Nothing new.
    Nothing,
    /// Bytes were appended to the buffer, and the cursor moved past them.
    Bytes,
    /// The ring has overwritten the bytes at the cursor; the cursor stays.
    Lost,
}

impl SessionMemory {
    /// Counts the bytes of a killed worker's last read if it had no time to count them. Their place
    /// was cleared before the read, so they end where only zeros follow; zeros that a program
    /// prints at that very moment are lost. A place that was not cleared to its end was not read
    /// into either.
    pub(in crate::session) fn recover_head(&self) {
        let head = self.head();
        let announced = self.word(ANNOUNCED_WORD).load(Ordering::Relaxed);
        let cleared = self.word(CLEARED_WORD).load(Ordering::Relaxed) == announced;
        let room = if cleared { announced.saturating_sub(head) } else { 0 };
        let room = usize::try_from(room).unwrap_or_default().min(STRIDE);
        let mut bytes = Vec::new();
        bytes::read(&self.mapping, HEADER + place(head), room, &mut bytes);
        let uncounted = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        self.word(HEAD_WORD).store(head + uncounted, Ordering::Release);
        self.word(ANNOUNCED_WORD).store(head + uncounted, Ordering::Relaxed);
    }

    /// Reads once from `source` into the ring. For one thread only.
    pub(in crate::session) fn fill_from(&self, source: BorrowedFd<'_>) -> io::Result<Filled> {
        let head = self.word(HEAD_WORD).load(Ordering::Relaxed);
        let at = place(head);
        let before_checkpoint = (self.checkpoint_offset() + KEPT).saturating_sub(head);
        let before_checkpoint = usize::try_from(before_checkpoint).unwrap_or(usize::MAX);
        let room = STRIDE.min(RING - at).min(before_checkpoint);
        if room == 0 {
            return Ok(Filled::NoRoom);
        }
        let announced = head + room as u64;
        // Cleared once for each place, and not again after a read that brought nothing.
        if self.word(ANNOUNCED_WORD).load(Ordering::Relaxed) != announced {
            // Announced before the bytes change; pairs with the fence in `read`.
            self.word(ANNOUNCED_WORD).store(announced, Ordering::Relaxed);
            fence(Ordering::Release);
            bytes::clear(&self.mapping, HEADER + at, room);
            self.word(CLEARED_WORD).store(announced, Ordering::Release);
        }
        let got = self.mapping.fill_from(source, HEADER + at, room)?;
        self.word(HEAD_WORD).store(head + got as u64, Ordering::Release);
        if head == 0 && got > 0 {
            self.note_ready();
        }
        Ok(if got == 0 { Filled::End } else { Filled::Bytes(got) })
    }

    /// Offset after the last byte.
    pub(in crate::session) fn head(&self) -> u64 {
        self.word(HEAD_WORD).load(Ordering::Acquire)
    }

    /// Offset up to which the emulator has answered programs' queries to the terminal. A worker
    /// that reads these bytes again does not answer again.
    pub(in crate::session) fn answered(&self) -> u64 {
        self.word(ANSWERED_WORD).load(Ordering::Relaxed)
    }

    /// Sets [`Self::answered`]. For the emulator's thread.
    pub(in crate::session) fn note_answered(&self, offset: u64) {
        self.word(ANSWERED_WORD).store(offset, Ordering::Relaxed);
    }

    /// Appends up to `most` bytes after `cursor` to `to`, and advances the cursor.
    pub(in crate::session) fn read(&self, cursor: &mut u64, most: usize, to: &mut Vec<u8>) -> Behind {
        let behind = self.head().saturating_sub(*cursor);
        if behind > KEPT {
            return Behind::Lost;
        }
        let wanted = usize::try_from(behind).unwrap_or(usize::MAX).min(most);
        if wanted == 0 {
            return Behind::Nothing;
        }
        let before = to.len();
        let first = wanted.min(RING - place(*cursor));
        bytes::read(&self.mapping, HEADER + place(*cursor), first, to);
        bytes::read(&self.mapping, HEADER, wanted - first, to);
        // The copy is valid only if the writer had not announced these places meanwhile.
        fence(Ordering::Acquire);
        if self.word(ANNOUNCED_WORD).load(Ordering::Relaxed) > *cursor + RING as u64 {
            to.truncate(before);
            return Behind::Lost;
        }
        *cursor += wanted as u64;
        Behind::Bytes
    }
}

/// Position of an offset in the ring.
fn place(offset: u64) -> usize {
    usize::try_from(offset % RING as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;
    use crate::names::TermSize;

    /// The byte at an offset of the stream that these tests print.
    fn printed(offset: u64) -> u8 {
        (offset % 251) as u8
    }

    /// Sets a checkpoint at the head, which makes room again.
    fn check(memory: &SessionMemory) {
        let size = TermSize::new(80, 24).unwrap();
        memory.set_checkpoint(memory.head(), size, 0, b"");
    }

    fn print(memory: &SessionMemory, from: u64, length: usize) {
        let (read, mut write) = std::io::pipe().unwrap();
        let bytes: Vec<u8> = (from..from + length as u64).map(printed).collect();
        let writer = std::thread::spawn(move || write.write_all(&bytes).unwrap());
        let mut left = length;
        while left > 0 {
            match memory.fill_from(read.as_fd()).unwrap() {
                Filled::Bytes(got) => left -= got,
                Filled::NoRoom => check(memory),
                Filled::End => panic!("the writer went away"),
            }
        }
        writer.join().unwrap();
    }

    #[test]
    fn a_cursor_sees_every_byte_across_the_seam() {
        let memory = SessionMemory::new().unwrap();
        let (mut cursor, mut offset) = (0, 0);
        for length in [1, 1000, 500_000, 1_000_000, 700_000, 65_536, 7] {
            print(&memory, offset, length);
            let mut seen = Vec::new();
            while memory.read(&mut cursor, 4096, &mut seen) != Behind::Nothing {}
            let expected: Vec<u8> = (offset..offset + length as u64).map(printed).collect();
            assert!(seen == expected);
            offset += length as u64;
        }
        assert_eq!(cursor, memory.head());
    }

    #[test]
    fn a_read_that_was_not_counted_is_found_again() {
        let memory = SessionMemory::new().unwrap();
        print(&memory, 1, 1000);
        // Killed after a read, before it was counted.
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"torn").unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        memory.word(HEAD_WORD).store(1000, Ordering::Relaxed);

        let fd = memory.as_fd().try_clone_to_owned().unwrap();
        drop(memory);
        let memory = crate::session::recovery::open(fd).unwrap();
        assert_eq!(memory.head(), 1004);
        let (mut cursor, mut seen) = (998, Vec::new());
        memory.read(&mut cursor, 100, &mut seen);
        assert_eq!(seen, [&[printed(999), printed(1000)][..], b"torn"].concat());
    }

    #[test]
    fn what_an_earlier_lap_left_is_not_taken_for_a_read() {
        let memory = SessionMemory::new().unwrap();
        print(&memory, 0, RING + 1000);
        // Killed between the announcement of the next place and its clearing.
        let announced = memory.head() + STRIDE as u64;
        memory.word(ANNOUNCED_WORD).store(announced, Ordering::Relaxed);
        let head = memory.head();
        let fd = memory.as_fd().try_clone_to_owned().unwrap();
        drop(memory);
        assert_eq!(crate::session::recovery::open(fd).unwrap().head(), head);
    }

    #[test]
    fn nothing_behind_the_checkpoint_is_overwritten() {
        let memory = SessionMemory::new().unwrap();
        let (read, mut write) = std::io::pipe().unwrap();
        let kept = usize::try_from(KEPT).unwrap();
        let writer = std::thread::spawn(move || write.write_all(&vec![b'x'; kept + 1]).unwrap());
        let mut got = 0;
        while let Filled::Bytes(more) = memory.fill_from(read.as_fd()).unwrap() {
            got += more;
        }
        assert_eq!(got, kept);
        assert_eq!(memory.fill_from(read.as_fd()).unwrap(), Filled::NoRoom);
        // A worker that continues from the checkpoint can read all of it again.
        let (mut cursor, mut seen) = (0, Vec::new());
        assert_eq!(memory.read(&mut cursor, kept, &mut seen), Behind::Bytes);
        assert_eq!(seen.len(), kept);
        check(&memory);
        assert_eq!(memory.fill_from(read.as_fd()).unwrap(), Filled::Bytes(1));
        assert_eq!(memory.fill_from(read.as_fd()).unwrap(), Filled::End);
        writer.join().unwrap();
    }

    #[test]
    fn a_cursor_that_fell_behind_is_told_so() {
        let memory = SessionMemory::new().unwrap();
        print(&memory, 0, 3 * RING);
        let (mut cursor, mut seen) = (0, Vec::new());
        assert_eq!(memory.read(&mut cursor, 4096, &mut seen), Behind::Lost);
        assert!(seen.is_empty());
        cursor = memory.head() - KEPT;
        let oldest = cursor;
        assert_eq!(memory.read(&mut cursor, 4096, &mut seen), Behind::Bytes);
        assert_eq!(seen.first(), Some(&printed(oldest)));
    }

    #[test]
    fn a_reader_beside_a_fast_writer_never_sees_a_wrong_byte() {
        let memory = SessionMemory::new().unwrap();
        let total = 32 * RING as u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..32 {
                    print(&memory, round * RING as u64, RING);
                }
            });
            let mut cursor = 0;
            let mut seen = Vec::new();
            while cursor < total {
                seen.clear();
                let start = cursor;
                match memory.read(&mut cursor, 32 * 1024, &mut seen) {
                    Behind::Bytes => {
                        assert!(seen.iter().zip(start..).all(|(byte, offset)| *byte == printed(offset)));
                    }
                    Behind::Lost => cursor = memory.head(),
                    Behind::Nothing => {}
                }
            }
        });
    }
}
