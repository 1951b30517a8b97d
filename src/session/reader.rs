//! The thread `pty`: reads what the shell prints into the ring, as fast as it prints.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ring::Ring;
use super::wake::Wake;

/// What the thread needs.
#[derive(Debug)]
pub(super) struct Reader {
    /// The PTY master, non-blocking.
    pub(super) pty: Arc<OwnedFd>,
    /// Where it goes.
    pub(super) ring: Arc<Ring>,
    /// Raised after every read.
    pub(super) printed: Arc<Wake>,
    /// Raised once, when nothing more will come.
    pub(super) ended: Arc<Wake>,
}

impl Reader {
    /// Runs until the shell and all that it started have closed the terminal.
    pub(super) fn run(&self) {
        while let Ok(true) = self.step() {}
        self.printed.raise();
        self.ended.raise();
    }

    /// Reads once, waiting if there is nothing; false at the end. A master whose last slave is
    /// closed reads as EIO, after everything printed has been read.
    fn step(&self) -> io::Result<bool> {
        match self.ring.fill_from(self.pty.as_fd()) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.printed.raise();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut fds = [PollFd::new(self.pty.as_fd(), PollFlags::POLLIN)];
                // No deadline: a shell may be silent for as long as it likes, and this process is
                // ended from its control thread.
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => Ok(true),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}
