//! The terminal that a command runs in.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::failure::Failure;
use crate::names::TermSize;
use crate::sys::pty;

/// The terminal, with its settings as they were. They are restored when it is dropped.
#[derive(Debug)]
pub(super) struct Tty {
    fd: OwnedFd,
    before: Termios,
}

impl Tty {
    /// Opens the terminal. Its own open file, because whoever started the command shares standard
    /// input and output with it, and should not find them non-blocking.
    pub(super) fn open() -> Result<Self, Failure> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let opened = open("/dev/tty", flags, Mode::empty()).and_then(|fd| Ok((tcgetattr(&fd)?, fd)));
        let (before, fd) = opened.map_err(|error| Failure {
            cause: format!("there is no terminal to show a shell in: {}", error.desc()),
            next: "Run this in a terminal. 'tere show' prints a screen without one.".to_owned(),
        })?;
        Ok(Self { fd, before })
    }

    /// Its size.
    pub(super) fn size(&self) -> TermSize {
        size(self.fd.as_fd())
    }

    /// Has each key come as it is typed, and nothing be echoed. The result is for the thread that
    /// reads and writes.
    pub(super) fn make_raw(&self) -> Result<OwnedFd, Failure> {
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        let fd = tcsetattr(&self.fd, SetArg::TCSADRAIN, &raw)
            .map_err(std::io::Error::from)
            .and_then(|()| self.fd.try_clone());
        fd.map_err(|error| Failure {
            cause: format!("cannot use the terminal: {error}"),
            next: "Try another terminal, or 'stty sane' in this one.".to_owned(),
        })
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _ = tcsetattr(&self.fd, SetArg::TCSADRAIN, &self.before);
    }
}

/// The size of a terminal; that of a VT100 if it has none that a session can have.
pub(super) fn size(tty: BorrowedFd<'_>) -> TermSize {
    pty::size(tty).ok().flatten().unwrap_or(TermSize::DEFAULT)
}
