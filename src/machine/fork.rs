//! Forks a machine: makes another one that is a copy of it.

use std::path::Path;

use super::bases;
use super::failure::Failure;
use super::folders::{Folders, empty_trash, remove};
use super::making::{expires, refuse_too_many};
use super::record::{MachineRecord, find};
use super::{quota, state};
use crate::config::{Config, Machine};
use crate::names::MachineName;

/// Copies a machine as it is now, its home included, to one that is not there yet. The policy makes
/// the new one, for the same account.
pub(super) fn fork(
    folders: &Folders,
    policy: &Path,
    name: &MachineName,
    copy: &MachineName,
) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    let machine = policy.machine(copy).ok_or(Failure::NotInPolicy)?;
    if policy.owner_of(name).is_none() || policy.owner_of(name) != policy.owner_of(copy) {
        return Err(Failure::NotItsOwn);
    }
    if name == copy {
        return Err(Failure::MachineExists);
    }
    // In the order of the names, so that two processes never wait for each other.
    let (first, second) = if name < copy { (name, copy) } else { (copy, name) };
    let _locks = (folders.lock_machine(first)?, folders.lock_machine(second)?);
    state::finish(folders, copy)?;
    let source = find(folders, name)?.ok_or(Failure::NoMachine)?;
    if folders.machine(copy).exists() || folders.home(copy).exists() {
        return Err(Failure::MachineExists);
    }
    quota::refuse_unenforced(folders, machine)?;
    let incoming = state::begin(folders, copy)?;
    let mut project = None;
    let copied = may_be_made(folders, &policy, machine, copy).and_then(|()| {
        let base = bases::allocate(folders, copy)?;
        project = quota::begin(folders, machine, base)?;
        state::copy_machine(folders, name, &incoming.path, project)?;
        state::rename_system(&incoming.path.join("system"), copy)?;
        Ok(base)
    });
    let base = match copied {
        Ok(base) => base,
        Err(failure) => {
            // The disk, or what the copy may take of it, may be full.
            remove(&incoming.path)?;
            quota::lift(folders, project)?;
            bases::release(folders, copy)?;
            return Err(failure);
        }
    };
    let record = MachineRecord { base, expires: expires(machine), ..source };
    incoming.commit(folders, copy, &record, None)?;
    empty_trash(&folders.all_incoming())?;
    tracing::info!(machine = %copy, of = %name, "machine forked");
    Ok(())
}

/// Refuses a copy beyond what its account may have. Machines that are being copied count, so of two
/// forks at the same time each sees the other.
fn may_be_made(
    folders: &Folders,
    policy: &Config,
    machine: &Machine,
    copy: &MachineName,
) -> Result<(), Failure> {
    let _lock = folders.lock_to_change()?;
    refuse_too_many(folders, copy, policy, machine)
}
