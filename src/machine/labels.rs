//! Makes all files of a tree belong to a project, so that they count for its limit. The tree's
//! contents are a machine's root's, and nobody changes them meanwhile. No symbolic link is followed,
//! and no depth of folders is too much.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, makedev, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};

use super::failure::Failure;
use super::folders::storage;
use crate::sys::quota::{self, Inherited};

/// No link is followed, and no FIFO or device is waited for.
const FLAGS: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// The name of what is made in the folder for new links.
const NEW: &CStr = c"new";

/// Makes a folder that is empty belong to a project, with what will be made in it.
pub(super) fn label_empty(folder: &Path, project: u32) -> Result<(), Failure> {
    let file = open(folder)?;
    quota::set_project(file.as_fd(), project, Inherited::Yes).map_err(storage("set the project of", folder))
}

/// The project of a tree that was labelled as a whole.
pub(super) fn project_of(tree: &Path) -> Option<u32> {
    quota::inherited_project(open(tree).ok()?.as_fd())
}

/// Makes a tree belong to a project, unless it does. `links` is an empty folder of that project, for
/// links that take the place of others; without it, the links of the tree stay as they are.
pub(super) fn label_tree(tree: &Path, project: u32, links: Option<&Path>) -> Result<(), Failure> {
    let root = open(tree)?;
    if quota::inherited_project(root.as_fd()) == Some(project) {
        return Ok(());
    }
    let links = links.map(open).transpose()?;
    let label = |folder: BorrowedFd<'_>, visited: Visited<'_>| match visited {
        // Nothing that belongs to this project could be renamed into a folder of another one.
        Visited::Before if quota::inherited_project(folder).is_some_and(|other| other != project) => {
            quota::set_project(folder, project, Inherited::No)
        }
        Visited::Before => Ok(()),
        Visited::After => quota::set_project(folder, project, Inherited::Yes),
        Visited::File(name, data) => match kind(data) {
            SFlag::S_IFREG => {
                let file = openat(folder, name, FLAGS | OFlag::O_RDONLY, Mode::empty())?;
                quota::set_project(file.as_fd(), project, Inherited::No)
            }
            kind => match &links {
                Some(links) => Ok(renew(folder, name, kind, data, links.as_fd())?),
                None => Ok(()),
            },
        },
    };
    // The root comes last: a tree whose root is labelled is labelled as a whole.
    walk(root, label).map_err(storage("set the project of a file in", tree))
}

fn open(folder: &Path) -> Result<OwnedFd, Failure> {
    let flags = FLAGS | OFlag::O_DIRECTORY;
    nix::fcntl::open(folder, flags, Mode::empty()).map_err(|errno| storage("open", folder)(errno.into()))
}

/// Makes a symbolic link, or a mark of overlayfs for a file that was removed (a device 0:0), anew:
/// the kernel sets the project of such a file only when it is made. Otherwise nobody could rename it,
/// because a file does not get into a folder of another project. FIFOs and sockets, which hold no
/// data, stay as they are.
fn renew(
    folder: BorrowedFd<'_>,
    name: &CStr,
    kind: SFlag,
    data: &FileStat,
    links: BorrowedFd<'_>,
) -> nix::Result<()> {
    match unlinkat(links, NEW, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    match kind {
        SFlag::S_IFLNK => symlinkat(readlinkat(folder, name)?.as_os_str(), links, NEW)?,
        SFlag::S_IFCHR if data.st_rdev == makedev(0, 0) => {
            mknodat(links, NEW, SFlag::S_IFCHR, Mode::from_bits_truncate(data.st_mode), 0)?;
        }
        _ => return Ok(()),
    }
    let (uid, gid) = (Uid::from_raw(data.st_uid), Gid::from_raw(data.st_gid));
    fchownat(links, NEW, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let times = [(data.st_atime, data.st_atime_nsec), (data.st_mtime, data.st_mtime_nsec)]
        .map(|(s, ns)| TimeSpec::new(s, ns));
    utimensat(links, NEW, &times[0], &times[1], UtimensatFlags::NoFollowSymlink)?;
    renameat(links, NEW, folder, name)
}

/// What the walk comes by.
#[derive(Debug, Clone, Copy)]
enum Visited<'a> {
    /// The folder itself, before everything in it.
    Before,
    /// Something in the folder that is no folder.
    File(&'a CStr, &'a FileStat),
    /// The folder itself, after everything in it.
    After,
}

/// A folder that the walk is in.
#[derive(Debug)]
struct Level {
    /// What tells it from all others.
    identity: (u64, u64),
    /// Its folders that were not walked yet.
    left: Vec<CString>,
}

/// Visits everything in a tree. It has one folder open at a time, and goes back up by `..`: a tree may
/// be deeper than the number of files that a process may open, and than the longest path.
fn walk(
    root: OwnedFd,
    mut visit: impl FnMut(BorrowedFd<'_>, Visited<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut levels = vec![enter(&root, &mut visit)?];
    let mut folder = root;
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.left.pop() {
            folder = openat(&folder, name.as_c_str(), FLAGS | OFlag::O_DIRECTORY, Mode::empty())?;
            levels.push(enter(&folder, &mut visit)?);
            continue;
        }
        visit(folder.as_fd(), Visited::After)?;
        levels.pop();
        if let Some(parent) = levels.last() {
            folder = openat(&folder, c"..", FLAGS | OFlag::O_DIRECTORY, Mode::empty())?;
            if identity(&folder)? != parent.identity {
                return Err(io::Error::other("somebody moves its folders"));
            }
        }
    }
    Ok(())
}

/// Visits what is in a folder but its folders, which are left to be walked.
fn enter(
    folder: &OwnedFd,
    visit: &mut impl FnMut(BorrowedFd<'_>, Visited<'_>) -> io::Result<()>,
) -> io::Result<Level> {
    visit(folder.as_fd(), Visited::Before)?;
    let mut left = Vec::new();
    // Of its own, because reading a folder moves the position of its descriptor.
    for entry in Dir::openat(folder, c".", FLAGS | OFlag::O_DIRECTORY, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let data = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind(&data) == SFlag::S_IFDIR {
            left.push(name.to_owned());
        } else {
            visit(folder.as_fd(), Visited::File(name, &data))?;
        }
    }
    Ok(Level { identity: identity(folder)?, left })
}

fn kind(data: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT
}

fn identity(folder: &OwnedFd) -> nix::Result<(u64, u64)> {
    let data = fstat(folder)?;
    Ok((data.st_dev, data.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use nix::sys::stat::mkdirat;

    use super::super::folders::remove;
    use super::*;

    /// The names of everything that the walk visits, in its order; `.` is a folder left.
    fn visited(tree: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let note = |_: BorrowedFd<'_>, visited: Visited<'_>| {
            match visited {
                Visited::Before => {}
                Visited::File(name, _) => names.push(name.to_str().unwrap().to_owned()),
                Visited::After => names.push(".".to_owned()),
            }
            Ok(())
        };
        walk(open(tree).unwrap(), note).unwrap();
        names
    }

    /// A machine's root may make links to anywhere, and folders without end. One that were left out
    /// would not count.
    #[test]
    fn a_walk_leaves_nothing_out_and_follows_no_link() {
        const DEPTH: usize = 5000;
        let folder = tempfile::tempdir().unwrap();
        let (tree, outside) = (folder.path().join("tree"), folder.path().join("outside"));
        fs::create_dir_all(tree.join("a")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::write(tree.join("a/file"), "").unwrap();
        let mut names = visited(&tree);
        names[..2].sort();
        assert_eq!(names, ["file", "link", ".", "."]);
        // Deeper than the longest path, and than the number of open files.
        let mut deep = open(&tree).unwrap();
        for _ in 0..DEPTH {
            mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
            deep = openat(&deep, "d", FLAGS | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        openat(&deep, "last", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRWXU).unwrap();
        let names = visited(&tree);
        assert_eq!(names.iter().filter(|name| *name == ".").count(), DEPTH + 2);
        assert!(names.contains(&"last".to_owned()));
        // The root of a tree is no link either.
        symlink(&tree, folder.path().join("tree-link")).unwrap();
        assert!(open(&folder.path().join("tree-link")).is_err());
        // Nor does its depth keep it from being removed.
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn a_link_that_is_made_anew_leads_where_it_led() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, links) = (folder.path().join("tree"), folder.path().join("links"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&links).unwrap();
        symlink("/nowhere/at all", tree.join("link")).unwrap();
        let removed = open(&tree).unwrap();
        mknodat(&removed, "removed", SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        nix::unistd::mkfifo(&tree.join("fifo"), Mode::S_IRWXU).unwrap();
        // One that a killed process left.
        File::create(links.join("new")).unwrap();
        let data = |name: &str| fs::symlink_metadata(tree.join(name)).unwrap();
        let before = ["link", "removed", "fifo"].map(data);
        let links = open(&links).unwrap();
        let renew_all = |folder: BorrowedFd<'_>, visited: Visited<'_>| match visited {
            Visited::File(name, data) => Ok(renew(folder, name, kind(data), data, links.as_fd())?),
            Visited::Before | Visited::After => Ok(()),
        };
        walk(open(&tree).unwrap(), renew_all).unwrap();
        assert_eq!(fs::read_link(tree.join("link")).unwrap(), Path::new("/nowhere/at all"));
        let after = ["link", "removed", "fifo"].map(data);
        let same = |one: &fs::Metadata, other: &fs::Metadata| {
            let of = |data: &fs::Metadata| {
                (data.mode(), data.uid(), data.gid(), data.rdev(), data.mtime(), data.mtime_nsec())
            };
            assert_eq!(of(one), of(other));
            one.ino() == other.ino()
        };
        let kept: Vec<_> = before.iter().zip(&after).map(|(one, other)| same(one, other)).collect();
        assert_eq!(kept, [false, false, true]);
    }
}
