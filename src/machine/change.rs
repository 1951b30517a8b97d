//! Makes a change that an account asked for. The broker has it made, by starting a unit of which
//! the instance is the change. Root trusts it with nothing but that: whether an account may have
//! this change made is looked up here in the policy again.

use std::path::Path;

use super::failure::Failure;
use super::folders::Folders;
use super::{checkpoints, fork, rebuild, removal, rollback};
use crate::config::Config;
use crate::names::MachineChange;

/// Makes the change, if the policy lets the account make it that has the machine.
pub(super) fn change(folders: &Folders, policy: &Path, change: &MachineChange) -> Result<(), Failure> {
    let config = Config::load(policy)?;
    let owner = config.owner_of(change.machine()).ok_or(Failure::NotInPolicy)?;
    if !config.lets_change(owner, change) {
        return Err(Failure::NotAllowed);
    }
    match change {
        MachineChange::Checkpoint { machine } => rollback::keep(folders, machine).map(drop),
        MachineChange::Rollback { machine, checkpoint } => {
            rollback::roll_back(folders, machine, Some(*checkpoint)).map(drop)
        }
        MachineChange::RemoveCheckpoint { machine, checkpoint } => {
            checkpoints::remove_checkpoint(folders, machine, *checkpoint)
        }
        MachineChange::Rebuild { machine } => rebuild::rebuild(folders, policy, machine),
        MachineChange::Fork { machine, copy } => fork::fork(folders, policy, machine, copy),
        // The home of a machine for a task has no other use.
        MachineChange::Remove { machine } => {
            let for_task = config.machine(machine).is_some_and(|made| made.name.is_for_tasks());
            removal::remove_machine(folders, machine, for_task)
        }
    }
}
