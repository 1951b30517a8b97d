//! Project quotas of ext4 and XFS: which project a file belongs to, and what the files of a project
//! may take. See ioctl_xfs_fsgetxattr(2) and quotactl(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

mod ioctl {
    #![allow(missing_docs, unreachable_pub)] // what nix's macros make

    nix::ioctl_read!(fsgetxattr, b'X', 31, super::Attributes);
    nix::ioctl_write_ptr!(fssetxattr, b'X', 32, super::Attributes);
}

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `FS_XFLAG_PROJINHERIT`: what is made in a folder belongs to the project of the folder.
const PROJECT_INHERITED: u32 = 0x200;

/// `PRJQUOTA` and `Q_XGETQSTATV` of linux/quota.h and linux/dqblk_xfs.h, and of its answer the
/// version and `FS_QUOTA_PDQ_ENFD`.
const PROJECTS: u32 = 2;
const GET_STATE: u32 = ((b'X' as u32) << 8) + 8;
const STATE_VERSION: u64 = 1;
const ENFORCED: u64 = 1 << 5;

/// The units of a limit on disk space, bytes (`QIF_DQBLKSIZE`).
const BLOCK: u64 = 1024;

/// What the files of a project take, and may take at most; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Disk space in use, bytes.
    pub bytes: u64,
    /// The limit on it, bytes.
    pub bytes_max: u64,
    /// The limit on the number of files and folders.
    pub files_max: u64,
}

/// The project that what is made in this folder belongs to, like the folder itself; `None` if that
/// is no certain one, or the file system knows no projects.
pub fn inherited_project(folder: BorrowedFd<'_>) -> Option<u32> {
    let attributes = attributes(folder).ok()?;
    (attributes.flags & PROJECT_INHERITED != 0).then_some(attributes.project)
}

/// Whether what is made in a folder belongs to the folder's project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherited {
    /// It does.
    Yes,
    /// It does not, or this is no folder.
    No,
}

/// Makes a file belong to a project.
///
/// # Errors
/// Any error of ioctl(2): `ENOTTY` or `EOPNOTSUPP` if the file system knows no projects.
pub fn set_project(file: BorrowedFd<'_>, project: u32, inherited: Inherited) -> io::Result<()> {
    let now = attributes(file)?;
    let flags = match inherited {
        Inherited::Yes => now.flags | PROJECT_INHERITED,
        Inherited::No => now.flags & !PROJECT_INHERITED,
    };
    let then = Attributes { project, flags, ..now };
    if then != now {
        // SAFETY: the descriptor is open during the call and `then` outlives it; the kernel only
        // reads.
        unsafe { ioctl::fssetxattr(file.as_raw_fd(), &raw const then) }?;
    }
    Ok(())
}

fn attributes(file: BorrowedFd<'_>) -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the descriptor is open during the call; the kernel writes one `fsxattr`.
    unsafe { ioctl::fsgetxattr(file.as_raw_fd(), &raw mut attributes) }?;
    Ok(attributes)
}

/// Whether the file system enforces the limits of projects.
pub fn is_enforced(file: BorrowedFd<'_>) -> bool {
    // `struct fs_quota_statv`: the version is the first byte, the flags are the third and the fourth.
    let mut state = [0_u64; 20];
    state[0] = STATE_VERSION.to_le();
    quotactl(file, GET_STATE, 0, &mut state).is_ok() && u64::from_le(state[0]) >> 16 & ENFORCED != 0
}

/// What a project uses and may use.
///
/// # Errors
/// Any error of quotactl(2).
pub fn usage(file: BorrowedFd<'_>, project: u32) -> io::Result<Usage> {
    let mut quota = empty();
    match quotactl(file, libc::Q_GETQUOTA.cast_unsigned(), project, &mut quota) {
        // XFS knows nothing of a project that has no files and no limit.
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let libc::dqblk { dqb_curspace, dqb_bhardlimit, dqb_ihardlimit, .. } = quota;
    Ok(Usage {
        bytes: dqb_curspace,
        bytes_max: dqb_bhardlimit.saturating_mul(BLOCK),
        files_max: dqb_ihardlimit,
    })
}

/// Limits the disk space of a project, in bytes, and the number of its files and folders; 0 is no
/// limit.
///
/// # Errors
/// Any error of quotactl(2).
pub fn set_limits(file: BorrowedFd<'_>, project: u32, bytes: u64, files: u64) -> io::Result<()> {
    let limits = libc::dqblk {
        dqb_bhardlimit: bytes.div_ceil(BLOCK),
        dqb_ihardlimit: files,
        dqb_valid: libc::QIF_LIMITS,
        ..empty()
    };
    quotactl(file, libc::Q_SETQUOTA.cast_unsigned(), project, &mut { limits })
}

fn empty() -> libc::dqblk {
    libc::dqblk {
        dqb_bhardlimit: 0,
        dqb_bsoftlimit: 0,
        dqb_curspace: 0,
        dqb_ihardlimit: 0,
        dqb_isoftlimit: 0,
        dqb_curinodes: 0,
        dqb_btime: 0,
        dqb_itime: 0,
        dqb_valid: 0,
    }
}

/// `argument` is what `command` reads or writes.
fn quotactl<T>(file: BorrowedFd<'_>, command: u32, project: u32, argument: &mut T) -> io::Result<()> {
    let (number, command) = (libc::SYS_quotactl_fd, command << 8 | PROJECTS);
    // SAFETY: the descriptor is open during the call, and every caller passes the structure of its
    // command, which outlives the call.
    let result = unsafe { libc::syscall(number, file.as_raw_fd(), command, project, &raw mut *argument) };
    Ok(Errno::result(result).map(drop)?)
}
