//! What tere-machine leaves in a folder for the broker to read: an index of the machines that were
//! made, and why a machine is stopped. The page is shown a part of it.
//!
//! ```text
//! /run/tere-machines/index.json     Index
//! /run/tere-machines/stopped/NAME   a StopReason, while the machine stays stopped for it
//! ```

use serde::{Deserialize, Serialize};

use super::Terms;
use crate::names::{ChangeKind, MachineName, UnixUser};

/// The folder, which root writes and the broker's group reads.
pub const FOLDER: &str = "/run/tere-machines";

/// The index in that folder.
pub const INDEX: &str = "index.json";

/// The folder in it that says why machines are stopped.
pub const STOPPED: &str = "stopped";

/// Largest index, bytes. A machine takes some hundreds. The broker reads no larger one, and then
/// lists no machines.
pub const INDEX_MAX: u64 = 4 * 1024 * 1024;

/// Most machines in one `Lobby`. Further ones are left out of the list.
pub const MACHINES_MAX: usize = 32;

/// Most checkpoints of a machine in one `Lobby`: all of them, if none was added by hand.
pub const CHECKPOINTS_MAX: usize = 10;

/// The machines that were made, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The machines.
    pub machines: Vec<IndexedMachine>,
}

/// A machine in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedMachine {
    /// The machine.
    pub machine: MachineName,
    /// When it is to be removed, seconds since 1970; `None` for never.
    pub expires: Option<u64>,
    /// Whether its template has a newer version than the one that it was made from.
    pub outdated: bool,
    /// Its checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointSummary>,
}

/// A checkpoint of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CheckpointSummary {
    /// Its number.
    pub checkpoint: u32,
    /// When it was kept, seconds since 1970.
    #[cfg_attr(test, ts(type = "number"))]
    pub kept: u64,
    /// Why it was kept.
    pub reason: CheckpointReason,
    /// Whether it has the machine's home too.
    pub home: bool,
}

/// Why a checkpoint was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum CheckpointReason {
    /// Somebody asked for it.
    Asked,
    /// The machine was rebuilt. It has no home: the machine has it still.
    BeforeRebuild,
    /// The machine went back to another checkpoint.
    BeforeRollback,
}

/// A machine of the account that asks, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MachineSummary {
    /// The machine.
    pub machine: MachineName,
    /// Whether it is one for a task.
    pub task: bool,
    /// When it is to be removed, seconds since 1970; `None` for never.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub expires: Option<u64>,
    /// Whether its template has a newer version, which it gets when it is rebuilt.
    pub outdated: bool,
    /// Its checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointSummary>,
    /// The changes that the account may have made of it.
    pub allow: Vec<ChangeKind>,
}

/// Machines for tasks that an account may have made: each has a name of these parts with the task's
/// name between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TaskMachines {
    /// The user that its shells run as.
    pub user: UnixUser,
    /// What a session there takes.
    pub terms: Terms,
    /// What stands before the task's name.
    pub before: String,
    /// What stands after it.
    pub after: String,
}

/// Why tere stopped a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum StopReason {
    /// Nobody used it.
    Idle,
    /// It was rebuilt.
    Rebuild,
    /// It went back to a checkpoint.
    Rollback,
    /// It was removed, by a person or because its time was over.
    Removed,
}

impl StopReason {
    /// The content of its file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Rebuild => "rebuild",
            Self::Rollback => "rollback",
            Self::Removed => "removed",
        }
    }

    /// The reason that the content of a file names.
    #[must_use]
    pub fn of(content: &str) -> Option<Self> {
        [Self::Idle, Self::Rebuild, Self::Rollback, Self::Removed]
            .into_iter()
            .find(|reason| reason.as_str() == content)
    }
}
