//! tere-machine: boots the machines that tere makes. systemd starts it as root in
//! `tere-managed@NAME.service`; it becomes systemd-nspawn.
//!
//! Reads: the name of a machine, which the broker chose; the policy, templates and machines, which
//! only root can write. It reads nothing that a machine or a person has written.
//! Holds: the machines' systems and homes in `/var/lib/tere`.
//! Has given up: nothing. It mounts and starts systemd-nspawn, which only root can do, so it takes
//! nothing but a name, and asks the policy itself whether that machine may exist.

mod failure;
mod folders;
mod making;
mod mounts;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::names::MachineName;
use crate::records;
use failure::Failure;
use folders::Folders;

const PROGRAM: &str = "tere-machine";

/// Boots the machines that tere makes. For systemd: see tere-managed@.service.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Flags {
    /// The policy.
    #[arg(long, hide = true, value_name = "FILE", default_value = "/etc/tere/tere.toml")]
    policy: PathBuf,
    /// Where templates, machines and homes are.
    #[arg(long, hide = true, value_name = "FOLDER", default_value = "/var/lib/tere")]
    state_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the machine if it is not there, and boot it.
    Boot {
        /// Its name, one that a [[machine]] of the policy gives.
        name: MachineName,
        /// An empty folder for mount points.
        #[arg(long, hide = true, value_name = "FOLDER", env = "RUNTIME_DIRECTORY")]
        runtime_dir: PathBuf,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    records::start(PROGRAM);
    let Command::Boot { name, runtime_dir } = flags.command;
    match boot(&name, &flags.policy, &Folders::below(&flags.state_dir), &runtime_dir) {
        Ok(never) => match never {},
        Err(failure) => {
            tracing::error!(machine = %name, error = %failure, "the machine does not boot: {failure}");
            ExitCode::from(failure.exit_status())
        }
    }
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
    let made = making::find_or_make(folders, name, machine)?;
    let root = mounts::mount(folders, name, &made, runtime_dir)?;
    mounts::become_nspawn(name, &made, &root)
}
