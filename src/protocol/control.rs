//! `control.sock`: `tere` on the host asks auth. Everybody on the host may connect; what they may
//! do follows from the uid that the kernel states. Intent [`Intent::Control`](crate::wire::Intent).
//!
//! Packets are postcard. [`ToCli::Principal`] carries one descriptor, the principal channel of the
//! operator. One request is answered by one reply, in order.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::names::AccountName;
use crate::wire::Message;

/// From `tere` to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCli {
    /// Make an account and an enrolment link for it.
    AccountAdd(AccountName),
    /// All accounts.
    AccountList,
    /// The account files that cannot be used.
    AccountUnusable,
    /// Remove an account, its passkeys and its links, and end its connections.
    AccountRemove(AccountName),
    /// Make a new enrolment link for an account that is there.
    AccountLink(AccountName),
    /// Give me the operator's principal channel.
    Principal,
}

/// From auth to `tere`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCli {
    /// A one-time enrolment link. This is the only time it is shown.
    Link {
        /// For whom.
        account: AccountName,
        /// The whole address.
        link: String,
        /// When it stops working, seconds since 1970.
        expires: u64,
    },
    /// All accounts, by name.
    Accounts(Vec<AccountSummary>),
    /// The account files that cannot be used. At most [`UNUSABLE_MAX`].
    Unusable {
        /// The folder that they are in.
        folder: String,
        /// Each of them.
        files: Vec<UnusableFile>,
    },
    /// Done.
    Done,
    /// Not done.
    Refused(Refusal),
    /// The principal channel of the operator.
    Principal,
}

/// One account, as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSummary {
    /// Its name.
    pub name: AccountName,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// How many passkeys it has.
    pub passkeys: u32,
    /// When one of them last signed in, seconds since 1970.
    pub last_sign_in: Option<u64>,
}

/// Most account files that are told of as unusable. Of what is beyond, the journal alone tells.
pub const UNUSABLE_MAX: usize = 128;

/// An account file that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusableFile {
    /// Its name in the folder.
    pub file: String,
    /// Whose it is, where that much of it can be read.
    pub name: Option<AccountName>,
}

impl Message for FromCli {}

impl Message for ToCli {
    fn descriptors(&self) -> usize {
        match self {
            Self::Principal => 1,
            Self::Link { .. } | Self::Accounts(_) | Self::Unusable { .. } | Self::Done | Self::Refused(_) => {
                0
            }
        }
    }
}
