//! The states of a request for a shell. Its type changes at each step, and only the last type is
//! accepted by machined's client:
//!
//! ```text
//! Claimed   what a channel asked for
//! Vetted    it comes from an account
//! Granted   the policy gives that account that target
//! ```

use super::systemd::Unit;
use crate::config::Config;
use crate::names::{AccountName, Target, TermSize};
use crate::protocol::Refusal;
use crate::protocol::vouch::Principal;

/// A request as it came from a channel.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) target: Target,
    pub(super) size: TermSize,
}

/// A request that comes from an account.
#[derive(Debug)]
pub(super) struct Vetted {
    owner: AccountName,
    claimed: Claimed,
}

/// A request that the policy grants.
#[derive(Debug)]
pub(super) struct Granted {
    vetted: Vetted,
    /// Whether tere makes the machine.
    managed: bool,
}

impl Claimed {
    /// Accepts only accounts: the operator does not open shells.
    pub(super) fn vet(self, principal: &Principal) -> Result<Vetted, Refusal> {
        match principal {
            Principal::Account(owner) => Ok(Vetted { owner: owner.clone(), claimed: self }),
            Principal::Operator => Err(Refusal::NotGranted),
        }
    }
}

impl Vetted {
    /// Checks the request against the policy.
    pub(super) fn grant(self, policy: &Config) -> Result<Granted, Refusal> {
        if policy.allows(&self.owner, &self.claimed.target) {
            let managed = policy.machine(&self.claimed.target.machine).is_some();
            Ok(Granted { vetted: self, managed })
        } else {
            Err(Refusal::NotGranted)
        }
    }
}

impl Granted {
    pub(super) fn owner(&self) -> &AccountName {
        &self.vetted.owner
    }

    pub(super) fn target(&self) -> &Target {
        &self.vetted.claimed.target
    }

    /// The unit of the machine.
    pub(super) fn unit(&self) -> Unit<'_> {
        let machine = &self.target().machine;
        if self.managed { Unit::ManagedMachine(machine) } else { Unit::Machine(machine) }
    }

    pub(super) fn size(&self) -> TermSize {
        self.vetted.claimed.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        origin = "https://shell.example.org"
        [[grant]]
        accounts = ["alice"]
        machine = "box"
        user = "dev"
    "#;

    fn ask(principal: &Principal, target: &str) -> Result<Granted, Refusal> {
        let policy = Config::parse(POLICY, "tere.toml").unwrap();
        let size = TermSize::new(80, 24).unwrap();
        Claimed { target: target.parse().unwrap(), size }.vet(principal)?.grant(&policy)
    }

    #[test]
    fn only_what_is_granted_is_granted() {
        let alice = Principal::Account("alice".parse().unwrap());
        let mallory = Principal::Account("mallory".parse().unwrap());
        assert!(ask(&alice, "dev@box").is_ok());
        for (principal, target) in [
            (&alice, "root@box"),
            (&alice, "dev@.host"),
            (&alice, "dev@other"),
            (&mallory, "dev@box"),
            (&Principal::Operator, "dev@box"),
        ] {
            assert_eq!(ask(principal, target).unwrap_err(), Refusal::NotGranted);
        }
    }
}
