//! Lists the machines on disk, for the operator.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;

use super::checkpoints;
use super::failure::Failure;
use super::folders::{Folders, names_in};
use super::making::newest;
use super::quota::Project;
use super::record::find;
use crate::config::Config;
use crate::names::MachineName;

/// Prints JSON: an array of objects, one for each machine or home, sorted by name.
pub(super) fn list(folders: &Folders, policy: &Path) -> Result<serde_json::Value, Failure> {
    let policy = Config::load(policy)?;
    let mut names = names_in::<MachineName>(&folders.machines())?;
    names.append(&mut names_in(&folders.homes())?);
    let machine = |name: &MachineName| {
        // A damaged record is reported, and the other machines are listed.
        let (made, damage) = match find(folders, name) {
            Ok(made) => (made, None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        let newest = made.as_ref().and_then(|made| newest(folders, &made.template).ok());
        // A machine without a limit may not be counted as a whole.
        let disk = Project::of(folders, name).and_then(|project| project.usage(folders).ok());
        let disk = disk.filter(|disk| disk.bytes_max > 0);
        json!({
            "machine": name,
            "template": made.as_ref().map(|made| &made.template),
            "version": made.as_ref().map(|made| &made.version),
            "newest": newest,
            "base": made.as_ref().map(|made| made.base),
            "in_policy": policy.machine(name).is_some(),
            "system_bytes": size(&folders.machine(name).join("upper")),
            "home_bytes": size(&folders.home(name)),
            "checkpoint_bytes": size(&folders.checkpoints_of(name)),
            "disk_used_bytes": disk.map(|disk| disk.bytes),
            "disk_limit_bytes": disk.map(|disk| disk.bytes_max),
            "checkpoints": checkpoints::list(folders, name).unwrap_or_else(|_| json!([])),
            "expires": made.as_ref().and_then(|made| made.expires),
            "damage": damage,
        })
    };
    Ok(names.iter().map(machine).collect())
}

/// The disk space of a tree, bytes; `None` if it is not there. What cannot be read, or disappears
/// meanwhile, does not count.
fn size(tree: &Path) -> Option<u64> {
    let data = fs::symlink_metadata(tree).ok()?;
    let mut bytes = data.blocks() * 512;
    // A stack, not a recursion: somebody in the machine decides how deep the tree is.
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            // Of the entry itself: symbolic links are not followed.
            let Ok(data) = entry.metadata() else { continue };
            bytes += data.blocks() * 512;
            if data.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Some(bytes)
}
