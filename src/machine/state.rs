//! Copies the state of a machine, its system and its home, and replaces the one by the other. A
//! state is replaced as a whole or not at all: what comes is complete in `incoming` before the first
//! folder is moved, and a process that is killed after that is finished by the next one that boots or
//! changes the machine.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::checkpoints;
use super::failure::Failure;
use super::folders::{
    Folders, make, move_to_trash, names_in, remove, rename, storage, sync, sync_filesystem, unfinished,
    unfinished_in,
};
use super::freezing::Frozen;
use super::quota::Project;
use super::record::{MachineRecord, write_record};
use super::tool;
use crate::names::MachineName;
use crate::protocol::machine::CheckpointReason;

/// Copies the system and the home of a machine to `target/system` and `target/home`, which do not
/// exist. The machine's lock is held. If it runs, its processes are stopped meanwhile. The copy counts
/// for `project`, if there is one.
pub(super) fn copy_machine(
    folders: &Folders,
    name: &MachineName,
    target: &Path,
    project: Option<Project>,
) -> Result<(), Failure> {
    let frozen = Frozen::new(name)?;
    let copy = if frozen.is_some() { tool::copy_frozen } else { tool::copy };
    let copied = copy_parts(&folders.machine(name), &folders.home(name), target, project, copy);
    within_limit(folders, project, copied)
}

/// The same from a checkpoint, whose home is copied if it has one.
pub(super) fn copy_checkpoint(
    folders: &Folders,
    checkpoint: &Path,
    target: &Path,
    project: Option<Project>,
) -> Result<(), Failure> {
    let (system, home) = (checkpoint.join("system"), checkpoint.join("home"));
    within_limit(folders, project, copy_parts(&system, &home, target, project, tool::copy))
}

fn within_limit(
    folders: &Folders,
    project: Option<Project>,
    copied: Result<(), Failure>,
) -> Result<(), Failure> {
    match project {
        Some(project) => project.refuse_beyond(folders, copied),
        None => copied,
    }
}

fn copy_parts(
    system: &Path,
    home: &Path,
    target: &Path,
    project: Option<Project>,
    copy: fn(&Path, &Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let copied = target.join("system");
    make(&copied, 0o700)?;
    // Made empty, so that all that is made in them counts.
    let make_counted = |folder: &Path| {
        make(folder, 0o700)?;
        project.map_or(Ok(()), |project| project.count(folder))
    };
    // What overlayfs keeps here is of no use to a copy.
    make_counted(&copied.join("work"))?;
    make_counted(&copied.join("upper"))?;
    copy(&system.join("upper"), &copied.join("upper"))?;
    if home.is_dir() {
        make_counted(&target.join("home"))?;
        copy(home, &target.join("home"))?;
    }
    Ok(())
}

/// Gives a copied system the name of its new machine, and an identity of its own. Nobody but this
/// process has the copy, but its contents are a machine's root's: no symbolic link is followed.
pub(super) fn rename_system(system: &Path, name: &MachineName) -> Result<(), Failure> {
    let path = system.join("upper");
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let open = |parent: &dyn AsFd, name: &Path| openat(parent.as_fd(), name, flags, Mode::empty());
    let failed = |what, errno: Errno| storage(what, &path.join("etc"))(errno.into());
    let upper = fs::File::open(&path).map_err(storage("open", &path))?;
    let etc = match open(&upper, Path::new("etc")) {
        Ok(etc) => etc,
        // The machine's root made something else of it. Then there is nothing to change.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
            return Ok(());
        }
        Err(errno) => return Err(failed("open", errno)),
    };
    // Without it, the machine's systemd makes a new one when it boots.
    for file in ["machine-id", "hostname"] {
        match unlinkat(&etc, file, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT | Errno::EISDIR) => {}
            Err(errno) => return Err(failed("remove a file of", errno)),
        }
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&etc, "hostname", flags, Mode::from_bits_truncate(0o644)) {
        Ok(file) => {
            let text = format!("{name}\n");
            io::Write::write_all(&mut fs::File::from(file), text.as_bytes())
                .map_err(storage("write", &path.join("etc/hostname")))
        }
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(failed("write a file of", errno)),
    }
}

/// What is to be done with the state that is replaced: `incoming.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Replacement {
    /// The checkpoint that it becomes; `None` if there is none to be replaced.
    checkpoint: Option<u32>,
}

/// A state in the making, which is going to replace that of a machine.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Where its `system` and its `home` are to be put.
    pub(super) path: PathBuf,
}

/// Begins a state for this machine, whose lock is held.
pub(super) fn begin(folders: &Folders, name: &MachineName) -> Result<Incoming, Failure> {
    let path = unfinished(&folders.incoming(name));
    // A process that was killed may have left one.
    remove(&path)?;
    make(&path, 0o700)?;
    Ok(Incoming { path })
}

impl Incoming {
    /// Replaces the state of the machine, which does not run. What is replaced is kept as a
    /// checkpoint, for this reason.
    pub(super) fn commit(
        self,
        folders: &Folders,
        name: &MachineName,
        record: &MachineRecord,
        reason: Option<CheckpointReason>,
    ) -> Result<(), Failure> {
        write_record(&self.path.join("system/machine.json"), record)?;
        let checkpoint = reason.map(|reason| checkpoints::make_empty(folders, name, reason)).transpose()?;
        write_record(&self.path.join("incoming.json"), &Replacement { checkpoint })?;
        sync_filesystem(&self.path)?;
        rename(&self.path, &folders.incoming(name))?;
        sync(&folders.all_incoming())?;
        finish(folders, name)
    }
}

/// Finishes the replacement of a machine's state, if one was begun. The machine's lock is held, and
/// the machine does not run.
pub(super) fn finish(folders: &Folders, name: &MachineName) -> Result<(), Failure> {
    let incoming = folders.incoming(name);
    if !incoming.is_dir() {
        return Ok(());
    }
    let path = incoming.join("incoming.json");
    let text = fs::read(&path).map_err(storage("read", &path))?;
    let replacement: Replacement =
        serde_json::from_slice(&text).map_err(|error| Failure::Damaged(path, error.to_string()))?;
    // Nobody looks for the users of a template while they move.
    let _lock = folders.lock_to_change()?;
    let checkpoint = replacement.checkpoint.map(|number| checkpoints::path(folders, name, number));
    let mut moved = vec![folders.machines(), folders.homes()];
    for (part, place) in [("system", folders.machine(name)), ("home", folders.home(name))] {
        let comes = incoming.join(part);
        if !comes.is_dir() {
            continue;
        }
        if place.exists() {
            match &checkpoint {
                Some(checkpoint) if !checkpoint.join(part).exists() => {
                    rename(&place, &checkpoint.join(part))?;
                    moved.push(checkpoint.clone());
                }
                Some(_) | None => {
                    return Err(Failure::Damaged(place, "it is there twice".to_owned()));
                }
            }
        }
        rename(&comes, &place)?;
    }
    for folder in moved {
        sync(&folder)?;
    }
    move_to_trash(&incoming, &folders.all_incoming())
}

/// Deletes what processes that were killed while they copied a machine left. Whoever still copies one
/// holds its lock, and what it makes is left alone until it is done.
pub(super) fn remove_unfinished(folders: &Folders) -> Result<(), Failure> {
    for name in unfinished_in(&folders.all_incoming())? {
        if let Some(_machine) = folders.try_lock_machine(&name)? {
            remove(&unfinished(&folders.incoming(&name)))?;
        }
    }
    for name in names_in::<MachineName>(&folders.checkpoints())? {
        let Some(_machine) = folders.try_lock_machine(&name)? else { continue };
        for number in unfinished_in::<u32>(&folders.checkpoints_of(&name))? {
            remove(&unfinished(&checkpoints::path(folders, &name, number)))?;
        }
        if !folders.incoming(&name).exists() {
            checkpoints::remove_empty(folders, &name)?;
        }
    }
    Ok(())
}
