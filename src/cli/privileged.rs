//! Orders to tere-machine, which takes them from root only, and the question whether they are meant.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command as Process, Output};

use super::failure::Failure;
use crate::names::MachineName;

const PROGRAM: &str = "/usr/lib/tere/tere-machine";

/// Runs tere-machine. `what` completes the error message "cannot ...".
pub(super) fn tere_machine(what: &str, arguments: &[&str]) -> Result<Output, Failure> {
    let output =
        Process::new(PROGRAM).args(arguments).output().map_err(|error| not_started(PROGRAM, &error))?;
    succeeded(what, output)
}

fn succeeded(what: &str, output: Output) -> Result<Output, Failure> {
    if output.status.success() {
        return Ok(output);
    }
    let next = if nix::unistd::geteuid().is_root() {
        "See tere-machine(8)."
    } else {
        "Only root may do this. Run it again with sudo."
    };
    Err(Failure { cause: format!("cannot {what}: {}", first_line(&output)), next: next.to_owned() })
}

/// The same for an order that stops the processes of a machine for a moment. They go on even if
/// tere-machine is killed meanwhile: systemd sees to it.
pub(super) fn tere_machine_freezing(
    what: &str,
    machine: &MachineName,
    arguments: &[&str],
) -> Result<Output, Failure> {
    let mut run = Process::new("systemd-run");
    run.args(["--quiet", "--collect", "--pipe", "--wait", "--service-type=exec"]);
    // With that capability, a copy would not be held to the machine's limit of disk space on ext4.
    run.arg("--property=CapabilityBoundingSet=~CAP_SYS_RESOURCE");
    run.arg(format!("--property=ExecStopPost={PROGRAM} thaw {machine}")).arg(PROGRAM).args(arguments);
    let output = run.output().map_err(|error| not_started("systemd-run", &error))?;
    succeeded(what, output)
}

pub(super) fn first_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned)
}

pub(super) fn not_started(program: &str, error: &io::Error) -> Failure {
    Failure {
        cause: format!("cannot start {program}: {error}"),
        next: "Is tere installed completely? apt install --reinstall tere".to_owned(),
    }
}

/// The JSON that tere-machine prints. `what` completes the error message "cannot ...".
pub(super) fn listed(what: &str, verb: &str) -> Result<serde_json::Value, Failure> {
    let output = tere_machine(what, &[verb])?;
    serde_json::from_slice(&output.stdout).map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    Failure {
        cause: format!("{PROGRAM} printed something else than a list: {error}"),
        next: "It may be of another version: apt install --reinstall tere".to_owned(),
    }
}

/// Asks the person at the terminal, unless `yes`.
pub(super) fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure {
            cause: format!("not done: {question}"),
            next: "Add --yes if that is wanted.".to_owned(),
        });
    }
    let mut answer = String::new();
    // If the question cannot be shown, the answer to it is no.
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    match (asked, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure { cause: "nothing was done".to_owned(), next: "Answer y to go on.".to_owned() }),
    }
}
