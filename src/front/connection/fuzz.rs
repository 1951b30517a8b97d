//! What a fuzzer sends on a page's WebSocket, and what must hold then: see `fuzz/`. Only in tests
//! and with the feature `fuzz`.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::super::client::Client;
use super::super::script::{Script, run_at_once};
use super::core::Core;
use super::frames::{Frame, read, text};
use super::steps::{Action, Input, StreamId, Verdict};
use super::websocket::{FRAGMENTS_MAX, open};
use crate::client_key::NONCE_LENGTH;
use crate::protocol::Refusal;
use crate::protocol::page::{
    BINARY_FRAME_MAX, Ceremony, FROM_PAGE_HEADER, FromPage, SIGN_IN_FRAME_MAX, STREAMS_MAX, TEXT_FRAME_MAX,
    ToPage,
};
use crate::protocol::principal::FromBroker;
use crate::wire::decode;

/// A message of the WebSocket protocol: its opcode, its payload, and the number of its frames.
#[derive(Debug)]
struct Whole {
    opcode: u8,
    payload: Vec<u8>,
    frames: u32,
}

/// The frames of a page, as bytes. The first byte says how many of them arrive before the socket is
/// read, whether somebody is signed in, and in parts of which size the others arrive.
pub fn websocket(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let is_signed_in = first & 1 == 1;
    let most = if is_signed_in { BINARY_FRAME_MAX } else { SIGN_IN_FRAME_MAX };
    let whole = messages(bytes, 0, usize::MAX, is_signed_in);
    let early = bytes.len().min(usize::from(first >> 5));
    let part = usize::from(first >> 1 & 0xf) + 1;
    assert_eq!(whole, messages(bytes, early, part, is_signed_in), "in parts");
    // Another reader of the same bytes finds the same messages.
    let mut others = parse(bytes).into_iter();
    for (opcode, payload) in &whole.0 {
        let other = others.next().expect("a message of its own frames");
        assert_eq!((*opcode, payload), (other.opcode, &other.payload));
        assert!(other.payload.len() <= most, "a message of {} bytes", other.payload.len());
        assert!(other.frames <= FRAGMENTS_MAX, "a message of {} frames", other.frames);
    }
}

/// The messages that come out, as their opcodes and payloads, and what the connection is told then.
fn messages(bytes: &[u8], early: usize, part: usize, is_signed_in: bool) -> (Vec<(u8, Vec<u8>)>, String) {
    let (early, later) = bytes.split_at(early);
    let (script, output) = Script::new(later, part);
    let read = run_at_once(async {
        let (mut page, signed_in) = open(script, early.to_vec()).await;
        if is_signed_in {
            signed_in.set();
        }
        let mut messages = Vec::new();
        loop {
            match page.next().await {
                Some(Ok(Message::Text(text))) => messages.push((1, text.as_bytes().to_vec())),
                Some(Ok(Message::Binary(bytes))) => messages.push((2, bytes.to_vec())),
                Some(Ok(Message::Ping(bytes))) => messages.push((9, bytes.to_vec())),
                Some(Ok(Message::Pong(bytes))) => messages.push((10, bytes.to_vec())),
                Some(Ok(Message::Close(_))) => messages.push((8, Vec::new())),
                Some(Ok(Message::Frame(frame))) => panic!("{frame:?}"),
                end @ (Some(Err(_)) | None) => return (messages, format!("{:?}", read(end))),
            }
        }
    });
    // Only pongs and the end of the WebSocket are sent, however much comes in.
    assert!(output.lock().unwrap().len() <= bytes.len() + 64);
    read
}

/// Reads frames as RFC 6455, section 5.2, describes them, and looks at nothing else.
fn parse(mut bytes: &[u8]) -> Vec<Whole> {
    let mut messages = Vec::new();
    let mut begun: Option<Whole> = None;
    while let Some((whole, behind)) = frame(bytes) {
        bytes = behind;
        let (first, mut payload) = whole;
        let (is_final, opcode) = (first & 0x80 != 0, first & 0xf);
        if opcode & 8 != 0 {
            if opcode == 8 {
                payload.clear();
            }
            messages.push(Whole { opcode, payload, frames: 1 });
            continue;
        }
        let message = match (begun.take(), opcode) {
            (Some(message), 0) => {
                let payload = [message.payload, payload].concat();
                Whole { payload, frames: message.frames + 1, ..message }
            }
            _ => Whole { opcode, payload, frames: 1 },
        };
        if is_final {
            messages.push(message);
        } else {
            begun = Some(message);
        }
    }
    messages
}

type OneFrame<'a> = ((u8, Vec<u8>), &'a [u8]);

fn frame(bytes: &[u8]) -> Option<OneFrame<'_>> {
    let ([first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second & 0x7f {
        126 => {
            rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?
        }
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (length.into(), rest),
    };
    let (mask, rest) = if second & 0x80 == 0 { (&[0; 4], rest) } else { rest.split_first_chunk()? };
    let (payload, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(((*first, payload), behind))
}

/// What a connection decides. The first line may say that the client is a command line. The rest of
/// the input has one event a line: a text frame of the page, or, after a
/// byte that says which, a binary frame, an answer of auth or of the broker, or the end of a stream.
pub fn page(data: &[u8]) {
    let mut now = Instant::now();
    let (client, data) = match data.strip_prefix(b"cli\n") {
        Some(rest) => (Client::CommandLine, rest),
        None => (Client::Page, data),
    };
    let mut core = Core::new(now, client, None);
    let mut seen = Seen::default();
    for line in data.split(|byte| *byte == b'\n').take(200) {
        let Some((input, pass)) = event(line, &seen) else { continue };
        now += pass;
        if let Input::Page(
            FromPage::Open { stream, .. } | FromPage::Attach { stream, .. } | FromPage::Touch { stream, .. },
        ) = &input
        {
            seen.streams.insert(*stream);
        }
        let signs_in = matches!(input, Input::Login(Verdict::SignedIn { .. }));
        let actions = core.handle(input, now);
        assert!(!seen.is_over || actions.is_empty(), "after the end: {actions:?}");
        for action in &actions {
            seen.look(action, signs_in);
        }
    }
    let open = seen.streams.iter().filter(|stream| core.has_stream(**stream)).count();
    assert!(open <= STREAMS_MAX, "{open} streams");
}

/// What a connection has done so far.
#[derive(Debug, Default)]
struct Seen {
    is_signed_in: bool,
    is_over: bool,
    /// The last request to the broker.
    request: Option<u32>,
    /// The number of every stream that was ever asked for or started.
    streams: BTreeSet<u16>,
    started: Vec<StreamId>,
}

impl Seen {
    fn look(&mut self, action: &Action, signs_in: bool) {
        match action {
            Action::Tell(message) => {
                self.is_signed_in |= signs_in && matches!(message, ToPage::SignedIn { .. });
                let Message::Text(text) = text(message) else { panic!("{message:?}") };
                assert_eq!(serde_json::from_str::<ToPage>(&text).unwrap(), *message);
            }
            Action::Ask(request) | Action::AskSteppedUp { request, .. } => {
                assert!(self.is_signed_in, "{request:?}");
                assert_ne!(self.request, Some(request.number));
                self.request = Some(request.number);
            }
            Action::StartStream { id, .. } | Action::StartExec { id, .. } => {
                assert!(self.is_signed_in);
                self.streams.insert(id.stream);
                self.started.push(*id);
            }
            Action::KeepStepUp(_) | Action::EndInput(_) | Action::CloseStream(_) | Action::Control { .. } => {
                assert!(self.is_signed_in, "{action:?}")
            }
            Action::Login(_) | Action::Probe { .. } => {}
            Action::Close(_) => self.is_over = true,
        }
    }
}

/// The input of a line, and how much time passes before it.
fn event(line: &[u8], seen: &Seen) -> Option<(Input, Duration)> {
    let (kind, rest) = line.split_first()?;
    let stream = |rest: &[u8]| {
        let number = usize::from(rest.first().copied().unwrap_or_default());
        seen.started.get(number).copied().unwrap_or(StreamId { stream: 1, request: 0 })
    };
    let input = match kind {
        b'b' => of_page(read(Some(Ok(Message::Binary(Bytes::copy_from_slice(rest))))), rest, seen)?,
        b'a' => Input::Login(verdict(rest)?),
        b'k' => Input::Broker(decode::<FromBroker>(rest, 0).or_else(|_| decode(rest, 1)).ok()?),
        b'p' => of_page(read(Some(Ok(Message::Pong(Bytes::copy_from_slice(rest))))), rest, seen)?,
        b't' => return Some((Input::Tick, Duration::from_secs(rest.first().copied()?.into()))),
        b'o' => Input::StreamOver(stream(rest)),
        b'r' => Input::StreamBroke(stream(rest)),
        b'f' => Input::StreamFailed(stream(rest)),
        b'u' => Input::StepUpLost(stream(rest).stream),
        b'l' => Input::BrokerLost,
        b'g' => Input::PageGone,
        _ => {
            let text = std::str::from_utf8(line).ok()?;
            of_page(read(Some(Ok(Message::text(text)))), line, seen)?
        }
    };
    Some((input, Duration::ZERO))
}

/// The input that a frame is, as in [`super::run()`].
fn of_page(frame: Frame, bytes: &[u8], seen: &Seen) -> Option<Input> {
    match frame {
        Frame::Message(message) => {
            assert!(bytes.len() <= TEXT_FRAME_MAX);
            check_again(&message);
            Some(Input::Page(message))
        }
        Frame::Bytes(input) => {
            assert_eq!(input.bytes, &bytes[FROM_PAGE_HEADER..]);
            assert_eq!((input.stream.to_be_bytes(), input.kind as u8), ([bytes[0], bytes[1]], bytes[2]));
            assert_eq!(input.sent_at.to_be_bytes(), bytes[3..7]);
            let length = u64::try_from(input.bytes.len()).unwrap();
            let is_started = seen.started.iter().any(|id| id.stream == input.stream);
            Some(if is_started { Input::Alive } else { Input::StrayBytes { stream: input.stream, length } })
        }
        Frame::Pong(probe) => Some(Input::Pong { probe }),
        Frame::Unreadable(what) => Some(Input::Unreadable(what)),
        Frame::Ping | Frame::Gone => None,
    }
}

/// What is understood is understood the same again.
fn check_again(message: &FromPage) {
    let again = serde_json::to_string(message).unwrap();
    let mut messages = [message.clone(), serde_json::from_str(&again).unwrap()];
    for message in &mut messages {
        if let FromPage::Answer { credential, .. }
        | FromPage::Touch { credential, .. }
        | FromPage::Bind { credential } = message
        {
            without_fractions(credential);
        }
    }
    let [one, other] = messages;
    assert_eq!(one, other, "{again}");
}

/// Removes numbers with a fraction, which JSON readers round. No credential has any.
fn without_fractions(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => *value = Value::Null,
        Value::Array(values) => values.iter_mut().for_each(without_fractions),
        Value::Object(values) => values.values_mut().for_each(without_fractions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn verdict(rest: &[u8]) -> Option<Verdict> {
    let (kind, rest) = rest.split_first()?;
    Some(match kind {
        b'c' => Verdict::Challenge { ceremony: Ceremony::Get, options: serde_json::json!({}) },
        b'r' => Verdict::Challenge { ceremony: Ceremony::Create, options: serde_json::json!({}) },
        b's' => Verdict::SignedIn { account: std::str::from_utf8(rest).ok()?.parse().ok()?, resume: None },
        b'u' => Verdict::SteppedUp,
        b'k' => Verdict::KeyChallenge { nonce: [7; NONCE_LENGTH] },
        b'w' => Verdict::BindingCode { code: "01AZ-9K01".into(), seconds: 240 },
        b'o' => Verdict::KeyBound { account: std::str::from_utf8(rest).ok()?.parse().ok()? },
        b'x' => Verdict::KeyRemoved,
        b'f' => Verdict::Binding(Box::new(ToPage::Bound {})),
        b'd' => Verdict::Bound,
        b'l' => Verdict::Keys(Vec::new()),
        b'n' => Verdict::Refused(Refusal::UnknownPasskey),
        b'b' => Verdict::Refused(Refusal::BadMessage),
        _ => return None,
    })
}
