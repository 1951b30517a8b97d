//! Rebuilds and removes machines. A machine is moved in one step before its files are deleted: if this
//! process is killed, the machine exists as a whole or not at all. What remains in the trash is deleted
//! when a machine is rebuilt or removed the next time.

use std::path::Path;

use super::bases;
use super::checkpoints::{self, Reason};
use super::failure::Failure;
use super::folders::{Folders, empty_trash, move_to_trash, rename, sync};
use super::{state, units};
use crate::config::Config;
use crate::names::MachineName;

/// Stops a machine that the policy makes, and keeps its system as a checkpoint. It is made anew, from
/// the newest version of its template, when it is opened again; its home stays.
pub(super) fn rebuild(folders: &Folders, policy: &Path, name: &MachineName) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    policy.machine(name).ok_or(Failure::NotInPolicy)?;
    let _machine = folders.lock_machine(name)?;
    units::stop(name)?;
    state::finish(folders, name)?;
    if folders.machine(name).exists() {
        let checkpoint = checkpoints::make_empty(folders, name, Reason::BeforeRebuild)?;
        let checkpoint = checkpoints::path(folders, name, checkpoint);
        // Nobody looks for the users of a template while it moves.
        let lock = folders.lock_to_change()?;
        rename(&folders.machine(name), &checkpoint.join("system"))?;
        sync(&checkpoint)?;
        sync(&folders.machines())?;
        drop(lock);
        checkpoints::remove_older(folders, name, Reason::BeforeRebuild)?;
    }
    tracing::info!(machine = %name, "the machine's system is put aside; it is made anew when it is opened");
    Ok(())
}

/// Stops and removes a machine with its checkpoints and, if `with_home`, its home. It need not be in
/// the policy any more.
pub(super) fn remove_machine(folders: &Folders, name: &MachineName, with_home: bool) -> Result<(), Failure> {
    let machine = folders.lock_machine(name)?;
    units::stop(name)?;
    state::finish(folders, name)?;
    let there = folders.machine(name).exists() || with_home && folders.home(name).exists();
    if !there {
        // The lock's file was made for it.
        machine.remove()?;
        return Err(Failure::NoMachine);
    }
    let lock = folders.lock_to_change()?;
    move_to_trash(&folders.machine(name), &folders.machines())?;
    move_to_trash(&folders.checkpoints_of(name), &folders.checkpoints())?;
    if with_home {
        move_to_trash(&folders.home(name), &folders.homes())?;
    }
    // A home that is kept needs no range: it is mapped to the one that the next machine gets.
    bases::release(folders, name)?;
    machine.remove()?;
    drop(lock);
    empty_trash(&folders.machines())?;
    empty_trash(&folders.checkpoints())?;
    empty_trash(&folders.homes())?;
    tracing::info!(machine = %name, with_home, "machine removed");
    Ok(())
}
