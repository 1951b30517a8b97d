//! tere-machine: makes, boots and removes the machines that tere makes. systemd starts it as root in
//! `tere-managed@NAME.service`, where it becomes systemd-nspawn; `tere machine` starts it for the
//! operator.
//!
//! Reads: the name of a machine, which the broker chose; the policy, templates and machines, which
//! only root can write. To boot a machine it reads nothing that a machine or a person has written;
//! `list` measures their files, `remove` removes them, `checkpoint` and `fork` copy them while the
//! machine stands still, and `upkeep` looks for terminals and locks in a machine that runs.
//! Holds: the machines' systems and homes in `/var/lib/tere`.
//! Has given up: nothing. It mounts and starts systemd-nspawn, which only root can do, so it takes
//! nothing but a name, and asks the policy itself whether that machine may exist.

mod bases;
mod change;
mod checkpoints;
mod failure;
mod folders;
mod fork;
mod freezing;
mod idleness;
mod index;
mod labels;
mod limits;
mod list;
mod making;
mod mounts;
mod network;
mod quota;
mod rebuild;
mod record;
mod removal;
mod rollback;
mod starting;
mod state;
mod steps;
mod templates;
mod tool;
mod units;
mod upkeep;
mod users;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::names::{MachineChange, MachineName, TemplateName, TemplateVersion};
use crate::protocol::{OpeningStep, machine};
use crate::records;
use failure::Failure;
use folders::Folders;
use templates::Source;

const PROGRAM: &str = "tere-machine";

/// Makes, boots and removes the machines of tere. For systemd and 'tere machine': see
/// tere-machine(8).
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Flags {
    /// The policy.
    #[arg(long, hide = true, value_name = "FILE", default_value = "/etc/tere/tere.toml")]
    policy: PathBuf,
    /// Where templates, machines and homes are.
    #[arg(long, hide = true, value_name = "FOLDER", default_value = "/var/lib/tere")]
    state_dir: PathBuf,
    /// Where tere-broker reads what machines there are.
    #[arg(long, hide = true, value_name = "FOLDER", default_value = machine::FOLDER)]
    shared_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the machine if it is not there, and boot it.
    Boot {
        /// Its name, which a machine of the policy has.
        name: MachineName,
        /// An empty folder for mount points.
        #[arg(long, hide = true, value_name = "FOLDER", env = "RUNTIME_DIRECTORY")]
        runtime_dir: PathBuf,
    },
    /// Set up the packet filter of a machine, and hold it. For tere-network@.service.
    Network {
        /// Its name, which a machine of the policy has.
        name: MachineName,
    },
    /// Stop a machine and keep its system as a checkpoint, so that it is made anew when it is opened.
    /// Its home stays.
    Rebuild {
        /// Its name, which a machine of the policy has.
        name: MachineName,
    },
    /// Keep a checkpoint of the machine as it is now, home included.
    Checkpoint {
        /// Its name.
        name: MachineName,
    },
    /// Stop the machine and go back to a checkpoint.
    Rollback {
        /// Its name.
        name: MachineName,
        /// The number of the checkpoint; the newest without it.
        checkpoint: Option<u32>,
    },
    /// Remove a checkpoint.
    RemoveCheckpoint {
        /// The name of the machine.
        name: MachineName,
        /// The number of the checkpoint.
        checkpoint: u32,
    },
    /// Copy a machine as it is now, home included.
    Fork {
        /// Its name.
        name: MachineName,
        /// The name of the copy, which a machine of the policy has.
        copy: MachineName,
    },
    /// Make a change that an account asked for, if the policy lets it. For tere-change@.service.
    Change {
        /// The change, as in the unit's name.
        change: MachineChange,
    },
    /// Let the processes of a machine go on, which were stopped while it was copied.
    Thaw {
        /// Its name.
        name: MachineName,
    },
    /// Start the machines that run whenever the host does, stop those that nobody uses, and remove
    /// those whose time is over, as the policy says.
    Upkeep {
        /// A folder for what was seen of the machines.
        #[arg(long, hide = true, value_name = "FOLDER", env = "RUNTIME_DIRECTORY")]
        runtime_dir: PathBuf,
    },
    /// Stop and remove a machine, with its checkpoints. Its home stays.
    Remove {
        /// Its name.
        name: MachineName,
        /// Remove the home too.
        #[arg(long)]
        home: bool,
    },
    /// Write the list of machines for tere-broker anew.
    Index,
    /// Print the machines on disk, as JSON.
    List,
    /// Add a version of a template.
    AddTemplate {
        /// The template.
        name: TemplateName,
        /// The version, which must not be there yet.
        version: TemplateVersion,
        /// The system.
        tree: PathBuf,
        /// Move the system instead of copying it. It must be on the same file system.
        #[arg(long = "move")]
        take: bool,
    },
    /// Remove a version of a template of which no machine was made.
    RemoveTemplate {
        /// The template.
        name: TemplateName,
        /// The version.
        version: TemplateVersion,
    },
    /// Print the versions of all templates, as JSON.
    ListTemplates,
}

/// The program.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    records::start_in_journal(PROGRAM);
    let (policy, folders) = (&flags.policy, Folders::new(&flags.state_dir, &flags.shared_dir));
    let (name, done) = match &flags.command {
        Command::Boot { name, runtime_dir } => match boot(name, policy, &folders, runtime_dir) {
            Ok(never) => match never {},
            Err(failure) => (Some(name), Err(failure)),
        },
        Command::Network { name } => (Some(name), network::hold_filter(name, policy)),
        Command::Rebuild { name } => (Some(name), rebuild::rebuild(&folders, policy, name)),
        Command::Checkpoint { name } => (Some(name), number(rollback::keep(&folders, name))),
        Command::Rollback { name, checkpoint } => {
            (Some(name), number(rollback::roll_back(&folders, name, *checkpoint)))
        }
        Command::RemoveCheckpoint { name, checkpoint } => {
            (Some(name), checkpoints::remove_checkpoint(&folders, name, *checkpoint))
        }
        Command::Fork { name, copy } => (Some(name), fork::fork(&folders, policy, name, copy)),
        Command::Change { change } => (Some(change.machine()), change::change(&folders, policy, change)),
        Command::Upkeep { runtime_dir } => (None, upkeep::upkeep(&folders, policy, runtime_dir)),
        Command::Thaw { name } => (Some(name), freezing::thaw(name)),
        Command::Remove { name, home } => (Some(name), removal::remove_machine(&folders, name, *home)),
        Command::Index => (None, Ok(())),
        Command::List => (None, print(list::list(&folders, policy))),
        Command::AddTemplate { name, version, tree, take } => {
            let source = if *take { Source::Move } else { Source::Copy };
            (None, templates::add(&folders, name, version, tree, source))
        }
        Command::RemoveTemplate { name, version } => {
            (None, templates::remove_version(&folders, name, version))
        }
        Command::ListTemplates => (None, print(templates::list(&folders))),
    };
    // Nothing has changed, and it may not write there.
    if !matches!(flags.command, Command::Network { .. }) {
        index::update(&folders);
    }
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let machine = name.map(tracing::field::display);
    tracing::error!(machine, error = %failure, "{failure}");
    if std::env::var_os("JOURNAL_STREAM").is_none() {
        // Standard error leads to a person. If it is closed, the exit status remains.
        drop(writeln!(io::stderr(), "{failure}"));
    }
    ExitCode::from(failure.exit_status())
}

fn print(list: Result<serde_json::Value, Failure>) -> Result<(), Failure> {
    let list = list?;
    writeln!(io::stdout(), "{list}").map_err(folders::storage("write", Path::new("standard output")))
}

fn number(number: Result<u32, Failure>) -> Result<(), Failure> {
    print(number.map(Into::into))
}

/// Boots a machine. Returns only if that fails: otherwise this process has become systemd-nspawn.
fn boot(
    name: &MachineName,
    policy: &Path,
    folders: &Folders,
    runtime_dir: &Path,
) -> Result<Infallible, Failure> {
    let policy = Config::load(policy)?;
    let machine = policy.machine(name).ok_or(Failure::NotInPolicy)?;
    quota::refuse_unenforced(folders, machine)?;
    limits::set(name, &machine.limits)?;
    // Both locks are held until this process becomes systemd-nspawn. From then on, the machine runs.
    let _machine = folders.lock_machine(name)?;
    state::finish(folders, name)?;
    rebuild::follow_template(folders, name, machine)?;
    quota::prepare(folders, name, machine)?;
    let (made, _lock) = making::find_or_make(folders, name, &policy)?;
    quota::set(folders, name, &made, machine)?;
    index::starting(folders, name);
    index::update(folders);
    steps::report(OpeningStep::Booting);
    let template = folders.version(&made.template, &made.version);
    let users = users::write(name, machine, &policy, &template, runtime_dir)?;
    network::await_filter(name, &machine.network)?;
    let root = mounts::mount(folders, name, &made, runtime_dir)?;
    mounts::become_nspawn(name, &made, &root, &users, &machine.network)
}

#[cfg(test)]
mod tests;
