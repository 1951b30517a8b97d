//! The thread `pty`: reads what the shell prints into the black box, as fast as it prints and as there
//! is room.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::black_box::{BlackBox, Filled};
use super::wake::Wake;

/// What the thread needs.
#[derive(Debug)]
pub(super) struct Reader {
    /// The PTY master, non-blocking.
    pub(super) pty: Arc<OwnedFd>,
    /// Where it goes.
    pub(super) black_box: Arc<BlackBox>,
    /// Raised after every read: the threads that read it.
    pub(super) printed: [Arc<Wake>; 2],
    /// Raised when there is room again.
    pub(super) room: Arc<Wake>,
    /// Raised once, when nothing more will come.
    pub(super) ended: Arc<Wake>,
}

impl Reader {
    /// Runs until the shell and all that it started have closed the terminal.
    pub(super) fn run(&self) {
        while let Ok(true) = self.step() {}
        self.ended.raise();
    }

    /// Reads once, waiting if there is nothing; false at the end. A master whose last slave is
    /// closed reads as EIO, after everything printed has been read.
    fn step(&self) -> io::Result<bool> {
        match self.black_box.fill_from(self.pty.as_fd()) {
            Ok(Filled::End) => Ok(false),
            Ok(Filled::Bytes(_)) => {
                self.printed.iter().for_each(|wake| wake.raise());
                Ok(true)
            }
            Ok(Filled::NoRoom) => {
                wait_for(self.room.as_fd())?;
                self.room.lower();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(self.pty.as_fd()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Waits until there is something to read. No deadline: a shell may be silent for as long as it
/// likes, and this process is ended from its control thread.
fn wait_for(fd: BorrowedFd<'_>) -> io::Result<bool> {
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
