//! Rebuilds and removes machines. A machine is moved to the trash in one step before its files are
//! deleted: if this process is killed, the machine exists as a whole or not at all. What remains in
//! the trash is deleted when a machine is rebuilt or removed the next time.

use std::path::Path;
use std::process::Command;

use super::bases;
use super::failure::Failure;
use super::folders::{Folders, empty_trash, move_to_trash};
use crate::config::Config;
use crate::names::MachineName;

/// Removes the system of a machine that the policy makes. It is made anew, from the newest version
/// of its template, when it is opened again; its home stays.
pub(super) fn rebuild(folders: &Folders, policy: &Path, name: &MachineName) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    policy.machine(name).ok_or(Failure::NotInPolicy)?;
    let lock = folders.lock_to_change()?;
    refuse_running(name)?;
    move_to_trash(&folders.machine(name), &folders.machines())?;
    drop(lock);
    empty_trash(&folders.machines())?;
    tracing::info!(machine = %name, "the machine's system is removed; it is made anew when it is opened");
    Ok(())
}

/// Removes a machine and, if `with_home`, its home. It need not be in the policy any more.
pub(super) fn remove_machine(folders: &Folders, name: &MachineName, with_home: bool) -> Result<(), Failure> {
    let lock = folders.lock_to_change()?;
    refuse_running(name)?;
    let there = folders.machine(name).exists() || with_home && folders.home(name).exists();
    if !there {
        return Err(Failure::NoMachine);
    }
    move_to_trash(&folders.machine(name), &folders.machines())?;
    if with_home {
        move_to_trash(&folders.home(name), &folders.homes())?;
    }
    // A home that is kept needs no range: it is mapped to the one that the next machine gets.
    bases::release(folders, name)?;
    drop(lock);
    empty_trash(&folders.machines())?;
    empty_trash(&folders.homes())?;
    tracing::info!(machine = %name, with_home, "machine removed");
    Ok(())
}

/// The files of a machine that runs must not be removed under it.
fn refuse_running(name: &MachineName) -> Result<(), Failure> {
    let unit = format!("tere-managed@{name}.service");
    let asked = Command::new("systemctl")
        .args(["show", "--property=ActiveState", "--value", "--"])
        .arg(&unit)
        .output();
    let asked = asked.map_err(|error| Failure::Tool("systemctl", error.to_string()))?;
    match String::from_utf8_lossy(&asked.stdout).trim() {
        "inactive" | "failed" => Ok(()),
        "" => Err(Failure::Tool("systemctl", String::from_utf8_lossy(&asked.stderr).trim().to_owned())),
        _ => Err(Failure::Running(unit)),
    }
}
