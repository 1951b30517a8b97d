//! Checkpoints: states of a machine to go back to. A person or the operator has them kept; rebuilding
//! a machine and going back keep what they replace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::failure::Failure;
use super::folders::{
    Folders, empty_trash, ensure, make, move_to_trash, names_in, remove, rename, storage, sync, unfinished,
};
use super::record::{MachineRecord, read_record, write_record};
use crate::clock::now;
use crate::names::MachineName;
use crate::protocol::machine::{CheckpointReason, CheckpointSummary};

/// A checkpoint: its `checkpoint.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// When it was kept, seconds since 1970.
    kept: u64,
    reason: CheckpointReason,
}

/// A checkpoint on disk.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    record: Record,
}

impl Checkpoint {
    pub(super) fn reason(&self) -> CheckpointReason {
        self.record.reason
    }

    pub(super) fn summary(&self) -> CheckpointSummary {
        let Record { kept, reason } = self.record;
        CheckpointSummary { checkpoint: self.number, kept, reason, home: self.path.join("home").is_dir() }
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
    for number in names_in::<u32>(&folder)? {
        let path = path(folders, name, number);
        // What replaced nothing, since the process that made it was killed before, is no checkpoint.
        if !path.join("system").is_dir() && !path.join("home").is_dir() {
            continue;
        }
        let file = path.join("checkpoint.json");
        let record = fs::read(&file).map_err(storage("read", &file))?;
        let record =
            serde_json::from_slice(&record).map_err(|error| Failure::Damaged(file, error.to_string()))?;
        checkpoints.push(Checkpoint { number, path, record });
    }
    Ok(checkpoints)
}

/// What the systems that checkpoints keep were made from.
pub(super) fn systems(folders: &Folders, name: &MachineName) -> Result<Vec<MachineRecord>, Failure> {
    let kept = of(folders, name)?;
    let records = kept.iter().map(|checkpoint| read_record(&checkpoint.path.join("system")));
    records.filter_map(Result::transpose).collect()
}

/// JSON: an array of objects, oldest first.
pub(super) fn list(folders: &Folders, name: &MachineName) -> Result<serde_json::Value, Failure> {
    let kept = of(folders, name)?;
    Ok(kept.iter().map(|checkpoint| json!(checkpoint.summary())).collect())
}

/// Makes a checkpoint into which what is about to be replaced can be moved. It takes the place of an
/// earlier one with the same reason.
pub(super) fn make_empty(
    folders: &Folders,
    name: &MachineName,
    reason: CheckpointReason,
) -> Result<u32, Failure> {
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

/// Removes all but the newest of the checkpoints that were kept for this reason.
pub(super) fn remove_older(
    folders: &Folders,
    name: &MachineName,
    reason: CheckpointReason,
) -> Result<(), Failure> {
    let kept = of(folders, name)?;
    let same: Vec<_> = kept.iter().filter(|kept| kept.record.reason == reason).collect();
    let parent = folders.checkpoints_of(name);
    for older in same.iter().rev().skip(1) {
        move_to_trash(&older.path, &parent)?;
    }
    empty_trash(&parent)
}

/// Removes what a killed process left of checkpoints into which nothing was moved. No replacement of
/// the machine's state has begun.
pub(super) fn remove_empty(folders: &Folders, name: &MachineName) -> Result<(), Failure> {
    let whole: BTreeSet<u32> = of(folders, name)?.into_iter().map(|kept| kept.number).collect();
    for number in names_in::<u32>(&folders.checkpoints_of(name))?.difference(&whole) {
        remove(&path(folders, name, *number))?;
    }
    Ok(())
}

/// Writes down that the checkpoint in this folder is kept now, and why.
pub(super) fn write(checkpoint: &Path, reason: CheckpointReason) -> Result<(), Failure> {
    write_record(&checkpoint.join("checkpoint.json"), &Record { kept: now(), reason })
}

/// The first number after that of the newest checkpoint, whole or not.
pub(super) fn next_number(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let folder = folders.checkpoints_of(name);
    ensure(&folder, 0o700)?;
    sync(&folders.checkpoints())?;
    let newest = names_in::<u32>(&folder)?.pop_last().unwrap_or(0);
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
