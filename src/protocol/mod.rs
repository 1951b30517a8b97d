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

use crate::names::{Label, SessionId, Target, TermSize};

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
        })
    }
}

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
    /// What its owner calls it.
    pub name: Option<Label>,
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
