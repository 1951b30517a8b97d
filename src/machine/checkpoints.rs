//! Checkpoints: states of a machine to go back to. A person or the operator has them kept; rebuilding
//! a machine and going back keep what they replace.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::clock::now;
use super::failure::Failure;
use super::folders::{
    Folders, empty_trash, ensure, make, move_to_trash, remove, rename, storage, sync, unfinished,
};
use super::record::write_record;
use crate::names::MachineName;

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

impl Checkpoint {
    pub(super) fn reason(&self) -> Reason {
        self.record.reason
    }
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

/// Makes a checkpoint into which what is about to be replaced can be moved. It takes the place of an
/// earlier one with the same reason.
pub(super) fn make_empty(folders: &Folders, name: &MachineName, reason: Reason) -> Result<u32, Failure> {
    let number = next_number(folders, name)?;
    let path = path(folders, name, number);
    let unfinished = unfinished(&path);
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    write(&unfinished, reason)?;
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

/// Writes down that the checkpoint in this folder is kept now, and why.
pub(super) fn write(checkpoint: &Path, reason: Reason) -> Result<(), Failure> {
    write_record(&checkpoint.join("checkpoint.json"), &Record { kept: now(), reason })
}

/// The first number after that of the newest checkpoint, whole or not.
pub(super) fn next_number(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let folder = folders.checkpoints_of(name);
    ensure(&folder, 0o700)?;
    sync(&folders.checkpoints())?;
    let mut newest: u32 = 0;
    for entry in fs::read_dir(&folder).map_err(storage("read", &folder))? {
        let name = entry.map_err(storage("read", &folder))?.file_name();
        newest = newest.max(name.to_str().and_then(|name| name.parse().ok()).unwrap_or(0));
    }
    Ok(newest.saturating_add(1))
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
