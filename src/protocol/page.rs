//! What the page and the front say to each other over the one WebSocket of a page.
//!
//! Text frames hold one JSON object each: [`FromPage`] to the front, [`ToPage`] to the page. Binary
//! frames hold terminal bytes: a channel number (2 bytes, big-endian), then the bytes, typed ones
//! to the front and printed ones to the page. The page chooses channel numbers; a number is free
//! again after `ended`, `detach` or a `refused` that names it.
//!
//! ```text
//! page                              front
//!   sign-in | enrol(token) ───────────▶
//!   ◀────────────────────── challenge       (or refused)
//!   answer(credential) ──────────────▶
//!   ◀────────────────────── signed-in       (or refused; the page may begin again)
//!   ◀────────────────────── lobby           (targets and sessions)
//!   open | attach ───────────────────▶
//!   ◀──────────────────────── opened        (or refused with the channel)
//!   ◀────────────────────── snapshot        (its bytes are the first on the channel)
//!   ═══════════ binary frames ═══════
//!   shown ───────────────────────────▶      (how much of them)
//!   ◀───────────────────────── ended
//! ```
//!
//! A frame that cannot be read, or comes out of turn, gets `refused: bad-message` and the end of
//! the connection. `web/src/protocol.ts` is made from these types by the test in this file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::viewer::Extent;
use super::{EndReason, GuestRole, Person, Refusal, Role, SessionSummary};
use crate::names::{AccountName, Label, MachineName, SessionId, Target, TermSize};

/// Longest text frame from a page, bytes. A passkey's answer with an attestation has about 3 kB;
/// a longer frame ends the connection.
pub const TEXT_FRAME_MAX: usize = 32 * 1024;

/// Longest binary frame in either direction, bytes of terminal and the channel number. A longer
/// one from a page ends the connection; the page cuts a paste into several.
pub const BINARY_FRAME_MAX: usize = 32 * 1024 + 2;

/// Most channels open at once on one connection; one more is refused with `too-many`.
pub const CHANNELS_MAX: usize = 32;

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
    /// Open a new session on a target and view it on `channel`.
    Open {
        /// Chosen by the page.
        channel: u16,
        /// Where.
        target: Target,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// View a session that is there already.
    Attach {
        /// Chosen by the page.
        channel: u16,
        /// Which.
        session: SessionId,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// The page's window has room for a terminal of this size.
    Resize {
        /// Which channel.
        channel: u16,
        /// The new size.
        size: TermSize,
    },
    /// This many more terminal bytes of the channel have been shown. A page that does not say so is
    /// not sent more than a window's worth.
    Shown {
        /// Which channel.
        channel: u16,
        /// How many.
        bytes: u32,
    },
    /// Ask for a snapshot with the whole history.
    Refresh {
        /// Which channel.
        channel: u16,
    },
    /// Stop viewing. The session goes on.
    Detach {
        /// Which channel.
        channel: u16,
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
    End {
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
    /// `channel` views `session` from now on.
    Opened {
        /// The channel of the request.
        channel: u16,
        /// The session on it.
        session: SessionId,
        /// Where it runs.
        target: Target,
    },
    /// The next `bytes` terminal bytes on the channel are a snapshot for a terminal of this size, and
    /// replace what is shown. It comes after `opened`, and when the page or its connection was too
    /// slow. One that begins before the last is complete replaces it.
    Snapshot {
        /// Which channel.
        channel: u16,
        /// The size of the terminal.
        size: TermSize,
        /// Length of the snapshot.
        bytes: u32,
        /// What it shows.
        extent: Extent,
    },
    /// The terminal of the session has another size from here on.
    Size {
        /// Which channel.
        channel: u16,
        /// The size.
        size: TermSize,
    },
    /// The program does not read its input: this much of it was thrown away.
    InputDropped {
        /// Which channel.
        channel: u16,
        /// How many bytes.
        #[cfg_attr(test, ts(type = "number"))]
        bytes: u64,
    },
    /// The view is over and the channel number is free.
    Ended {
        /// Which channel.
        channel: u16,
        /// Why.
        reason: EndReason,
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
    /// A request was not granted. With a channel: that `open` or `attach`; without: the last
    /// request that had none.
    Refused {
        /// The channel of the request, if it had one.
        channel: Option<u16>,
        /// Why.
        refusal: Refusal,
    },
    /// The answer to `ping`.
    Pong {},
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

    use super::super::About;
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
            Ceremony::decl(&config),
            Extent::decl(&config),
            Role::decl(&config),
            GuestRole::decl(&config),
            Person::decl(&config),
            Target::decl(&config),
            TermSize::decl(&config),
            About::decl(&config),
            SessionSummary::decl(&config),
            FromPage::decl(&config),
            ToPage::decl(&config),
        ] {
            write!(text, "\nexport {declaration}\n").unwrap();
        }
        // Names that are texts in a message are texts in the page.
        for name in ["AccountName", "Label", "SessionId", "MachineName", "UnixUser"] {
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
            r#"{"type":"open","channel":1,"target":{"machine":"box","user":"dev"},"size":{"cols":80,"rows":24}}"#,
        )
        .unwrap();
        assert!(matches!(open, FromPage::Open { channel: 1, .. }));
        for bad in [
            r#"{"type":"open","channel":1,"target":{"machine":"../x","user":"dev"},"size":{"cols":80,"rows":24}}"#,
            r#"{"type":"open","channel":1,"target":{"machine":"box","user":"dev"},"size":{"cols":0,"rows":24}}"#,
            r#"{"type":"open","channel":70000,"target":{"machine":"box","user":"dev"},"size":{"cols":80,"rows":24}}"#,
            r#"{"type":"sign-in","account":"root"}"#,
            r#"{"type":"sudo"}"#,
            r#"[]"#,
        ] {
            assert!(serde_json::from_str::<FromPage>(bad).is_err(), "{bad}");
        }
    }
}
