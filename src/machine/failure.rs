use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::names::{AccountName, MachineName, TemplateName, TemplateVersion};
use crate::protocol::boot::exit_status;

/// Why a machine does not boot, or is not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Policy(#[from] ConfigError),
    #[error("the policy makes no machine of this name: a [[machine]] and a grant would have to name it")]
    NotInPolicy,
    #[error("there is no version of the template {0} in {1}: see tere-machine(8)")]
    NoTemplate(TemplateName, PathBuf),
    #[error("the template {0} has a version {1} already: versions are never changed, choose another one")]
    TemplateExists(TemplateName, TemplateVersion),
    #[error("the machine {0} was made of it: rebuild or remove that machine first")]
    TemplateUsed(MachineName),
    #[error("{0} cannot be used: {1}")]
    Damaged(PathBuf, String),
    #[error("there is no machine of this name: 'tere machine list' shows those that there are")]
    NoMachine,
    #[error("there is no checkpoint {0}: 'tere machine show' lists those that there are")]
    NoCheckpoint(u32),
    #[error("it has {0} checkpoints already: remove one first")]
    TooManyCheckpoints(usize),
    #[error("{0} has as many machines for tasks as the policy allows: remove one first")]
    TooManyMachines(AccountName),
    #[error("the machine or a home of that name is there already: choose another name")]
    MachineExists,
    #[error(
        "the policy does not let its account have this done: 'allow' in its [[machine]] would have to list it"
    )]
    NotAllowed,
    #[error("it is not for the same account")]
    NotItsOwn,
    #[error("it is just being started or stopped: try again in a moment")]
    Changing,
    #[error("its files cannot be copied within {0}, and it cannot be stopped for longer: stop it first")]
    TooMuchToCopy(&'static str),
    #[error(
        "its packet filter is not there: 'journalctl -u tere-network@{0}' says why; nft(8) must be installed"
    )]
    NoFilter(MachineName),
    #[error(
        "the policy limits its disk space, and the file system of {0} would not enforce that: 'tere check' says what to do"
    )]
    NoQuota(PathBuf),
    #[error(
        "it would take more disk space than the {} MiB that the policy gives the machine: remove files or checkpoints first",
        .0 >> 20
    )]
    DiskLimit(u64),
    #[error("all ranges of uids are taken: remove a machine that nobody needs")]
    NoRange,
    #[error("cannot {0} {1}: {2}")]
    Storage(&'static str, PathBuf, #[source] io::Error),
    #[error("{0} failed: {1}")]
    Tool(&'static str, String),
}

impl Failure {
    /// Whether a program of the system ran out of disk space: XFS says at a limit what it says of a
    /// full disk.
    pub(super) fn is_out_of_space(&self) -> bool {
        let texts = ["Disk quota exceeded", "No space left on device"];
        matches!(self, Self::Tool(_, said) if texts.iter().any(|text| said.contains(text)))
    }

    /// The exit status, from which the broker learns what to tell the person.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Policy(_) | Self::NoQuota(_) => exit_status::POLICY,
            Self::NotInPolicy | Self::NotItsOwn | Self::NotAllowed => exit_status::NOT_IN_POLICY,
            Self::NoTemplate(..) => exit_status::NO_TEMPLATE,
            Self::Damaged(..) => exit_status::DAMAGED,
            Self::NoMachine | Self::NoCheckpoint(_) => exit_status::NO_MACHINE,
            Self::TooManyMachines(_) | Self::TooManyCheckpoints(_) => exit_status::TOO_MANY,
            Self::NoRange => exit_status::NO_RANGE,
            Self::Changing | Self::TooMuchToCopy(_) | Self::TemplateUsed(_) => exit_status::IN_USE,
            Self::TemplateExists(..) | Self::MachineExists => exit_status::EXISTS,
            Self::Storage(..) | Self::DiskLimit(_) => exit_status::STORAGE,
            Self::Tool(..) | Self::NoFilter(_) => exit_status::TOOL,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::tool::run;
    use super::*;

    #[test]
    fn a_program_that_runs_out_of_space_says_so_in_words_that_are_known() {
        let full = run("cp", Command::new("cp").args(["/etc/passwd", "/dev/full"]).env("LC_ALL", "de_DE"));
        assert!(full.unwrap_err().is_out_of_space());
        assert!(Failure::Tool("cp", "cp: /home/x: Disk quota exceeded".to_owned()).is_out_of_space());
        let other = run("cp", Command::new("cp").args(["/nothing", "/dev/full"]));
        assert!(!other.unwrap_err().is_out_of_space());
    }
}
