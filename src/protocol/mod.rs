//! The messages between tere's processes: one file per socket, one enum per direction.
//!
//! | file | socket | between |
//! | --- | --- | --- |
//! | `page` | the WebSocket | page and front |
//! | `login` | `auth.sock` | front and auth |
//! | `control` | `control.sock` | `tere` and auth |
//! | `vouch` | `broker.sock`, until it is handed over | auth and broker |
//! | `principal` | the same socket, handed over | front or `tere`, and broker |
//! | `worker` | `session/ID.sock` | broker and session worker |
//! | `boot` | none: the state of a unit | tere-machine and broker |
//! | `machine` | none: files in `/run/tere-machines` | tere-machine and broker |
//! | `viewer` | a socketpair | front or `tere`, and session worker |
//! | `exec` | a socketpair | `tere`, and the worker of one command |
//!
//! All except `page`, `boot` and `machine` are packets of [`crate::wire`].

pub mod boot;
pub mod control;
pub mod exec;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod login;
pub mod machine;
pub mod page;
pub mod principal;
mod refusal;
mod secret_text;
pub mod viewer;
pub mod vouch;
pub mod worker;

use serde::{Deserialize, Serialize};

use crate::names::{AccountName, Label, SessionId, Target, TermSize};

pub use refusal::Refusal;
pub use secret_text::SecretText;

/// Why a view of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum EndReason {
    /// The shell ended.
    ShellEnded,
    /// The shell ended before it printed anything, usually because the target's user does not
    /// exist.
    NeverStarted,
    /// The machine stopped while the shell was running.
    MachineGone,
    /// The session's owner or an operator ended the session.
    EndedByRequest,
    /// The session reached its time limit.
    TimeLimit,
    /// The worker stopped.
    WorkerGone,
    /// The session continues, but this viewer may no longer see it.
    ViewClosed,
    /// The session continues as far as is known, but this view of it broke off and could not be
    /// reattached.
    ViewLost,
}

impl std::fmt::Display for EndReason {
    /// Writes the stable word for it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ShellEnded => "shell-ended",
            Self::NeverStarted => "never-started",
            Self::MachineGone => "machine-gone",
            Self::EndedByRequest => "ended-by-request",
            Self::TimeLimit => "time-limit",
            Self::WorkerGone => "worker-gone",
            Self::ViewClosed => "view-closed",
            Self::ViewLost => "view-lost",
        })
    }
}

/// A step of an opening that can take so long that a person is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum OpeningStep {
    /// The machine is being made.
    Making,
    /// The machine is booting.
    Booting,
}

/// How a shell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ShellExit {
    /// The shell exited with this status.
    Exited(u8),
    /// This signal killed the shell.
    Killed(Signal),
}

/// A signal that can kill an interactive shell.
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
    /// Decodes `$?` of a shell, which is 128 plus the signal's number for a killed process. An
    /// interactive shell ignores or catches the signals that are not in [`Signal`], so a status
    /// that would stand for one of those is the status of its last command: Ctrl-C at the prompt
    /// and then Ctrl-D gives 130.
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

impl ShellExit {
    /// The exit status that a shell has for it: 128 and the number of the signal if one killed it.
    #[must_use]
    pub fn status(self) -> u8 {
        let signal = match self {
            Self::Exited(status) => return status,
            Self::Killed(signal) => signal,
        };
        128 + match signal {
            Signal::Hup => 1,
            Signal::Ill => 4,
            Signal::Trap => 5,
            Signal::Abrt => 6,
            Signal::Bus => 7,
            Signal::Fpe => 8,
            Signal::Kill => 9,
            Signal::Segv => 11,
            Signal::Xcpu => 24,
            Signal::Xfsz => 25,
            Signal::Sys => 31,
        }
    }
}

impl std::fmt::Display for ShellExit {
    /// Writes the exit status, or the signal's name without SIG.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "{status}"),
            Self::Killed(signal) => f.write_str(&format!("{signal:?}").to_uppercase()),
        }
    }
}

/// How a session, or a view of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Why it ended.
    pub reason: EndReason,
    /// How the shell ended, if the machine reported it.
    pub exit: Option<ShellExit>,
}

impl From<EndReason> for SessionEnd {
    fn from(reason: EndReason) -> Self {
        Self { reason, exit: None }
    }
}

/// What a viewer may do. The worker enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Role {
    /// May type, set the size, and share the session.
    Owner,
    /// May type.
    Writer,
    /// May only look.
    Watcher,
}

/// What an account may do in a session that is shared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum GuestRole {
    /// May type.
    Writer,
    /// May only look.
    Watcher,
}

impl Role {
    /// The role of a view that may do no more than `most`, although its account has this role.
    #[must_use]
    pub fn limited_to(self, most: Self) -> Self {
        match (self, most) {
            (Self::Watcher, _) | (_, Self::Watcher) => Self::Watcher,
            (Self::Writer, _) | (_, Self::Writer) => Self::Writer,
            (Self::Owner, Self::Owner) => Self::Owner,
        }
    }
}

impl From<GuestRole> for Role {
    fn from(role: GuestRole) -> Self {
        match role {
            GuestRole::Writer => Self::Writer,
            GuestRole::Watcher => Self::Watcher,
        }
    }
}

/// A person who may view a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Participant {
    /// The person's account.
    pub account: AccountName,
    /// The person's role.
    pub role: Role,
    /// The number of views that the person has open now.
    pub views: u16,
}

/// Most guests of one session. One more is refused with `too-many`.
pub const GUESTS_MAX: usize = 16;

/// Most views that one guest has of a session. One more is refused with `too-many`.
pub const VIEWS_PER_GUEST_MAX: usize = 4;

/// Most accounts that a list names as viewers of one session.
pub const VIEWING_MAX: usize = 4;

/// One live session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionSummary {
    /// The session's id.
    pub id: SessionId,
    /// The target that the shell runs on.
    pub target: Target,
    /// When the session was opened, in seconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub opened: u64,
    /// How many seconds are left until the session ends, if it has a time limit.
    pub left: Option<u32>,
    /// Whether each view takes a touch of a passkey, made for it.
    pub touch: bool,
    /// The account that opened the session.
    pub owner: AccountName,
    /// The role of the account that asks. The operator may only look.
    pub role: Role,
    /// The name that the owner gave the session.
    pub name: Option<Label>,
    /// Accounts that view the session now, at most [`VIEWING_MAX`] of them.
    pub viewing: Vec<AccountName>,
    /// The worker's report; `None` if the worker did not answer in time.
    pub about: Option<About>,
    /// Whether it is one command without a terminal, which cannot be viewed.
    pub exec: bool,
}

/// A target that an account may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GrantedTarget {
    /// The target.
    pub target: Target,
    /// What a session there takes.
    pub terms: Terms,
}

/// What a session takes besides a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Terms {
    /// Whether each view takes a touch of a passkey, made for it.
    pub touch: bool,
    /// Whether the person must say in words why the session is opened.
    pub reason: bool,
    /// How long the session may last, in seconds, if there is a limit.
    pub limit: Option<u32>,
}

/// What a session's worker reports about the session. It is only displayed; nothing is decided by
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct About {
    /// The terminal title set by a program.
    pub title: Option<Label>,
    /// The size of the terminal.
    pub size: TermSize,
    /// How long there has been neither output nor input, in seconds.
    pub idle: u32,
    /// The number of viewers.
    pub viewers: u16,
    /// The last alert since which nobody has typed.
    pub alert: Option<Alert>,
}

/// A program asked for its user's attention, by the bell or a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Alert {
    /// The text of the notification; `None` for the bell.
    pub text: Option<Label>,
    /// How many seconds ago.
    pub ago: u32,
}
