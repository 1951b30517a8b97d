//! Mounts a machine's system and becomes systemd-nspawn. The mounts are in a mount namespace of this
//! process, so they go away with it, however it ends.
//!
//! On disk, a machine's files have the uids that they have inside. The template and the machine are
//! first mounted with the machine's range of uids (idmapped), and then one over the other, because a
//! finished overlay cannot be idmapped. So making a machine changes the owner of no file, and a
//! template is shared by machines with different ranges.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount as mount_now};
use nix::sched::{CloneFlags, unshare};

use super::bases::RANGE;
use super::failure::Failure;
use super::folders::{Folders, make, storage};
use super::network::nspawn_options;
use super::record::MachineRecord;
use super::tool::run;
use super::users::Credentials;
use crate::config::Network;
use crate::names::MachineName;

/// A machine that is mounted in this process.
#[derive(Debug)]
pub(super) struct Mounted {
    /// Its system.
    root: PathBuf,
    /// Its `/home`.
    home: PathBuf,
}

/// Mounts the machine below `runtime_dir`, in a new mount namespace.
pub(super) fn mount(
    folders: &Folders,
    name: &MachineName,
    made: &MachineRecord,
    runtime_dir: &Path,
) -> Result<Mounted, Failure> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| storage("leave", Path::new("the mount namespace"))(errno.into()))?;
    // What is mounted here stays here; what the host mounts later still arrives.
    let none: Option<&str> = None;
    mount_now(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
        .map_err(|errno| storage("detach", Path::new("/"))(errno.into()))?;

    let template = folders.version(&made.template, &made.version);
    let lower = idmapped(&template, &runtime_dir.join("template"), made.base, ReadOnly::Yes)?;
    let state = idmapped(&folders.machine(name), &runtime_dir.join("machine"), made.base, ReadOnly::No)?;
    let home = idmapped(&folders.home(name), &runtime_dir.join("home"), made.base, ReadOnly::No)?;
    let root = runtime_dir.join("root");
    make(&root, 0o755)?;
    let mut options = OsString::from("redirect_dir=on,lowerdir=");
    options.push(&lower);
    options.push(",upperdir=");
    options.push(state.join("upper"));
    options.push(",workdir=");
    options.push(state.join("work"));
    mount_now(Some("tere-machine"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_os_str()))
        .map_err(|errno| storage("mount", &root)(errno.into()))?;
    // If overlayfs cannot use the upper layer, it mounts read-only instead of failing.
    let flags =
        nix::sys::statvfs::statvfs(&root).map_err(|errno| storage("read", &root)(errno.into()))?.flags();
    if flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        let why = "overlayfs cannot write to it: the kernel's log says why".to_owned();
        return Err(Failure::Damaged(folders.machine(name), why));
    }
    Ok(Mounted { root, home })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOnly {
    Yes,
    No,
}

/// Mounts `source` at `target`, with the uids of its files, from 0, mapped to the range that begins
/// at `base`. The owner of `source` itself does not matter: a machine's root may have changed it.
fn idmapped(source: &Path, target: &Path, base: u32, read_only: ReadOnly) -> Result<PathBuf, Failure> {
    make(target, 0o700)?;
    // overlayfs makes folders of its own as the host's root. On disk, they get the first uid after
    // the range, which no machine has.
    let mut options = format!("bind,X-mount.idmap=b:0:{base}:{RANGE} b:{RANGE}:0:1");
    if read_only == ReadOnly::Yes {
        options = format!("ro,{options}");
    }
    let mut command = Command::new("mount");
    command.args(["--options", &options, "--source"]).arg(source).arg("--target").arg(target);
    run("mount", &mut command)?;
    Ok(target.to_owned())
}

/// Becomes systemd-nspawn, which boots the machine. Returns only if that fails.
pub(super) fn become_nspawn(
    name: &MachineName,
    made: &MachineRecord,
    mounted: &Mounted,
    users: &Credentials,
    network: &Network,
) -> Result<Infallible, Failure> {
    let mut nspawn = Command::new("systemd-nspawn");
    nspawn.args(["--quiet", "--keep-unit", "--boot", "--notify-ready=yes", "--link-journal=no"]);
    nspawn.arg(nspawn_options(name, network));
    nspawn.arg(format!("--machine={name}"));
    nspawn.arg(format!("--private-users={}:{RANGE}", made.base)).arg("--private-users-ownership=off");
    nspawn.arg(with_path("--directory=", &mounted.root, ""));
    nspawn.arg(with_path("--bind=", &mounted.home, ":/home"));
    nspawn.arg(with_path("--load-credential=sysusers.extra:", &users.sysusers, ""));
    nspawn.arg(with_path("--load-credential=tmpfiles.extra:", &users.tmpfiles, ""));
    Err(Failure::Tool("systemd-nspawn", nspawn.exec().to_string()))
}

fn with_path(before: &str, path: &Path, after: &str) -> OsString {
    let mut argument = OsString::from(before);
    argument.push(path);
    argument.push(after);
    argument
}
