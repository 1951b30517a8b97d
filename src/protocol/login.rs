//! `auth.sock`: front asks auth to sign a connection in. Each WebSocket has a socket of its own,
//! and auth ties the state of the login to it. Intent [`Intent::Login`](crate::wire::Intent).
//!
//! Packets are postcard: the variant's index as a varint, then its fields in order; a string is its
//! length as a varint, then UTF-8. [`ToFront::SignedIn`] and
//! [`ToFront::SteppedUp`] carry one descriptor, a principal channel.
//!
//! JSON is passed through as text: only auth and the browser parse it.
//!
//! auth closes the connection after either of them, after a list of keys, after the end of a binding
//! or a removal, after `refused: bad-message`, and after [`IDLE`] without a request. So front
//! connects only when the page sends its first request.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::KeySummary;
use super::page::Ceremony;
use super::{Refusal, SecretText};
use crate::client_key::Nonce;
use crate::names::{AccountName, ClientKeyId, ClientPublicKey, KeyRight, Label};
use crate::wire::Message;

/// How long a connection may be open without a request before auth closes it.
pub const IDLE: Duration = Duration::from_secs(5 * 60);

/// How long a challenge may be answered. It may be answered once.
pub const CHALLENGE: Duration = Duration::from_secs(60);

/// How long a client key waits to be bound, and its code is good.
pub const BINDING: Duration = Duration::from_secs(4 * 60);

/// From front to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromFront {
    /// Create a challenge to sign in.
    SignIn,
    /// Create a challenge to register a passkey with this enrolment token.
    Enrol {
        /// The token from the link.
        token: SecretText,
    },
    /// Create a challenge for a step-up: a passkey of this account, which front has signed in, is
    /// to be touched again for one session.
    StepUp {
        /// The account. auth accepts a passkey of no other.
        account: AccountName,
    },
    /// Create a challenge to sign in with this client key.
    KeySignIn {
        /// The key.
        key: ClientKeyId,
    },
    /// Create a challenge to have this client key bound to an account.
    BindKey {
        /// The public half of the key.
        key: ClientPublicKey,
        /// What the person is to know it by.
        name: Label,
        /// Where its command line is, if it is not on this host.
        source: Option<IpAddr>,
    },
    /// Create a challenge to remove this client key.
    RemoveKey {
        /// The key.
        key: ClientKeyId,
    },
    /// The signature of the challenge. After one to bind a key, auth sends the code, and a second
    /// message when the binding has come to its end.
    KeyAnswer {
        /// At most [`SIGNATURE_LENGTH`](crate::client_key::SIGNATURE_LENGTH) bytes.
        #[serde(with = "serde_bytes")]
        signature: Vec<u8>,
    },
    /// Find the client key that waits with this code, and create a challenge to bind it to this
    /// account, which front has signed in. The answer to the challenge is an `Answer`.
    FindBinding {
        /// The account. auth accepts a passkey of no other.
        account: AccountName,
        /// The code, as a person typed it.
        code: SecretText,
    },
    /// The key that was found is not to be bound.
    DeclineBinding,
    /// The browser's answer, as JSON.
    Answer {
        /// At most [`TEXT_FRAME_MAX`](super::page::TEXT_FRAME_MAX) bytes.
        credential: String,
        /// The key with which the page is to come back without a touch, if it has one. Not looked
        /// at in a step-up.
        resume_key: Option<OfferedKey>,
    },
    /// Create a challenge to sign in with this resume key. The answer is a `KeyAnswer`.
    Resume {
        /// The key.
        key: ClientKeyId,
    },
    /// List the client keys and the resume keys of this account, which front has signed in.
    Keys {
        /// The account.
        account: AccountName,
    },
    /// Remove a client key or a resume key from this account, which front has signed in, and close
    /// what it has open.
    DropKey {
        /// The account.
        account: AccountName,
        /// The key.
        key: ClientKeyId,
    },
}

/// A key that a page has made and does not show, to come back with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedKey {
    /// The public half.
    pub key: ClientPublicKey,
    /// What the person is to know the browser by.
    pub name: Label,
    /// Where the browser is, if it is not on this host.
    pub source: Option<IpAddr>,
}

/// From auth to front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToFront {
    /// The browser must answer this challenge within 60 seconds.
    Challenge {
        /// The WebAuthn ceremony.
        ceremony: Ceremony,
        /// The options of the ceremony, as JSON.
        options: String,
    },
    /// This challenge must be signed within 60 seconds.
    KeyChallenge {
        /// The challenge.
        nonce: Nonce,
    },
    /// The key waits to be bound, and this is its code.
    BindingCode {
        /// The code.
        code: SecretText,
        /// How many seconds it is good.
        seconds: u32,
    },
    /// The key is bound to this account.
    KeyBound {
        /// The account.
        account: AccountName,
    },
    /// The key is removed.
    KeyRemoved,
    /// The key that waits with the code, and a challenge to bind it.
    Binding {
        /// The id of the key.
        key: ClientKeyId,
        /// The name that its command line gave it.
        name: Label,
        /// Where that command line is, if it is not on this host.
        source: Option<IpAddr>,
        /// What the key may do.
        allow: BTreeSet<KeyRight>,
        /// How many seconds it is good.
        seconds: u32,
        /// The options of the ceremony, as JSON.
        options: String,
    },
    /// The key that was found is bound.
    Bound,
    /// The connection is signed in. Carries the principal channel.
    SignedIn {
        /// The account, for the page to display.
        account: AccountName,
        /// How many seconds the resume key is good that was offered or used, if it is kept.
        resume: Option<u32>,
    },
    /// The client keys and the resume keys of the account.
    Keys(Vec<KeySummary>),
    /// The step-up is done. Carries a principal channel of the account, which opens or views one
    /// session and does nothing else.
    SteppedUp,
    /// The login was refused. The page may start again, unless the refusal is `bad-message`.
    Refused(Refusal),
}

impl Message for FromFront {}

impl Message for ToFront {
    fn descriptors(&self) -> usize {
        match self {
            Self::SignedIn { .. } | Self::SteppedUp => 1,
            Self::Challenge { .. }
            | Self::KeyChallenge { .. }
            | Self::BindingCode { .. }
            | Self::KeyBound { .. }
            | Self::KeyRemoved
            | Self::Binding { .. }
            | Self::Bound
            | Self::Keys(_)
            | Self::Refused(_) => 0,
        }
    }
}
