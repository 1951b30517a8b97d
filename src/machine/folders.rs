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
//! ```
//!
//! A folder of machines/ or homes/ whose name begins with a dot is being made or removed, under the
//! lock. Without the lock, it is left by a process that was killed.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::fcntl::{Flock, FlockArg};

use super::failure::Failure;
use crate::names::{MachineName, TemplateName, TemplateVersion};

/// The folder of all state.
#[derive(Debug)]
pub(super) struct Folders {
    state: PathBuf,
}

impl Folders {
    pub(super) fn below(state: &Path) -> Self {
        Self { state: state.to_owned() }
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

    /// Waits until no other process changes machines. The lock is released on drop, and by the
    /// kernel if the process dies. systemd limits the wait (`TimeoutStartSec=`).
    pub(super) fn lock(&self) -> Result<Flock<File>, Failure> {
        let path = self.machines();
        let file = File::open(&path).map_err(|error| storage("open", &path)(error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| storage("lock", &path)(errno.into()))
    }
}

/// The names of the complete folders in `folder`.
pub(super) fn names_in<T: FromStr + Ord>(folder: &Path) -> Result<BTreeSet<T>, Failure> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(storage("read", folder))? {
        let entry = entry.map_err(storage("read", folder))?;
        // The name of an unfinished folder begins with a dot.
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        names.extend(name.and_then(|name| name.parse().ok()).filter(|_| is_folder));
    }
    Ok(names)
}

/// Removes what killed processes have left in a folder. Call this with the lock held: then nobody
/// works on what is unfinished.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(storage("read", folder))? {
        let entry = entry.map_err(storage("read", folder))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The path at which a folder is made. It is renamed to `path` when it is complete.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}"))
}

/// Removes a folder with everything in it, if it is there. Symbolic links are not followed.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a folder. Its parent exists.
pub(super) fn make(path: &Path, mode: u32) -> Result<(), Failure> {
    DirBuilder::new().mode(mode).create(path).map_err(storage("make", path))
}

/// Syncs the folder to disk: what was renamed into it is there after a power cut.
pub(super) fn sync(folder: &Path) -> Result<(), Failure> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(storage("sync", folder))
}

/// The failure of an operation on this path.
pub(super) fn storage(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| Failure::Storage(what, path, error)
}
