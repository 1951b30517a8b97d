//! The machines that tere has made, as far as an account is shown them. tere-machine writes the
//! list, because the broker may not look at machines itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::config::Config;
use crate::names::{AccountName, MachineName, Target};
use crate::protocol::machine::{
    CHECKPOINTS_MAX, INDEX, INDEX_MAX, Index, IndexedMachine, MACHINES_MAX, MachineSummary, STOPPED,
    StopReason, TaskMachines,
};

/// Most bytes of a file that says why a machine is stopped.
const REASON_MAX: u64 = 64;

/// The folder in which tere-machine leaves what the broker may know.
#[derive(Debug)]
pub(super) struct Machines {
    folder: PathBuf,
}

impl Machines {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The machines that were made and belong to this account alone, each with its targets.
    pub(super) fn of(&self, account: &AccountName, policy: &Config) -> Vec<MachineSummary> {
        let machines = self.index().machines;
        let own = machines.into_iter().filter(|indexed| policy.owner_of(&indexed.machine) == Some(account));
        own.filter_map(|indexed| summary(indexed, policy)).take(MACHINES_MAX).collect()
    }

    /// Why a machine that has just gone away was stopped, if tere stopped it.
    pub(super) fn why_stopped(&self, machine: &MachineName) -> Option<StopReason> {
        let content = self.read(&format!("{STOPPED}/{machine}"), REASON_MAX).ok()?;
        StopReason::of(std::str::from_utf8(&content).ok()?)
    }

    fn index(&self) -> Index {
        match self.read(INDEX, INDEX_MAX).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
            Ok(index) => index,
            // No machine was made yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Index::default(),
            Err(error) => {
                tracing::warn!(%error, "the list of machines cannot be read: {error}");
                Index::default()
            }
        }
    }

    fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.folder.join(name))?.take(most + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {most} bytes")));
        }
        Ok(bytes)
    }
}

fn summary(indexed: IndexedMachine, policy: &Config) -> Option<MachineSummary> {
    let IndexedMachine { machine, expires, outdated, mut checkpoints } = indexed;
    let made = policy.machine(&machine)?;
    // The newest are of more use.
    checkpoints.drain(..checkpoints.len().saturating_sub(CHECKPOINTS_MAX));
    let (task, allow) = (made.name.is_for_tasks(), made.allow.iter().copied().collect());
    Some(MachineSummary { machine, task, expires, outdated, checkpoints, allow })
}

/// The targets of an account on these machines that are for tasks.
pub(super) fn task_targets(
    account: &AccountName,
    machines: &[MachineSummary],
    policy: &Config,
) -> Vec<Target> {
    let for_tasks = machines.iter().filter(|machine| machine.task);
    for_tasks.flat_map(|machine| policy.targets_in(account, &machine.machine)).collect()
}

/// The machines for tasks that an account may have made.
pub(super) fn task_machines(account: &AccountName, policy: &Config) -> Vec<TaskMachines> {
    let parts = policy.tasks_of(account).into_iter();
    parts
        .map(|(user, before, after, terms)| TaskMachines { user, terms: terms.into(), before, after })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        origin = "https://shell.example.org"
        [[grant]]
        accounts = ["alice", "bob"]
        machine = "{account}-box"
        user = "dev"
        [[grant]]
        accounts = ["alice", "bob"]
        machine = "{account}.{task}"
        user = "{account}"
        [[machine]]
        name = "{account}-box"
        template = "debian"
        allow = ["fork"]
        [[machine]]
        name = "{account}.{task}"
        template = "debian"
    "#;

    fn indexed(machine: &str) -> IndexedMachine {
        IndexedMachine {
            machine: machine.parse().unwrap(),
            expires: None,
            outdated: false,
            checkpoints: Vec::new(),
        }
    }

    #[test]
    fn an_account_is_shown_its_own_machines_and_where_it_may_go_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let machines = Machines::at(folder.path().to_owned());
        let policy = Config::parse(POLICY, "tere.toml").unwrap();
        let (alice, bob, eve) = ("alice".parse().unwrap(), "bob".parse().unwrap(), "eve".parse().unwrap());
        assert!(machines.of(&alice, &policy).is_empty());
        let index =
            Index { machines: ["alice-box", "alice.try", "bob.try", "old-box"].map(indexed).to_vec() };
        std::fs::write(folder.path().join(INDEX), serde_json::to_vec(&index).unwrap()).unwrap();
        let names = |of: &AccountName| -> Vec<String> {
            machines.of(of, &policy).iter().map(|one| one.machine.to_string()).collect()
        };
        assert_eq!(names(&alice), ["alice-box", "alice.try"]);
        assert_eq!(names(&bob), ["bob.try"]);
        assert!(names(&eve).is_empty());
        let targets = task_targets(&alice, &machines.of(&alice, &policy), &policy);
        assert_eq!(targets, ["alice@alice.try".parse().unwrap()]);
        let new = task_machines(&alice, &policy);
        assert_eq!((new.len(), new[0].before.as_str(), new[0].after.as_str()), (1, "alice.", ""));
        assert!(task_machines(&eve, &policy).is_empty());
    }

    #[test]
    fn a_file_that_is_not_one_of_ours_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let machines = Machines::at(folder.path().to_owned());
        let policy = Config::parse(POLICY, "tere.toml").unwrap();
        std::fs::create_dir(folder.path().join(STOPPED)).unwrap();
        let note = folder.path().join(STOPPED).join("alice-box");
        let machine = "alice-box".parse().unwrap();
        assert_eq!(machines.why_stopped(&machine), None);
        for (content, reason) in [
            ("idle", Some(StopReason::Idle)),
            ("removed", Some(StopReason::Removed)),
            ("Idle", None),
            ("", None),
            (&"idle".repeat(100), None),
        ] {
            std::fs::write(&note, content).unwrap();
            assert_eq!(machines.why_stopped(&machine), reason, "{content:?}");
        }
        for content in [b"".to_vec(), b"{}".to_vec(), vec![b' '; usize::try_from(INDEX_MAX).unwrap() + 1]] {
            std::fs::write(folder.path().join(INDEX), content).unwrap();
            assert!(machines.of(&"alice".parse().unwrap(), &policy).is_empty());
        }
    }
}
