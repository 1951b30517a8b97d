//! Removes machines. A machine is moved in one step before its files are deleted: if this process is
//! killed, the machine exists as a whole or not at all. What remains in the trash is deleted when a
//! machine is removed, or a checkpoint of it, the next time.

use super::bases;
use super::failure::Failure;
use super::folders::{Folders, empty_trash, move_to_trash};
use super::quota::{self, Project};
use super::{index, state, units};
use crate::names::MachineName;
use crate::protocol::machine::StopReason;

/// Stops and removes a machine with its checkpoints and, if `with_home`, its home. It need not be in
/// the policy any more.
pub(super) fn remove_machine(folders: &Folders, name: &MachineName, with_home: bool) -> Result<(), Failure> {
    let machine = folders.lock_machine(name)?;
    index::stopping(folders, name, StopReason::Removed);
    units::stop(name)?;
    state::finish(folders, name)?;
    let there = folders.machine(name).exists() || with_home && folders.home(name).exists();
    if !there {
        // The lock's file was made for it.
        machine.remove()?;
        return Err(Failure::NoMachine);
    }
    let project = Project::of(folders, name);
    let lock = folders.lock_to_change()?;
    move_to_trash(&folders.machine(name), &folders.machines())?;
    move_to_trash(&folders.checkpoints_of(name), &folders.checkpoints())?;
    if with_home {
        move_to_trash(&folders.home(name), &folders.homes())?;
    }
    // A home that is kept is mapped to the range that the next machine gets. If its files are counted,
    // they must not count for the machine of somebody else, who could get the range.
    if with_home || project.is_none() {
        bases::release(folders, name)?;
    }
    machine.remove()?;
    drop(lock);
    empty_trash(&folders.machines())?;
    empty_trash(&folders.checkpoints())?;
    empty_trash(&folders.homes())?;
    quota::lift(folders, project)?;
    tracing::info!(machine = %name, with_home, "machine removed");
    Ok(())
}
