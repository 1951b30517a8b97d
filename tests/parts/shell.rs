//! A principal channel and a viewer for tests, which can send all that a compromised front could.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use tere::names::{MachineName, SessionId, TermSize};
use tere::protocol::machine::StopReason;
use tere::protocol::principal::{Answer, Ask, FromBroker, Request};
use tere::protocol::viewer::{FromViewer, ToViewer};
use tere::protocol::vouch::{AuthMethod, FromAuth, Principal, ToAuth};
use tere::protocol::{EndReason, OpeningStep, Participant, Refusal, SessionEnd};
use tere::sys::seqpacket;
use tere::wire::{Channel, Intent, WireError};

use super::exec::ExecClient;
use super::screen::Screen;

/// Longest time that any step here may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A principal channel.
#[derive(Debug)]
pub struct PrincipalClient {
    channel: Channel<Request, FromBroker>,
    number: u32,
    /// The participants of each session, as last reported.
    sharing: BTreeMap<SessionId, Vec<Participant>>,
    /// The steps of the openings, as reported.
    pub steps: Vec<OpeningStep>,
    /// The machines that stopped while an answer was awaited, and why.
    pub stopped: Vec<(MachineName, Option<StopReason>)>,
}

/// A terminal of 80 columns and 24 rows.
pub fn size() -> TermSize {
    TermSize::new(80, 24).unwrap()
}

impl PrincipalClient {
    /// Connects to the broker as auth does, and vouches for `principal`.
    pub fn vouched(broker_socket: &Path, principal: Principal) -> Self {
        Self::vouched_or_refused(broker_socket, principal).unwrap()
    }

    /// The same, if the broker may refuse.
    pub fn vouched_or_refused(broker_socket: &Path, principal: Principal) -> Result<Self, Refusal> {
        Self::vouched_by(broker_socket, principal, AuthMethod::PeerUid(0), 0)
    }

    /// The same, with the way in which the principal was verified, and when.
    pub fn vouched_by(
        broker_socket: &Path,
        principal: Principal,
        how: AuthMethod,
        at: u64,
    ) -> Result<Self, Refusal> {
        let channel: Channel<FromAuth, ToAuth> =
            Channel::connect(broker_socket, Intent::Vouch, PATIENCE).unwrap();
        channel.send(&FromAuth::Vouch { principal, how, at, resume_key: None }, &[]).unwrap();
        match channel.receive_within(PATIENCE).unwrap().0 {
            ToAuth::Vouched { .. } => Ok(Self::over(channel.into_socket())),
            ToAuth::Refused(refusal) => Err(refusal),
            ToAuth::Revoked | ToAuth::KeyRule { .. } | ToAuth::ResumeRule(_) => panic!("that was not asked"),
        }
    }

    /// Takes over an open principal channel.
    pub fn over(socket: OwnedFd) -> Self {
        let channel = Channel::over(socket);
        channel.greet(Intent::Principal, PATIENCE).unwrap();
        Self { channel, number: 0, sharing: BTreeMap::new(), steps: Vec::new(), stopped: Vec::new() }
    }

    /// Sends a request.
    pub fn send(&mut self, ask: Ask) {
        self.number += 1;
        self.channel.send(&Request { number: self.number, ask }, &[]).unwrap();
    }

    /// Sends a request and waits for the answer.
    pub fn ask(&mut self, ask: Ask) -> (Answer, Option<OwnedFd>) {
        self.send(ask);
        loop {
            let (message, descriptors) = self.channel.receive_within(PATIENCE).unwrap();
            match message {
                FromBroker::Reply { number, answer } => {
                    assert_eq!(number, self.number);
                    return (answer, descriptors.into_iter().next());
                }
                FromBroker::Sharing { session, participants, .. } => {
                    self.sharing.insert(session, participants);
                }
                FromBroker::Session { .. }
                | FromBroker::SessionEnded { .. }
                | FromBroker::SessionHidden(_) => {}
                FromBroker::Progress { step, .. } => self.steps.push(step),
                FromBroker::MachineStopped { machine, why } => self.stopped.push((machine, why)),
            }
        }
    }

    /// Waits until the reported participants of a session satisfy `is`.
    pub fn expect_sharing(&mut self, is: impl Fn(&SessionId, &[Participant]) -> bool) {
        while !self.sharing.iter().any(|(session, participants)| is(session, participants)) {
            let (message, _) = self
                .channel
                .receive_within(PATIENCE)
                .unwrap_or_else(|error| panic!("{error}; the last that was told: {:?}", self.sharing));
            if let FromBroker::Sharing { session, participants, .. } = message {
                self.sharing.insert(session, participants);
            }
        }
    }

    /// Opens a session on `target`.
    pub fn open(&mut self, target: &str) -> Result<Shell, Refusal> {
        self.view(Ask::Open { target: target.parse().unwrap(), size: size(), reason: None })
    }

    /// Has a command run on `target`.
    pub fn exec(&mut self, target: &str) -> Result<ExecClient, Refusal> {
        match self.ask(Ask::Exec { target: target.parse().unwrap(), reason: None }) {
            (Answer::Opened { session, .. }, Some(socket)) => Ok(ExecClient::over(session, socket)),
            (Answer::Refused(refusal), None) => Err(refusal),
            other => panic!("not an answer to this: {other:?}"),
        }
    }

    /// Views an existing session.
    pub fn attach(&mut self, session: &SessionId) -> Result<Shell, Refusal> {
        self.view(Ask::Attach { session: session.clone(), size: size() })
    }

    /// Ends all sessions of all accounts. For the operator.
    pub fn end_all_sessions(&mut self) {
        let (all, _) = self.ask(Ask::AllSessions { after: None });
        let Answer::AllSessions(sessions) = all else { panic!("{all:?}") };
        for session in sessions {
            self.ask(Ask::End { session: session.id });
        }
    }

    /// Waits for the report that a machine on which this holder had a session has stopped.
    pub fn expect_machine_stopped(&mut self) -> MachineName {
        loop {
            match self.channel.receive_within(PATIENCE).unwrap().0 {
                FromBroker::MachineStopped { machine, .. } => return machine,
                FromBroker::Reply { .. }
                | FromBroker::Progress { .. }
                | FromBroker::Session { .. }
                | FromBroker::SessionEnded { .. }
                | FromBroker::SessionHidden(_)
                | FromBroker::Sharing { .. } => {}
            }
        }
    }

    /// Waits for the broker to close the channel, whatever it sends before.
    pub fn expect_closed(&mut self) {
        loop {
            match self.channel.receive_within(PATIENCE) {
                Ok(_) => {}
                Err(WireError::Closed) => return,
                Err(error) => panic!("the channel is not closed: {error}"),
            }
        }
    }

    /// Asks for a view of a session.
    pub fn view(&mut self, ask: Ask) -> Result<Shell, Refusal> {
        match self.ask(ask) {
            (Answer::Opened { session, .. }, Some(socket)) => Ok(Shell::over(session, socket)),
            (Answer::Refused(refusal), None) => Err(refusal),
            other => panic!("not an answer to this: {other:?}"),
        }
    }
}

/// A viewer of a session.
#[derive(Debug)]
pub struct Shell {
    pub session: SessionId,
    channel: Channel<FromViewer, ToViewer>,
    /// What a person sees of the session, and output not yet expected.
    pub screen: Screen,
    /// Why the session ended, once it has.
    pub ended: Option<SessionEnd>,
}

impl Shell {
    fn over(session: SessionId, socket: OwnedFd) -> Self {
        let channel = Channel::over(socket);
        channel.greet(Intent::Viewer, PATIENCE).unwrap();
        Self { session, channel, screen: Screen::default(), ended: None }
    }

    /// Types text.
    pub fn type_in(&self, text: &str) {
        self.channel.send(&FromViewer::Input(text.as_bytes().to_vec()), &[]).unwrap();
    }

    /// Sends a message to the worker.
    pub fn send(&self, message: &FromViewer) -> Result<(), WireError> {
        self.channel.send(message, &[])
    }

    /// Sends a packet, which need not be a valid message.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<(), WireError> {
        Ok(seqpacket::send(self.channel.as_fd(), bytes, &[])?)
    }

    /// Receives everything available; false if the view is closed.
    pub fn take_all(&mut self) -> bool {
        loop {
            match self.step(Duration::ZERO) {
                Ok(()) => {}
                Err(WireError::TimedOut) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Waits until `end` is printed, and checks that the lines `line FROM` to `line TO` came before
    /// it, each once and in order. There may be earlier lines too: a viewer whose worker was killed
    /// while sending to it gets a snapshot.
    pub fn expect_lines(&mut self, from: usize, to: usize, end: &str) {
        let snapshots = self.screen.snapshots;
        let rest = self.expect(end);
        let numbers = rest.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<usize>().ok());
        let mut numbers: Vec<usize> = numbers.collect();
        if self.screen.snapshots > snapshots {
            numbers.retain(|number| *number >= from);
        }
        let wrong = numbers.iter().zip(from..).find(|(number, expected)| **number != *expected);
        assert_eq!((wrong, numbers.len()), (None, to + 1 - from), "with {} snapshots", self.screen.snapshots);
    }

    /// Waits until the screen contains this text.
    pub fn expect_on_screen(&mut self, text: &str) {
        self.expect_on_screen_within(text, PATIENCE);
    }

    /// The same, with a longer limit.
    pub fn expect_on_screen_within(&mut self, text: &str, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while !self.screen.terminal().screen_text().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let step = self.step(left);
            step.unwrap_or_else(|error| {
                panic!("no {text:?}: {error}; the screen has\n{}", self.screen.terminal().screen_text())
            });
            // A flood in which no test expects anything must not fill the memory.
            let kept = self.screen.printed.len().saturating_sub(64 * 1024);
            self.screen.printed.drain(..kept);
        }
    }

    /// Receives a packet no faster than a link of this rate, in bytes per second, delivers it.
    /// Returns its length.
    pub fn step_at(&mut self, rate: usize, at_most: Duration) -> Result<usize, WireError> {
        let (message, _) = self.channel.receive_within(at_most)?;
        let length = if let ToViewer::Output(bytes) = &message { bytes.len() } else { 0 };
        // Simulates the link: this is how long it would take for these bytes.
        std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        self.take(message);
        Ok(length)
    }

    /// Asks for a snapshot with the whole scrollback.
    pub fn refresh(&self) {
        self.channel.send(&FromViewer::Refresh, &[]).unwrap();
    }

    /// Sets the size of the terminal.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.channel.send(&FromViewer::Resize(TermSize::new(cols, rows).unwrap()), &[]).unwrap();
    }

    /// Receives one packet.
    pub fn step(&mut self, at_most: Duration) -> Result<(), WireError> {
        let (message, _) = self.channel.receive_within(at_most)?;
        self.take(message);
        Ok(())
    }

    fn take(&mut self, message: ToViewer) {
        match message {
            ToViewer::Output(bytes) => {
                let shown = u32::try_from(bytes.len()).unwrap();
                self.screen.take(&bytes);
                // The next read notices a closed view.
                drop(self.channel.send(&FromViewer::Shown(shown), &[]));
            }
            ToViewer::SnapshotBegins { size, length, extent } => self.screen.begin(size, length, extent),
            ToViewer::Size(size) => self.screen.resize(size),
            ToViewer::Ended(end) => self.ended = Some(end),
            ToViewer::InputDropped(_) => {}
        }
    }

    /// Waits until `text` is printed, and discards the output up to its end.
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = find(&self.screen.printed, text.as_bytes()) {
                let seen: Vec<u8> = self.screen.printed.drain(..at + text.len()).collect();
                // The output kept from a flood may start inside a character.
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let last = self.screen.printed.len().saturating_sub(4000);
            let so_far = String::from_utf8_lossy(&self.screen.printed[last..]).into_owned();
            self.step(left).unwrap_or_else(|error| panic!("no {text:?}: {error}; so far: {so_far:?}"));
        }
    }

    /// Waits until the session is over.
    pub fn expect_end(&mut self) -> EndReason {
        self.expect_exit().reason
    }

    /// The same, and returns how the shell ended as well.
    pub fn expect_exit(&mut self) -> SessionEnd {
        loop {
            if let Some(end) = self.ended {
                return end;
            }
            self.step(PATIENCE).unwrap();
        }
    }

    /// Waits until the worker closes the view, whatever it sends before.
    pub fn expect_closed(&mut self) {
        loop {
            match self.step(PATIENCE) {
                Ok(()) => {}
                Err(WireError::Closed) => return,
                Err(WireError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the view is not closed: {error}"),
            }
        }
    }
}

pub(super) fn find(there: &[u8], wanted: &[u8]) -> Option<usize> {
    there.windows(wanted.len()).position(|window| window == wanted)
}
