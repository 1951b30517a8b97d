//! `control.sock`: `tere` on the host sends requests to auth. Every user of the host may connect;
//! their rights follow from the peer uid that the kernel reports. root is the operator; the UNIX
//! user of an account gets the principal channel of that account, and nothing else; all others are
//! refused. Intent [`Intent::Control`](crate::wire::Intent).
//!
//! Packets are postcard. Each request gets one reply, in order. [`ToCli::Principal`] carries one
//! descriptor, the principal channel.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::vouch::Principal;
use super::{Refusal, SecretText};
use crate::names::{AccountName, ClientKeyId, Label, UserUid};
use crate::wire::Message;

/// From `tere` to auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCli {
    /// Create an account and an enrolment link for it.
    AccountAdd(AccountName),
    /// List accounts, sorted by name, at most [`ACCOUNTS_A_PAGE`] of them.
    AccountList {
        /// The last name of the previous page; `None` for the first page.
        after: Option<AccountName>,
    },
    /// List the account files that cannot be used.
    AccountUnusable,
    /// Remove an account with its passkeys and its links, and close its connections.
    AccountRemove(AccountName),
    /// Create a new enrolment link for an existing account.
    AccountLink(AccountName),
    /// Let a UNIX user of the host act as an account at the command line. The user then belongs to
    /// this account alone.
    AccountAddUnixUser(AccountName, UserUid),
    /// No longer let a UNIX user act as an account.
    AccountRemoveUnixUser(AccountName, UserUid),
    /// List the client keys and the resume keys of an account.
    AccountKeys(AccountName),
    /// Remove a client key or a resume key from an account, and close what it has open.
    AccountRemoveKey(AccountName, ClientKeyId),
    /// Hand over the principal channel of whoever asks.
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
    /// Accounts, sorted by name. A page of fewer than [`ACCOUNTS_A_PAGE`] is the last one.
    Accounts(Vec<AccountSummary>),
    /// The account files that cannot be used. At most [`UNUSABLE_MAX`].
    Unusable {
        /// The folder that holds the files.
        folder: String,
        /// The files.
        files: Vec<UnusableFile>,
    },
    /// The client keys of an account and its resume keys, in the order in which they were bound.
    Keys(Vec<KeySummary>),
    /// The request was carried out.
    Done,
    /// The request was refused.
    Refused(Refusal),
    /// The principal channel, as a descriptor, and whom it stands for.
    Principal(Principal),
}

/// Most accounts in one `Accounts`: they fit into a packet, which a test checks.
pub const ACCOUNTS_A_PAGE: usize = 500;

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
    /// The UNIX users of the host who may act as the account.
    pub unix_users: Vec<UserUid>,
}

/// One client key or resume key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeySummary {
    /// Which of the two it is.
    pub kind: KeyKind,
    /// Its id.
    pub key: ClientKeyId,
    /// Its name.
    pub name: Label,
    /// When it was bound, in seconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub bound: u64,
    /// When it was last used to sign in, in seconds since 1970; `None` if it never was.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub last_sign_in: Option<u64>,
    /// Where it was bound from, if that was not this host.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub source: Option<IpAddr>,
}

/// What a key of an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum KeyKind {
    /// A client key: a command line signs in with it from afar.
    CommandLine,
    /// A resume key: a page comes back with it without a touch.
    Page,
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
            Self::Principal(_) => 1,
            Self::Link { .. }
            | Self::Accounts(_)
            | Self::Unusable { .. }
            | Self::Keys(_)
            | Self::Done
            | Self::Refused(_) => 0,
        }
    }
}
