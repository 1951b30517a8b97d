//! The uids of machines on the host: each machine has a range of its own.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::failure::Failure;
use super::folders::{Folders, storage, sync};
use crate::names::MachineName;

/// How many uids a machine has, as systemd-nspawn gives them.
pub(super) const RANGE: u32 = 65536;

/// The first uid of the first range, and the number of ranges: uids that systemd leaves unused, see
/// "Users, Groups, UIDs and GIDs on systemd Systems". systemd-nspawn takes the ranges that it picks
/// for machines of others from below.
const FIRST_BASE: u32 = 0x7000_0000;
const RANGES: u32 = (0x7ffe_0000 - FIRST_BASE) / RANGE;

/// The first uid after all ranges.
pub(super) const END: u32 = FIRST_BASE + RANGES * RANGE;

/// Whether a range of a machine begins with this uid.
pub(super) fn is_base(uid: u32) -> bool {
    uid.checked_sub(FIRST_BASE).is_some_and(|above| above.is_multiple_of(RANGE) && above / RANGE < RANGES)
}

/// Allocates a range to a machine, and returns its first uid. A link named after the range's number
/// marks it as allocated; a link cannot be created twice. The search begins at a hash of the name, so
/// the range of a machine whose making was interrupted is found again.
pub(super) fn allocate(folders: &Folders, name: &MachineName) -> Result<u32, Failure> {
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
        // The link stays, so that this range is not tried again: somebody else has users in it.
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

/// Releases the range of a machine that is removed.
pub(super) fn release(folders: &Folders, name: &MachineName) -> Result<(), Failure> {
    let bases = folders.bases();
    for entry in fs::read_dir(&bases).map_err(storage("read", &bases))? {
        let link = entry.map_err(storage("read", &bases))?.path();
        let holder = fs::read_link(&link).map_err(storage("read", &link))?;
        if holder == Path::new(name.as_str()) {
            fs::remove_file(&link).map_err(storage("remove", &link))?;
        }
    }
    sync(&bases)
}
