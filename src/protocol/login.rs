//! `auth.sock`: front asks auth to sign a connection in. One socket for each WebSocket; auth keys
//! what it knows of a login to it. Intent [`Intent::Login`](crate::wire::Intent).
//!
//! Packets are postcard: the variant's index as a varint, then its fields in order; a text is a
//! varint length and UTF-8. [`ToFront::SignedIn`] carries one descriptor, the principal channel.
//!
//! JSON passes through as text: only auth and the browser read it.
//!
//! Auth closes the connection after [`ToFront::SignedIn`], after `refused: bad-message`, and when
//! nothing was asked for [`IDLE`]: front connects when the page first asks, not before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::page::Ceremony;
use crate::names::AccountName;
use crate::wire::Message;

/// How long a connection may be open without a request before auth closes it.
pub const IDLE: Duration = Duration::from_secs(5 * 60);

/// How long a challenge may be answered, once.
pub const CHALLENGE: Duration = Duration::from_secs(60);

/// From front to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromFront {
    /// Make a challenge to sign in.
    SignIn,
    /// Make a challenge to register a passkey with this enrolment token.
    Enrol {
        /// As it stood in the link.
        token: String,
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
    /// Have the browser answer this, within 60 seconds.
    Challenge {
        /// Which ceremony.
        ceremony: Ceremony,
        /// Its options, as JSON.
        options: String,
    },
    /// Signed in. With the principal channel.
    SignedIn {
        /// Whose it is, for the page to show.
        account: AccountName,
    },
    /// Not signed in. The page may begin again, unless it is `bad-message`.
    Refused(Refusal),
}

impl Message for FromFront {}

impl Message for ToFront {
    fn descriptors(&self) -> usize {
        match self {
            Self::SignedIn { .. } => 1,
            Self::Challenge { .. } | Self::Refused(_) => 0,
        }
    }
}
