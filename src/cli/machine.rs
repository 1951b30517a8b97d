//! `tere machine`: has tere-machine and systemd do what it says. Both take orders from root only.

use std::process::{Command as Process, ExitCode};

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::failure::Failure;
use super::privileged::{confirm, first_line, listed, not_started, tere_machine, tere_machine_freezing};
use super::time::told;
use super::{print, table};
use crate::clock::now;
use crate::names::MachineName;

/// The subcommands for machines.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the machines that tere has made, and the homes that are kept.
    List {
        /// Print JSON: an array of objects with machine, state (as systemd names it), template,
        /// version, newest (version of the template), base (first uid), expires (seconds since 1970),
        /// in_policy, system_bytes, home_bytes, checkpoint_bytes, disk_used_bytes (of all that counts
        /// for the limit), disk_limit_bytes (null without a limit), checkpoints (an array of objects
        /// with checkpoint, kept, reason, home), damage. Unknown values are null.
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
    /// Keep a checkpoint of a machine as it is now, its home included. A machine that runs stands
    /// still meanwhile, for 10 seconds at most.
    Checkpoint {
        /// The machine.
        #[arg(value_name = "NAME")]
        machine: MachineName,
    },
    /// Go back to a checkpoint. The state of now is kept as another one. The sessions in the machine
    /// end.
    Rollback {
        #[command(flatten)]
        ending: Ending,
        /// The number of the checkpoint, as 'tere machine show' prints it; the newest without it.
        #[arg(value_name = "CHECKPOINT")]
        checkpoint: Option<u32>,
    },
    /// Copy a machine as it is now, its home included, to a new one. A machine that runs stands still
    /// meanwhile, for 10 seconds at most.
    Fork {
        /// The machine.
        #[arg(value_name = "NAME")]
        machine: MachineName,
        /// The name of the new one, which belongs to the same account by the policy.
        #[arg(value_name = "COPY")]
        copy: MachineName,
    },
    /// Show what there is of one machine, with its checkpoints.
    Show {
        /// The machine.
        #[arg(value_name = "NAME")]
        machine: MachineName,
        /// Print JSON: an object as of 'list', with checkpoints.
        #[arg(long)]
        json: bool,
    },
    /// Remove a checkpoint of a machine. This cannot be undone.
    RemoveCheckpoint {
        /// The machine.
        #[arg(value_name = "NAME")]
        machine: MachineName,
        /// The number of the checkpoint.
        #[arg(value_name = "CHECKPOINT")]
        checkpoint: u32,
    },
    /// Remove a machine with its checkpoints. Its home stays, unless --home is given. The sessions
    /// in it end.
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
    checkpoint_bytes: Option<u64>,
    disk_used_bytes: Option<u64>,
    disk_limit_bytes: Option<u64>,
    checkpoints: Vec<Checkpoint>,
    expires: Option<u64>,
    damage: Option<String>,
}

/// What tere-machine prints of a checkpoint.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    checkpoint: u32,
    kept: u64,
    reason: String,
    home: bool,
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
        Command::Checkpoint { machine } => {
            let what = format!("keep a checkpoint of {machine}");
            let kept = tere_machine_freezing(&what, &machine, &["checkpoint", machine.as_str()])?;
            let number = String::from_utf8_lossy(&kept.stdout).trim().to_owned();
            print(&format!(
                "Checkpoint {number} of {machine} is kept. To go back: tere machine rollback {machine} {number}"
            ))
        }
        Command::Rollback { ending: Ending { machine, yes }, checkpoint } => {
            let kept = "What it is now is kept as another checkpoint. The sessions in it end.";
            let to = checkpoint
                .map_or_else(|| "its newest checkpoint".to_owned(), |to| format!("checkpoint {to}"));
            confirm(yes, &format!("Roll {machine} back to {to}? {kept}"))?;
            let to = checkpoint.map(|to| to.to_string());
            let arguments: Vec<_> = ["rollback", machine.as_str()].into_iter().chain(to.as_deref()).collect();
            let done = tere_machine(&format!("roll {machine} back"), &arguments)?;
            let number = String::from_utf8_lossy(&done.stdout).trim().to_owned();
            print(&format!("The machine {machine} is as it was at checkpoint {number}."))
        }
        Command::Fork { machine, copy } => {
            let what = format!("fork {machine}");
            tere_machine_freezing(&what, &machine, &["fork", machine.as_str(), copy.as_str()])?;
            print(&format!("The machine {copy} is a copy of {machine}."))
        }
        Command::RemoveCheckpoint { machine, checkpoint } => {
            let number = checkpoint.to_string();
            let what = format!("remove the checkpoint {number} of {machine}");
            tere_machine(&what, &["remove-checkpoint", machine.as_str(), &number])?;
            print(&format!("Checkpoint {number} of {machine} is removed."))
        }
        Command::Show { machine, json } => show(&machine, json),
        Command::Rebuild(Ending { machine, yes }) => {
            let lost = "What was installed or changed outside of /home is put aside as a checkpoint. The sessions in it end.";
            confirm(yes, &format!("Rebuild {machine}? {lost}"))?;
            tere_machine(&format!("rebuild {machine}"), &["rebuild", machine.as_str()])?;
            print(&format!("The machine {machine} will be made anew when it is opened. Its home is kept."))
        }
        Command::Remove { ending: Ending { machine, yes }, home } => {
            let kept =
                if home { "Its home is removed too: this cannot be undone." } else { "Its home is kept." };
            confirm(yes, &format!("Remove {machine} and its checkpoints? {kept} The sessions in it end."))?;
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

/// The machines, their states, and both as JSON.
fn all() -> Result<(Vec<Listed>, Vec<String>, serde_json::Value), Failure> {
    let mut values = listed("list the machines", "list")?;
    let machines: Vec<Listed> =
        serde_json::from_value(values.clone()).map_err(|error| super::privileged::unreadable(&error))?;
    let states = states(&machines)?;
    for (value, state) in values.as_array_mut().into_iter().flatten().zip(&states) {
        if let Some(object) = value.as_object_mut() {
            object.insert("state".to_owned(), state.as_str().into());
        }
    }
    Ok((machines, states, values))
}

fn show(name: &MachineName, json: bool) -> Result<ExitCode, Failure> {
    let (machines, states, values) = all()?;
    let all = machines.iter().zip(states).zip(values.as_array().into_iter().flatten());
    let Some(((machine, state), value)) = all.into_iter().find(|((machine, _), _)| machine.machine == *name)
    else {
        return Err(Failure {
            cause: format!("there is no machine {name} that tere has made"),
            next: "'tere machine list' shows those that there are.".to_owned(),
        });
    };
    if json {
        return print(&value.to_string());
    }
    let now = now();
    let expires = machine.expires.map_or_else(|| "never".to_owned(), |expires| told(expires, now));
    let mut rows = vec![
        vec!["state".to_owned(), state],
        vec!["made from".to_owned(), made_from(machine)],
        vec!["system".to_owned(), bytes(machine.system_bytes)],
        vec!["home".to_owned(), bytes(machine.home_bytes)],
        vec!["checkpoints".to_owned(), bytes(machine.checkpoint_bytes)],
        vec!["disk".to_owned(), disk(machine)],
        vec!["removed".to_owned(), expires],
        vec!["remark".to_owned(), remark(machine)],
    ];
    rows.retain(|row| row.last().is_some_and(|text| !text.is_empty()));
    print(&table(&[name.as_str(), ""], rows))?;
    if machine.checkpoints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let rows = machine.checkpoints.iter().map(|checkpoint| {
        let reason = match checkpoint.reason.as_str() {
            "asked" => "asked for",
            "before-rebuild" => "before it was rebuilt",
            "before-rollback" => "before it was rolled back",
            other => other,
        };
        let parts = if checkpoint.home { "system and home" } else { "system" };
        vec![
            checkpoint.checkpoint.to_string(),
            told(checkpoint.kept, now),
            parts.to_owned(),
            reason.to_owned(),
        ]
    });
    print("")?;
    print(&table(&["CHECKPOINT", "KEPT", "OF", "WHY"], rows.collect()))
}

fn list(json: bool) -> Result<ExitCode, Failure> {
    let (machines, states, values) = all()?;
    if json {
        return print(&values.to_string());
    }
    if machines.is_empty() {
        return print("There are no machines that tere has made. One is made when a person first opens it.");
    }
    let rows = machines.iter().zip(states).map(|(machine, state)| {
        vec![
            machine.machine.to_string(),
            state,
            made_from(machine),
            bytes(machine.system_bytes),
            bytes(machine.home_bytes),
            disk(machine),
            remark(machine),
        ]
    });
    print(&table(&["MACHINE", "STATE", "TEMPLATE", "SYSTEM", "HOME", "DISK", ""], rows.collect()))
}

fn made_from(machine: &Listed) -> String {
    let system = machine.template.as_ref().zip(machine.version.as_ref());
    system.map_or_else(|| "-".to_owned(), |(template, version)| format!("{template} {version}"))
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

/// What a machine takes of the disk space that it may take.
fn disk(machine: &Listed) -> String {
    match machine.disk_limit_bytes {
        None if machine.template.is_none() => "-".to_owned(),
        None => "no limit".to_owned(),
        Some(limit) => format!("{} of {}", bytes(machine.disk_used_bytes), bytes(Some(limit))),
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
