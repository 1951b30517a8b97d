//! The templates on disk: adds, lists and removes versions. A version is there as a whole or not at
//! all, and is never changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::folders::{
    Folders, empty_trash, make, move_to_trash, names_in, remove, storage, sync, unfinished,
};
use super::making::find;
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
    match make(&versions, 0o700) {
        Err(Failure::Storage(_, _, error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
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

/// Writes everything in the file system of this folder to disk. For tens of thousands of files this
/// is faster than one by one.
fn sync_filesystem(folder: &Path) -> Result<(), Failure> {
    let file = fs::File::open(folder).map_err(storage("open", folder))?;
    nix::unistd::syncfs(file).map_err(|errno| storage("sync", folder)(errno.into()))
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
    let machines = names_in::<MachineName>(&folders.machines())?;
    let mut listed = Vec::new();
    for name in names_in::<TemplateName>(&folders.templates())? {
        let versions = names_in::<TemplateVersion>(&folders.template(&name))?;
        for (place, version) in versions.iter().rev().enumerate() {
            let used: Vec<_> =
                machines.iter().filter(|machine| uses(folders, machine, &name, version)).collect();
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

/// Whether a machine was made of this version, or may have been: its record cannot be read.
fn uses(folders: &Folders, machine: &MachineName, name: &TemplateName, version: &TemplateVersion) -> bool {
    match find(folders, machine) {
        Ok(made) => made.is_some_and(|made| made.template == *name && made.version == *version),
        Err(_) => true,
    }
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
    let machines = names_in::<MachineName>(&folders.machines())?;
    if let Some(machine) = machines.iter().find(|machine| uses(folders, machine, name, version)) {
        return Err(Failure::TemplateUsed(machine.clone()));
    }
    move_to_trash(&path, &folders.template(name))?;
    drop(no_machine_is_made);
    empty_trash(&folders.template(name))?;
    // The folder of the template goes with its last version.
    drop(fs::remove_dir(folders.template(name)));
    tracing::info!(template = %name, version = %version, "template removed");
    Ok(())
}
