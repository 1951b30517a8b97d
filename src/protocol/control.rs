//! `control.sock`: `tere` on the host sends requests to auth. Every user of the host may connect;
//! their rights follow from the peer uid that the kernel reports. Intent
//! [`Intent::Control`](crate::wire::Intent).
//!
//! Packets are postcard. Each request gets one reply, in order. [`ToCli::Principal`] carries one
//! descriptor, the principal channel of the operator.

use serde::{Deserialize, Serialize};

use super::{Refusal, SecretText};
use crate::names::AccountName;
use crate::wire::Message;

/// From `tere` to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCli {
    /// Create an account and an enrolment link for it.
    AccountAdd(AccountName),
    /// List all accounts.
    AccountList,
    /// List the account files that cannot be used.
    AccountUnusable,
    /// Remove an account with its passkeys and its links, and close its connections.
    AccountRemove(AccountName),
    /// Create a new enrolment link for an existing account.
    AccountLink(AccountName),
    /// Hand over the operator's principal channel.
    Principal,
}

/// From auth to `tere`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCli {
    /// A one-time enrolment link. This is the only time it is shown.
    Link {
        /// The account that the link is for.
        account: AccountName,
        /// The complete URL.
        link: SecretText,
        /// When it expires, in seconds since 1970.
        expires: u64,
    },
    /// All accounts, sorted by name.
    Accounts(Vec<AccountSummary>),
    /// The account files that cannot be used. At most [`UNUSABLE_MAX`].
    Unusable {
        /// The folder that holds the files.
        folder: String,
        /// The files.
        files: Vec<UnusableFile>,
    },
    /// The request was carried out.
    Done,
    /// The request was refused.
    Refused(Refusal),
    /// The principal channel of the operator, as a descriptor.
    Principal,
}

/// One account in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSummary {
    /// Its name.
    pub name: AccountName,
    /// When the account was created, in seconds since 1970.
    pub created: u64,
    /// The number of its passkeys.
    pub passkeys: u32,
    /// When one of its passkeys last signed in, in seconds since 1970; `None` if none has.
    pub last_sign_in: Option<u64>,
}

/// Most unusable account files in one reply. Files beyond it appear in the journal only.
pub const UNUSABLE_MAX: usize = 128;

/// An account file that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusableFile {
    /// Its file name in the folder.
    pub file: String,
    /// The account that it belongs to, if that part of the file is readable.
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
