//! Tells the broker, which may not read `/var/lib/tere`, what machines there are and why one is
//! stopped. It is only displayed: if it cannot be written, people see less, and nothing else
//! changes.

use std::fs;
use std::io;

use super::checkpoints;
use super::failure::Failure;
use super::folders::{Folders, names_in, storage};
use super::making::newest;
use super::record::find;
use crate::atomic_file::replace_for_group;
use crate::names::MachineName;
use crate::protocol::machine::{Index, IndexedMachine, StopReason};

/// Writes the index anew.
pub(super) fn update(folders: &Folders) {
    if let Err(failure) = write(folders) {
        tracing::warn!(error = %failure, "the list of machines cannot be written: {failure}");
    }
}

/// Notes why a machine is about to be stopped.
pub(super) fn stopping(folders: &Folders, name: &MachineName, reason: StopReason) {
    let path = folders.stopped(name);
    let note = || {
        replace_for_group(&path, reason.as_str().as_bytes())
            .map_err(|(what, error)| storage(what, &path)(error))
    };
    if let Err(failure) = note() {
        tracing::warn!(machine = %name, error = %failure, "why it is stopped cannot be noted: {failure}");
    }
}

/// Notes that a machine is started, for whatever reason it was stopped.
pub(super) fn starting(folders: &Folders, name: &MachineName) {
    match fs::remove_file(folders.stopped(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(machine = %name, %error, "why it was stopped cannot be forgotten: {error}");
        }
        Ok(()) | Err(_) => {}
    }
}

fn write(folders: &Folders) -> Result<(), Failure> {
    let path = folders.index();
    // Otherwise a slow process would replace a newer index by an older one.
    let _lock = folders.lock_index()?;
    let mut machines = Vec::new();
    for name in names_in::<MachineName>(&folders.machines())? {
        // A damaged machine is not in the list, and the others are.
        match indexed(folders, &name) {
            Ok(machine) => machines.extend(machine),
            Err(failure) => tracing::debug!(machine = %name, error = %failure, "not listed: {failure}"),
        }
    }
    let bytes =
        serde_json::to_vec(&Index { machines }).map_err(|error| storage("write", &path)(error.into()))?;
    replace_for_group(&path, &bytes).map_err(|(what, error)| storage(what, &path)(error))
}

fn indexed(folders: &Folders, name: &MachineName) -> Result<Option<IndexedMachine>, Failure> {
    let Some(made) = find(folders, name)? else { return Ok(None) };
    let outdated = newest(folders, &made.template).is_ok_and(|newest| newest != made.version);
    let checkpoints = checkpoints::of(folders, name)?.iter().map(checkpoints::Checkpoint::summary).collect();
    Ok(Some(IndexedMachine { machine: name.clone(), expires: made.expires, outdated, checkpoints }))
}
