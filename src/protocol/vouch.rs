//! `broker.sock`, first part: auth tells the broker which principal this socket stands for. After
//! [`ToAuth::Vouched`], auth hands the socket over, and from then on it carries
//! [`super::principal`]. Intent [`Intent::Vouch`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors. Each connection carries one request.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::clock::Moment;
use crate::names::{AccountName, ClientKeyId, KeyRight, PasskeyId, UserUid};
use crate::wire::Message;

/// Most principal channels of one account at once. One more is refused with `too-many`.
pub const CHANNELS_PER_ACCOUNT_MAX: usize = 32;

/// From auth to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAuth {
    /// From now on the holder of the other end of this socket acts as this principal.
    Vouch {
        /// The principal.
        principal: Principal,
        /// How auth verified it.
        how: AuthMethod,
        /// When auth verified it, in seconds since 1970.
        at: u64,
        /// The resume key of the page, if it has one. The channel is closed when the key is removed.
        resume_key: Option<ClientKeyId>,
    },
    /// This account was removed: close its principal channels and its viewers.
    Revoke(AccountName),
    /// This UNIX user no longer belongs to its account: close the principal channels and the
    /// viewers that it got by its uid.
    CloseChannels(UserUid),
    /// This client key or resume key was removed: close the principal channels and the viewers that
    /// it got.
    CloseKeyChannels(ClientKeyId),
    /// What may this account do with a client key?
    KeyRule(AccountName),
    /// How long may a page come back without a touch?
    ResumeRule,
}

/// The principal that a channel stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// An account, with the rights that policy grants it.
    Account(AccountName),
    /// root on the host: may list, show and end every session, but may open none.
    Operator,
}

/// How a principal was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// By a passkey that was registered before.
    Passkey(PasskeyId),
    /// By a passkey that was just registered with an enrolment link.
    Enrolment(PasskeyId),
    /// By a passkey of the account, once more after signing in. The channel opens or views one
    /// session and does nothing else.
    StepUp(PasskeyId),
    /// By the peer uid that the kernel reports for a local socket.
    PeerUid(u32),
    /// By a client key of the command line from afar.
    ClientKey {
        /// The key.
        key: ClientKeyId,
        /// When it was bound to the account, in seconds since 1970.
        bound: u64,
    },
    /// By a resume key of a page, without a touch.
    ResumeKey {
        /// The key.
        key: ClientKeyId,
        /// When the passkey was touched for it.
        touched: Moment,
    },
}

/// From the broker to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAuth {
    /// The socket now stands for the principal.
    Vouched {
        /// How many seconds the page may come back without a touch, from now on. `None` if it may
        /// not.
        resume: Option<u32>,
    },
    /// The channels have been closed.
    Revoked,
    /// What the policy lets the account do with a client key.
    KeyRule {
        /// What the key may do.
        allow: BTreeSet<KeyRight>,
        /// How many seconds it is good after it was bound.
        seconds: u32,
    },
    /// How many seconds after a touch a page may come back without another; `None` for never.
    ResumeRule(Option<u32>),
    /// The broker refused the request.
    Refused(Refusal),
}

impl Message for FromAuth {}
impl Message for ToAuth {}
