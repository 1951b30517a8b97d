//! The programs of the system that tere-machine runs.

use std::path::Path;
use std::process::Command;

use super::failure::Failure;

/// Runs a program, which must succeed.
pub(super) fn run(name: &'static str, command: &mut Command) -> Result<(), Failure> {
    let failed = |said: String| Failure::Tool(name, said);
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim().replace('\n', "; "))))
}

/// Copies a tree with all owners, modes and times, without copying data where the file system can
/// share it.
pub(super) fn copy(source: &Path, target: &Path) -> Result<(), Failure> {
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto", "--no-target-directory", "--"]).arg(source).arg(target);
    run("cp", &mut copy)
}
