//! Finds a machine on disk, or makes it. A machine is there as a whole or not at all: it is made
//! under another name, written to disk, and renamed.

use std::fs;
use std::io;

use super::bases;
use super::failure::Failure;
use super::folders::{
    Folders, Lock, make, names_in, remove, storage, sync, sync_tree, unfinished, unfinished_in,
};
use super::record::{MachineRecord, find, write_record};
use super::steps::report;
use super::tool::copy;
use crate::clock::now;
use crate::config::{Config, Machine};
use crate::names::{MachineName, TemplateName, TemplateVersion};
use crate::protocol::OpeningStep;

/// Finds the machine, or makes it from the newest version of its template. The machine's lock is held.
/// While the lock that is returned is held, its template is not removed.
pub(super) fn find_or_make(
    folders: &Folders,
    name: &MachineName,
    policy: &Config,
) -> Result<(MachineRecord, Lock), Failure> {
    let machine = policy.machine(name).ok_or(Failure::NotInPolicy)?;
    let lock = folders.lock_to_boot()?;
    if let Some(made) = find(folders, name)?.filter(|_| folders.home(name).is_dir()) {
        return Ok((made, lock));
    }
    // Upgrading the lock could deadlock: two processes would each wait for the other's shared lock.
    drop(lock);
    let lock = folders.lock_to_change()?;
    let made = match find(folders, name)? {
        Some(made) => made,
        None => {
            refuse_too_many(folders, name, policy, machine)?;
            make_machine(folders, name, machine)?
        }
    };
    make_home(folders, name, &made)?;
    Ok((made, lock))
}

fn make_machine(folders: &Folders, name: &MachineName, machine: &Machine) -> Result<MachineRecord, Failure> {
    report(OpeningStep::Making);
    let version = newest(folders, &machine.template)?;
    let base = bases::allocate(folders, name)?;
    let (template, expires) = (machine.template.clone(), expires(machine));
    let made = MachineRecord { template, version, base, expires };
    let path = folders.machine(name);
    let unfinished = unfinished(&path);
    // A process that was killed may have left one.
    remove(&unfinished)?;
    make(&unfinished, 0o700)?;
    make(&unfinished.join("work"), 0o700)?;
    let upper = unfinished.join("upper");
    make(&upper, 0o755)?;
    make(&upper.join("etc"), 0o755)?;
    let hostname = upper.join("etc/hostname");
    fs::write(&hostname, format!("{name}\n")).map_err(storage("write", &hostname))?;
    write_record(&unfinished.join("machine.json"), &made)?;
    sync(&unfinished)?;
    fs::rename(&unfinished, &path).map_err(storage("rename", &unfinished))?;
    sync(&folders.machines())?;
    tracing::info!(machine = %name, template = %made.template, version = %made.version, base, "machine made");
    Ok(made)
}

/// When a machine that is made now is to be removed.
pub(super) fn expires(machine: &Machine) -> Option<u64> {
    machine.lifetime.map(|lifetime| now() + lifetime.duration().as_secs())
}

/// Refuses one machine more for a task of an account that has as many as it may have. The caller holds
/// the lock to change machines.
pub(super) fn refuse_too_many(
    folders: &Folders,
    name: &MachineName,
    policy: &Config,
    machine: &Machine,
) -> Result<(), Failure> {
    let Some(account) = policy.owner_of(name).filter(|_| machine.name.is_for_tasks()) else { return Ok(()) };
    let mut names = names_in::<MachineName>(&folders.machines())?;
    names.append(&mut names_in(&folders.all_incoming())?);
    names.append(&mut unfinished_in(&folders.all_incoming())?);
    let others = names.iter().filter(|other| *other != name && machine.name.gives(account, other)).count();
    if others < usize::from(machine.per_account.get()) {
        return Ok(());
    }
    Err(Failure::TooManyMachines(account.clone()))
}

/// The newest version of a template.
pub(super) fn newest(folders: &Folders, template: &TemplateName) -> Result<TemplateVersion, Failure> {
    let folder = folders.template(template);
    let none = || Failure::NoTemplate(template.clone(), folder.clone());
    match names_in(&folder) {
        Err(Failure::Storage(_, _, error)) if error.kind() == io::ErrorKind::NotFound => Err(none()),
        versions => versions?.pop_last().ok_or_else(none),
    }
}

/// Makes the machine's `/home` with the contents of the template's, if it is not there.
fn make_home(folders: &Folders, name: &MachineName, made: &MachineRecord) -> Result<(), Failure> {
    let home = folders.home(name);
    if home.is_dir() {
        return Ok(());
    }
    let unfinished = unfinished(&home);
    remove(&unfinished)?;
    let source = folders.version(&made.template, &made.version).join("home");
    if !source.is_dir() {
        return Err(Failure::Damaged(source, "the template has no such folder".to_owned()));
    }
    copy(&source, &unfinished)?;
    sync_tree(&unfinished)?;
    fs::rename(&unfinished, &home).map_err(storage("rename", &unfinished))?;
    sync(&folders.homes())
}
