//! A memfd mapped into this process and shared by its threads. Its bytes outlive the process if
//! systemd keeps the descriptor. See memfd_create(2).

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

/// Bytes of a number.
const WORD: usize = size_of::<u64>();

/// A mapped memfd of fixed length.
#[derive(Debug)]
pub struct Mapping {
    fd: OwnedFd,
    start: NonNull<AtomicU64>,
    length: usize,
}

// SAFETY: the pages at `start` belong to this mapping until it is dropped and are only accessed as
// atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above: every access is atomic, so threads may share it.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A new memfd of `length` zero bytes, sealed against shrinking and growing.
    ///
    /// # Errors
    /// Any error of memfd_create(2), ftruncate(2), fcntl(2) or mmap(2).
    pub fn new(name: &std::ffi::CStr, length: NonZeroUsize) -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let size = i64::try_from(length.get()).map_err(|_| io::ErrorKind::InvalidInput)?;
        nix::unistd::ftruncate(&fd, size)?;
        // Sealed, so that no holder of the descriptor can resize it and make an access here fault.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
        Self::map(fd, length)
    }

    /// Maps a memfd of the same length that an earlier process of tere made with [`Self::new`].
    ///
    /// # Errors
    /// `InvalidData` if seals or length differ, or any error of fcntl(2), lseek(2) or mmap(2).
    pub fn open(fd: OwnedFd, length: NonZeroUsize) -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let seals = SealFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GET_SEALS)?);
        let size = nix::unistd::lseek(&fd, 0, nix::unistd::Whence::SeekEnd)?;
        let fixed = seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW);
        if !fixed || usize::try_from(size) != Ok(length.get()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Self::map(fd, length)
    }

    fn map(fd: OwnedFd, length: NonZeroUsize) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Self { fd, start: start.cast(), length: length.get() })
    }

    /// The numbers of the mapping. They are atomics because one thread writes while others read; for
    /// which of them that may be at the same time, see the module that uses them. Every access is
    /// to a whole number, because memory that one thread accesses in pieces of one size and another
    /// at the same time in pieces of another has no defined value.
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page, has `length` bytes, lives as long as `self`, and is
        // only accessed as atomics, for which every bit pattern is valid.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length / WORD) }
    }

    /// The number at byte `8 * index`; None past the end.
    pub fn word(&self, index: usize) -> Option<&AtomicU64> {
        self.words().get(index)
    }

    /// Sets the bytes of `at..at + length` to zero. For the bytes beside them, see
    /// [`Self::write`].
    pub fn clear(&self, at: usize, length: usize) {
        let zeros = [0; 4096];
        let end = at.saturating_add(length).min(self.length);
        for at in (at..end).step_by(zeros.len()) {
            self.write(at, zeros.get(..end - at).unwrap_or(&zeros));
        }
    }

    /// Reads from `source` directly into `at..at + length`, or into the part of it that is inside
    /// the mapping. Returns the number of bytes read; see read(2).
    ///
    /// # Errors
    /// Any error of read(2).
    pub fn fill_from(&self, source: BorrowedFd<'_>, at: usize, length: usize) -> io::Result<usize> {
        let at = at.min(self.length);
        let length = length.min(self.length - at);
        // SAFETY: `at` is not past the end of the mapping.
        let to = unsafe { self.start.cast::<u8>().add(at) };
        // SAFETY: `to` has room for `length` bytes inside the mapping, which outlives the call;
        // other threads access these bytes only as atomics, for which every value is valid.
        let got = unsafe { libc::read(source.as_raw_fd(), to.as_ptr().cast(), length) };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// Writes bytes from `at` on; bytes past the end of the mapping are dropped. The bytes beside
    /// them are stored again if they share a number, so they too are this thread's to write.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        let bytes = bytes.get(..self.length.saturating_sub(at)).unwrap_or(bytes);
        let (head, rest) = bytes.split_at(bytes.len().min(at.wrapping_neg() % WORD));
        let (whole, tail) = rest.as_chunks::<WORD>();
        let first = at + head.len();
        self.change_word(at, head);
        let words = self.words().get(first / WORD..).unwrap_or_default();
        for (word, bytes) in words.iter().zip(whole) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        self.change_word(first + whole.len() * WORD, tail);
    }

    /// Writes bytes that are inside one number.
    fn change_word(&self, at: usize, bytes: &[u8]) {
        let Some(word) = self.word(at / WORD).filter(|_| !bytes.is_empty()) else { return };
        let mut changed = word.load(Ordering::Relaxed).to_ne_bytes();
        let places = changed.get_mut(at % WORD..).unwrap_or_default();
        places.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        word.store(u64::from_ne_bytes(changed), Ordering::Relaxed);
    }

    /// Returns the memory of `at..at + length`, multiples of the page size, to the kernel; it then
    /// reads as zeros. If the kernel refuses, the memory stays allocated.
    pub fn free(&self, at: usize, length: usize) {
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            return;
        }
        // SAFETY: `at` is not past the end of the mapping.
        let start = unsafe { self.start.cast::<u8>().add(at) };
        // SAFETY: the range is inside the mapping, which is only accessed as atomics, for which zero
        // is a valid value.
        let freed = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_REMOVE) };
        debug_assert!(freed.is_ok());
    }

    /// Appends the bytes of `at..at + length` to `to`, up to the end of the mapping.
    pub fn read(&self, at: usize, length: usize, to: &mut Vec<u8>) {
        let end = at.saturating_add(length).min(self.length);
        let words = self.words().get(at / WORD..end.div_ceil(WORD)).unwrap_or_default();
        // The numbers around the bytes, then without what is not asked for.
        let before = to.len();
        to.resize(before + words.len() * WORD, 0);
        let (places, _) = to.get_mut(before..).unwrap_or_default().as_chunks_mut::<WORD>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        let skipped = at % WORD;
        if skipped > 0 && !words.is_empty() {
            to.copy_within(before + skipped.., before);
        }
        to.truncate(before + end.saturating_sub(at));
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this value owns the whole mapping, and nothing borrows from it any more.
        let unmapped = unsafe { munmap(self.start.cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_and_read_wherever_they_begin_and_end() {
        const LENGTH: usize = 8192;
        let mapping = Mapping::new(c"tere-test", NonZeroUsize::new(LENGTH).unwrap()).unwrap();
        let mut expected = vec![0; LENGTH];
        let places = [0, 1, 7, 8, 9, 4095, 4096, LENGTH - 9, LENGTH - 8, LENGTH - 1, LENGTH, LENGTH + 9];
        for (round, (at, length)) in
            places.iter().flat_map(|at| [0, 1, 5, 8, 17, 5000].map(|length| (*at, length))).enumerate()
        {
            let bytes: Vec<u8> =
                (round..).map(|byte| u8::try_from(byte % 251).unwrap()).take(length).collect();
            let room = length.min(LENGTH.saturating_sub(at));
            mapping.write(at, &bytes);
            if room > 0 {
                expected[at..at + room].copy_from_slice(&bytes[..room]);
            }
            let mut read = b"before".to_vec();
            mapping.read(at, length, &mut read);
            assert_eq!(read, [b"before", &bytes[..room]].concat(), "{at} {length}");
            if round % 3 == 0 {
                mapping.clear(at, length);
                expected.iter_mut().skip(at).take(length).for_each(|byte| *byte = 0);
            }
            let mut all = Vec::new();
            mapping.read(0, LENGTH, &mut all);
            assert!(all == expected, "{at} {length}");
        }
        mapping.free(0, 4096);
        let mut freed = Vec::new();
        mapping.read(0, 4096, &mut freed);
        assert_eq!(freed, [0; 4096]);
        mapping.free(4096, LENGTH);
        assert_eq!(mapping.word(LENGTH / WORD).map(|_| ()), None);
    }
}
