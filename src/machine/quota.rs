//! Limits the disk space of machines, by project quotas of the file system. Everything that a
//! machine has on disk belongs to its project: its system, its home, its checkpoints, and what is
//! going to be one of them.
//!
//! The number of the project is the first uid of the machine's range, so it is the machine's alone
//! for as long as it has the range. A file belongs to the project of the folder that it is made in.
//! Only a process of the host's own user namespace may change that, so nobody in a machine can, but
//! for one way: if somebody sets the attributes of a file of the template, overlayfs copies it to the
//! machine, and then sets them with the rights of the host's root as the template's file had them,
//! project included. So the files of templates belong to a project in which nobody may make one.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::bases;
use super::checkpoints;
use super::failure::Failure;
use super::folders::{Folders, ensure, remove, storage};
use super::labels::{label_empty, label_tree, project_of};
use super::record::{MachineRecord, find};
use crate::config::{DiskSpace, Machine};
use crate::names::MachineName;
use crate::sys::quota::{self, Usage};

/// The project of the files of all templates, whose limit is the least that there is.
const TEMPLATES: u32 = bases::END;
const TEMPLATES_MAX: Limit = Limit { bytes: 1, files: 1 };

/// How many files a machine may have: one for each so many bytes of its limit, as many as mkfs.ext4
/// makes. So machines whose limits fit into a file system do not take all its inodes either.
const BYTES_PER_FILE: u64 = 16 << 10;

/// A limit of a project; 0 is none.
#[derive(Debug, Clone, Copy)]
struct Limit {
    bytes: u64,
    files: u64,
}

impl Limit {
    const NONE: Self = Self { bytes: 0, files: 0 };

    fn of(disk: DiskSpace) -> Self {
        Self { bytes: disk.bytes(), files: disk.bytes() / BYTES_PER_FILE }
    }
}

/// The project of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Project(u32);

impl Project {
    /// The project of a machine whose files are counted. The label of its home says so, which is
    /// there as long as anything is.
    pub(super) fn of(folders: &Folders, name: &MachineName) -> Option<Self> {
        project_of(&folders.home(name)).filter(|project| bases::is_base(*project)).map(Self)
    }

    /// Has everything counted that is going to be in an empty folder.
    pub(super) fn count(self, folder: &Path) -> Result<(), Failure> {
        label_empty(folder, self.0)
    }

    /// What it takes and may take.
    pub(super) fn usage(self, folders: &Folders) -> Result<Usage, Failure> {
        let (state, path) = open(folders)?;
        quota::usage(state.as_fd(), self.0).map_err(storage("read the quota of", &path))
    }

    /// Refuses what was copied beyond the limit. The kernel does not hold the host's root to it on
    /// ext4. `copied` is how the copy ended: if it ran out of space, the limit may be why.
    pub(super) fn refuse_beyond(self, folders: &Folders, copied: Result<(), Failure>) -> Result<(), Failure> {
        // Where none is enforced any more, there is no limit.
        let Ok(Usage { bytes, bytes_max, .. }) = self.usage(folders) else { return copied };
        let is_beyond = match &copied {
            Ok(()) => bytes > bytes_max,
            Err(failure) => {
                failure.is_out_of_space() && bytes_max.saturating_sub(bytes) < free(&folders.machines())
            }
        };
        if bytes_max > 0 && is_beyond { Err(Failure::DiskLimit(bytes_max)) } else { copied }
    }

    fn limit(self, folders: &Folders, limit: Limit) -> Result<(), Failure> {
        let (state, path) = open(folders)?;
        quota::set_limits(state.as_fd(), self.0, limit.bytes, limit.files)
            .map_err(storage("set a quota of", &path))
    }
}

/// Refuses a limit that nobody would enforce.
pub(super) fn refuse_unenforced(folders: &Folders, machine: &Machine) -> Result<(), Failure> {
    let (state, path) = open(folders)?;
    if machine.limits.disk.is_some() && !quota::is_enforced(state.as_fd()) {
        return Err(Failure::NoQuota(path));
    }
    Ok(())
}

/// Sets the limit of a machine that is about to boot, whose lock is held, and has everything of it
/// counted. Without a limit in the policy, one that an earlier policy had is removed.
pub(super) fn set(
    folders: &Folders,
    name: &MachineName,
    made: &MachineRecord,
    machine: &Machine,
) -> Result<(), Failure> {
    let Some(disk) = machine.limits.disk else { return lift(folders, Project::of(folders, name)) };
    let project = Project(made.base);
    count_existing(folders, name, project)?;
    label_tree(&folders.version(&made.template, &made.version), TEMPLATES, None)?;
    Project(TEMPLATES).limit(folders, TEMPLATES_MAX)?;
    project.limit(folders, Limit::of(disk))
}

/// Has what there is of a machine counted, if the policy has a limit for it that was not there
/// before. That takes a moment for each file, during which no other machine should wait.
pub(super) fn prepare(folders: &Folders, name: &MachineName, machine: &Machine) -> Result<(), Failure> {
    match find(folders, name)?.filter(|_| machine.limits.disk.is_some()) {
        Some(made) => count_existing(folders, name, Project(made.base)),
        None => Ok(()),
    }
}

/// The project of a copy that is going to be a machine, with its limit, if the policy has one.
pub(super) fn begin(folders: &Folders, machine: &Machine, base: u32) -> Result<Option<Project>, Failure> {
    let Some(disk) = machine.limits.disk else { return Ok(None) };
    let project = Project(base);
    project.limit(folders, Limit::of(disk))?;
    Ok(Some(project))
}

/// Removes the limit of a machine that is gone, or that has none any more.
pub(super) fn lift(folders: &Folders, project: Option<Project>) -> Result<(), Failure> {
    let Some(project) = project else { return Ok(()) };
    let (state, _) = open(folders)?;
    // Where none is enforced any more, there is none to be removed.
    if quota::is_enforced(state.as_fd()) { project.limit(folders, Limit::NONE) } else { Ok(()) }
}

fn count_existing(folders: &Folders, name: &MachineName, project: Project) -> Result<(), Failure> {
    let parts = |system: PathBuf| [system.join("upper"), system.join("work")];
    let mut trees = Vec::from(parts(folders.machine(name)));
    for checkpoint in checkpoints::of(folders, name)? {
        trees.extend(parts(checkpoint.path.join("system")));
        trees.push(checkpoint.path.join("home"));
    }
    // The home comes last: its label says that everything is counted.
    trees.push(folders.home(name));
    trees.retain(|tree| tree.is_dir() && project_of(tree) != Some(project.0));
    if trees.is_empty() {
        return Ok(());
    }
    let links = folders.links(name);
    remove(&links)?;
    ensure(&links, 0o700)?;
    project.count(&links)?;
    for tree in &trees {
        label_tree(tree, project.0, Some(&links))?;
    }
    remove(&links)
}

/// The space that is left in the file system of a folder, bytes.
fn free(folder: &Path) -> u64 {
    let read = nix::sys::statvfs::statvfs(folder);
    read.map_or(0, |read| read.blocks_available().saturating_mul(read.fragment_size()))
}

fn open(folders: &Folders) -> Result<(File, PathBuf), Failure> {
    let path = folders.machines();
    Ok((File::open(&path).map_err(storage("open", &path))?, path))
}
