//! The signals that stop the worker, as a descriptor. See signalfd(2).

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Blocks SIGTERM and SIGINT in this thread and in the threads it starts from now on, and returns a
/// descriptor that becomes readable when one of them arrives. Without this, a worker would ignore
/// SIGTERM, because it is pid 1 of its PID namespace.
///
/// # Errors
/// Any error of sigprocmask(2) or signalfd(2).
pub(super) fn termination() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}
