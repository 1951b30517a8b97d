//! One shell as its user sees it: bytes in, bytes out.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::pty::Winsize;
use tere::protocol::page::{FromPage, TO_PAGE_HEADER, ToPage};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use crate::parts::page::typed;
use crate::parts::stream::Stream;

/// Maximum duration of any wait. ttyd needs 21 s for a Ctrl-C on a slow link.
const PATIENCE: Duration = Duration::from_secs(120);

/// Maximum bytes of one read.
const READ: usize = 64 * 1024;

/// A shell.
pub trait Connection: Send {
    /// Types these bytes.
    fn send(&mut self, bytes: &[u8]);

    /// Appends output to `into`. Waits at most this long for it.
    fn receive(&mut self, into: &mut Vec<u8>, at_most: Duration);
}

impl dyn Connection + '_ {
    /// Waits until one of these texts is printed. Returns the number of bytes received until then.
    pub fn wait_for(&mut self, wanted: &[&str]) -> usize {
        let (deadline, mut printed, mut came) = (Instant::now() + PATIENCE, Vec::new(), 0);
        loop {
            let before = printed.len();
            self.receive(&mut printed, PATIENCE);
            came += printed.len() - before;
            let found = |text: &&&str| printed.windows(text.len()).any(|window| window == text.as_bytes());
            if wanted.iter().any(|text| found(&text)) {
                return came;
            }
            // Keep the bytes that could be the beginning of a wanted text.
            let longest = wanted.iter().map(|text| text.len()).max().unwrap_or_default();
            let tail = String::from_utf8_lossy(&printed[printed.len().saturating_sub(200)..]).into_owned();
            assert!(Instant::now() < deadline, "none of {wanted:?} came; the last that came: {tail:?}");
            printed.drain(..printed.len().saturating_sub(longest));
        }
    }

    /// Runs a line and waits until it has finished. Returns the number of bytes received.
    pub fn run(&mut self, line: &str) -> usize {
        // The quotes split the word in the echoed line, so that only the output of `echo` matches.
        self.send(format!("{line}; echo fin''ished\r").as_bytes());
        self.wait_for(&["finished"])
    }
}

/// A program on a PTY that the bench opens.
#[derive(Debug)]
pub struct OnPty {
    master: File,
    program: Child,
    /// Bytes read per second; `None` means without a limit.
    rate: Option<usize>,
}

impl OnPty {
    /// Starts a program in a terminal of 80 columns and 24 rows.
    pub fn start(words: &[String], rate: Option<usize>) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&size, None).unwrap();
        // Programs that are started later must not inherit the master, or the shell would not be
        // hung up when it is closed.
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let slave = || pty.slave.try_clone().unwrap();
        let program = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .args(words)
            .envs([("TERM", "xterm-256color"), ("LANG", "C.UTF-8")])
            .env_remove("TMUX")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        Self { master: File::from(pty.master), program, rate }
    }
}

impl Connection for OnPty {
    fn send(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).unwrap();
    }

    fn receive(&mut self, into: &mut Vec<u8>, at_most: Duration) {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        let at_most = PollTimeout::try_from(at_most).unwrap();
        if nix::poll::poll(&mut fds, at_most).unwrap() == 0 {
            return;
        }
        let mut buffer = vec![0; if self.rate.is_some() { 1024 } else { READ }];
        let length = self.master.read(&mut buffer).unwrap();
        into.extend_from_slice(&buffer[..length]);
        if let Some(rate) = self.rate {
            // Simulates the link: waits for as long as it would take to transfer these bytes.
            std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        }
    }
}

impl Drop for OnPty {
    fn drop(&mut self) {
        // It may have exited already.
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// A WebSocket of ttyd. Messages with input and messages with output begin with `0`.
#[derive(Debug)]
pub struct OnTtyd(pub WebSocket<TcpStream>);

impl Connection for OnTtyd {
    fn send(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary([b"0", bytes].concat())).unwrap();
    }

    fn receive(&mut self, into: &mut Vec<u8>, at_most: Duration) {
        self.0.get_ref().set_read_timeout(Some(at_most)).unwrap();
        match self.0.read() {
            Ok(Message::Binary(bytes)) if bytes.first() == Some(&b'0') => into.extend_from_slice(&bytes[1..]),
            Ok(_) => {}
            Err(error) => within(&error),
        }
    }
}

/// A stream of a page of tere. Ends its session on drop.
#[derive(Debug)]
pub struct OnTere {
    pub socket: WebSocket<Stream>,
    pub session: tere::names::SessionId,
}

/// The number of the only stream of each page.
pub const STREAM: u16 = 1;

impl OnTere {
    fn say(&mut self, message: &FromPage) {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).unwrap();
    }
}

impl Connection for OnTere {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(typed(STREAM, bytes))).unwrap();
    }

    fn receive(&mut self, into: &mut Vec<u8>, at_most: Duration) {
        self.socket.get_ref().socket().set_read_timeout(Some(at_most)).unwrap();
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => {
                into.extend_from_slice(&bytes[TO_PAGE_HEADER..]);
                let shown = u32::try_from(bytes.len() - TO_PAGE_HEADER).unwrap();
                self.say(&FromPage::Shown { stream: STREAM, bytes: shown });
            }
            Ok(Message::Text(text)) => {
                let ended = matches!(serde_json::from_str(&text), Ok(ToPage::Closed { .. }));
                assert!(!ended, "the session ended: {text}");
            }
            Ok(_) => {}
            Err(error) => within(&error),
        }
    }
}

impl Drop for OnTere {
    fn drop(&mut self) {
        let end = FromPage::EndSession { session: self.session.clone() };
        // The front may be gone. Its messages before the end of the session are ignored.
        if self.socket.send(Message::text(serde_json::to_string(&end).unwrap())).is_ok() {
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline {
                match self.socket.read() {
                    Ok(Message::Text(text))
                        if matches!(serde_json::from_str(&text), Ok(ToPage::Closed { .. })) =>
                    {
                        return;
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        }
    }
}

/// Panics unless the error is a timeout, which means only that nothing was received in time.
fn within(error: &Error) {
    let in_time =
        |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(matches!(error, Error::Io(error) if in_time(error)), "{error}");
}
