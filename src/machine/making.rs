//! Finds a machine on disk, or makes it. A machine is there as a whole or not at all: it is made
//! under another name, written to disk, and renamed.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::folders::{Folders, Lock, make, names_in, remove, storage, sync, sync_tree, unfinished};
use crate::atomic_file::{Durability, replace};
use crate::config::Machine;
use crate::names::{MachineName, TemplateName, TemplateVersion};

/// How many uids a machine has, as systemd-nspawn gives them.
pub(super) const RANGE: u32 = 65536;

/// The first uid of the first range, and the number of ranges: uids that systemd leaves unused, see
/// "Users, Groups, UIDs and GIDs on systemd Systems". systemd-nspawn takes the ranges that it picks
/// for machines of others from below.
const FIRST_BASE: u32 = 0x7000_0000;
const RANGES: u32 = (0x7ffe_0000 - FIRST_BASE) / RANGE;

/// Largest `machine.json`, bytes. A larger one is not one of ours.
const RECORD_MAX: u64 = 4096;

/// A machine on disk: the contents of its `machine.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// What it was made from.
    pub(super) template: TemplateName,
    /// The version of the template. It stays until the machine is rebuilt.
    pub(super) version: TemplateVersion,
    /// The first of its uids on the host.
    pub(super) base: u32,
}

/// Finds the machine, or makes it from the newest version of its template. While the lock is held, it
/// is not removed.
pub(super) fn find_or_make(
    folders: &Folders,
    name: &MachineName,
    machine: &Machine,
) -> Result<(Made, Lock), Failure> {
    let lock = folders.lock_to_boot()?;
    if let Some(made) = find(folders, name)?.filter(|_| folders.home(name).is_dir()) {
        return Ok((made, lock));
    }
    // Two processes that wait for each other's shared lock would wait forever.
    drop(lock);
    let lock = folders.lock_to_change()?;
    let made = match find(folders, name)? {
        Some(made) => made,
        None => make_machine(folders, name, &machine.template)?,
    };
    make_home(folders, name, &made)?;
    Ok((made, lock))
}

/// Finds the machine, if it was made.
pub(super) fn find(folders: &Folders, name: &MachineName) -> Result<Option<Made>, Failure> {
    let path = folders.machine(name).join("machine.json");
    let record = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(data) if data.len() > RECORD_MAX => {
            return Err(Failure::Damaged(path, format!("it has more than {RECORD_MAX} bytes")));
        }
        Ok(_) => fs::read(&path),
        Err(error) => Err(error),
    };
    let record = record.map_err(storage("read", &path))?;
    let made: Made =
        serde_json::from_slice(&record).map_err(|error| Failure::Damaged(path.clone(), error.to_string()))?;
    let ours = made.base >= FIRST_BASE && (made.base - FIRST_BASE) / RANGE < RANGES;
    if !ours || !made.base.is_multiple_of(RANGE) {
        return Err(Failure::Damaged(path, format!("the uid {} is not the first of a range", made.base)));
    }
    Ok(Some(made))
}

fn make_machine(folders: &Folders, name: &MachineName, template: &TemplateName) -> Result<Made, Failure> {
    status("making");
    let version = newest(folders, template)?;
    let base = base(folders, name)?;
    let made = Made { template: template.clone(), version, base };
    let path = folders.machine(name);
    let unfinished = unfinished(&path);
    // Of a process that was killed.
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    make(&unfinished.join("work"), 0o700)?;
    let upper = unfinished.join("upper");
    make(&upper, 0o755)?;
    make(&upper.join("etc"), 0o755)?;
    let hostname = upper.join("etc/hostname");
    fs::write(&hostname, format!("{name}\n")).map_err(storage("write", &hostname))?;
    let record = unfinished.join("machine.json");
    let bytes = serde_json::to_vec_pretty(&made).map_err(|error| storage("write", &record)(error.into()))?;
    replace(&record, &bytes, Durability::Synced).map_err(|(what, error)| storage(what, &record)(error))?;
    sync(&unfinished)?;
    fs::rename(&unfinished, &path).map_err(storage("rename", &unfinished))?;
    sync(&folders.machines())?;
    tracing::info!(machine = %name, template = %made.template, version = %made.version, base, "machine made");
    Ok(made)
}

/// Tells systemd, and through it the broker, which step has begun.
pub(super) fn status(step: &str) {
    // Somebody who waits is told less.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Status(step)]));
}

/// The newest version of a template.
pub(super) fn newest(folders: &Folders, template: &TemplateName) -> Result<TemplateVersion, Failure> {
    let folder = folders.template(template);
    let none = || Failure::NoTemplate(template.clone(), folder.clone());
    match names_in(&folder) {
        Err(Failure::Storage(_, _, error)) if error.kind() == io::ErrorKind::NotFound => Err(none()),
        versions => versions?.pop_last().ok_or_else(none),
    }
}

/// The range of uids of a new machine. It is taken by a link with the range's number, which cannot
/// be made twice. The search begins at a number that follows from the name, so the range that was
/// taken for a machine whose making was interrupted is found again.
fn base(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
    let hash = blake3::hash(name.as_str().as_bytes());
    let start = hash.as_bytes().iter().fold(0, |sum, byte| (sum * 256 + u32::from(*byte)) % RANGES);
    for step in 0..RANGES {
        let number = (start + step) % RANGES;
        let link = folders.bases().join(number.to_string());
        match symlink(name.as_str(), &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let holder = fs::read_link(&link).map_err(storage("read", &link))?;
                if holder != Path::new(name.as_str()) {
                    continue;
                }
            }
            made => made.map_err(storage("make", &link))?,
        }
        let base = FIRST_BASE + number * RANGE;
        if is_free(base) {
            sync(&folders.bases())?;
            return Ok(base);
        }
        // The range stays marked as taken: somebody else has users in it.
        tracing::warn!(machine = %name, base, "another user or group has uids of this range; taking the next one");
    }
    Err(Failure::NoRange)
}

/// Whether the host knows no user or group with the first id of this range.
fn is_free(base: u32) -> bool {
    use nix::unistd::{Gid, Group, Uid, User};
    let user = User::from_uid(Uid::from_raw(base));
    let group = Group::from_gid(Gid::from_raw(base));
    !matches!(user, Ok(Some(_))) && !matches!(group, Ok(Some(_)))
}

/// Makes the machine's `/home` with the contents of the template's, if it is not there.
fn make_home(folders: &Folders, name: &MachineName, made: &Made) -> Result<(), Failure> {
    let home = folders.home(name);
    if home.is_dir() {
        return Ok(());
    }
    let unfinished = unfinished(&home);
    remove(&unfinished)?;
    let source = folders.version(&made.template, &made.version).join("home");
    if !source.is_dir() {
        return Err(Failure::Damaged(source, "the template has no such folder".to_owned()));
    }
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto", "--no-target-directory", "--"]).arg(&source).arg(&unfinished);
    run("cp", &mut copy)?;
    sync_tree(&unfinished)?;
    fs::rename(&unfinished, &home).map_err(storage("rename", &unfinished))?;
    sync(&folders.homes())
}

/// Runs one of the system's programs, which must succeed.
pub(super) fn run(name: &'static str, command: &mut Command) -> Result<(), Failure> {
    let failed = |said: String| Failure::Tool(name, said);
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim().replace('\n', "; "))))
}

/// The first uid of the files in a tree: the owner of its top folder. A tree can belong to root, or
/// to any range of uids.
pub(super) fn owner(tree: &Path) -> Result<u32, Failure> {
    let owner = fs::metadata(tree).map_err(storage("read", tree))?.uid();
    if owner.is_multiple_of(RANGE) {
        Ok(owner)
    } else {
        let why = format!("it belongs to the uid {owner}, which is neither root nor the first of a range");
        Err(Failure::Damaged(tree.to_owned(), why))
    }
}
