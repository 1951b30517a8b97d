//! Checkpoints: states of a machine to go back to. A person or the operator has them kept; rebuilding
//! a machine and going back keep what they replace.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bases;
use super::clock::now;
use super::failure::Failure;
use super::folders::{
    Folders, empty_trash, make, move_to_trash, remove, rename, storage, sync, sync_filesystem, unfinished,
};
use super::making::{MachineRecord, find, read_record};
use super::state::{self, write_record};
use super::units;
use crate::names::MachineName;

/// Most checkpoints of a machine that somebody asked for. One more is refused.
const CHECKPOINTS_MAX: usize = 8;

/// Why a checkpoint was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    /// Somebody asked for it.
    Asked,
    /// The machine was rebuilt. It has no home: the machine has it still.
    BeforeRebuild,
    /// The machine went back to another checkpoint.
    BeforeRollback,
}

/// A checkpoint: its `checkpoint.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// When it was kept, seconds since 1970.
    kept: u64,
    reason: Reason,
}

/// A checkpoint on disk.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    record: Record,
}

/// The folder of a checkpoint.
pub(super) fn path(folders: &Folders, name: &MachineName, number: u32) -> PathBuf {
    folders.checkpoints_of(name).join(number.to_string())
}

/// The checkpoints of a machine, oldest first.
pub(super) fn of(folders: &Folders, name: &MachineName) -> Result<Vec<Checkpoint>, Failure> {
    let folder = folders.checkpoints_of(name);
    let mut checkpoints = Vec::new();
    if !folder.is_dir() {
        return Ok(checkpoints);
    }
    for entry in fs::read_dir(&folder).map_err(storage("read", &folder))? {
        let path = entry.map_err(storage("read", &folder))?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let record = fs::read(path.join("checkpoint.json")).ok();
        let record = record.and_then(|record| serde_json::from_slice(&record).ok());
        // What replaced nothing, since the process that made it was killed before, is no checkpoint.
        let whole = path.join("system").is_dir() || path.join("home").is_dir();
        if let Some(((number, record), true)) = number.zip(record).zip(Some(whole)) {
            checkpoints.push(Checkpoint { number, path, record });
        }
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.number);
    Ok(checkpoints)
}

/// JSON: an array of objects, oldest first.
pub(super) fn list(folders: &Folders, name: &MachineName) -> Result<serde_json::Value, Failure> {
    let object = |checkpoint: Checkpoint| {
        json!({
            "checkpoint": checkpoint.number,
            "kept": checkpoint.record.kept,
            "reason": checkpoint.record.reason,
            "home": checkpoint.path.join("home").is_dir(),
        })
    };
    Ok(of(folders, name)?.into_iter().map(object).collect())
}

/// Keeps the machine as it is now, its home included.
pub(super) fn keep(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let _machine = folders.lock_machine(name)?;
    let record = find(folders, name)?.ok_or(Failure::NoMachine)?;
    let asked = of(folders, name)?.into_iter().filter(|kept| kept.record.reason == Reason::Asked).count();
    if asked >= CHECKPOINTS_MAX {
        return Err(Failure::TooManyCheckpoints(asked));
    }
    let number = next_number(folders, name)?;
    let path = path(folders, name, number);
    let unfinished = unfinished(&path);
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    if let Err(failure) = state::copy_machine(folders, name, &unfinished) {
        // The disk may be full.
        remove(&unfinished)?;
        return Err(failure);
    }
    write_record(&unfinished.join("system/machine.json"), &record)?;
    write_record(&unfinished.join("checkpoint.json"), &Record { kept: now(), reason: Reason::Asked })?;
    sync_filesystem(&unfinished)?;
    rename(&unfinished, &path)?;
    sync(&folders.checkpoints_of(name))?;
    tracing::info!(machine = %name, checkpoint = number, "checkpoint kept");
    Ok(number)
}

/// Makes a checkpoint into which what is about to be replaced can be moved. It takes the place of an
/// earlier one with the same reason.
pub(super) fn make_empty(folders: &Folders, name: &MachineName, reason: Reason) -> Result<u32, Failure> {
    let number = next_number(folders, name)?;
    let path = path(folders, name, number);
    let unfinished = unfinished(&path);
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    write_record(&unfinished.join("checkpoint.json"), &Record { kept: now(), reason })?;
    rename(&unfinished, &path)?;
    sync(&folders.checkpoints_of(name))?;
    Ok(number)
}

/// Removes all but the newest of the checkpoints that were kept for this reason, and what is left of
/// checkpoints that never were.
pub(super) fn remove_older(folders: &Folders, name: &MachineName, reason: Reason) -> Result<(), Failure> {
    let kept = of(folders, name)?;
    let same: Vec<_> = kept.iter().filter(|kept| kept.record.reason == reason).collect();
    let parent = folders.checkpoints_of(name);
    for older in same.iter().rev().skip(1) {
        move_to_trash(&older.path, &parent)?;
    }
    empty_trash(&parent)
}

/// The first number after that of the newest checkpoint, whole or not.
fn next_number(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let folder = folders.checkpoints_of(name);
    state::ensure_folder(&folder, &folders.checkpoints())?;
    let mut newest: u32 = 0;
    for entry in fs::read_dir(&folder).map_err(storage("read", &folder))? {
        let name = entry.map_err(storage("read", &folder))?.file_name();
        newest = newest.max(name.to_str().and_then(|name| name.parse().ok()).unwrap_or(0));
    }
    Ok(newest.saturating_add(1))
}

/// Goes back to a checkpoint: the newest, or the one with this number. The machine's state of now is
/// kept as another. A checkpoint without a home leaves the machine its home.
pub(super) fn roll_back(folders: &Folders, name: &MachineName, number: Option<u32>) -> Result<u32, Failure> {
    let machine = folders.lock_machine(name)?;
    units::stop(name)?;
    state::finish(folders, name)?;
    let mut kept = of(folders, name)?;
    let found = match number {
        None => kept.pop(),
        Some(number) => kept.into_iter().find(|kept| kept.number == number),
    };
    let found = found.ok_or(Failure::NoCheckpoint(number.unwrap_or(0)))?;
    let then = read_record(&found.path.join("system"))?.ok_or(Failure::NoCheckpoint(found.number))?;
    let now = find(folders, name)?;
    let incoming = state::begin(folders, name)?;
    state::copy_checkpoint(&found.path, &incoming.path)?;
    let base = bases::allocate(folders, name)?;
    let expires = now.map_or(then.expires, |now| now.expires);
    let record = MachineRecord { base, expires, ..then };
    incoming.commit(folders, name, &record, Some(Reason::BeforeRollback))?;
    drop(machine);
    empty_trash(&folders.all_incoming())?;
    remove_older(folders, name, Reason::BeforeRollback)?;
    tracing::info!(machine = %name, checkpoint = found.number, "the machine is as it was at the checkpoint");
    Ok(found.number)
}

/// Removes a checkpoint.
pub(super) fn remove_checkpoint(folders: &Folders, name: &MachineName, number: u32) -> Result<(), Failure> {
    let _machine = folders.lock_machine(name)?;
    let path = path(folders, name, number);
    if !path.is_dir() {
        return Err(Failure::NoCheckpoint(number));
    }
    let parent = folders.checkpoints_of(name);
    move_to_trash(&path, &parent)?;
    empty_trash(&parent)?;
    tracing::info!(machine = %name, checkpoint = number, "checkpoint removed");
    Ok(())
}
