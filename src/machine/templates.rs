//! The templates on disk: adds, lists and removes versions. A version is there as a whole or not at
//! all, and is never changed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;

use super::checkpoints;
use super::failure::Failure;
use super::folders::{
    Folders, empty_trash, ensure, move_to_trash, names_in, remove, storage, sync, sync_filesystem, unfinished,
};
use super::record::{MachineRecord, read_record};
use super::tool::copy;
use crate::names::{MachineName, TemplateName, TemplateVersion};

/// Whether [`add`] takes a tree away from where it is, or copies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Move,
    Copy,
}

/// Adds a version of a template, if the tree is one of which machines can be made.
pub(super) fn add(
    folders: &Folders,
    name: &TemplateName,
    version: &TemplateVersion,
    tree: &Path,
    source: Source,
) -> Result<(), Failure> {
    let faults = faults(tree);
    if !faults.is_empty() {
        return Err(Failure::Damaged(tree.to_owned(), faults.join("; ")));
    }
    let _lock = folders.lock_templates()?;
    let path = folders.version(name, version);
    if path.exists() {
        return Err(Failure::TemplateExists(name.clone(), version.clone()));
    }
    let versions = folders.template(name);
    ensure(&versions, 0o700)?;
    let unfinished = unfinished(&path);
    // A process that was killed may have left one.
    remove(&unfinished)?;
    match source {
        Source::Move => fs::rename(tree, &unfinished).map_err(storage("rename", tree))?,
        Source::Copy => copy(tree, &unfinished)?,
    }
    sync_filesystem(&unfinished)?;
    fs::rename(&unfinished, &path).map_err(storage("rename", &unfinished))?;
    sync(&versions)?;
    tracing::info!(template = %name, version = %version, "template added");
    Ok(())
}

/// Why no machine can be made of this tree; empty if one can.
pub(super) fn faults(tree: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    // Symbolic links in a tree lead to files of the tree, not of the host, so none is followed.
    let there = |path: &str| fs::symlink_metadata(tree.join(path)).ok();
    match fs::symlink_metadata(tree) {
        Ok(data) if !data.is_dir() => return vec!["it is not a folder".to_owned()],
        Err(error) => return vec![error.to_string()],
        Ok(data) if data.uid() != 0 => {
            faults.push(format!("it belongs to the uid {}: make it as root", data.uid()));
        }
        Ok(_) => {}
    }
    for (path, what) in [
        ("usr/lib/os-release", "it is no system: it has no /usr/lib/os-release"),
        ("usr/lib/systemd/systemd", "it has no systemd"),
        ("usr/lib/systemd/system/dbus.socket", "it has no D-Bus, without which no shell can be opened"),
    ] {
        if there(path).is_none() {
            faults.push(what.to_owned());
        }
    }
    if !there("home").is_some_and(|data| data.is_dir()) {
        faults.push("it has no folder /home".to_owned());
    }
    if there("etc/machine-id").is_some_and(|data| data.len() > 0) {
        faults.push(
            "its /etc/machine-id is not empty, so all machines of it would have the same id".to_owned(),
        );
    }
    faults
}

/// Prints JSON: an array of objects, one for each version, the newest version of a template first.
pub(super) fn list(folders: &Folders) -> Result<serde_json::Value, Failure> {
    let users = users(folders)?;
    let mut listed = Vec::new();
    for name in names_in::<TemplateName>(&folders.templates())? {
        let versions = names_in::<TemplateVersion>(&folders.template(&name))?;
        for (place, version) in versions.iter().rev().enumerate() {
            let used: BTreeSet<_> = users
                .iter()
                .filter(|(_, record)| uses(record.as_ref(), &name, version))
                .map(|(machine, _)| machine)
                .collect();
            listed.push(json!({
                "template": name,
                "version": version,
                "newest": place == 0,
                "machines": used,
                "faults": faults(&folders.version(&name, version)),
            }));
        }
    }
    Ok(listed.into())
}

/// The machines, and what they and each of their checkpoints were made of; `None` if the record cannot
/// be read.
fn users(folders: &Folders) -> Result<Vec<(MachineName, Option<MachineRecord>)>, Failure> {
    let mut users = Vec::new();
    for machine in names_in::<MachineName>(&folders.checkpoints())? {
        for checkpoint in checkpoints::of(folders, &machine)? {
            let record = read_record(&checkpoint.path.join("system")).ok().flatten();
            users.push((machine.clone(), record));
        }
    }
    for machine in names_in::<MachineName>(&folders.all_incoming())? {
        let record = read_record(&folders.incoming(&machine).join("system")).ok().flatten();
        users.push((machine, record));
    }
    for machine in names_in::<MachineName>(&folders.machines())? {
        let record = read_record(&folders.machine(&machine)).ok().flatten();
        users.push((machine, record));
    }
    Ok(users)
}

/// Whether a machine was made of this version, or may have been: its record cannot be read.
fn uses(record: Option<&MachineRecord>, name: &TemplateName, version: &TemplateVersion) -> bool {
    record.is_none_or(|made| made.template == *name && made.version == *version)
}

/// Removes a version of which no machine was made.
pub(super) fn remove_version(
    folders: &Folders,
    name: &TemplateName,
    version: &TemplateVersion,
) -> Result<(), Failure> {
    let _lock = folders.lock_templates()?;
    let path = folders.version(name, version);
    if !path.exists() {
        return Err(Failure::NoTemplate(name.clone(), folders.template(name)));
    }
    // No machine is made of it between this look and the rename.
    let no_machine_is_made = folders.lock_to_change()?;
    let user = users(folders)?.into_iter().find(|(_, record)| uses(record.as_ref(), name, version));
    if let Some((machine, _)) = user {
        return Err(Failure::TemplateUsed(machine));
    }
    move_to_trash(&path, &folders.template(name))?;
    drop(no_machine_is_made);
    empty_trash(&folders.template(name))?;
    // The folder of the template goes with its last version.
    drop(fs::remove_dir(folders.template(name)));
    tracing::info!(template = %name, version = %version, "template removed");
    Ok(())
}
