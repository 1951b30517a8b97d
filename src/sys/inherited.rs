//! Descriptors that systemd passes at start. See sd_listen_fds(3).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// One descriptor that was passed in, with its `FileDescriptorName=`.
#[derive(Debug)]
pub struct Inherited {
    /// The name that the unit gave it; a socket without one has its unit's name.
    pub name: String,
    /// The descriptor, close-on-exec from now on.
    pub fd: OwnedFd,
}

/// The first descriptor after standard error.
const FIRST: RawFd = 3;

/// Most descriptors that are taken: a worker's viewers, its PTY, its memory file and its socket.
const INHERITED_MAX: RawFd = 128;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes what systemd passed, once in a process; nothing where `LISTEN_PID` is not this process.
///
/// # Errors
/// `AlreadyExists` the second time, `InvalidInput` where the variables do not read as they should,
/// or what fcntl(2) says of a descriptor that is not there.
pub fn take() -> io::Result<Vec<Inherited>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    // With PrivatePIDs= systemd names the pid that we have outside of our namespace. Nobody else
    // could have been meant: pid 1 inherits its variables from no other program.
    let id = std::process::id();
    if id != 1 && variable("LISTEN_PID") != id.to_string() || variable("LISTEN_PID").is_empty() {
        return Ok(Vec::new());
    }
    let count: RawFd = variable("LISTEN_FDS").parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    if !(0..=INHERITED_MAX).contains(&count) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let names = variable("LISTEN_FDNAMES");
    let mut names = names.split(':');
    let mut inherited = Vec::new();
    for raw in FIRST..FIRST + count {
        // SAFETY: systemd passed the descriptors from 3 on to this process, and TAKEN makes this
        // the only place that claims them, once.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        inherited.push(Inherited { name: names.next().unwrap_or_default().to_owned(), fd });
    }
    Ok(inherited)
}
