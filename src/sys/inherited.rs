//! Descriptors that systemd passes at start. See sd_listen_fds(3).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// A descriptor passed by systemd, with its `FileDescriptorName=`.
#[derive(Debug)]
pub struct Inherited {
    /// The name from the unit; a socket without one has the name of its unit.
    pub name: String,
    /// The descriptor, set close-on-exec by [`take`].
    pub fd: OwnedFd,
}

/// The first descriptor after standard error.
const FIRST: RawFd = 3;

/// Maximum number of descriptors: a worker has its viewers', its PTY, its memory file, its socket.
const INHERITED_MAX: RawFd = 128;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptors that systemd passed. Works once per process. Returns none if `LISTEN_PID`
/// is not this process.
///
/// # Errors
/// `AlreadyExists` on the second call, `InvalidInput` if a variable is malformed, or fcntl(2)'s.
pub fn take() -> io::Result<Vec<Inherited>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    // With PrivatePIDs=, `LISTEN_PID` is the pid of this process outside of its PID namespace, so
    // pid 1 does not compare it. No other process can be meant, because pid 1 inherits its
    // variables from no other program.
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
        // SAFETY: systemd passed the descriptors from 3 on to this process, and TAKEN ensures that
        // only this code claims them, and only once.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        inherited.push(Inherited { name: names.next().unwrap_or_default().to_owned(), fd });
    }
    Ok(inherited)
}
