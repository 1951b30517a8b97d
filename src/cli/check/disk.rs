//! Whether the limits on the disk space of machines are enforced.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::{AS_ROOT, Finding};
use crate::config::Config;
use crate::sys::quota;

/// Where the machines are.
const STATE: &str = "/var/lib/tere";

/// What is checked.
const WHAT: &str = "limits of disk space";

/// Where an operator reads more.
const MORE: &str = "See tere-machine(8).";

/// Checks what the limits of the policy's machines need on the host. Without such limits there is
/// nothing to check.
pub(super) fn look(config: &Config) -> Option<Finding> {
    if config.machines.iter().all(|machine| machine.limits.disk.is_none()) {
        return None;
    }
    Some(match File::open(STATE) {
        Err(error) => Finding::unknown(WHAT, format!("{STATE}: {error}"), AS_ROOT),
        Ok(folder) if quota::is_enforced(folder.as_fd()) => {
            Finding::ok(WHAT, format!("the file system of {STATE} enforces them"))
        }
        Ok(folder) => {
            let device = folder.metadata().map(|data| data.dev()).unwrap_or_default();
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            not_enforced(mount_of(&mounts, device).as_ref())
        }
    })
}

/// A file system that is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    kind: &'a str,
    source: &'a str,
    point: &'a str,
}

/// The mount of a device, by the lines of mountinfo, see proc_pid_mountinfo(5).
fn mount_of(mounts: &str, device: u64) -> Option<Mount<'_>> {
    let number = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let is_whole =
        |line: &&str| line.split(' ').nth(2) == Some(&number) && line.split(' ').nth(3) == Some("/");
    let line = mounts.lines().find(is_whole)?;
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    Some(Mount { point: before.split(' ').nth(4)?, kind: after.next()?, source: after.next()? })
}

fn not_enforced(mount: Option<&Mount<'_>>) -> Finding {
    let Some(Mount { kind, source, point }) = mount else {
        let found =
            format!("the file system of {STATE} does not enforce them: machines with one do not start");
        return Finding::wrong(WHAT, found, format!("Put {STATE} on an ext4 or XFS of its own. {MORE}"));
    };
    let found = format!(
        "the file system of {STATE} ({kind} on {source}, mounted at {point}) does not enforce them: machines with one do not start"
    );
    let fix = match *kind {
        "ext4" => format!(
            "While it is not mounted: tune2fs -O project,quota -Q prjquota {source}. Then add prjquota to the options of {point} in /etc/fstab, and mount it. {MORE}"
        ),
        "xfs" => format!(
            "Add prjquota to the options of {point} in /etc/fstab, unmount it, and mount it again. {MORE}"
        ),
        _ => format!("Put {STATE} on an ext4 or XFS of its own. {MORE}"),
    };
    Finding::wrong(WHAT, found, fix)
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    const MOUNTS: &str = "22 27 0:20 / /proc rw - proc proc rw\n\
        27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        40 27 254:16 /home /home rw shared:2 - xfs /dev/vdb rw\n\
        41 27 254:16 / /var/lib/tere rw shared:2 master:7 - xfs /dev/vdb rw\n";

    #[test]
    fn the_file_system_and_what_it_takes_are_named() {
        let at = |major, minor| mount_of(MOUNTS, nix::sys::stat::makedev(major, minor));
        assert_eq!(at(254, 1), Some(Mount { kind: "ext4", source: "/dev/vda1", point: "/" }));
        assert_eq!(at(254, 16), Some(Mount { kind: "xfs", source: "/dev/vdb", point: "/var/lib/tere" }));
        assert_eq!(at(254, 2), None);
        for (mount, said) in [
            (at(254, 1), "tune2fs -O project,quota -Q prjquota /dev/vda1"),
            (at(254, 16), "prjquota to the options of /var/lib/tere"),
            (at(0, 20), "on an ext4 or XFS of its own"),
            (None, "on an ext4 or XFS of its own"),
        ] {
            let FindingState::Wrong(fix) = not_enforced(mount.as_ref()).state else { panic!("{said}") };
            assert!(fix.contains(said), "{fix}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_looked_at() {
        let with = |limit: &str| {
            let text = format!(
                "origin = \"https://a.example\"\n[[grant]]\naccounts = [\"a\"]\nmachine = \"m\"\nuser = \"dev\"\n\
                 [[machine]]\nname = \"m\"\ntemplate = \"debian\"\n{limit}\n"
            );
            look(&Config::parse(&text, "tere.toml").unwrap()).is_some()
        };
        assert!(!with(""));
        assert!(with("disk = \"20G\""));
    }
}
