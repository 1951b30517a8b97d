//! The programs of the system that tere-machine runs.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::failure::Failure;

/// How long a machine may be stopped while its files are copied: people work in it. Longer than that,
/// the copy is given up.
const COPY_FROZEN_MAX: &str = "10s";

/// Runs a program, which must succeed.
pub(super) fn run(name: &'static str, command: &mut Command) -> Result<(), Failure> {
    output(name, command).map(drop)
}

/// What a program prints. It must succeed.
pub(super) fn output(name: &'static str, command: &mut Command) -> Result<String, Failure> {
    checked(name, &finished(name, command)?)
}

fn finished(name: &'static str, command: &mut Command) -> Result<Output, Failure> {
    // Their messages are looked at, see [`Failure::is_out_of_space`].
    command.env("LC_ALL", "C").output().map_err(|error| Failure::Tool(name, error.to_string()))
}

fn checked(name: &'static str, output: &Output) -> Result<String, Failure> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Tool(name, format!("{}: {}", output.status, said.trim().replace('\n', "; "))))
}

/// Copies a tree with all owners, modes, times and extended attributes, without copying data where
/// the file system can share it. Nobody may change the tree meanwhile.
pub(super) fn copy(source: &Path, target: &Path) -> Result<(), Failure> {
    run("cp", with_trees(&mut Command::new("cp"), source, target))
}

/// The same, of a machine that is stopped for it: gives up after [`COPY_FROZEN_MAX`].
pub(super) fn copy_frozen(source: &Path, target: &Path) -> Result<(), Failure> {
    let mut timeout = Command::new("timeout");
    timeout.args(["--signal=KILL", COPY_FROZEN_MAX, "cp"]);
    let output = finished("timeout", with_trees(&mut timeout, source, target))?;
    // timeout(1) kills itself too, or says so with a status.
    if output.status.signal() == Some(9) || output.status.code() == Some(137) {
        return Err(Failure::TooMuchToCopy(COPY_FROZEN_MAX));
    }
    checked("cp", &output).map(drop)
}

fn with_trees<'a>(cp: &'a mut Command, source: &Path, target: &Path) -> &'a mut Command {
    cp.args(["--archive", "--reflink=auto", "--no-target-directory", "--"]).arg(source).arg(target)
}
