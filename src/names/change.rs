use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadName, MachineName};

/// A change of a machine that an account may have made. As text it is the instance of the unit that
/// makes it: a word, then what it is about, with colons between, like `fork:alice-box:alice.try`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum MachineChange {
    /// Keep a checkpoint of it as it is now.
    Checkpoint {
        /// The machine.
        machine: MachineName,
    },
    /// Go back to a checkpoint.
    Rollback {
        /// The machine.
        machine: MachineName,
        /// The number of the checkpoint.
        checkpoint: u32,
    },
    /// Remove a checkpoint.
    RemoveCheckpoint {
        /// The machine.
        machine: MachineName,
        /// The number of the checkpoint.
        checkpoint: u32,
    },
    /// Put its system aside, so that it is made anew when it is opened.
    Rebuild {
        /// The machine.
        machine: MachineName,
    },
    /// Copy it as it is now.
    Fork {
        /// The machine.
        machine: MachineName,
        /// The name of the copy.
        copy: MachineName,
    },
    /// Remove it.
    Remove {
        /// The machine.
        machine: MachineName,
    },
}

/// A kind of change that the policy lets accounts have made of their own machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ChangeKind {
    /// Keep checkpoints, go back to them, remove them.
    Checkpoint,
    /// Rebuild the machine.
    Rebuild,
    /// Copy the machine to one for a task.
    Fork,
    /// Remove the machine.
    Remove,
}

impl MachineChange {
    /// The machine that is changed or copied.
    #[must_use]
    pub fn machine(&self) -> &MachineName {
        match self {
            Self::Checkpoint { machine }
            | Self::Rollback { machine, .. }
            | Self::RemoveCheckpoint { machine, .. }
            | Self::Rebuild { machine }
            | Self::Fork { machine, .. }
            | Self::Remove { machine } => machine,
        }
    }

    /// The machine that is made, if one is.
    #[must_use]
    pub fn copy(&self) -> Option<&MachineName> {
        match self {
            Self::Fork { copy, .. } => Some(copy),
            Self::Checkpoint { .. }
            | Self::Rollback { .. }
            | Self::RemoveCheckpoint { .. }
            | Self::Rebuild { .. }
            | Self::Remove { .. } => None,
        }
    }

    /// What the policy has to allow.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Checkpoint { .. } | Self::Rollback { .. } | Self::RemoveCheckpoint { .. } => {
                ChangeKind::Checkpoint
            }
            Self::Rebuild { .. } => ChangeKind::Rebuild,
            Self::Fork { .. } => ChangeKind::Fork,
            Self::Remove { .. } => ChangeKind::Remove,
        }
    }
}

impl fmt::Display for MachineChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint { machine } => write!(f, "checkpoint:{machine}"),
            Self::Rollback { machine, checkpoint } => write!(f, "rollback:{machine}:{checkpoint}"),
            Self::RemoveCheckpoint { machine, checkpoint } => {
                write!(f, "remove-checkpoint:{machine}:{checkpoint}")
            }
            Self::Rebuild { machine } => write!(f, "rebuild:{machine}"),
            Self::Fork { machine, copy } => write!(f, "fork:{machine}:{copy}"),
            Self::Remove { machine } => write!(f, "remove:{machine}"),
        }
    }
}

impl FromStr for MachineChange {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || {
            BadName::new(
                text,
                "a change of a machine",
                "use a word such as fork, the machine, and what else it takes, with colons between",
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let [word, machine, rest @ ..] = parts.as_slice() else { return Err(bad()) };
        let machine = machine.parse()?;
        let change = match (*word, rest) {
            ("checkpoint", []) => Self::Checkpoint { machine },
            ("rollback", [number]) => {
                Self::Rollback { machine, checkpoint: number.parse().map_err(|_| bad())? }
            }
            ("remove-checkpoint", [number]) => {
                Self::RemoveCheckpoint { machine, checkpoint: number.parse().map_err(|_| bad())? }
            }
            ("rebuild", []) => Self::Rebuild { machine },
            ("fork", [copy]) => Self::Fork { machine, copy: copy.parse()? },
            ("remove", []) => Self::Remove { machine },
            _ => return Err(bad()),
        };
        // A number in another form, such as 03, would be another unit for the same change.
        if change.to_string() == text { Ok(change) } else { Err(bad()) }
    }
}

impl fmt::Display for ChangeKind {
    /// Writes the word that the policy has for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoint => "checkpoint",
            Self::Rebuild => "rebuild",
            Self::Fork => "fork",
            Self::Remove => "remove",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_what_it_was_written_as_and_nothing_else_is_one() {
        for good in [
            "checkpoint:alice-box",
            "rollback:alice-box:3",
            "remove-checkpoint:alice-box:4294967295",
            "rebuild:alice-box",
            "fork:alice-box:alice.try",
            "remove:alice.try",
        ] {
            assert_eq!(good.parse::<MachineChange>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "fork",
            "fork:",
            "fork:a",
            "fork:a:b:c",
            "fork:a:../b",
            "fork:a:",
            "checkpoint:a:b",
            "rollback:a",
            "rollback:a:",
            "rollback:a:03",
            "rollback:a:+3",
            "rollback:a:-1",
            "rollback:a:4294967296",
            "rebuild:..",
            "rebuild:a/b",
            "rebuild:a b",
            "rebuild:a\n",
            "REBUILD:a",
            "remove: a",
            "remove:a:",
            "boot:a",
        ] {
            assert!(bad.parse::<MachineChange>().is_err(), "{bad:?}");
        }
    }
}
