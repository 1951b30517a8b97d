//! What the shell printed, last bytes first to go: a ring in a memfd, with absolute offsets. One
//! thread writes. Everything that reads (each viewer, later the emulator) is a cursor, an offset
//! of its own, so memory does not grow with the number of readers.
//!
//! systemd keeps the memfd for the worker, and one that is started again goes on where the one
//! before it was killed. So whatever is needed for that is in the memfd too:
//!
//! ```text
//! word    0          MAGIC
//! word    1          head: offset after the last byte written
//! word    2          announced: offset up to which bytes may be overwritten right now
//! words   8..        for each viewer two: its number, marked as below; its cursor
//! bytes   HEADER..   the ring
//! ```

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::protocol::worker::{VIEWERS_MAX, ViewerNumber};
use crate::sys::mapping::Mapping;

/// Size of the ring, bytes. A reader that falls further behind than [`KEPT`] loses what was
/// overwritten and is told how much.
pub(super) const RING: usize = 1024 * 1024;

/// Most bytes that one read from the PTY brings; the kernel gives no more at a time. The writer
/// announces that much before it writes, so this part of the ring is never offered to readers.
const STRIDE: usize = 4096;

/// How many of the last bytes can always be read.
pub(super) const KEPT: u64 = (RING - STRIDE) as u64;

/// Where the ring begins in the memfd.
const HEADER: usize = 4096;

/// "TEREBOX1".
const MAGIC: u64 = u64::from_be_bytes(*b"TEREBOX1");
const MAGIC_WORD: usize = 0;
const HEAD_WORD: usize = 1;
const ANNOUNCED_WORD: usize = 2;
const VIEWER_WORDS: usize = 8;

/// Set in the word of a viewer's number, so that no viewer's is that of a free place.
const TAKEN: u64 = 1 << 32;

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    mapping: Mapping,
}

/// What lies behind a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nothing new.
    Nothing,
    /// These bytes were appended to the buffer; the cursor moved behind them.
    Bytes,
    /// The ring has overwritten this many bytes; the cursor moved to the oldest that are there.
    Lost(u64),
}

impl Ring {
    /// An empty ring.
    pub(super) fn new() -> io::Result<Self> {
        let ring = Self { mapping: Mapping::new(c"tere-ring", LENGTH)? };
        ring.word(MAGIC_WORD).store(MAGIC, Ordering::Relaxed);
        Ok(ring)
    }

    /// The ring that an earlier worker left.
    pub(super) fn open(fd: OwnedFd) -> io::Result<Self> {
        let ring = Self { mapping: Mapping::open(fd, LENGTH)? };
        if ring.word(MAGIC_WORD).load(Ordering::Relaxed) != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        ring.mend();
        Ok(ring)
    }

    /// Counts what the last read of a killed worker brought and it had no time to count. The
    /// place was cleared before the read, so it ends where the zeros begin; a program that
    /// prints zeros at that very moment loses them.
    fn mend(&self) {
        let head = self.head();
        let announced = self.word(ANNOUNCED_WORD).load(Ordering::Relaxed);
        let room = usize::try_from(announced.saturating_sub(head)).unwrap_or_default().min(STRIDE);
        let mut bytes = Vec::new();
        self.mapping.read(HEADER + place(head), room, &mut bytes);
        let uncounted = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        self.word(HEAD_WORD).store(head + uncounted, Ordering::Release);
        self.word(ANNOUNCED_WORD).store(head + uncounted, Ordering::Relaxed);
    }

    /// Reads once from `source` into the ring. For one thread only. Returns the number of bytes,
    /// 0 at the end.
    pub(super) fn fill_from(&self, source: BorrowedFd<'_>) -> io::Result<usize> {
        let head = self.word(HEAD_WORD).load(Ordering::Relaxed);
        let at = place(head);
        let room = STRIDE.min(RING - at);
        let announced = head + room as u64;
        // Cleared once for each place, not again after a read that brought nothing.
        if self.word(ANNOUNCED_WORD).load(Ordering::Relaxed) != announced {
            // Announced before the bytes change; pairs with the fence in `read`.
            self.word(ANNOUNCED_WORD).store(announced, Ordering::Relaxed);
            fence(Ordering::Release);
            self.mapping.clear(HEADER + at, room);
        }
        let got = self.mapping.fill_from(source, HEADER + at, room)?;
        self.word(HEAD_WORD).store(head + got as u64, Ordering::Release);
        Ok(got)
    }

    /// Notes how far a viewer is, for the worker after this one. For one thread only.
    pub(super) fn note(&self, viewer: ViewerNumber, cursor: u64) {
        let place = self.place_of(viewer).or_else(|| self.find(|number| number == 0));
        if let Some(place) = place {
            self.word(place + 1).store(cursor, Ordering::Relaxed);
            self.word(place).store(u64::from(viewer.0) | TAKEN, Ordering::Relaxed);
        }
    }

    /// Forgets a viewer. For the thread that notes.
    pub(super) fn forget(&self, viewer: ViewerNumber) {
        if let Some(place) = self.place_of(viewer) {
            self.word(place).store(0, Ordering::Relaxed);
        }
    }

    /// How far a viewer of the worker before was.
    pub(super) fn noted(&self, viewer: ViewerNumber) -> Option<u64> {
        self.place_of(viewer).map(|place| self.word(place + 1).load(Ordering::Relaxed))
    }

    fn place_of(&self, viewer: ViewerNumber) -> Option<usize> {
        self.find(|number| number == u64::from(viewer.0) | TAKEN)
    }

    fn find(&self, wanted: impl Fn(u64) -> bool) -> Option<usize> {
        let places = (0..VIEWERS_MAX).map(|viewer| VIEWER_WORDS + 2 * viewer);
        places.into_iter().find(|place| wanted(self.word(*place).load(Ordering::Relaxed)))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        // Every index in this file lies in the header, so the spare is never taken.
        self.mapping.word(index).unwrap_or(&NONE)
    }

    /// Offset after the last byte.
    pub(super) fn head(&self) -> u64 {
        self.word(HEAD_WORD).load(Ordering::Acquire)
    }

    /// Offset of the oldest byte that can be read.
    pub(super) fn oldest(&self) -> u64 {
        self.head().saturating_sub(KEPT)
    }

    /// Appends up to `most` bytes behind `cursor` to `to`, and moves the cursor.
    pub(super) fn read(&self, cursor: &mut u64, most: usize, to: &mut Vec<u8>) -> Behind {
        let head = self.head();
        let wanted = usize::try_from(head.saturating_sub(*cursor)).unwrap_or(usize::MAX).min(most);
        if wanted == 0 {
            return Behind::Nothing;
        }
        let before = to.len();
        let first = wanted.min(RING - place(*cursor));
        self.mapping.read(HEADER + place(*cursor), first, to);
        self.mapping.read(HEADER, wanted - first, to);
        // What was copied counts only if the writer had not announced these places meanwhile.
        fence(Ordering::Acquire);
        if self.word(ANNOUNCED_WORD).load(Ordering::Relaxed) > *cursor + RING as u64 {
            to.truncate(before);
            let oldest = self.oldest();
            let lost = oldest - *cursor;
            *cursor = oldest;
            return Behind::Lost(lost);
        }
        *cursor += wanted as u64;
        Behind::Bytes
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

/// Length of the memfd, bytes.
const LENGTH: NonZeroUsize = match NonZeroUsize::new(HEADER + RING) {
    Some(length) => length,
    None => NonZeroUsize::MIN,
};

/// Where in the ring an offset lies.
fn place(offset: u64) -> usize {
    usize::try_from(offset % RING as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    /// The byte at an offset of the stream that these tests print.
    fn printed(offset: u64) -> u8 {
        (offset % 251) as u8
    }

    fn print(ring: &Ring, from: u64, length: usize) {
        let (read, mut write) = std::io::pipe().unwrap();
        let bytes: Vec<u8> = (from..from + length as u64).map(printed).collect();
        let writer = std::thread::spawn(move || write.write_all(&bytes).unwrap());
        let mut left = length;
        while left > 0 {
            left -= ring.fill_from(read.as_fd()).unwrap();
        }
        writer.join().unwrap();
    }

    #[test]
    fn a_cursor_sees_every_byte_across_the_seam() {
        let ring = Ring::new().unwrap();
        let (mut cursor, mut offset) = (0, 0);
        for length in [1, 1000, 500_000, 400_000, 300_000, 65_536, 7] {
            print(&ring, offset, length);
            let mut seen = Vec::new();
            while ring.read(&mut cursor, 4096, &mut seen) != Behind::Nothing {}
            let expected: Vec<u8> = (offset..offset + length as u64).map(printed).collect();
            assert!(seen == expected);
            offset += length as u64;
        }
        assert_eq!(cursor, ring.head());
    }

    #[test]
    fn a_ring_is_taken_up_where_it_was_left() {
        let ring = Ring::new().unwrap();
        print(&ring, 1, 1000);
        ring.note(ViewerNumber(0), 10);
        ring.note(ViewerNumber(7), 20);
        ring.note(ViewerNumber(7), 30);
        ring.forget(ViewerNumber(0));
        // Killed after a read, before it was counted.
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"torn").unwrap();
        ring.fill_from(read.as_fd()).unwrap();
        ring.word(HEAD_WORD).store(1000, Ordering::Relaxed);

        let fd = ring.as_fd().try_clone_to_owned().unwrap();
        drop(ring);
        let ring = Ring::open(fd).unwrap();
        assert_eq!(ring.head(), 1004);
        assert_eq!((ring.noted(ViewerNumber(0)), ring.noted(ViewerNumber(7))), (None, Some(30)));
        let (mut cursor, mut seen) = (998, Vec::new());
        ring.read(&mut cursor, 100, &mut seen);
        assert_eq!(seen, [&[printed(999), printed(1000)][..], b"torn"].concat());
    }

    #[test]
    fn what_is_not_a_ring_is_not_taken_for_one() {
        let file = tempfile::tempfile().unwrap();
        assert!(Ring::open(file.into()).is_err());
        let other = Mapping::new(c"other", LENGTH).unwrap();
        assert!(Ring::open(other.as_fd().try_clone_to_owned().unwrap()).is_err());
    }

    #[test]
    fn a_cursor_that_fell_behind_is_told_how_much_it_lost() {
        let ring = Ring::new().unwrap();
        print(&ring, 0, 3 * RING);
        let (mut cursor, mut seen) = (0, Vec::new());
        let lost = 3 * RING as u64 - KEPT;
        assert_eq!(ring.read(&mut cursor, 4096, &mut seen), Behind::Lost(lost));
        assert!(seen.is_empty());
        assert_eq!(ring.read(&mut cursor, 4096, &mut seen), Behind::Bytes);
        assert_eq!(seen.first(), Some(&printed(lost)));
    }

    #[test]
    fn a_reader_beside_a_fast_writer_never_sees_a_wrong_byte() {
        let ring = Ring::new().unwrap();
        let total = 64 * RING as u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..64 {
                    print(&ring, round * RING as u64, RING);
                }
            });
            let mut cursor = 0;
            let mut seen = Vec::new();
            while cursor < total {
                seen.clear();
                let start = cursor;
                if ring.read(&mut cursor, 32 * 1024, &mut seen) == Behind::Bytes {
                    assert!(seen.iter().zip(start..).all(|(byte, offset)| *byte == printed(offset)));
                }
            }
        });
    }
}
