//! Keeps a machine as it is now, and goes back to what was kept.

use super::bases;
use super::checkpoints;
use super::failure::Failure;
use super::folders::{Folders, empty_trash, make, remove, rename, sync, sync_filesystem, unfinished};
use super::quota::Project;
use super::record::{MachineRecord, find, read_record, write_record};
use super::{index, state, units};
use crate::names::MachineName;
use crate::protocol::machine::{CheckpointReason, StopReason};

/// Most checkpoints of a machine that somebody asked for. One more is refused.
const CHECKPOINTS_MAX: usize = 8;

/// Keeps the machine as it is now, its home included.
pub(super) fn keep(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let _machine = folders.lock_machine(name)?;
    let record = find(folders, name)?.ok_or(Failure::NoMachine)?;
    let asked = checkpoints::of(folders, name)?
        .into_iter()
        .filter(|kept| kept.reason() == CheckpointReason::Asked)
        .count();
    if asked >= CHECKPOINTS_MAX {
        return Err(Failure::TooManyCheckpoints(asked));
    }
    let number = checkpoints::next_number(folders, name)?;
    let path = checkpoints::path(folders, name, number);
    let unfinished = unfinished(&path);
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    let project = Project::of(folders, name);
    if let Err(failure) = state::copy_machine(folders, name, &unfinished, project) {
        // The disk, or what the machine may take of it, may be full.
        remove(&unfinished)?;
        return Err(failure);
    }
    write_record(&unfinished.join("system/machine.json"), &record)?;
    checkpoints::write(&unfinished, CheckpointReason::Asked)?;
    sync_filesystem(&unfinished)?;
    rename(&unfinished, &path)?;
    sync(&folders.checkpoints_of(name))?;
    tracing::info!(machine = %name, checkpoint = number, "checkpoint kept");
    Ok(number)
}

/// Goes back to a checkpoint: the newest, or the one with this number. The machine's state of now is
/// kept as another. A checkpoint without a home leaves the machine its home.
pub(super) fn roll_back(folders: &Folders, name: &MachineName, number: Option<u32>) -> Result<u32, Failure> {
    let machine = folders.lock_machine(name)?;
    // A machine that runs has nothing to finish: its boot did.
    state::finish(folders, name)?;
    let mut kept = checkpoints::of(folders, name)?;
    let found = match number {
        None => kept.pop(),
        Some(number) => kept.into_iter().find(|kept| kept.number == number),
    };
    let found = found.ok_or(Failure::NoCheckpoint(number.unwrap_or(0)))?;
    let then = read_record(&found.path.join("system"))?.ok_or(Failure::NoCheckpoint(found.number))?;
    let now = find(folders, name)?;
    index::stopping(folders, name, StopReason::Rollback);
    units::stop(name)?;
    let incoming = state::begin(folders, name)?;
    let project = Project::of(folders, name);
    if let Err(failure) = state::copy_checkpoint(folders, &found.path, &incoming.path, project) {
        remove(&incoming.path)?;
        return Err(failure);
    }
    let base = bases::allocate(folders, name)?;
    let expires = now.map_or(then.expires, |now| now.expires);
    let record = MachineRecord { base, expires, ..then };
    incoming.commit(folders, name, &record, Some(CheckpointReason::BeforeRollback))?;
    drop(machine);
    empty_trash(&folders.all_incoming())?;
    checkpoints::remove_older(folders, name, CheckpointReason::BeforeRollback)?;
    tracing::info!(machine = %name, checkpoint = found.number, "the machine is as it was at the checkpoint");
    Ok(found.number)
}
