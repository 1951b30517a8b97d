//! Sets the limits of a machine on its own unit.

use std::process::Command;

use super::failure::Failure;
use super::tool::run;
use crate::config::{CpuWeight, Limits, Tasks};
use crate::names::MachineName;

/// Sets the limits of the machine's unit until the host is rebooted or they are set again. A limit
/// that the policy does not have is set to its default: an earlier policy may have had it.
pub(super) fn set(name: &MachineName, limits: &Limits) -> Result<(), Failure> {
    let memory = limits.memory.map_or_else(|| "infinity".to_owned(), |memory| memory.bytes().to_string());
    let mut command = Command::new("systemctl");
    command.args(["set-property", "--runtime", "--"]).arg(format!("tere-managed@{name}.service"));
    command.arg(format!("MemoryMax={memory}"));
    command.arg(format!("TasksMax={}", limits.tasks.unwrap_or(Tasks::DEFAULT).get()));
    command.arg(format!("CPUWeight={}", limits.cpu_weight.unwrap_or(CpuWeight::DEFAULT).get()));
    run("systemctl", &mut command)
}
