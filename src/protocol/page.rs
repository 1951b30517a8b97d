//! What the page and the front say to each other over the one WebSocket of a page.
//!
//! A connection carries *streams*. Each has a number, which the page chooses, and a kind
//! ([`StreamKind`]); today there are terminals. Text frames hold one JSON object each: [`FromPage`]
//! to the front, [`ToPage`] to the page. They open, steer and close streams. Binary frames hold a
//! stream's bytes, behind a header:
//!
//! ```text
//! to the front   stream (2 bytes) | kind (1) | sent at (4) | bytes        big-endian
//! to the page    stream (2 bytes) | kind (1) | bytes
//! ```
//!
//! `sent at` is when the input was typed, milliseconds on the front's clock as the page knows it:
//! the last `pong` says what it was, and the page adds the time since. Input that reaches the front
//! more than [`INPUT_PATIENCE`] later is dropped, for the page has told its person by then that it
//! is in doubt. [`SENT_AT_UNKNOWN`] stands for a page that has heard no `pong` yet.
//!
//! ```text
//! page                              front
//!   sign-in | enrol(token) ───────────▶
//!   ◀────────────────────── challenge       (or refused)
//!   answer(credential) ──────────────▶
//!   ◀────────────────────── signed-in       (or refused; the page may begin again)
//!   ◀────────────────────── lobby           (targets and sessions)
//!   open | attach ───────────────────▶
//!   ◀──────────────────────── opened        (or refused with the stream)
//!   ◀────────────────────── snapshot        (its bytes are the first on the stream)
//!   ═══════════ binary frames ═══════
//!   shown ───────────────────────────▶      (how much of them: this is the page's credit)
//!   end ─────────────────────────────▶      (no more input; what came before is delivered)
//!   ◀──────────────────────────── end       (no more output; what came before was all)
//!   close ───────────────────────────▶      (the page leaves; its input is delivered first)
//!   ◀───────────────────────── closed       (with the reason)
//! ```
//!
//! A stream's number is free again after `closed`, `close` or a `refused` that names it. A frame that
//! cannot be read, comes out of turn, or has another kind than its stream gets `refused: bad-message`
//! and the end of the connection. `web/src/protocol.ts` is made from these types by the test in this
//! file.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::viewer::Extent;
use super::{EndReason, GuestRole, Person, Refusal, Role, SessionSummary, ShellExit};
use crate::names::{AccountName, Label, MachineName, SessionId, Target, TermSize, Theme};

/// The WebSocket's subprotocol. A new version of these messages is a new word.
pub const SUBPROTOCOL: &str = "tere-2";

/// Longest text frame from a page, bytes. A passkey's answer with an attestation has about 3 kB;
/// a longer frame ends the connection.
pub const TEXT_FRAME_MAX: usize = 32 * 1024;

/// Bytes before those of the stream in a binary frame from the page, and in one to the page.
pub const FROM_PAGE_HEADER: usize = 7;
/// See [`FROM_PAGE_HEADER`].
pub const TO_PAGE_HEADER: usize = 3;

/// Longest binary frame in either direction, bytes. A longer one from a page ends the connection; the
/// page cuts a paste into several.
pub const BINARY_FRAME_MAX: usize = 32 * 1024 + FROM_PAGE_HEADER;

/// How old input may be when it reaches the front: as long as a page waits for a sign of life before
/// it gives the connection up and says that what was typed last is in doubt.
pub const INPUT_PATIENCE: Duration = Duration::from_secs(10);

/// The `sent at` of input from a page that does not know the front's clock yet.
pub const SENT_AT_UNKNOWN: u32 = u32::MAX;

/// Most streams open at once on one connection; one more is refused with `too-many`.
pub const STREAMS_MAX: usize = 32;

/// What flows on a stream: one byte in the header of a binary frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    /// A view of a session's terminal: typed bytes to the front, printed ones to the page.
    Terminal = 1,
}

impl StreamKind {
    /// The kind behind a byte. 2 (file), 3 (exec) and 4 (forward) are set aside; no version knows
    /// them yet.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        (byte == Self::Terminal as u8).then_some(Self::Terminal)
    }
}

/// From the page to the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum FromPage {
    /// Begin to sign in with a passkey that the browser chooses.
    SignIn {},
    /// Begin to register a passkey with a one-time enrolment link.
    Enrol {
        /// The part of the link after `#enrol=`.
        token: String,
    },
    /// The browser's answer to `challenge`: `PublicKeyCredential.toJSON()`, unchanged.
    Answer {
        /// The credential.
        credential: Value,
    },
    /// Ask for a new `lobby`.
    List {},
    /// Open a stream of kind terminal: a new session on a target, and a view of it.
    Open {
        /// Chosen by the page.
        stream: u16,
        /// Where.
        target: Target,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// Open a stream of kind terminal: a view of a session that is there already.
    Attach {
        /// Chosen by the page.
        stream: u16,
        /// Which.
        session: SessionId,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// The page's window has room for a terminal of this size.
    Resize {
        /// Which stream.
        stream: u16,
        /// The new size.
        size: TermSize,
    },
    /// This many more bytes of the stream have been shown. A page that does not say so is not sent
    /// more than a window's worth.
    Shown {
        /// Which stream.
        stream: u16,
        /// How many.
        bytes: u32,
    },
    /// Ask for a snapshot with the whole scrollback.
    Refresh {
        /// Which stream.
        stream: u16,
    },
    /// Put the terminal's modes, character sets and scrolling region back, for everybody who views it.
    /// Nothing is typed.
    ResetTerminal {
        /// Which stream.
        stream: u16,
    },
    /// The page shows the terminal in these colours: what programs are told that ask for them. Said after
    /// `open` or `attach`, and when it changes.
    Theme {
        /// Which stream.
        stream: u16,
        /// The colours.
        theme: Theme,
    },
    /// No more input comes on this stream. What came before is delivered; output goes on.
    End {
        /// Which stream.
        stream: u16,
    },
    /// Leave the stream. Input that came before is delivered; a session that was viewed goes on.
    Close {
        /// Which stream.
        stream: u16,
    },
    /// Name a session of mine, or take its name away. A new `lobby` follows.
    Name {
        /// Which.
        session: SessionId,
        /// What it is called from now on.
        name: Option<Label>,
    },
    /// Share a session of mine with an account, change what it may do there, or share it no more. A new
    /// `sharing` follows.
    Share {
        /// Which.
        session: SessionId,
        /// With whom.
        account: AccountName,
        /// Writer or watcher; nothing for no more.
        role: Option<GuestRole>,
    },
    /// End a session: its shell is hung up.
    EndSession {
        /// Which.
        session: SessionId,
    },
    /// Are you there?
    Ping {},
}

/// From the front to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ToPage {
    /// Answer this with a passkey, within 60 seconds.
    Challenge {
        /// Which ceremony.
        ceremony: Ceremony,
        /// `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`.
        options: Value,
    },
    /// The connection is now this account's.
    SignedIn {
        /// Whose.
        account: AccountName,
    },
    /// What this account may open, and which sessions it has.
    Lobby {
        /// Granted targets, in the order of the policy.
        targets: Vec<Target>,
        /// Live sessions, oldest first.
        sessions: Vec<SessionSummary>,
    },
    /// The stream is a view of `session` from now on.
    Opened {
        /// The stream of the request.
        stream: u16,
        /// The session viewed.
        session: SessionId,
        /// Where it runs.
        target: Target,
    },
    /// The next `bytes` bytes of the stream are a snapshot for a terminal of this size, and
    /// replace what is shown. It comes after `opened`, and when the page or its connection was too
    /// slow. One that begins before the last is complete replaces it.
    Snapshot {
        /// Which stream.
        stream: u16,
        /// The size of the terminal.
        size: TermSize,
        /// Length of the snapshot.
        bytes: u32,
        /// What it shows.
        extent: Extent,
    },
    /// The terminal of the session has another size from here on.
    Size {
        /// Which stream.
        stream: u16,
        /// The size.
        size: TermSize,
    },
    /// The program does not read its input: this much of it was thrown away.
    InputDropped {
        /// Which stream.
        stream: u16,
        /// How many bytes.
        #[cfg_attr(test, ts(type = "number"))]
        bytes: u64,
    },
    /// No more output comes on this stream: all of it was sent.
    End {
        /// Which stream.
        stream: u16,
    },
    /// The stream is closed, and its number is free.
    Closed {
        /// Which stream.
        stream: u16,
        /// Why.
        reason: EndReason,
        /// How the shell ended, where its machine reported it.
        exit: Option<ShellExit>,
    },
    /// Who may view a session, and who does. It comes with `opened`, before it or after, and whenever it changes.
    Sharing {
        /// Of which.
        session: SessionId,
        /// The owner first.
        people: Vec<Person>,
        /// What this account may do.
        role: Role,
        /// Whether the owner may share it, by the policy.
        shareable: bool,
    },
    /// A machine went away on which this connection viewed a session until a moment ago: this is
    /// why the shell ended.
    MachineStopped {
        /// Which.
        machine: MachineName,
    },
    /// A request was not granted. With a stream: that `open` or `attach`; without: the last
    /// request that had none.
    Refused {
        /// The stream of the request, if it had one.
        stream: Option<u16>,
        /// Why.
        refusal: Refusal,
    },
    /// The answer to `ping`.
    Pong {
        /// The front's clock, milliseconds since this connection began.
        at: u32,
    },
}

/// The two ceremonies of WebAuthn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Ceremony {
    /// `navigator.credentials.create`: register a passkey.
    Create,
    /// `navigator.credentials.get`: sign in with one.
    Get,
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ts_rs::TS;

    use super::super::{About, Signal};
    use super::*;

    /// Set this variable to have the file written instead of compared.
    const UPDATE: &str = "TERE_UPDATE_GENERATED";

    #[test]
    fn the_pages_types_are_fresh() {
        let mut text =
            String::from("// Made from src/protocol/page.rs by its test. Do not edit: run `web/types`.\n");
        let config = ts_rs::Config::default();
        for declaration in [
            Refusal::decl(&config),
            EndReason::decl(&config),
            ShellExit::decl(&config),
            Signal::decl(&config),
            Ceremony::decl(&config),
            Extent::decl(&config),
            Role::decl(&config),
            GuestRole::decl(&config),
            Person::decl(&config),
            Target::decl(&config),
            TermSize::decl(&config),
            Theme::decl(&config),
            About::decl(&config),
            SessionSummary::decl(&config),
            FromPage::decl(&config),
            ToPage::decl(&config),
        ] {
            write!(text, "\nexport {declaration}\n").unwrap();
        }
        // Names that are texts in a message are texts in the page.
        for name in ["AccountName", "Label", "SessionId", "MachineName", "UnixUser", "Color"] {
            write!(text, "\nexport type {name} = string;\n").unwrap();
        }
        text.push_str("\nexport type JsonValue = unknown;\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/src/protocol.ts");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let standing = std::fs::read_to_string(path).unwrap();
        assert!(standing == text, "web/src/protocol.ts is stale: run web/types");
    }

    #[test]
    fn messages_read_as_the_protocol_says() {
        let open: FromPage = serde_json::from_str(
            r#"{"type":"open","stream":1,"target":{"machine":"box","user":"dev"},"size":{"cols":80,"rows":24}}"#,
        )
        .unwrap();
        assert!(matches!(open, FromPage::Open { stream: 1, .. }));
        for bad in [
            r#"{"type":"open","stream":1,"target":{"machine":"../x","user":"dev"},"size":{"cols":80,"rows":24}}"#,
            r#"{"type":"open","stream":1,"target":{"machine":"box","user":"dev"},"size":{"cols":0,"rows":24}}"#,
            r#"{"type":"open","stream":70000,"target":{"machine":"box","user":"dev"},"size":{"cols":80,"rows":24}}"#,
            r#"{"type":"sign-in","account":"root"}"#,
            r#"{"type":"sudo"}"#,
            r#"[]"#,
        ] {
            assert!(serde_json::from_str::<FromPage>(bad).is_err(), "{bad}");
        }
    }
}
