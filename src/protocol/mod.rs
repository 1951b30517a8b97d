//! What tere's processes say to each other: one file a socket, one enum a direction.
//!
//! | file | socket | between |
//! | --- | --- | --- |
//! | `page` | the WebSocket | page and front |
//! | `login` | `auth.sock` | front and auth |
//! | `control` | `control.sock` | `tere` and auth |
//! | `vouch` | `broker.sock`, until it is handed over | auth and broker |
//! | `principal` | the same socket, handed over | front or `tere`, and broker |
//! | `worker` | `session/ID.sock` | broker and session worker |
//! | `viewer` | a socketpair | front or `tere`, and session worker |
//!
//! All but `page` are packets of [`crate::wire`].

pub mod control;
pub mod login;
pub mod page;
pub mod principal;
mod refusal;
pub mod viewer;
pub mod vouch;
pub mod worker;

use serde::{Deserialize, Serialize};

use crate::names::{AccountName, Label, SessionId, Target, TermSize};

pub use refusal::Refusal;

/// Why a view of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum EndReason {
    /// The shell ended.
    ShellEnded,
    /// The shell ended before it printed anything: as a rule the target's user does not exist.
    NeverStarted,
    /// The machine went away under the shell.
    MachineGone,
    /// The session was ended by its owner or an operator.
    EndedByRequest,
    /// The worker went away.
    WorkerGone,
    /// The session goes on, but it is not this viewer's to see any more.
    ViewClosed,
    /// The session goes on as far as anybody knows, but this view of it broke off and cannot be had again.
    ViewLost,
}

impl std::fmt::Display for EndReason {
    /// Its stable word.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ShellEnded => "shell-ended",
            Self::NeverStarted => "never-started",
            Self::MachineGone => "machine-gone",
            Self::EndedByRequest => "ended-by-request",
            Self::WorkerGone => "worker-gone",
            Self::ViewClosed => "view-closed",
            Self::ViewLost => "view-lost",
        })
    }
}

/// How a shell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ShellExit {
    /// With this exit status.
    Exited(u8),
    /// Killed by this signal.
    Killed(Signal),
}

/// A signal that kills shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)] // signal(7) has them
pub enum Signal {
    Hup,
    Ill,
    Trap,
    Abrt,
    Bus,
    Fpe,
    Kill,
    Segv,
    Xcpu,
    Xfsz,
    Sys,
}

impl ShellExit {
    /// Reads `$?` of a shell: 128 and a signal's number for a process that was killed. An
    /// interactive shell ignores or catches the signals that are not in [`Signal`], so such a status
    /// is that of its last command: Ctrl-C at the prompt and then Ctrl-D makes 130.
    #[must_use]
    pub fn of_status(status: u8) -> Self {
        let signal = match status.wrapping_sub(128) {
            1 => Signal::Hup,
            4 => Signal::Ill,
            5 => Signal::Trap,
            6 => Signal::Abrt,
            7 => Signal::Bus,
            8 => Signal::Fpe,
            9 => Signal::Kill,
            11 => Signal::Segv,
            24 => Signal::Xcpu,
            25 => Signal::Xfsz,
            31 => Signal::Sys,
            _ => return Self::Exited(status),
        };
        Self::Killed(signal)
    }
}

impl std::fmt::Display for ShellExit {
    /// The exit status, or the signal's name without SIG.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "{status}"),
            Self::Killed(signal) => f.write_str(&format!("{signal:?}").to_uppercase()),
        }
    }
}

/// The end of a session, or of a view of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Why.
    pub reason: EndReason,
    /// How the shell ended, where the machine reported it.
    pub exit: Option<ShellExit>,
}

impl From<EndReason> for SessionEnd {
    fn from(reason: EndReason) -> Self {
        Self { reason, exit: None }
    }
}

/// What a viewer may do. Enforced in the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Role {
    /// Types, sets the size, and says who else may view.
    Owner,
    /// Types.
    Writer,
    /// Sees.
    Watcher,
}

/// What an account may do in a session that is shared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum GuestRole {
    /// Types.
    Writer,
    /// Sees.
    Watcher,
}

impl From<GuestRole> for Role {
    fn from(role: GuestRole) -> Self {
        match role {
            GuestRole::Writer => Self::Writer,
            GuestRole::Watcher => Self::Watcher,
        }
    }
}

/// Somebody who may view a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Person {
    /// Who.
    pub account: AccountName,
    /// What they may do.
    pub role: Role,
    /// How many views they have right now.
    pub views: u16,
}

/// Most accounts that one session is shared with; one more is refused with `too-many`.
pub const GUESTS_MAX: usize = 16;

/// Most views that one account has of a session that is shared with it; one more is refused with `too-many`.
pub const VIEWS_PER_GUEST_MAX: usize = 4;

/// Most accounts that a list names as viewing one session.
pub const VIEWING_MAX: usize = 4;

/// One live session, as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionSummary {
    /// Its id.
    pub id: SessionId,
    /// Where its shell runs.
    pub target: Target,
    /// When it was opened, seconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub opened: u64,
    /// Who opened it.
    pub owner: AccountName,
    /// What whoever asks may do in it. The operator only looks.
    pub role: Role,
    /// What its owner calls it.
    pub name: Option<Label>,
    /// Accounts that view it now, at most [`VIEWING_MAX`] of them.
    pub viewing: Vec<AccountName>,
    /// What its worker says; nothing where it did not answer in time.
    pub about: Option<About>,
}

/// What a session's worker says about it. For people to read: nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct About {
    /// The title that a program gave the terminal.
    pub title: Option<Label>,
    /// The size of the terminal.
    pub size: TermSize,
    /// How long nothing was printed or typed, seconds.
    pub idle: u32,
    /// How many viewers it has.
    pub viewers: u16,
}
