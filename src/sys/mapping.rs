//! A memfd mapped into this process and shared by its threads. Its bytes outlive the process if
//! systemd keeps the descriptor. See memfd_create(2).

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

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
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page, has `length` bytes, lives as long as `self`, and is
        // only accessed as atomics, for which every bit pattern is valid.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length / size_of::<AtomicU64>()) }
    }

    /// The number at byte `8 * index`; None past the end.
    pub fn word(&self, index: usize) -> Option<&AtomicU64> {
        self.words().get(index)
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
