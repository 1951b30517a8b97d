//! `auth.sock`: front asks auth to sign a connection in. Each WebSocket has a socket of its own,
//! and auth ties the state of the login to it. Intent [`Intent::Login`](crate::wire::Intent).
//!
//! Packets are postcard: the variant's index as a varint, then its fields in order; a string is its
//! length as a varint, then UTF-8. [`ToFront::SignedIn`] and
//! [`ToFront::SteppedUp`] carry one descriptor, a principal channel.
//!
//! JSON is passed through as text: only auth and the browser parse it.
//!
//! auth closes the connection after either of them, after `refused: bad-message`, and after
//! [`IDLE`] without a request. So front connects only when the page sends its first request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::page::Ceremony;
use super::{Refusal, SecretText};
use crate::names::AccountName;
use crate::wire::Message;

/// How long a connection may be open without a request before auth closes it.
pub const IDLE: Duration = Duration::from_secs(5 * 60);

/// How long a challenge may be answered. It may be answered once.
pub const CHALLENGE: Duration = Duration::from_secs(60);

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
    /// The browser's answer, as JSON.
    Answer {
        /// At most [`TEXT_FRAME_MAX`](super::page::TEXT_FRAME_MAX) bytes.
        credential: String,
    },
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
    /// The connection is signed in. Carries the principal channel.
    SignedIn {
        /// The account, for the page to display.
        account: AccountName,
    },
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
            Self::Challenge { .. } | Self::Refused(_) => 0,
        }
    }
}
