//! The unit of a machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::failure::Failure;
use super::tool::{output, run};
use crate::names::MachineName;

/// The unit of a machine that tere makes.
pub(super) fn unit(name: &MachineName) -> String {
    format!("tere-managed@{name}.service")
}

/// Stops a machine, if it runs. Whoever holds its lock then has it stopped: a boot waits for the lock.
pub(super) fn stop(name: &MachineName) -> Result<(), Failure> {
    run("systemctl", Command::new("systemctl").args(["stop", "--"]).arg(unit(name)))
}

/// The control group of the machine's processes and the id of the start of its unit; `None` unless it
/// has booted.
pub(super) fn running(name: &MachineName) -> Result<Option<(PathBuf, String)>, Failure> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ActiveState", "--property=InvocationID", "--"]).arg(unit(name));
    let shown = output("systemctl", &mut show)?;
    let value = |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("ActiveState") != Some("active") {
        return Ok(None);
    }
    let invocation = value("InvocationID").unwrap_or_default().to_owned();
    Ok(control_group(name)?.map(|group| (group, invocation)))
}

/// The control group of the machine's processes, in `/sys/fs/cgroup`; `None` if it has none: it does
/// not run, or is just being started or stopped.
pub(super) fn control_group(name: &MachineName) -> Result<Option<PathBuf>, Failure> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ControlGroup", "--value", "--"]).arg(unit(name));
    let group = output("systemctl", &mut show)?;
    let group = group.trim().trim_start_matches('/');
    let payload = Path::new("/sys/fs/cgroup").join(group).join("payload");
    Ok(Some(payload).filter(|payload| !group.is_empty() && payload.is_dir()))
}
