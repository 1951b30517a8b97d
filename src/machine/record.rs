//! The record of a machine, in its folder, and how records are written.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bases;
use super::failure::Failure;
use super::folders::{Folders, storage};
use crate::atomic_file::{Durability, replace};
use crate::names::{MachineName, TemplateName, TemplateVersion};

/// Largest `machine.json`, bytes. A larger one is not one of ours.
const RECORD_MAX: u64 = 4096;

/// A machine on disk: the contents of its `machine.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MachineRecord {
    /// What it was made from.
    pub(super) template: TemplateName,
    /// The version of the template. It stays until the machine is rebuilt.
    pub(super) version: TemplateVersion,
    /// The first of its uids on the host.
    pub(super) base: u32,
    /// When it is to be removed, seconds since 1970; `None` for never.
    #[serde(default)]
    pub(super) expires: Option<u64>,
}

/// Finds the machine, if it was made.
pub(super) fn find(folders: &Folders, name: &MachineName) -> Result<Option<MachineRecord>, Failure> {
    read_record(&folders.machine(name))
}

/// Reads the record in the folder of a machine, if it is there.
pub(super) fn read_record(folder: &Path) -> Result<Option<MachineRecord>, Failure> {
    let path = folder.join("machine.json");
    let record = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(data) if data.len() > RECORD_MAX => {
            return Err(Failure::Damaged(path, format!("it has more than {RECORD_MAX} bytes")));
        }
        Ok(_) => fs::read(&path),
        Err(error) => Err(error),
    };
    let record = record.map_err(storage("read", &path))?;
    let made: MachineRecord =
        serde_json::from_slice(&record).map_err(|error| Failure::Damaged(path.clone(), error.to_string()))?;
    if !bases::is_base(made.base) {
        return Err(Failure::Damaged(path, format!("the uid {} is not the first of a range", made.base)));
    }
    Ok(Some(made))
}

/// Writes a record of a machine or a checkpoint.
pub(super) fn write_record(path: &Path, record: &impl Serialize) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(record).map_err(|error| storage("write", path)(error.into()))?;
    replace(path, &bytes, Durability::Synced).map_err(|(what, error)| storage(what, path)(error))
}
