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

/// Starts a machine, if it does not run, and waits until it has booted. Its lock must not be held.
pub(super) fn start(name: &MachineName) -> Result<(), Failure> {
    run("systemctl", Command::new("systemctl").args(["start", "--"]).arg(unit(name)))
}

/// Stops a machine, if it runs. Whoever holds its lock then has it stopped: a boot waits for the lock.
pub(super) fn stop(name: &MachineName) -> Result<(), Failure> {
    run("systemctl", Command::new("systemctl").args(["stop", "--"]).arg(unit(name)))
}

/// What systemd says of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunState {
    /// It does not run. It stays so for as long as its lock is held.
    Stopped,
    /// It runs, or is being started or stopped and has processes.
    Running {
        /// The control group of its processes, in `/sys/fs/cgroup`.
        processes: PathBuf,
        /// Whether it has booted.
        booted: bool,
        /// The id of this start of its unit.
        invocation: String,
    },
    /// It is being started or stopped, and its processes cannot be found: there may be some in a
    /// moment.
    Changing,
}

/// Asks systemd for the state of a machine.
pub(super) fn run_state(name: &MachineName) -> Result<RunState, Failure> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ActiveState,InvocationID,ControlGroup", "--"]).arg(unit(name));
    let shown = output("systemctl", &mut show)?;
    let value = |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let active = value("ActiveState").unwrap_or_default();
    if matches!(active, "inactive" | "failed") {
        return Ok(RunState::Stopped);
    }
    let group = value("ControlGroup").unwrap_or_default().trim_start_matches('/');
    let processes = Path::new("/sys/fs/cgroup").join(group).join("payload");
    if group.is_empty() || !processes.is_dir() {
        return Ok(RunState::Changing);
    }
    let invocation = value("InvocationID").unwrap_or_default().to_owned();
    Ok(RunState::Running { processes, booted: active == "active", invocation })
}
