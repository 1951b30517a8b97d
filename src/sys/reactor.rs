//! Registration of a descriptor with the async runtime.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers a descriptor for readiness. It must be non-blocking.
///
/// # Errors
/// Any error of epoll_ctl(2).
pub fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd returns the same open descriptor each time until it is dropped, and
    // AsyncFd deregisters it before that.
    Ok(unsafe { AsyncFd::register(fd) }?)
}
