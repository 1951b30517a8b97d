//! Signals of a program without an async runtime: as a descriptor. See signalfd(2).

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Blocks SIGTERM and SIGINT in this thread, and in those it starts from now on, and gives the
/// descriptor that becomes readable when one arrives. As pid 1 of its PID namespace a worker
/// would otherwise not heed SIGTERM at all.
///
/// # Errors
/// What sigprocmask(2) or signalfd(2) says.
pub fn termination() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}
