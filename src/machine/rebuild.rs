//! Rebuilds machines: the system of one is kept as a checkpoint, and it is made anew, from the newest
//! version of its template, when it is opened. Its home stays.

use std::path::Path;

use super::checkpoints;
use super::failure::Failure;
use super::folders::{Folders, rename, sync};
use super::making::newest;
use super::record::{MachineRecord, find};
use super::{index, state, units};
use crate::config::{Config, Machine, Update};
use crate::names::MachineName;
use crate::protocol::machine::{CheckpointReason, StopReason};

/// Stops a machine that the policy makes, and keeps its system as a checkpoint. It is made anew, from
/// the newest version of its template, when it is opened again; its home stays.
pub(super) fn rebuild(folders: &Folders, policy: &Path, name: &MachineName) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    policy.machine(name).ok_or(Failure::NotInPolicy)?;
    let _machine = folders.lock_machine(name)?;
    index::stopping(folders, name, StopReason::Rebuild);
    units::stop(name)?;
    state::finish(folders, name)?;
    put_aside(folders, name)?;
    tracing::info!(machine = %name, "the machine's system is put aside; it is made anew when it is opened");
    Ok(())
}

/// Keeps the system of a machine as a checkpoint, if it is there, so that it is made anew. The
/// machine's lock is held, and it does not run.
fn put_aside(folders: &Folders, name: &MachineName) -> Result<(), Failure> {
    if !folders.machine(name).exists() {
        return Ok(());
    }
    let checkpoint = checkpoints::make_empty(folders, name, CheckpointReason::BeforeRebuild)?;
    let checkpoint = checkpoints::path(folders, name, checkpoint);
    // Nobody looks for the users of a template while it moves.
    let lock = folders.lock_to_change()?;
    rename(&folders.machine(name), &checkpoint.join("system"))?;
    sync(&checkpoint)?;
    sync(&folders.machines())?;
    drop(lock);
    checkpoints::remove_older(folders, name, CheckpointReason::BeforeRebuild)
}

/// Rebuilds a machine that is about to boot, if the policy has it follow its template, and the
/// template has another newest version than the one that it was made from. One that has gone back
/// from that version stays as it is. The machine's lock is held.
pub(super) fn follow_template(
    folders: &Folders,
    name: &MachineName,
    machine: &Machine,
) -> Result<(), Failure> {
    let Some(made) = find(folders, name)?.filter(|_| machine.update == Update::AtStart) else {
        return Ok(());
    };
    let newest = match newest(folders, &machine.template) {
        // What it was made from is still there.
        Err(Failure::NoTemplate(..)) => return Ok(()),
        newest => newest?,
    };
    let is_of_it = |made: &MachineRecord| made.template == machine.template && made.version == newest;
    if is_of_it(&made) || checkpoints::systems(folders, name)?.iter().any(is_of_it) {
        return Ok(());
    }
    put_aside(folders, name)?;
    let MachineRecord { template, version, .. } = &made;
    tracing::info!(machine = %name, %template, %version, %newest, "the machine's template has a newer version: it is made anew");
    Ok(())
}
