//! The folders of `/var/lib/tere`, which only root may enter: files in them have the uids that they
//! have inside a machine, so a set-uid program of a machine's root is one of the host's root out here.
//!
//! ```text
//! templates/NAME/VERSION/   what machines are made from: never changed
//! machines/NAME/            a machine
//!     machine.json          what it was made from, and its range of uids
//!     upper/                its system: the differences to the template
//!     work/                 what overlayfs needs
//! homes/NAME/               its /home, which outlives the machine
//! bases/NUMBER              a link to the name of the machine that has this range of uids
//! checkpoints/NAME/NUMBER/  a state of the machine to go back to
//!     checkpoint.json       when and why it was kept
//!     system/               its folder in machines/ at that time
//!     home/                 its /home at that time, unless only its system was kept
//! incoming/NAME/            a state that is about to replace that of the machine
//! locks/NAME                held by whoever boots or changes the machine
//! ```
//!
//! A folder `.NAME` is being made, by a process that holds a lock. If no process holds it, the folder
//! was left by one that was killed. What is in a folder `.trash` is being deleted.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::failure::Failure;
use super::tool::run;
use crate::names::{MachineName, TemplateName, TemplateVersion};
use crate::protocol::machine::{INDEX, STOPPED};

/// The folder of all state.
#[derive(Debug)]
pub(super) struct Folders {
    state: PathBuf,
    /// What the broker may read, see [`crate::protocol::machine`].
    shared: PathBuf,
}

impl Folders {
    pub(super) fn new(state: &Path, shared: &Path) -> Self {
        Self { state: state.to_owned(), shared: shared.to_owned() }
    }

    /// The index of the machines.
    pub(super) fn index(&self) -> PathBuf {
        self.shared.join(INDEX)
    }

    /// Why a machine is stopped.
    pub(super) fn stopped(&self, name: &MachineName) -> PathBuf {
        self.shared.join(STOPPED).join(name.as_str())
    }

    pub(super) fn templates(&self) -> PathBuf {
        self.state.join("templates")
    }

    /// The versions of a template.
    pub(super) fn template(&self, name: &TemplateName) -> PathBuf {
        self.templates().join(name.as_str())
    }

    /// One version of a template.
    pub(super) fn version(&self, name: &TemplateName, version: &TemplateVersion) -> PathBuf {
        self.template(name).join(version.as_str())
    }

    pub(super) fn machines(&self) -> PathBuf {
        self.state.join("machines")
    }

    pub(super) fn machine(&self, name: &MachineName) -> PathBuf {
        self.machines().join(name.as_str())
    }

    pub(super) fn homes(&self) -> PathBuf {
        self.state.join("homes")
    }

    pub(super) fn home(&self, name: &MachineName) -> PathBuf {
        self.homes().join(name.as_str())
    }

    pub(super) fn bases(&self) -> PathBuf {
        self.state.join("bases")
    }

    /// The checkpoints of all machines.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.state.join("checkpoints")
    }

    /// The checkpoints of a machine.
    pub(super) fn checkpoints_of(&self, name: &MachineName) -> PathBuf {
        self.checkpoints().join(name.as_str())
    }

    /// The states that are about to replace those of machines.
    pub(super) fn all_incoming(&self) -> PathBuf {
        self.state.join("incoming")
    }

    /// The state that is about to replace that of a machine.
    pub(super) fn incoming(&self, name: &MachineName) -> PathBuf {
        self.all_incoming().join(name.as_str())
    }

    /// For links that take the place of others in the machine's files. No machine has such a name, and
    /// `upkeep` removes it if it is left.
    pub(super) fn links(&self, name: &MachineName) -> PathBuf {
        unfinished(&self.incoming(name))
    }

    /// For whoever boots or changes a machine: waits until no other process does. It is taken before
    /// the other locks, and several in the order of their names. systemd limits the wait of a boot
    /// (`TimeoutStartSec=`).
    pub(super) fn lock_machine(&self, name: &MachineName) -> Result<MachineLock, Failure> {
        loop {
            if let Some(lock) = self.take_lock(name, FlockArg::LockExclusive)? {
                return Ok(lock);
            }
        }
    }

    /// The same without waiting; `None` if another process has the lock.
    pub(super) fn try_lock_machine(&self, name: &MachineName) -> Result<Option<MachineLock>, Failure> {
        self.take_lock(name, FlockArg::LockExclusiveNonblock)
    }

    fn take_lock(&self, name: &MachineName, how: FlockArg) -> Result<Option<MachineLock>, Failure> {
        let path = self.state.join("locks").join(name.as_str());
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match Flock::lock(open.map_err(storage("open", &path))?, how) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(storage("lock", &path)(errno.into())),
        };
        // Whoever held it before may have removed the machine, and the file with it.
        let there = file.metadata().map_err(storage("read", &path))?.nlink() > 0;
        Ok(there.then_some(MachineLock { _file: file, path }))
    }

    /// For whoever boots a machine that is there: waits until no other process makes or removes one.
    /// A lock is released on drop, when this process becomes another program, and by the kernel if
    /// the process dies. systemd limits the wait (`TimeoutStartSec=`).
    pub(super) fn lock_to_boot(&self) -> Result<Lock, Failure> {
        lock(&self.machines(), FlockArg::LockShared)
    }

    /// For whoever makes or removes a machine: waits until no other process does, or boots one. It
    /// is held for milliseconds: what takes long is done without it.
    pub(super) fn lock_to_change(&self) -> Result<Lock, Failure> {
        lock(&self.machines(), FlockArg::LockExclusive)
    }

    /// For whoever writes the index.
    pub(super) fn lock_index(&self) -> Result<Lock, Failure> {
        lock(&self.shared, FlockArg::LockExclusive)
    }

    /// For whoever adds or removes a version of a template, which can take minutes.
    pub(super) fn lock_templates(&self) -> Result<Lock, Failure> {
        lock(&self.templates(), FlockArg::LockExclusive)
    }
}

/// A lock on a folder.
pub(super) type Lock = Flock<File>;

/// The lock of one machine, until it is dropped or this process becomes another program.
#[derive(Debug)]
pub(super) struct MachineLock {
    _file: Flock<File>,
    path: PathBuf,
}

impl MachineLock {
    /// Releases the lock of a machine that is gone.
    pub(super) fn remove(self) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(storage("remove", &self.path))
    }
}

fn lock(folder: &Path, how: FlockArg) -> Result<Lock, Failure> {
    let file = File::open(folder).map_err(storage("open", folder))?;
    Flock::lock(file, how).map_err(|(_, errno)| storage("lock", folder)(errno.into()))
}

/// The names of the complete folders in `folder`.
pub(super) fn names_in<T: FromStr + Ord>(folder: &Path) -> Result<BTreeSet<T>, Failure> {
    let names = folders_in(folder)?.into_iter().filter(|name| !name.starts_with('.'));
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// The names of the folders in `folder` that are not complete.
pub(super) fn unfinished_in<T: FromStr + Ord>(folder: &Path) -> Result<BTreeSet<T>, Failure> {
    let names = folders_in(folder)?;
    Ok(names.iter().filter_map(|name| name.strip_prefix('.')?.parse().ok()).collect())
}

fn folders_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(storage("read", folder))? {
        let entry = entry.map_err(storage("read", folder))?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        names.extend(entry.file_name().into_string().ok().filter(|_| is_folder));
    }
    Ok(names)
}

/// The folder for what is to be deleted from `parent`. Nothing in it is needed any more.
fn trash(parent: &Path) -> PathBuf {
    parent.join(".trash")
}

/// Moves a folder of `parent` to the trash, in one step, if it exists. [`empty_trash`] deletes its
/// files, which can take long.
pub(super) fn move_to_trash(path: &Path, parent: &Path) -> Result<(), Failure> {
    let trash = trash(parent);
    ensure(&trash, 0o700)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The name is unique among running processes. One that died may have had the same PID.
    let target = trash.join(format!("{name}.{}", std::process::id()));
    remove(&target)?;
    match fs::rename(path, &target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(storage("rename", path)),
    }?;
    sync(parent)
}

/// Deletes what was moved to the trash of `parent`, by this process or by one that was killed.
/// Several processes can do this at the same time.
pub(super) fn empty_trash(parent: &Path) -> Result<(), Failure> {
    remove(&trash(parent))
}

/// The path at which a folder is made. It is renamed to `path` when it is complete.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}"))
}

/// Removes a folder with everything in it, if it is there. Symbolic links are not followed.
/// `fs::remove_dir_all` has each folder on its way open, and a machine's root makes a tree deeper than
/// the number of files that a process may open. rm(1) does not mind.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(storage("remove", path)(error)),
        Ok(_) => run("rm", Command::new("rm").args(["--recursive", "--force", "--"]).arg(path)),
    }
}

/// Makes a folder. Its parent exists.
pub(super) fn make(path: &Path, mode: u32) -> Result<(), Failure> {
    DirBuilder::new().mode(mode).create(path).map_err(storage("make", path))
}

/// Makes a folder, unless it exists.
pub(super) fn ensure(path: &Path, mode: u32) -> Result<(), Failure> {
    match make(path, mode) {
        Err(Failure::Storage(_, _, error)) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Renames a folder. The caller syncs the folders that it was and is in.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(storage("rename", from))
}

/// Writes everything in the file system of this folder to disk. For tens of thousands of files this
/// is faster than one by one.
pub(super) fn sync_filesystem(folder: &Path) -> Result<(), Failure> {
    let file = File::open(folder).map_err(storage("open", folder))?;
    nix::unistd::syncfs(file).map_err(|errno| storage("sync", folder)(errno.into()))
}

/// Syncs a small tree to disk, file by file: the rest of the file system can wait.
pub(super) fn sync_tree(tree: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(tree).map_err(storage("read", tree))? {
        let entry = entry.map_err(storage("read", tree))?;
        let kind = entry.file_type().map_err(storage("read", tree))?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            sync(&entry.path())?;
        }
    }
    sync(tree)
}

/// Syncs a file or a folder to disk: what was renamed into a folder is there after a power cut.
pub(super) fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path).and_then(|file| file.sync_all()).map_err(storage("sync", path))
}

/// The failure of an operation on this path.
pub(super) fn storage(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| Failure::Storage(what, path, error)
}
