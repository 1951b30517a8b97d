//! Replaces a file atomically: a reader, and the next start, find either the old file or the new
//! one. See rename(2).

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The suffix of a file that is being written. A leftover file with this suffix belongs to a
/// process that was killed, and may be removed.
pub const UNFINISHED: &str = ".new";

/// Whether the new file must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The file is synced before it replaces the old one. The caller must sync the folder, and may
    /// report a failure of that differently.
    Synced,
    /// The folder is in memory, so there is nothing to sync.
    InMemory,
}

/// Replaces the file at `path`. Only the owner may read the new file. On failure nothing has
/// changed.
///
/// # Errors
/// The operating system's error, with the operation that failed.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), (&'static str, io::Error)> {
    replace_with(path, bytes, durability, 0o600)
}

/// Replaces a file in memory that its group may read too.
///
/// # Errors
/// As [`replace`].
pub fn replace_for_group(path: &Path, bytes: &[u8]) -> Result<(), (&'static str, io::Error)> {
    replace_with(path, bytes, Durability::InMemory, 0o640)
}

fn replace_with(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
    mode: u32,
) -> Result<(), (&'static str, io::Error)> {
    let unfinished = unfinished(path);
    let replaced = write(&unfinished, bytes, durability, mode)
        .map_err(|error| ("write", error))
        .and_then(|()| fs::rename(&unfinished, path).map_err(|error| ("replace", error)));
    if replaced.is_err() {
        // The unfinished file must not fill the folder. If removing it fails too, nothing is lost.
        drop(fs::remove_file(&unfinished));
    }
    replaced
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

fn write(path: &Path, bytes: &[u8], durability: Durability, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // Whatever the umask is.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    match durability {
        Durability::Synced => file.sync_all(),
        Durability::InMemory => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        for (bytes, durability) in [(&b"one"[..], Durability::Synced), (b"two", Durability::InMemory)] {
            replace(&path, bytes, durability).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // rename(2) cannot replace a folder with a file.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert_eq!(replace(&taken, b"x", Durability::Synced).unwrap_err().0, "replace");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.iter().all(|path| !path.to_string_lossy().ends_with(UNFINISHED)), "{left:?}");
    }
}
