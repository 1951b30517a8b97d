//! Wakes a thread that waits in poll(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// An eventfd that is written at most once until the waiting thread lowers it, so that a burst of
/// events costs one system call instead of one each.
#[derive(Debug)]
pub(super) struct Wake {
    fd: EventFd,
    raised: AtomicBool,
    lowered: AtomicU64,
}

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let (raised, lowered) = (AtomicBool::new(false), AtomicU64::new(0));
        Ok(Self { fd: EventFd::from_value_and_flags(0, flags)?, raised, lowered })
    }

    /// Makes the descriptor readable. The caller publishes its data before this call.
    pub(super) fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            // Fails only if the counter is full, and then the descriptor is readable already.
            let _ = self.fd.write(1);
        }
    }

    /// Makes the descriptor unreadable again. The caller looks for data after this call, not
    /// before.
    pub(super) fn lower(&self) {
        let _ = self.fd.read();
        // A swap, not a store: it reads what `raise` wrote, so the data published before `raise` is
        // visible.
        self.raised.swap(false, Ordering::SeqCst);
        self.lowered.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the wake was lowered. A thread is stuck if its wake is raised and this count does
    /// not grow.
    pub(super) fn lowered(&self) -> u64 {
        self.lowered.load(Ordering::Relaxed)
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
