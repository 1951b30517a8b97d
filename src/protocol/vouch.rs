//! `broker.sock`, first part: auth tells the broker who stands behind this socket. After
//! [`ToAuth::Vouched`] auth hands the socket over, and it speaks [`super::principal`] from then on.
//! Intent [`Intent::Vouch`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors. A connection says one thing and no more.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::names::AccountName;
use crate::wire::Message;

/// Most principal channels of one account at once; one more is refused with `too-many`.
pub const CHANNELS_PER_ACCOUNT_MAX: usize = 32;

/// From auth to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAuth {
    /// Whoever holds the other end of this socket from now on is this principal.
    Vouch {
        /// Who.
        principal: Principal,
        /// How auth knows.
        how: Verified,
        /// When it was verified, seconds since 1970.
        at: u64,
    },
    /// This account is gone: close its principal channels and its viewers.
    Revoke(AccountName),
}

/// Whom a principal channel stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// An account, with what policy grants it.
    Account(AccountName),
    /// root on the host: may list and end every session, and open none.
    Operator,
}

/// How a principal was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verified {
    /// By a passkey that was there before.
    Passkey,
    /// By a passkey just registered with an enrolment link.
    Enrolment,
    /// By the uid which the kernel states for a local socket.
    PeerUid(u32),
}

/// From the broker to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAuth {
    /// The socket is the principal's from now on.
    Vouched,
    /// The account's channels are closed.
    Revoked,
    /// The broker does not take it.
    Refused(Refusal),
}

impl Message for FromAuth {}
impl Message for ToAuth {}
