//! The thread `pty`: reads what the shell prints into the black box, as fast as it prints and as there
//! is room.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::black_box::{BlackBox, Filled};
use super::wake::Wake;

/// How far it reads ahead of the terminal, about. There the shell waits: what a person does then shows after no more than
/// this much of a flood.
const AHEAD: u64 = 256 * 1024;

/// What the thread needs.
#[derive(Debug)]
pub(super) struct Reader {
    /// The PTY master, non-blocking.
    pub(super) pty: Arc<OwnedFd>,
    /// Where it goes.
    pub(super) black_box: Arc<BlackBox>,
    /// Raised after every read: the threads that read it.
    pub(super) printed: [Arc<Wake>; 2],
    /// Raised when the terminal has read on, and when there is room again.
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
        if self.black_box.head().saturating_sub(self.black_box.answered()) >= AHEAD {
            return self.wait_for_room();
        }
        match self.black_box.fill_from(self.pty.as_fd()) {
            Ok(Filled::End) => Ok(false),
            Ok(Filled::Bytes(_)) => {
                self.printed.iter().for_each(|wake| wake.raise());
                Ok(true)
            }
            Ok(Filled::NoRoom) => self.wait_for_room(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(self.pty.as_fd()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Waits until the terminal has read on or made a checkpoint.
    fn wait_for_room(&self) -> io::Result<bool> {
        wait_for(self.room.as_fd())?;
        self.room.lower();
        Ok(true)
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn no_more_than_a_moments_output_waits_for_the_terminal() {
        let wake = || Arc::new(Wake::new().unwrap());
        let (read, mut write) = io::pipe().unwrap();
        let black_box = Arc::new(BlackBox::new().unwrap());
        let reader = Reader {
            pty: Arc::new(read.into()),
            black_box: Arc::clone(&black_box),
            printed: [wake(), wake()],
            room: wake(),
            ended: wake(),
        };
        // Ends when nobody reads.
        let writer = std::thread::spawn(move || drop(write.write_all(&vec![b'y'; 4 * 1024 * 1024])));
        let read_on = || {
            for _ in 0..400 {
                reader.room.raise();
                assert!(reader.step().unwrap());
            }
            black_box.head()
        };
        let ahead = AHEAD..AHEAD + 4096;
        let head = read_on();
        assert!(ahead.contains(&head), "{head}");
        black_box.note_answered(head);
        assert!(ahead.contains(&(read_on() - head)));
        drop(reader);
        writer.join().unwrap();
    }
}
