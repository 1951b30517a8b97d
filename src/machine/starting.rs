//! Starts the machines that run whenever the host does, once after each boot of the host.

use std::fs::File;
use std::io;
use std::path::Path;

use super::failure::Failure;
use super::folders::{Folders, names_in, storage};
use super::units;
use crate::config::{Config, Start};
use crate::names::MachineName;

/// The file in the runtime directory that says that they were started since the host has booted. No
/// machine has such a name.
const STARTED: &str = ".started";

/// Starts the machines whose policy says so, one after the other, unless that was done since the host
/// has booted. Machines that were never opened are not made: `tere account add` would take them for
/// those of an earlier account. One that fails is reported.
pub(super) fn start_once(folders: &Folders, policy: &Config, runtime_dir: &Path) -> Result<(), Failure> {
    let marker = runtime_dir.join(STARTED);
    // Made before anything is started: a machine that brings this down is not started again and again.
    match File::create_new(&marker) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(storage("make", &marker))?,
    };
    for name in names_in::<MachineName>(&folders.machines())? {
        let at_boot = policy.machine(&name).is_some_and(|machine| machine.start == Start::AtBoot);
        if at_boot && let Err(failure) = units::start(&name) {
            tracing::warn!(machine = %name, error = %failure, "a machine does not start with the host: {failure}");
        }
    }
    Ok(())
}
