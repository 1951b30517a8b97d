//! `tere machine`: has tere-machine and systemd do what it says. Both take orders from root only.

use std::process::{Command as Process, ExitCode};

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::failure::Failure;
use super::privileged::{confirm, first_line, listed, not_started, tere_machine};
use super::time::now;
use super::{print, table};
use crate::names::MachineName;

/// The subcommands for machines.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the machines that tere has made, and the homes that are kept.
    List {
        /// Print JSON: an array of objects with machine, state (as systemd names it), template,
        /// version, newest (version of the template), base (first uid), in_policy, system_bytes,
        /// home_bytes, damage. Unknown values are null.
        #[arg(long)]
        json: bool,
    },
    /// Start a machine, and make it first if it is not there.
    Start {
        /// The machine.
        #[arg(value_name = "NAME")]
        machine: MachineName,
    },
    /// Stop a machine. The sessions in it end.
    Stop(Ending),
    /// Give a machine a fresh system from the newest version of its template. Its home stays. The
    /// sessions in it end.
    Rebuild(Ending),
    /// Remove a machine. Its home stays, unless --home is given. The sessions in it end.
    Remove {
        #[command(flatten)]
        ending: Ending,
        /// Remove its home too. This cannot be undone.
        #[arg(long)]
        home: bool,
    },
}

/// A machine whose sessions are to end.
#[derive(Debug, Args)]
pub(super) struct Ending {
    /// The machine.
    #[arg(value_name = "NAME")]
    machine: MachineName,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// What tere-machine prints of a machine.
#[derive(Debug, Deserialize)]
struct Listed {
    machine: MachineName,
    template: Option<String>,
    version: Option<String>,
    newest: Option<String>,
    in_policy: bool,
    system_bytes: Option<u64>,
    home_bytes: Option<u64>,
    damage: Option<String>,
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { json } => list(json),
        Command::Start { machine } => {
            systemctl("start", &machine)?;
            print(&format!("The machine {machine} runs."))
        }
        Command::Stop(Ending { machine, yes }) => {
            confirm(yes, &format!("Stop {machine}? The sessions in it end."))?;
            systemctl("stop", &machine)?;
            print(&format!("The machine {machine} is stopped."))
        }
        Command::Rebuild(Ending { machine, yes }) => {
            let lost = "What was installed or changed outside of /home is lost, and the sessions in it end.";
            confirm(yes, &format!("Rebuild {machine}? {lost}"))?;
            systemctl("stop", &machine)?;
            tere_machine(&format!("rebuild {machine}"), &["rebuild", machine.as_str()])?;
            print(&format!("The machine {machine} will be made anew when it is opened. Its home is kept."))
        }
        Command::Remove { ending: Ending { machine, yes }, home } => {
            let kept =
                if home { "Its home is removed too: this cannot be undone." } else { "Its home is kept." };
            confirm(yes, &format!("Remove {machine}? {kept} The sessions in it end."))?;
            systemctl("stop", &machine)?;
            let arguments: &[_] =
                if home { &["remove", "--home", machine.as_str()] } else { &["remove", machine.as_str()] };
            tere_machine(&format!("remove {machine}"), arguments)?;
            print(&format!(
                "The machine {machine} is removed. {}",
                if home { "Its home is gone." } else { kept }
            ))
        }
    }
}

fn list(json: bool) -> Result<ExitCode, Failure> {
    let mut values = listed("list the machines", "list")?;
    let machines: Vec<Listed> =
        serde_json::from_value(values.clone()).map_err(|error| super::privileged::unreadable(&error))?;
    let states = states(&machines)?;
    if json {
        for (value, state) in values.as_array_mut().into_iter().flatten().zip(&states) {
            if let Some(object) = value.as_object_mut() {
                object.insert("state".to_owned(), state.as_str().into());
            }
        }
        return print(&values.to_string());
    }
    if machines.is_empty() {
        return print("There are no machines that tere has made. One is made when a person first opens it.");
    }
    let rows = machines.iter().zip(states).map(|(machine, state)| {
        let system = machine.template.as_ref().zip(machine.version.as_ref());
        let from =
            system.map_or_else(|| "-".to_owned(), |(template, version)| format!("{template} {version}"));
        vec![
            machine.machine.to_string(),
            state,
            from,
            bytes(machine.system_bytes),
            bytes(machine.home_bytes),
            remark(machine),
        ]
    });
    print(&table(&["MACHINE", "STATE", "TEMPLATE", "SYSTEM", "HOME", ""], rows.collect()))
}

/// What an operator should know of a machine.
fn remark(machine: &Listed) -> String {
    match machine {
        Listed { damage: Some(damage), .. } => format!("damaged: {damage}"),
        Listed { in_policy: false, .. } => "not in the policy any more".to_owned(),
        Listed { template: None, .. } => "only the home is there".to_owned(),
        Listed { version, newest: Some(newest), .. } if version.as_ref() != Some(newest) => {
            format!("{newest} is there: rebuild")
        }
        Listed { .. } => String::new(),
    }
}

/// An amount of disk space.
fn bytes(bytes: Option<u64>) -> String {
    match bytes {
        None => "-".to_owned(),
        Some(bytes) if bytes < 1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        Some(bytes) if bytes < 1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        Some(bytes) => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// The state of each machine's unit, as systemd names it.
fn states(machines: &[Listed]) -> Result<Vec<String>, Failure> {
    if machines.is_empty() {
        return Ok(Vec::new());
    }
    let units = machines.iter().map(|machine| unit(&machine.machine));
    let mut show = Process::new("systemctl");
    show.args(["show", "--property=ActiveState", "--value", "--"]).args(units);
    let output = show.output().map_err(|error| not_started("systemctl", &error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let states: Vec<String> = said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Ok(if states.len() == machines.len() { states } else { vec!["unknown".to_owned(); machines.len()] })
}

fn unit(machine: &MachineName) -> String {
    format!("tere-managed@{machine}.service")
}

fn systemctl(verb: &str, machine: &MachineName) -> Result<(), Failure> {
    let began = now();
    let mut command = Process::new("systemctl");
    command.args([verb, "--"]).arg(unit(machine));
    let output = command.output().map_err(|error| not_started("systemctl", &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure {
        cause: match recorded_cause(machine, began) {
            Some(cause) => format!("cannot {verb} {machine}: {cause}"),
            None => format!("cannot {verb} {machine}: {}", first_line(&output)),
        },
        next: format!("More is in the journal: journalctl -u {}", unit(machine)),
    })
}

/// What tere-machine recorded as the cause of a failure since `began`, seconds since 1970.
fn recorded_cause(machine: &MachineName, began: u64) -> Option<String> {
    let mut journal = Process::new("journalctl");
    journal.args(["--quiet", "--output=cat", "--lines=1", "--identifier=tere-machine", "--priority=err"]);
    journal.arg(format!("--since=@{began}")).arg(format!("TERE_MACHINE={machine}"));
    let said = String::from_utf8_lossy(&journal.output().ok()?.stdout).trim().to_owned();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_space_is_said_in_a_unit_that_fits() {
        let said = [0, 1, 999_999, 1_000_000, 999_999_999, 1_500_000_000].map(|amount| bytes(Some(amount)));
        assert_eq!(said, ["0 kB", "1 kB", "1000 kB", "1 MB", "1000 MB", "1.5 GB"]);
        assert_eq!(bytes(None), "-");
    }
}
