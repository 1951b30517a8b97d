//! The thread `pty`: reads the shell's output into the memory file, as fast as the shell prints and
//! while there is room.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::memory::{Filled, SessionMemory};
use super::wake::Wake;
use crate::sys::pty;

/// Roughly how far the reader may get ahead of the terminal. At that point the shell waits, so that
/// at most this much of a flood precedes the effect of a person's input.
const AHEAD: u64 = 256 * 1024;

/// After this long without output, the reader checks whether the shell is still there; then after
/// four times as long, and so on up to [`LAST_LOOK`]. A shell that exits has usually printed
/// something a moment before.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_secs(10);

/// In a flood, the reader checks each time it has read this many bytes.
const LOOK_BYTES: usize = 64 * 1024;

/// Bytes that are still read once the shell is gone, if a background job keeps printing. The kernel
/// holds less than this of the shell's output.
const REST: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Reader {
    /// The PTY master, non-blocking.
    pty: Arc<OwnedFd>,
    memory: Arc<SessionMemory>,
    /// Raised after every read, to wake the threads that use the output.
    printed: [Arc<Wake>; 2],
    /// Raised when the terminal has read on, and when there is room again.
    room: Arc<Wake>,
    /// Raised once, when no more output will come.
    ended: Arc<Wake>,
    /// How long to wait for output before the next check for the shell.
    look: Duration,
    /// Bytes read since the last check.
    unlooked: usize,
    /// Bytes still to read once the shell is gone; `None` while it is there.
    rest: Option<usize>,
}

impl Reader {
    pub(super) fn new(
        pty: Arc<OwnedFd>,
        memory: Arc<SessionMemory>,
        printed: [Arc<Wake>; 2],
        room: Arc<Wake>,
        ended: Arc<Wake>,
    ) -> Self {
        Self { pty, memory, printed, room, ended, look: FIRST_LOOK, unlooked: 0, rest: None }
    }

    /// Runs until the shell has ended, or until every process has closed the terminal.
    pub(super) fn run(mut self) {
        while let Ok(true) = self.step() {}
        self.ended.raise();
    }

    /// Reads once, waiting for output if there is none; false at the end.
    ///
    /// Once the last slave is closed and all output has been read, reading the master fails with
    /// EIO. But a background job may keep the slave open for days after the shell has exited.
    fn step(&mut self) -> io::Result<bool> {
        if self.memory.head().saturating_sub(self.memory.answered()) >= AHEAD {
            return self.wait_for_room();
        }
        match self.memory.fill_from(self.pty.as_fd()) {
            Ok(Filled::End) => Ok(false),
            Ok(Filled::Bytes(bytes)) => {
                self.printed.iter().for_each(|wake| wake.raise());
                self.look = FIRST_LOOK;
                self.unlooked += bytes;
                match &mut self.rest {
                    Some(rest) => {
                        *rest = rest.saturating_sub(bytes);
                        return Ok(*rest > 0);
                    }
                    None if self.unlooked >= LOOK_BYTES => self.look_at_shell()?,
                    None => {}
                }
                Ok(true)
            }
            Ok(Filled::NoRoom) => self.wait_for_room(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_output(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Waits for output when there is nothing to read. If the shell is gone, all of its output has
    /// been read: the kernel hands out what it holds before it reports that there is nothing
    /// (`n_tty_read`).
    fn wait_for_output(&mut self) -> io::Result<bool> {
        if self.rest.is_some() {
            return Ok(false);
        }
        self.look_at_shell()?;
        // The shell's last output may have arrived between the read and the check.
        if self.rest.is_none() && !wait_for(self.pty.as_fd(), self.look)? {
            self.look = LAST_LOOK.min(4 * self.look);
        }
        Ok(true)
    }

    /// Checks whether the shell is still there. No event reports that it has gone.
    fn look_at_shell(&mut self) -> io::Result<()> {
        self.unlooked = 0;
        if pty::has_session(self.pty.as_fd())? {
            if !self.memory.had_leader() {
                self.memory.note_leader();
            }
        } else if self.memory.had_leader() {
            self.rest = Some(REST);
        }
        Ok(())
    }

    /// Waits until the terminal has read on or made a checkpoint.
    fn wait_for_room(&self) -> io::Result<bool> {
        wait_for(self.room.as_fd(), PollTimeout::NONE)?;
        self.room.lower();
        Ok(true)
    }
}

/// Waits until there is something to read; false if the time is up.
fn wait_for(fd: BorrowedFd<'_>, within: impl TryInto<PollTimeout>) -> io::Result<bool> {
    let within = within.try_into().unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], within) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn no_more_than_a_moments_output_waits_for_the_terminal() {
        let wake = || Arc::new(Wake::new().unwrap());
        let (read, mut write) = io::pipe().unwrap();
        let memory = Arc::new(SessionMemory::new().unwrap());
        let mut reader =
            Reader::new(Arc::new(read.into()), Arc::clone(&memory), [wake(), wake()], wake(), wake());
        // Ends when the reader is dropped.
        let writer = std::thread::spawn(move || drop(write.write_all(&vec![b'y'; 4 * 1024 * 1024])));
        let mut read_on = || {
            for _ in 0..400 {
                reader.room.raise();
                assert!(reader.step().unwrap());
            }
            memory.head()
        };
        let ahead = AHEAD..AHEAD + 4096;
        let head = read_on();
        assert!(ahead.contains(&head), "{head}");
        memory.note_answered(head);
        assert!(ahead.contains(&(read_on() - head)));
        drop(reader);
        writer.join().unwrap();
    }

    /// Runs `sh -c SCRIPT` in a session of its own, with a PTY as its controlling terminal.
    fn shell(script: &str) -> (Arc<SessionMemory>, Arc<Wake>, std::thread::JoinHandle<()>) {
        let pty = nix::pty::openpty(None, None).unwrap();
        nix::fcntl::fcntl(&pty.master, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        nix::fcntl::fcntl(&pty.master, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))
            .unwrap();
        let slave = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut child = Command::new("setsid")
            .args(["--ctty", "--wait", "sh", "-c", script])
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        drop(pty.slave);
        let wake = || Arc::new(Wake::new().unwrap());
        let (memory, ended) = (Arc::new(SessionMemory::new().unwrap()), wake());
        let kept = Arc::clone(&memory);
        let reader = Reader::new(Arc::new(pty.master), kept, [wake(), wake()], wake(), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            reader.run();
            child.wait().unwrap();
        });
        (memory, ended, thread)
    }

    fn printed(memory: &SessionMemory) -> String {
        let (mut cursor, mut bytes) = (0, Vec::new());
        memory.read(&mut cursor, usize::MAX, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_shell_is_over_though_a_background_job_has_its_terminal() {
        // A job in the script's process group gets SIGHUP when the script exits. This one ignores
        // it and outlives the wait below.
        let job = "(trap '' HUP; exec sleep 30) &";
        let (memory, ended, reader) = shell(&format!("{job} seq 3000; sleep 0.1; echo last"));
        assert!(wait_for(ended.as_fd(), Duration::from_secs(20)).unwrap());
        reader.join().unwrap();
        let printed = printed(&memory);
        assert!(printed.ends_with("\r\n3000\r\nlast\r\n"), "{printed:?}");
    }

    #[test]
    fn a_shell_is_over_though_a_background_job_prints_without_end() {
        let (memory, ended, reader) = shell("(trap '' HUP; yes) & sleep 0.2; echo last; exit");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        // There is no emulator: all output is marked as answered so that the reader continues.
        while !wait_for(ended.as_fd(), Duration::from_millis(1)).unwrap() {
            assert!(std::time::Instant::now() < deadline);
            memory.note_answered(memory.head());
            memory.set_checkpoint(memory.head(), crate::names::TermSize::DEFAULT, 0, b"");
        }
        reader.join().unwrap();
    }
}
