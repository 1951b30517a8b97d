//! The unit of a machine.

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

/// The path of the machine's processes below `/sys/fs/cgroup`; `None` if it does not run.
pub(super) fn control_group(name: &MachineName) -> Result<Option<String>, Failure> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ControlGroup", "--value", "--"]).arg(unit(name));
    let group = output("systemctl", &mut show)?;
    let group = group.trim().trim_start_matches('/');
    Ok((!group.is_empty()).then(|| format!("{group}/payload")))
}
