//! The machines that belong to an account by its name. They outlive the account, so an account that is
//! added later under the same name would get them: somebody else's files.

use std::collections::BTreeSet;
use std::path::Path;

use super::failure::Failure;
use crate::config::Config;
use crate::names::{AccountName, MachineName};

/// The policy, and where machines and homes are, see tere-machine(8).
const POLICY: &str = "/etc/tere/tere.toml";
const STATE: &str = "/var/lib/tere";

/// The machines of this account that were made, or whose homes are kept. A policy that cannot be used
/// names none: nobody gets a machine by it either.
pub(super) fn machines_of(account: &AccountName) -> Vec<MachineName> {
    Config::load(Path::new(POLICY))
        .map(|policy| there(&policy, account, Path::new(STATE)))
        .unwrap_or_default()
}

fn there(policy: &Config, account: &AccountName, state: &Path) -> Vec<MachineName> {
    // A machine whose name has no account in it belongs to all that its grants name.
    let patterns: Vec<_> =
        policy.machines.iter().map(|machine| &machine.name).filter(|name| name.is_personal()).collect();
    let mut names = BTreeSet::new();
    for folder in ["machines", "homes"] {
        // A folder that cannot be read has no machines: nothing was made yet.
        for entry in std::fs::read_dir(state.join(folder)).into_iter().flatten().flatten() {
            names.extend(entry.file_name().to_str().and_then(|name| name.parse::<MachineName>().ok()));
        }
    }
    names.retain(|name| patterns.iter().any(|pattern| pattern.gives(account, name)));
    names.into_iter().collect()
}

/// Refuses an account for whose name there are machines already.
pub(super) fn refuse(account: &AccountName) -> Result<(), Failure> {
    let Some(machine) = machines_of(account).into_iter().next() else { return Ok(()) };
    Err(Failure {
        cause: format!(
            "cannot add the account {account}: the machine {machine} or its home is there, of an earlier account of that name perhaps, and the new one would get it"
        ),
        next: format!(
            "If that is wanted: tere account add {account} --inherit. If not: tere machine remove --home {machine}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_machine_or_a_home_that_is_there_belongs_to_the_account_of_its_name() {
        let policy = Config::parse(
            "origin = \"https://a.example\"\n\
             [[grant]]\naccounts = [\"bob\"]\nmachine = \"{account}-box\"\nuser = \"dev\"\n\
             [[grant]]\naccounts = [\"bob\"]\nmachine = \"lab\"\nuser = \"dev\"\n\
             [[machine]]\nname = \"{account}-box\"\ntemplate = \"debian\"\n\
             [[machine]]\nname = \"lab\"\ntemplate = \"debian\"\n",
            "tere.toml",
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let of = |account: &str| {
            let there = there(&policy, &account.parse().unwrap(), folder.path());
            there.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for made in ["machines/bob-box", "machines/lab", "homes/lab", "homes/eve-box"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        assert_eq!(of("bob"), ["bob-box"]);
        // Without a grant too: the grant may have gone with the earlier account.
        assert_eq!(of("eve"), ["eve-box"]);
        assert!(of("alice").is_empty() && of("a_b").is_empty());
    }
}
