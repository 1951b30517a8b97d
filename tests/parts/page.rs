//! A page for tests: it speaks the front's WebSocket protocol as the page in the browser does, or
//! worse.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use tere::client_key::{ClientKey, Nonce, Purpose};
use tere::names::{Label, SessionId};
use tere::protocol::page::{
    CLIENT_SUBPROTOCOL, FromPage, ResumeOffer, ResumeTerms, SENT_AT_UNKNOWN, StreamKind, ToPage, TouchView,
};
use tere::protocol::{EndReason, GrantedTarget, Refusal, SessionSummary};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use super::passkey::SoftAuthenticator;
use super::screen::Screen;
use super::shell::{PATIENCE, find, size};
use super::stream::Stream;

/// The origin of every tested host.
pub const ORIGIN: &str = "http://localhost:8022";

/// The `Host` of that origin.
pub const HOST: &str = "localhost:8022";

/// What an account is sent when it has signed in.
#[derive(Debug)]
pub struct Lobby {
    pub account: String,
    pub targets: Vec<GrantedTarget>,
    pub sessions: Vec<SessionSummary>,
}

/// A page with its WebSocket.
#[derive(Debug)]
pub struct Page {
    socket: WebSocket<Stream>,
    /// Messages that no test has waited for yet, oldest first.
    heard: VecDeque<ToPage>,
    /// The screen and the output of each stream.
    screens: BTreeMap<u16, Screen>,
}

impl Page {
    /// A page over a connection to the front: TCP, or UNIX as from a proxy.
    pub fn over(socket: impl Into<Stream>) -> Self {
        Self::of(ORIGIN, socket, &[])
    }

    /// A page of another origin, whose first request has these headers in addition.
    pub fn of(origin: &str, socket: impl Into<Stream>, headers: &[(&'static str, &str)]) -> Self {
        let socket = patient(socket.into());
        let (_, host) = origin.split_once("://").unwrap();
        let mut request = format!("ws://{host}/ws").into_client_request().unwrap();
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tere-6".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::tungstenite::client(request, socket)
            .unwrap_or_else(|error| panic!("the front does not take the page: {error}"));
        Self { socket, heard: VecDeque::new(), screens: BTreeMap::new() }
    }

    /// A command line from afar. It can say and hear all that a page can.
    pub fn of_command_line(socket: impl Into<Stream>) -> Self {
        let socket = patient(socket.into());
        let mut request = format!("ws://{HOST}/ws").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", CLIENT_SUBPROTOCOL.parse().unwrap());
        let (socket, _) = tokio_tungstenite::tungstenite::client(request, socket)
            .unwrap_or_else(|error| panic!("the front does not take the command line: {error}"));
        Self { socket, heard: VecDeque::new(), screens: BTreeMap::new() }
    }

    /// Asks something for which a client key has to sign, and returns the challenge.
    pub fn key_challenge(&mut self, asked: &FromPage) -> Nonce {
        self.say(asked);
        match self.hear() {
            ToPage::KeyChallenge { nonce } => {
                BASE64URL_NOPAD.decode(nonce.as_bytes()).unwrap().try_into().unwrap()
            }
            other => panic!("no challenge: {other:?}"),
        }
    }

    /// Answers the challenge, and returns what follows.
    pub fn answer_by_key(&mut self, signature: &[u8]) -> ToPage {
        self.say(&FromPage::KeyAnswer { signature: BASE64URL_NOPAD.encode(signature) });
        self.hear()
    }

    /// Has a key wait for its binding, and returns the code.
    pub fn ask_to_bind(&mut self, key: &ClientKey) -> Result<String, Refusal> {
        let name = Label::cut("laptop").unwrap();
        let nonce = self.key_challenge(&FromPage::BindKey { key: key.public(), name });
        match self.answer_by_key(&key.sign(Purpose::Bind, ORIGIN, &nonce)) {
            ToPage::BindingCode { code, .. } => Ok(code.reveal().to_owned()),
            ToPage::Refused { refusal, .. } => Err(refusal),
            other => panic!("no code: {other:?}"),
        }
    }

    /// Signs in with a key.
    pub fn sign_in_by_key(&mut self, key: &ClientKey) -> Result<String, Refusal> {
        let nonce = self.key_challenge(&FromPage::KeySignIn { key: key.public().id() });
        match self.answer_by_key(&key.sign(Purpose::SignIn, ORIGIN, &nonce)) {
            ToPage::SignedIn { account, .. } => {
                // The first list comes by itself, if the policy allows it.
                let first = self.hear();
                assert!(matches!(first, ToPage::Lobby { .. } | ToPage::Refused { .. }), "{first:?}");
                Ok(account.to_string())
            }
            ToPage::Refused { refusal, .. } => Err(refusal),
            other => panic!("not signed in: {other:?}"),
        }
    }

    /// Gives the code of a key that waits, and returns the options of the touch that binds it.
    pub fn find_binding(&mut self, code: &str) -> Result<String, Refusal> {
        self.say(&FromPage::FindBinding { code: code.into() });
        self.hear_of("the key", |message| match message {
            ToPage::Binding { options, .. } => Some(Ok(options.to_string())),
            ToPage::Refused { stream: None, refusal } => Some(Err(*refusal)),
            _ => None,
        })
    }

    /// Declines to bind the key that was found.
    pub fn decline_binding(&mut self) {
        self.say(&FromPage::DeclineBinding {});
        assert_eq!(self.hear(), ToPage::Refused { stream: None, refusal: Refusal::KeyDeclined });
    }

    /// Answers the challenge to bind a key.
    pub fn bind(&mut self, credential: &str) -> Result<(), Refusal> {
        self.say(&FromPage::Bind { credential: serde_json::from_str(credential).unwrap() });
        self.hear_of("the binding", |message| match message {
            ToPage::Bound {} => Some(Ok(())),
            ToPage::Refused { stream: None, refusal } => Some(Err(*refusal)),
            _ => None,
        })
    }

    /// Gives up the page and returns its WebSocket.
    pub fn into_socket(self) -> WebSocket<Stream> {
        self.socket
    }

    /// Sends a message.
    pub fn say(&mut self, message: &FromPage) {
        assert!(self.try_say(message), "the connection is closed");
    }

    /// Sends a message, and returns whether the connection takes it.
    pub fn try_say(&mut self, message: &FromPage) -> bool {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).is_ok()
    }

    /// Sends a text frame, which need not be a message.
    pub fn say_raw(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Receives one frame; false at the end of the connection. Pings are answered on the way.
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
                    ToPage::Snapshot { stream, size, bytes, extent } => {
                        self.screen(stream).begin(size, bytes, extent);
                    }
                    ToPage::Size { stream, size } => self.screen(stream).resize(size),
                    _ => {}
                }
                self.heard.push_back(message);
            }
            Message::Binary(bytes) => {
                let ([s1, s0, kind], bytes) = bytes.split_first_chunk().unwrap();
                assert_eq!(*kind, StreamKind::Terminal as u8);
                let stream = u16::from_be_bytes([*s1, *s0]);
                self.screen(stream).take(bytes);
                let shown = FromPage::Shown { stream, bytes: u32::try_from(bytes.len()).unwrap() };
                // The next read notices a lost connection.
                self.try_say(&shown);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Receives what comes within a time; false once the connection is gone, for whatever reason.
    pub fn poll(&mut self, at_most: Duration) -> bool {
        self.socket.get_ref().socket().set_read_timeout(Some(at_most)).unwrap();
        let goes_on = match self.socket.read() {
            Ok(message) => self.take(message),
            Err(Error::Io(error)) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Err(_) => false,
        };
        self.socket.get_ref().socket().set_read_timeout(Some(PATIENCE)).unwrap();
        goes_on
    }

    /// The messages that no test has waited for.
    pub fn heard(&mut self) -> impl Iterator<Item = ToPage> {
        self.heard.drain(..)
    }

    /// The next message that is not terminal bytes.
    pub fn hear(&mut self) -> ToPage {
        // Pings and floods never end.
        let deadline = Instant::now() + PATIENCE;
        while self.heard.is_empty() {
            assert!(Instant::now() < deadline, "nothing but bytes and pings; printed {}", self.so_far());
            assert!(self.step(), "the front closed the connection; printed {}", self.so_far());
        }
        self.heard.pop_front().unwrap()
    }

    /// Waits for a message, skipping other messages and output meanwhile.
    pub fn hear_of<T>(&mut self, what: &str, mut wanted: impl FnMut(&ToPage) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "never heard of {what}; printed {}", self.so_far());
            if let Some(found) = wanted(&self.hear()) {
                return found;
            }
            // Only messages matter here, and a flood must not fill the memory.
            self.screens.values_mut().for_each(|screen| {
                let kept = screen.printed.len().saturating_sub(64 * 1024);
                screen.printed.drain(..kept);
            });
        }
    }

    /// Waits for the end of the connection, and returns the front's last message.
    pub fn expect_closed(&mut self) -> Option<ToPage> {
        let deadline = Instant::now() + PATIENCE;
        while self.step() {
            assert!(Instant::now() < deadline, "the connection stays; printed {}", self.so_far());
        }
        self.heard.pop_back()
    }

    /// Asks to sign in, and returns the options of the challenge.
    pub fn ask_to_sign_in(&mut self) -> String {
        self.say(&FromPage::SignIn {});
        self.challenge()
    }

    /// The options of a challenge that was requested.
    pub fn challenge(&mut self) -> String {
        match self.hear() {
            ToPage::Challenge { options, .. } => options.to_string(),
            other => panic!("no challenge: {other:?}"),
        }
    }

    /// Answers a challenge with the passkey's credential.
    pub fn answer(&mut self, credential: &str) -> Result<Lobby, Refusal> {
        let credential: Value = serde_json::from_str(credential).unwrap();
        self.say(&FromPage::Answer { credential, resume: None });
        let account = match self.hear() {
            ToPage::SignedIn { account, .. } => account.to_string(),
            ToPage::Refused { stream: None, refusal } => return Err(refusal),
            other => panic!("no answer: {other:?}"),
        };
        match self.hear() {
            ToPage::Lobby { targets, sessions, .. } => Ok(Lobby { account, targets, sessions }),
            other => panic!("no lobby: {other:?}"),
        }
    }

    /// Signs in.
    pub fn sign_in(&mut self, passkey: &mut SoftAuthenticator) -> Lobby {
        let options = self.ask_to_sign_in();
        self.answer(&passkey.sign_in(&options)).unwrap()
    }

    /// Signs in, and offers a key to come back with. Returns what the front says of it.
    pub fn sign_in_with(&mut self, passkey: &mut SoftAuthenticator, key: &ClientKey) -> Option<ResumeTerms> {
        let options = self.ask_to_sign_in();
        let credential = serde_json::from_str(&passkey.sign_in(&options)).unwrap();
        let offer = ResumeOffer { key: key.public(), name: Label::cut("a test").unwrap() };
        self.say(&FromPage::Answer { credential, resume: Some(offer) });
        match self.hear() {
            ToPage::SignedIn { resume, .. } => resume,
            other => panic!("not signed in: {other:?}"),
        }
    }

    /// Comes back with a key, without a touch.
    pub fn come_back(&mut self, key: &ClientKey) -> Result<String, Refusal> {
        let nonce = self.key_challenge(&FromPage::Resume { key: key.public() });
        match self.answer_by_key(&key.sign(Purpose::Resume, ORIGIN, &nonce)) {
            ToPage::SignedIn { account, .. } => Ok(account.to_string()),
            ToPage::Refused { refusal, .. } => Err(refusal),
            other => panic!("not signed in: {other:?}"),
        }
    }

    /// Opens an enrolment link and registers a passkey, which signs in.
    pub fn enrol(&mut self, token: &str, passkey: &mut SoftAuthenticator) -> Lobby {
        self.say(&FromPage::Enrol { token: token.into() });
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

    /// Opens a session on `stream`.
    pub fn open(&mut self, stream: u16, target: &str) -> Result<SessionId, Refusal> {
        self.say(&FromPage::Open { stream, target: target.parse().unwrap(), size: size(), reason: None });
        self.opened(stream)
    }

    /// Asks for a step-up on `stream`, and returns the options of the challenge.
    pub fn ask_to_step_up(&mut self, stream: u16) -> Result<String, Refusal> {
        self.say(&FromPage::StepUp { stream });
        self.hear_of("the challenge of a step-up", |message| match message {
            ToPage::TouchChallenge { stream: on, options } if *on == stream => Some(Ok(options.to_string())),
            ToPage::Refused { stream: Some(on), refusal } if *on == stream => Some(Err(*refusal)),
            _ => None,
        })
    }

    /// Answers the challenge of a step-up with the passkey's credential.
    pub fn touch(&mut self, stream: u16, credential: &str, view: TouchView) -> Result<SessionId, Refusal> {
        let credential: Value = serde_json::from_str(credential).unwrap();
        self.say(&FromPage::Touch { stream, credential, view, size: size() });
        self.opened(stream)
    }

    /// Opens or views a session on `stream`, with a touch of the passkey.
    pub fn view_touched(
        &mut self,
        stream: u16,
        passkey: &mut SoftAuthenticator,
        view: TouchView,
    ) -> Result<SessionId, Refusal> {
        let options = self.ask_to_step_up(stream)?;
        self.touch(stream, &passkey.touch(&options), view)
    }

    /// Views an existing session on `stream`.
    pub fn attach(&mut self, stream: u16, session: &SessionId) -> Result<SessionId, Refusal> {
        self.open_with(stream, &FromPage::Attach { stream, session: session.clone(), size: size() })
    }

    /// Opens a stream by this message.
    pub fn open_with(&mut self, stream: u16, message: &FromPage) -> Result<SessionId, Refusal> {
        self.say(message);
        self.opened(stream)
    }

    fn opened(&mut self, wanted: u16) -> Result<SessionId, Refusal> {
        let deadline = Instant::now() + PATIENCE;
        // All output of other streams is kept meanwhile.
        loop {
            assert!(Instant::now() < deadline, "never opened; printed {}", self.so_far());
            match self.hear() {
                ToPage::Opened { stream, session, .. } if stream == wanted => return Ok(session),
                ToPage::Refused { stream: Some(stream), refusal } if stream == wanted => {
                    return Err(refusal);
                }
                _ => {}
            }
        }
    }

    /// Types on a stream.
    pub fn type_in(&mut self, stream: u16, text: &str) {
        assert!(self.try_type_in(stream, text), "the connection is closed");
    }

    /// Types on a stream, and returns whether the connection takes it.
    pub fn try_type_in(&mut self, stream: u16, text: &str) -> bool {
        let frame = typed(stream, text.as_bytes());
        self.socket.send(Message::binary(frame)).is_ok()
    }

    /// Waits until a stream prints `text`, and discards the output up to its end.
    pub fn expect(&mut self, stream: u16, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut searched = 0;
        loop {
            let printed = &mut self.screen(stream).printed;
            if let Some(at) = find(&printed[searched..], text.as_bytes()) {
                let seen: Vec<u8> = printed.drain(..searched + at + text.len()).collect();
                return String::from_utf8_lossy(&seen).into_owned();
            }
            searched = printed.len().saturating_sub(text.len());
            let gaps = self.screen(stream).gaps;
            assert!(Instant::now() < deadline, "no {text:?}; so far {}", self.so_far());
            assert!(self.step(), "no {text:?}, the connection is closed; so far {}", self.so_far());
            // A snapshot replaces the output that was searched.
            if self.screen(stream).printed.len() < searched || self.screen(stream).gaps > gaps {
                searched = 0;
            }
        }
    }

    /// The screen of a stream.
    pub fn screen(&mut self, stream: u16) -> &mut Screen {
        self.screens.entry(stream).or_default()
    }

    /// Waits until a stream has received this many more bytes, and discards them.
    pub fn expect_bytes(&mut self, stream: u16, bytes: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen: usize = 0;
        while seen < bytes {
            assert!(Instant::now() < deadline, "only {seen} bytes");
            assert!(self.step(), "the connection is closed after {seen} bytes");
            seen += std::mem::take(&mut self.screen(stream).printed).len();
            self.heard
                .retain(|message| !matches!(message, ToPage::Snapshot { stream: of, .. } if *of == stream));
        }
    }

    /// Waits until the view on a stream is over.
    pub fn expect_end(&mut self, wanted: u16) -> EndReason {
        self.hear_of("the end", |message| match message {
            ToPage::Closed { stream, reason, .. } if *stream == wanted => Some(*reason),
            _ => None,
        })
    }

    fn so_far(&self) -> String {
        let shown = |(stream, screen): (&u16, &Screen)| {
            let last = &screen.printed[screen.printed.len().saturating_sub(1000)..];
            format!("{stream}: {:?}", String::from_utf8_lossy(last))
        };
        self.screens.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// The binary frame that carries input of a stream.
pub fn typed(stream: u16, bytes: &[u8]) -> Vec<u8> {
    let kind = StreamKind::Terminal as u8;
    [&stream.to_be_bytes()[..], &[kind], &SENT_AT_UNKNOWN.to_be_bytes(), bytes].concat()
}

/// Sends a request for the WebSocket with these headers in addition to those of RFC 6455, and
/// returns the status of the response.
pub fn status_of(socket: impl Into<Stream>, headers: &[(&str, &str)]) -> u16 {
    let mut socket = patient(socket.into());
    let mut request = String::from(
        "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-6\r\n",
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

/// Sets timeouts, so that no call on the socket waits forever.
fn patient(stream: Stream) -> Stream {
    stream.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    stream.socket().set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
