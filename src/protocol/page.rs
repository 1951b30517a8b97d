//! The messages between the page and the front, over the page's WebSocket.
//!
//! A connection carries *streams*. Each stream has a number, which the page chooses, and a kind
//! ([`StreamKind`]): a terminal or, for `tere` from afar, a command. Text frames hold one JSON
//! object each, [`FromPage`] to the front and [`ToPage`] to the page, and open, control and close
//! streams. Binary frames hold a header and bytes of a stream:
//!
//! ```text
//! to the front   stream (2 bytes) | kind (1) | sent at (4) | bytes        big-endian
//! to the page    stream (2 bytes) | kind (1) | bytes
//! ```
//!
//! `sent at` is the time when the input was typed, in milliseconds of the front's clock. The page
//! estimates it: it takes the time in the last `pong` and adds the time elapsed since. The front
//! drops input that arrives more than [`INPUT_PATIENCE`] after it was typed, because by then the
//! page has told its user that the input may be lost. A page that has received no `pong` yet sends
//! [`SENT_AT_UNKNOWN`].
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
//! A page that has a key which it made at an earlier touch comes back without one:
//!
//! ```text
//! page                              front
//!   resume(key) ─────────────────────▶
//!   ◀────────────────── key-challenge
//!   key-answer(signature) ───────────▶
//!   ◀────────────────────── signed-in       (or refused; the page may begin again)
//! ```
//!
//! Where the policy demands it, as always on the host itself, the person's passkey is needed once
//! more, for each view:
//!
//! ```text
//! page                              front
//!   step-up(stream) ─────────────────▶
//!   ◀──────────────── touch-challenge       (or refused with the stream)
//!   touch(stream, credential) ───────▶      (with the session to open or to view)
//!   ◀──────────────────────── opened        (or refused with the stream)
//! ```
//!
//! `tere` from afar speaks the same, with a subprotocol of its own ([`CLIENT_SUBPROTOCOL`]). It has
//! no passkey. It signs in with a client key, which a person has bound to their account before, in
//! the page, with a fresh touch of their passkey. None of the two may send what is the other's.
//!
//! ```text
//! tere                              front                             page, signed in
//!   bind-key(key, name) ─────────────▶
//!   ◀────────────────── key-challenge
//!   key-answer(signature) ───────────▶
//!   ◀─────────────────── binding-code       (or refused)
//!                                       ◀───────────────────── find-binding(code)
//!                                       binding ──────────────────────────────▶   (or refused)
//!                                       ◀──── bind(credential) | decline-binding
//!   ◀────────────────────── key-bound       bound ────────────────────────────▶   (or refused)
//!
//!   key-sign-in(key) | remove-key(key) ▶
//!   ◀────────────────── key-challenge
//!   key-answer(signature) ───────────▶
//!   ◀──────── signed-in | key-removed       (or refused)
//! ```
//!
//! Each binary frame of a stream of kind exec holds one packet of [`super::exec`], whose windows
//! bound the stream. `closed` stands for its last packet, `Ended`, and `sent at` is not looked at.
//!
//! ```text
//! tere                              front
//!   exec ────────────────────────────▶
//!   ◀──────────────────────── opened        (or refused with the stream)
//!   ═══════════ binary frames ═══════
//!   close ───────────────────────────▶      (the command is hung up)
//!   ◀───────────────────────── closed       (with the reason and the exit status)
//! ```
//!
//! A stream's number is free again after `closed`, `close` or a `refused` that names it. A frame
//! that cannot be decoded, is not allowed in the current state, or has another kind than its
//! stream, is answered with `refused: bad-message` and the end of the connection.
//! `web/src/protocol.ts` is generated from these types by the test in this file.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::control::KeySummary;
use super::machine::{MachineSummary, StopReason, TaskMachines};
use super::viewer::Extent;
use super::{
    EndReason, GrantedTarget, GuestRole, OpeningStep, Participant, Refusal, Role, SecretText, SessionSummary,
    ShellExit,
};
use crate::names::{
    AccountName, ClientKeyId, ClientPublicKey, KeyRight, Label, MachineChange, MachineName, Reason,
    SessionId, Target, TermSize, Theme,
};
use crate::wire::PACKET_MAX;

/// The WebSocket's subprotocol. A new version of these messages gets a new name.
pub const SUBPROTOCOL: &str = "tere-6";

/// The subprotocol of `tere` from afar. Its requests have no `Origin`, which each browser sends, so
/// no page of any site can use it. A new version of these messages gets a new name.
pub const CLIENT_SUBPROTOCOL: &str = "tere-cli-2";

/// Longest text frame from a page, bytes. A passkey's answer with an attestation takes about 3 kB.
/// A longer frame ends the connection.
pub const TEXT_FRAME_MAX: usize = 32 * 1024;

/// Longest message from a page before somebody is signed in, bytes. An answer for a passkey takes
/// about 1 kB, and 3 kB with an attestation. A longer one ends the connection.
pub const SIGN_IN_FRAME_MAX: usize = 4 * 1024;

/// Length of the header of a binary frame from the page, bytes.
pub const FROM_PAGE_HEADER: usize = 7;
/// Length of the header of a binary frame to the page, bytes.
pub const TO_PAGE_HEADER: usize = 3;

/// Longest binary frame in either direction, bytes: a packet and its header. A longer one from a
/// page ends the connection.
pub const BINARY_FRAME_MAX: usize = PACKET_MAX + FROM_PAGE_HEADER;

/// Most bytes of a terminal in one frame. More from a page ends the connection. The page splits a
/// long paste into several frames.
pub const TERMINAL_BYTES_MAX: usize = super::viewer::CHUNK_MAX;

/// How old input may be when it reaches the front. After the same time without a sign of life the
/// page gives the connection up, and tells its user that the last input may be lost.
pub const INPUT_PATIENCE: Duration = Duration::from_secs(10);

/// The `sent at` of input from a page that does not know the front's clock yet.
pub const SENT_AT_UNKNOWN: u32 = u32::MAX;

/// Most streams open at once on one connection; one more is refused with `too-many`.
pub const STREAMS_MAX: usize = 32;

/// The kind of data on a stream: one byte in the header of a binary frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    /// A view of a session's terminal: input to the front, output to the page.
    Terminal = 1,
    /// A command without a terminal. Only `tere` has it.
    Exec = 3,
}

impl StreamKind {
    /// The kind for a byte. 2 (file) and 4 (forward) are reserved; no version supports them yet.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Terminal, Self::Exec].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// From the page to the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum FromPage {
    /// Start to sign in, with a passkey that the browser chooses.
    SignIn {},
    /// Start to register a passkey, with a one-time enrolment link.
    Enrol {
        /// The part of the link after `#enrol=`.
        token: SecretText,
    },
    /// The browser's answer to `challenge`: `PublicKeyCredential.toJSON()`, unchanged.
    Answer {
        /// The credential.
        credential: Value,
        /// A key with which the page may come back without a touch, if it has made one.
        resume: Option<ResumeOffer>,
    },
    /// Start to sign in with the key that came with an earlier `answer`.
    Resume {
        /// The public half of the key.
        key: ClientPublicKey,
    },
    /// Request the keys of the account: where it is signed in. The answer is `keys`.
    Keys {},
    /// Have a key of the account removed, and what it has open closed. The answer is `keys`.
    DropKey {
        /// The key.
        key: ClientKeyId,
    },
    /// From `tere`: have this key bound to the account of whoever enters the code that follows.
    BindKey {
        /// The public half of the key.
        key: ClientPublicKey,
        /// What the person is to know it by.
        name: Label,
    },
    /// From `tere`: start to sign in with a key that is bound to an account.
    KeySignIn {
        /// The key.
        key: ClientKeyId,
    },
    /// From `tere`: start to have the key removed from its account.
    RemoveKey {
        /// The key.
        key: ClientKeyId,
    },
    /// The answer to `key-challenge`.
    KeyAnswer {
        /// The signature (see `src/client_key.rs`), in base64url.
        signature: String,
    },
    /// Request the key that waits for its binding with this code, and a challenge to bind it to the
    /// account that is signed in. The code is used up.
    FindBinding {
        /// The code, as the person typed it.
        code: SecretText,
    },
    /// The browser's answer to the challenge of `binding`. It binds the key.
    Bind {
        /// The credential, as in `answer`.
        credential: Value,
    },
    /// The key is not to be bound.
    DeclineBinding {},
    /// Request a new `lobby`.
    List {},
    /// Open a stream of kind terminal: start a new session on a target, and view it.
    Open {
        /// The stream's number, chosen by the page.
        stream: u16,
        /// The target to open a session on.
        target: Target,
        /// The size of the page's terminal.
        size: TermSize,
        /// Why, in the person's words.
        reason: Option<Reason>,
    },
    /// Open a stream of kind terminal: view an existing session.
    Attach {
        /// The stream's number, chosen by the page.
        stream: u16,
        /// The session to view.
        session: SessionId,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// From `tere`: view an existing session with no more rights than this role. The size of its
    /// terminal stays as it is.
    AttachAs {
        /// The stream's number, chosen by `tere`.
        stream: u16,
        /// The session to view.
        session: SessionId,
        /// The most that the view may do.
        role: GuestRole,
    },
    /// From `tere`: be told of every session that the account may view, for as long as the
    /// connection lasts. `following` comes, then a `session` for each, and then what changes.
    Follow {},
    /// From `tere`: open a stream of kind exec. What is to be run comes on the stream.
    Exec {
        /// The stream's number, chosen by `tere`.
        stream: u16,
        /// The target to run it on.
        target: Target,
        /// Why, in the person's words.
        reason: Option<Reason>,
    },
    /// Request a challenge for a stream of which the view takes a touch of a passkey. A connection
    /// has one such challenge at a time; another request replaces it.
    StepUp {
        /// The stream's number, chosen by the page.
        stream: u16,
    },
    /// The browser's answer to `touch-challenge`, with what it is for. Opens a stream of kind
    /// terminal.
    Touch {
        /// The stream of the challenge.
        stream: u16,
        /// The credential, as in `answer`.
        credential: Value,
        /// What the stream is to view.
        view: TouchView,
        /// The size of the page's terminal.
        size: TermSize,
    },
    /// The page has room for a terminal of this size.
    Resize {
        /// The stream.
        stream: u16,
        /// The new size.
        size: TermSize,
    },
    /// The page has displayed this many more bytes of the stream. Without these messages the page
    /// receives no more than one window's worth.
    Shown {
        /// The stream.
        stream: u16,
        /// The number of bytes.
        bytes: u32,
    },
    /// Request a snapshot with the whole scrollback.
    Refresh {
        /// The stream.
        stream: u16,
    },
    /// Reset the terminal's modes, character sets and scrolling region, for everyone who views it.
    /// Sends no input to the program.
    ResetTerminal {
        /// The stream.
        stream: u16,
    },
    /// The page displays the terminal in these colours, and programs that query the colours get
    /// them as the answer. Sent after `open` or `attach`, and on every change.
    Theme {
        /// The stream.
        stream: u16,
        /// The colours.
        theme: Theme,
    },
    /// The page sends no more input on this stream. Input sent before is delivered; output
    /// continues.
    End {
        /// The stream.
        stream: u16,
    },
    /// Close the stream. Input sent before is delivered; the session continues.
    Close {
        /// The stream.
        stream: u16,
    },
    /// Name one of the account's own sessions, or remove its name. A new `lobby` follows.
    Name {
        /// The session.
        session: SessionId,
        /// The new name; `None` removes it.
        name: Option<Label>,
    },
    /// Share one of the account's own sessions with another account, change what that account may
    /// do, or stop sharing. A new `sharing` follows.
    Share {
        /// The session.
        session: SessionId,
        /// The account to share it with.
        account: AccountName,
        /// The account's role; `None` stops sharing.
        role: Option<GuestRole>,
    },
    /// End a session by hanging up its shell.
    EndSession {
        /// The session.
        session: SessionId,
    },
    /// Have a machine of the account's own changed. `machine-changed` and a new `lobby` follow when
    /// that is done; it may take minutes.
    ChangeMachine {
        /// The change.
        change: MachineChange,
    },
    /// Request a `pong`.
    Ping {},
}

/// From the front to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ToPage {
    /// The page must answer this challenge with a passkey, within 60 seconds.
    Challenge {
        /// The WebAuthn ceremony.
        ceremony: Ceremony,
        /// `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`.
        options: Value,
    },
    /// The connection is signed in to this account.
    SignedIn {
        /// The account.
        account: AccountName,
        /// The key that came with `answer` or `resume`, if the page may come back with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        resume: Option<ResumeTerms>,
    },
    /// The keys of the account, those of command lines and those of pages.
    Keys {
        /// The keys, in the order in which they were bound.
        keys: Vec<KeySummary>,
    },
    /// This challenge must be signed, within 60 seconds.
    KeyChallenge {
        /// 32 bytes, in base64url.
        nonce: String,
    },
    /// To `tere`: the key waits to be bound. A signed-in page has to be given this code.
    BindingCode {
        /// The code.
        code: SecretText,
        /// How many seconds it is good.
        seconds: u32,
    },
    /// To `tere`: the key is bound to this account.
    KeyBound {
        /// The account.
        account: AccountName,
    },
    /// To `tere`: the key is removed.
    KeyRemoved {},
    /// A key that waits to be bound, and what it would be good for.
    Binding {
        /// The id of the key.
        key: ClientKeyId,
        /// The name that its command line gave it.
        name: Label,
        /// Where that command line is, if it is not on this host.
        #[cfg_attr(test, ts(type = "string | null"))]
        source: Option<IpAddr>,
        /// What the key may do.
        allow: Vec<KeyRight>,
        /// How many seconds it is good.
        seconds: u32,
        /// `PublicKeyCredentialRequestOptionsJSON`, for the passkeys of the account. The answer
        /// binds this key and does nothing else.
        options: Value,
    },
    /// The key is bound.
    Bound {},
    /// The page must answer this challenge with a passkey of the account that is signed in, within
    /// 60 seconds.
    TouchChallenge {
        /// The stream of the request.
        stream: u16,
        /// `PublicKeyCredentialRequestOptionsJSON`.
        options: Value,
    },
    /// The targets that this account may open, and its sessions.
    Lobby {
        /// Granted targets, in the order of the policy.
        targets: Vec<GrantedTarget>,
        /// Live sessions, oldest first.
        sessions: Vec<SessionSummary>,
        /// The account's own machines that tere has made, sorted by name.
        machines: Vec<MachineSummary>,
        /// The machines for tasks that it may have made: opening one makes it.
        tasks: Vec<TaskMachines>,
    },
    /// The change of a machine that was asked for is made, or refused.
    MachineChanged {
        /// The change.
        change: MachineChange,
        /// Why it was refused; `None` if it is made.
        refusal: Option<Refusal>,
    },
    /// How far the `open` of this stream is. More steps may follow, and then `opened` or `refused`.
    Progress {
        /// The stream of the request.
        stream: u16,
        /// The step that has begun.
        step: OpeningStep,
    },
    /// The stream now is a view of `session`, or the command that it runs.
    Opened {
        /// The stream of the request.
        stream: u16,
        /// The session in view.
        session: SessionId,
        /// The target that the session runs on.
        target: Target,
        /// How many seconds are left until the session ends, if it has a time limit.
        left: Option<u32>,
    },
    /// The next `bytes` bytes of the stream are a snapshot for a terminal of this size, which
    /// replaces what is displayed. A snapshot follows `opened`, and is sent again when the page or
    /// its connection was too slow. A snapshot that begins before the last one is complete replaces
    /// it.
    Snapshot {
        /// The stream.
        stream: u16,
        /// The size of the terminal.
        size: TermSize,
        /// Length of the snapshot, bytes.
        bytes: u32,
        /// What the snapshot contains.
        extent: Extent,
    },
    /// The session's terminal has this size from here on.
    Size {
        /// The stream.
        stream: u16,
        /// The size.
        size: TermSize,
    },
    /// Input was thrown away, usually because the program does not read.
    InputDropped {
        /// The stream.
        stream: u16,
        /// The number of bytes thrown away.
        #[cfg_attr(test, ts(type = "number"))]
        bytes: u64,
    },
    /// No more output comes on this stream: all of it has been sent.
    End {
        /// The stream.
        stream: u16,
    },
    /// The stream is closed, and its number is free.
    Closed {
        /// The stream.
        stream: u16,
        /// Why the stream is closed.
        reason: EndReason,
        /// How the shell ended, if its machine reported it.
        exit: Option<ShellExit>,
    },
    /// Who may view a session, and who does. Sent shortly before or after `opened`, and on every
    /// change.
    Sharing {
        /// The session.
        session: SessionId,
        /// The people, the owner first.
        participants: Vec<Participant>,
        /// The role of this connection's account.
        role: Role,
        /// The most that the policy lets the owner give a guest; null if it lets nothing be shared.
        shareable: Option<GuestRole>,
    },
    /// To `tere`: the answer to `follow`, with the sessions that there are.
    Following {
        /// The sessions. Each comes as a `session`.
        sessions: Vec<SessionId>,
    },
    /// To `tere`, which follows the sessions: how one is now.
    Session {
        /// The session, without its worker's report.
        summary: SessionSummary,
        /// The people, the owner first. Empty if a view of the session takes a touch.
        participants: Vec<Participant>,
    },
    /// To `tere`, which follows the sessions: one is over.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// How the shell ended, if its machine reported it.
        exit: Option<ShellExit>,
    },
    /// To `tere`, which follows the sessions: this one may not be viewed any more.
    SessionHidden {
        /// The session.
        session: SessionId,
    },
    /// A machine stopped on which this connection viewed a session until a moment ago: the reason
    /// why that shell ended.
    MachineStopped {
        /// The machine.
        machine: MachineName,
        /// Why, if tere stopped it.
        why: Option<StopReason>,
    },
    /// A request was refused. If `stream` is present, it was the `open`, `attach` or `exec` of that
    /// stream; otherwise it was the last request without a stream.
    Refused {
        /// The stream of the request, if it had one.
        stream: Option<u16>,
        /// Why the request was refused.
        refusal: Refusal,
    },
    /// To `tere`: the last `name`, `share` or `end-session` is done. A page gets a `lobby`, or
    /// learns it from the views.
    Done {},
    /// The answer to `ping`.
    Pong {
        /// The front's clock, milliseconds since this connection began.
        at: u32,
    },
}

/// A key that a page has made, and that nobody can read, to come back with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ResumeOffer {
    /// The public half.
    pub key: ClientPublicKey,
    /// What the person is to know the browser by.
    pub name: Label,
}

/// How a page may come back without a touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ResumeTerms {
    /// The id of the key.
    pub key: ClientKeyId,
    /// How many seconds the key is good.
    pub seconds: u32,
}

/// What a stream with a touch views.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum TouchView {
    /// A new session.
    Open {
        /// The target to open it on.
        target: Target,
        /// Why, in the person's words.
        reason: Option<Reason>,
    },
    /// An existing session.
    Attach {
        /// The session.
        session: SessionId,
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

    use super::super::control::KeyKind;
    use super::super::machine::{CheckpointReason, CheckpointSummary};
    use super::super::{About, Alert, Signal, Terms};
    use super::*;
    use crate::names::ChangeKind;

    /// If this variable is set, the test writes the file instead of comparing it.
    const UPDATE: &str = "TERE_UPDATE_GENERATED";

    #[test]
    fn the_pages_types_are_fresh() {
        let mut text =
            String::from("// Made from src/protocol/page.rs by its test. Do not edit: run `web/types`.\n");
        let config = ts_rs::Config::default();
        for declaration in [
            Refusal::decl(&config),
            EndReason::decl(&config),
            OpeningStep::decl(&config),
            ShellExit::decl(&config),
            Signal::decl(&config),
            Ceremony::decl(&config),
            Extent::decl(&config),
            Role::decl(&config),
            GuestRole::decl(&config),
            Participant::decl(&config),
            Target::decl(&config),
            TermSize::decl(&config),
            Theme::decl(&config),
            Alert::decl(&config),
            About::decl(&config),
            Terms::decl(&config),
            GrantedTarget::decl(&config),
            TouchView::decl(&config),
            ResumeOffer::decl(&config),
            ResumeTerms::decl(&config),
            KeyKind::decl(&config),
            KeySummary::decl(&config),
            SessionSummary::decl(&config),
            KeyRight::decl(&config),
            ChangeKind::decl(&config),
            MachineChange::decl(&config),
            CheckpointReason::decl(&config),
            CheckpointSummary::decl(&config),
            MachineSummary::decl(&config),
            TaskMachines::decl(&config),
            StopReason::decl(&config),
            FromPage::decl(&config),
            ToPage::decl(&config),
        ] {
            write!(text, "\nexport {declaration}\n").unwrap();
        }
        // These types are strings in a message, so they are strings in the page.
        for name in [
            "AccountName",
            "Label",
            "Reason",
            "SessionId",
            "MachineName",
            "UnixUser",
            "Color",
            "SecretText",
            "ClientKeyId",
            "ClientPublicKey",
        ] {
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
