//! The client of a command without a terminal, which can send all that a compromised one could.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tere::names::SessionId;
use tere::protocol::SessionEnd;
use tere::protocol::exec::{CHUNK_MAX, Command, FromClient, Output, ToClient, WINDOW};
use tere::wire::{Channel, Intent, WireError};

use super::shell::PATIENCE;

/// A client, and what it has received.
#[derive(Debug)]
pub struct ExecClient {
    pub session: SessionId,
    channel: Channel<FromClient, ToClient>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub started: bool,
    /// How much input the worker takes.
    pub room: usize,
    /// Whether output on stdout is said to be written.
    pub reads_stdout: bool,
    pub ended: Option<SessionEnd>,
}

impl ExecClient {
    pub fn over(session: SessionId, socket: OwnedFd) -> Self {
        let channel = Channel::over(socket);
        channel.greet(Intent::Exec, PATIENCE).unwrap();
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Self {
            session,
            channel,
            stdout,
            stderr,
            started: false,
            room: WINDOW,
            reads_stdout: true,
            ended: None,
        }
    }

    /// Begins a command of these words.
    pub fn start(&self, words: &[&str]) {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        // Fails if it is over already, which is received next.
        drop(self.send(&FromClient::Start(Command::new(words).unwrap())));
    }

    /// Sends a message, which need not be allowed.
    pub fn send(&self, message: &FromClient) -> Result<(), WireError> {
        self.channel.send(message, &[])
    }

    /// Receives one message.
    pub fn step(&mut self, at_most: Duration) -> Result<(), WireError> {
        match self.channel.receive_within(at_most)?.0 {
            ToClient::Started => self.started = true,
            ToClient::Output { output, bytes } => {
                let written = u32::try_from(bytes.len()).unwrap();
                let to = if output == Output::Standard { &mut self.stdout } else { &mut self.stderr };
                to.extend(bytes);
                if output == Output::Error || self.reads_stdout {
                    drop(self.send(&FromClient::Written { output, bytes: written }));
                }
            }
            ToClient::Taken(bytes) => self.room += bytes as usize,
            ToClient::Ended(end) => self.ended = Some(end),
        }
        Ok(())
    }

    /// Waits until `is`.
    pub fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            self.step(left).unwrap_or_else(|error| {
                let end = |bytes: &[u8]| {
                    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(500)..]).into_owned()
                };
                panic!("not {what}: {error}; {:?} {:?}", end(&self.stdout), end(&self.stderr))
            });
        }
    }

    /// Sends all of this as input, and the end.
    pub fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let next = input.len().min(CHUNK_MAX);
            self.until("room for input", |client| client.room >= next);
            self.send(&FromClient::Input(input[..next].to_vec())).unwrap();
            self.room -= next;
            input = &input[next..];
        }
        self.send(&FromClient::InputEnd).unwrap();
    }

    /// Waits for the end.
    pub fn end(&mut self) -> SessionEnd {
        self.until("ended", |client| client.ended.is_some());
        self.ended.unwrap()
    }

    /// Waits until the worker has closed the socket.
    pub fn expect_closed(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.step(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < deadline, "the socket is not closed");
    }
}
