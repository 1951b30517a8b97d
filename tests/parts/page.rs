//! A page made by hand: the WebSocket of the front, spoken as the page in the browser does, or
//! worse.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::Socket;
use tere::names::{SessionId, Target};
use tere::protocol::page::{FromPage, ToPage};
use tere::protocol::{EndReason, Refusal, SessionSummary};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use super::passkey::SoftPasskey;
use super::screen::Screen;
use super::shell::{PATIENCE, find, size};

/// The origin of every host that is tested.
pub const ORIGIN: &str = "http://localhost:8022";

/// What follows `Host` in it.
pub const HOST: &str = "localhost:8022";

/// What an account finds when it has signed in.
#[derive(Debug)]
pub struct Lobby {
    pub account: String,
    pub targets: Vec<Target>,
    pub sessions: Vec<SessionSummary>,
}

/// A page with its WebSocket.
#[derive(Debug)]
pub struct Page {
    socket: WebSocket<Socket>,
    /// Messages that nobody has waited for yet, oldest first.
    heard: VecDeque<ToPage>,
    /// What each channel shows, and printed.
    screens: BTreeMap<u16, Screen>,
}

impl Page {
    /// A page over a connected socket to the front: TCP, or UNIX as from a proxy.
    pub fn over(socket: impl Into<Socket>) -> Self {
        let socket = patient(socket.into());
        let mut request = format!("ws://{HOST}/ws").into_client_request().unwrap();
        request.headers_mut().insert("Origin", ORIGIN.parse().unwrap());
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tere-1".parse().unwrap());
        let (socket, _) = tokio_tungstenite::tungstenite::client(request, socket)
            .unwrap_or_else(|error| panic!("the front does not take the page: {error}"));
        Self { socket, heard: VecDeque::new(), screens: BTreeMap::new() }
    }

    /// The WebSocket, for whoever speaks it from here on.
    pub fn into_socket(self) -> WebSocket<Socket> {
        self.socket
    }

    /// Says something.
    pub fn say(&mut self, message: &FromPage) {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).unwrap();
    }

    /// Takes one frame; false at the end of the connection. Pings are answered on the way.
    fn step(&mut self) -> bool {
        match self.socket.read() {
            Ok(message) => self.take(message),
            Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => false,
            Err(error) => panic!("{error}; heard {:?}, printed {}", self.heard, self.so_far()),
        }
    }

    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Text(text) => {
                let message = serde_json::from_str(&text);
                let message: ToPage = message.unwrap_or_else(|error| panic!("{text}: {error}"));
                match message {
                    ToPage::Snapshot { channel, size, bytes, extent } => {
                        self.screen(channel).begin(size, bytes, extent);
                    }
                    ToPage::Size { channel, size } => self.screen(channel).resize(size),
                    _ => {}
                }
                self.heard.push_back(message);
            }
            Message::Binary(bytes) => {
                let (channel, bytes) = bytes.split_first_chunk().unwrap();
                let channel = u16::from_be_bytes(*channel);
                self.screen(channel).take(bytes);
                let shown = FromPage::Shown { channel, bytes: u32::try_from(bytes.len()).unwrap() };
                // A connection that is gone is noticed at the next read.
                drop(self.socket.send(Message::text(serde_json::to_string(&shown).unwrap())));
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Takes what comes within a time; false once the connection is gone, however it went.
    pub fn poll(&mut self, at_most: Duration) -> bool {
        self.socket.get_ref().set_read_timeout(Some(at_most)).unwrap();
        let goes_on = match self.socket.read() {
            Ok(message) => self.take(message),
            Err(Error::Io(error)) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Err(_) => false,
        };
        self.socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        goes_on
    }

    /// The messages that nobody has waited for.
    pub fn heard(&mut self) -> impl Iterator<Item = ToPage> {
        self.heard.drain(..)
    }

    /// The next message that is not terminal bytes.
    pub fn hear(&mut self) -> ToPage {
        while self.heard.is_empty() {
            assert!(self.step(), "the front closed the connection; printed {}", self.so_far());
        }
        self.heard.pop_front().unwrap()
    }

    /// Waits for a message, passing over others and over what is printed meanwhile.
    pub fn hear_of<T>(&mut self, what: &str, mut wanted: impl FnMut(&ToPage) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "never heard of {what}; printed {}", self.so_far());
            if let Some(found) = wanted(&self.hear()) {
                return found;
            }
            // Only messages count here, and a flood must not fill the memory.
            self.screens.values_mut().for_each(|screen| {
                let kept = screen.printed.len().saturating_sub(64 * 1024);
                screen.printed.drain(..kept);
            });
        }
    }

    /// The front's last words, and the end of the connection.
    pub fn expect_closed(&mut self) -> Option<ToPage> {
        while self.step() {}
        self.heard.pop_back()
    }

    /// Asks to sign in, and gives the options of the challenge.
    pub fn ask_to_sign_in(&mut self) -> String {
        self.say(&FromPage::SignIn {});
        self.challenge()
    }

    /// The options of a challenge that was asked for.
    pub fn challenge(&mut self) -> String {
        match self.hear() {
            ToPage::Challenge { options, .. } => options.to_string(),
            other => panic!("no challenge: {other:?}"),
        }
    }

    /// Answers a challenge with what the passkey made of it.
    pub fn answer(&mut self, credential: &str) -> Result<Lobby, Refusal> {
        let credential: Value = serde_json::from_str(credential).unwrap();
        self.say(&FromPage::Answer { credential });
        let account = match self.hear() {
            ToPage::SignedIn { account } => account.to_string(),
            ToPage::Refused { channel: None, refusal } => return Err(refusal),
            other => panic!("no answer: {other:?}"),
        };
        match self.hear() {
            ToPage::Lobby { targets, sessions } => Ok(Lobby { account, targets, sessions }),
            other => panic!("no lobby: {other:?}"),
        }
    }

    /// Signs in.
    pub fn sign_in(&mut self, passkey: &mut SoftPasskey) -> Lobby {
        let options = self.ask_to_sign_in();
        self.answer(&passkey.sign_in(&options)).unwrap()
    }

    /// Opens an enrolment link, registers a passkey and is signed in.
    pub fn enrol(&mut self, token: &str, passkey: &mut SoftPasskey) -> Lobby {
        self.say(&FromPage::Enrol { token: token.to_owned() });
        let options = self.challenge();
        self.answer(&passkey.register(&options)).unwrap()
    }

    /// The sessions of this account.
    pub fn sessions(&mut self) -> Vec<SessionSummary> {
        self.say(&FromPage::List {});
        self.hear_of("the lobby", |message| match message {
            ToPage::Lobby { sessions, .. } => Some(sessions.clone()),
            _ => None,
        })
    }

    /// Opens a session on `channel`.
    pub fn open(&mut self, channel: u16, target: &str) -> Result<SessionId, Refusal> {
        self.say(&FromPage::Open { channel, target: target.parse().unwrap(), size: size() });
        self.opened(channel)
    }

    /// Views a session that is there on `channel`.
    pub fn attach(&mut self, channel: u16, session: &SessionId) -> Result<SessionId, Refusal> {
        self.say(&FromPage::Attach { channel, session: session.clone(), size: size() });
        self.opened(channel)
    }

    fn opened(&mut self, wanted: u16) -> Result<SessionId, Refusal> {
        // What other channels print meanwhile is kept, all of it.
        loop {
            match self.hear() {
                ToPage::Opened { channel, session, .. } if channel == wanted => return Ok(session),
                ToPage::Refused { channel: Some(channel), refusal } if channel == wanted => {
                    return Err(refusal);
                }
                _ => {}
            }
        }
    }

    /// Types on a channel.
    pub fn type_in(&mut self, channel: u16, text: &str) {
        assert!(self.try_type_in(channel, text), "the connection is closed");
    }

    /// Types on a channel; whether the connection takes it.
    pub fn try_type_in(&mut self, channel: u16, text: &str) -> bool {
        let frame = [&channel.to_be_bytes()[..], text.as_bytes()].concat();
        self.socket.send(Message::binary(frame)).is_ok()
    }

    /// Waits until a channel prints `text`, and forgets what came before and with it.
    pub fn expect(&mut self, channel: u16, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut searched = 0;
        loop {
            let printed = &mut self.screen(channel).printed;
            if let Some(at) = find(&printed[searched..], text.as_bytes()) {
                let seen: Vec<u8> = printed.drain(..searched + at + text.len()).collect();
                return String::from_utf8_lossy(&seen).into_owned();
            }
            searched = printed.len().saturating_sub(text.len());
            let gaps = self.screen(channel).gaps;
            assert!(Instant::now() < deadline, "no {text:?}; so far {}", self.so_far());
            assert!(self.step(), "no {text:?}, the connection is closed; so far {}", self.so_far());
            // A snapshot takes the place of what was searched.
            if self.screen(channel).printed.len() < searched || self.screen(channel).gaps > gaps {
                searched = 0;
            }
        }
    }

    /// What a channel shows.
    pub fn screen(&mut self, channel: u16) -> &mut Screen {
        self.screens.entry(channel).or_default()
    }

    /// Waits until a channel has shown this many bytes more, and forgets them.
    pub fn expect_bytes(&mut self, channel: u16, bytes: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen: usize = 0;
        while seen < bytes {
            assert!(Instant::now() < deadline, "only {seen} bytes");
            assert!(self.step(), "the connection is closed after {seen} bytes");
            seen += std::mem::take(&mut self.screen(channel).printed).len();
            self.heard
                .retain(|message| !matches!(message, ToPage::Snapshot { channel: of, .. } if *of == channel));
        }
    }

    /// Waits until the view on a channel is over.
    pub fn expect_end(&mut self, wanted: u16) -> EndReason {
        self.hear_of("the end", |message| match message {
            ToPage::Ended { channel, reason } if *channel == wanted => Some(*reason),
            _ => None,
        })
    }

    fn so_far(&self) -> String {
        let shown = |(channel, screen): (&u16, &Screen)| {
            let last = &screen.printed[screen.printed.len().saturating_sub(1000)..];
            format!("{channel}: {:?}", String::from_utf8_lossy(last))
        };
        self.screens.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// Sends a request for the WebSocket with these headers beside those of RFC 6455, and gives the
/// status of the response.
pub fn knock(socket: impl Into<Socket>, headers: &[(&str, &str)]) -> u16 {
    let mut socket = patient(socket.into());
    let mut request = String::from(
        "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-1\r\n",
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    socket.write_all((request + "\r\n").as_bytes()).unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    let answer = std::str::from_utf8(&answer).unwrap();
    answer.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

/// No call on the socket waits for ever.
fn patient(socket: Socket) -> Socket {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}
