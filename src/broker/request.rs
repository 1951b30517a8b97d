//! The states of a request for a shell. Its type changes at each step, and only the last type is
//! accepted by machined's client:
//!
//! ```text
//! Claimed   what a channel asked for
//! Vetted    it comes from an account
//! Granted   the policy gives that account that target
//! Admitted  it has the fresh touch and the reason that the grant demands
//! ```

use std::time::Duration;

use super::holder::Holder;
use super::systemd::Unit;
use crate::config::{Config, Launch, Shell, Terms, TimeLimit};
use crate::names::{AccountName, Reason, Target, TermSize};
use crate::protocol::Refusal;
use crate::protocol::vouch::Principal;

/// A request as it came from a channel.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) target: Target,
    pub(super) program: Program,
    /// Why, in the person's words.
    pub(super) reason: Option<Reason>,
}

/// What is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// A shell, in a terminal of this size.
    Shell(TermSize),
    /// A command without a terminal, of which only the worker is told.
    Command,
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
    /// What the grant demands.
    terms: Terms,
    /// Which shell it is, and its environment.
    launch: Launch,
}

/// A request that may be carried out.
#[derive(Debug)]
pub(super) struct Admitted {
    granted: Granted,
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
        let target = &self.claimed.target;
        let grant = policy.grant_of(&self.owner, target).ok_or(Refusal::NotGranted)?;
        let managed = policy.machine(&target.machine).is_some();
        let (terms, launch) = (grant.terms, grant.launch.clone());
        Ok(Granted { vetted: self, managed, terms, launch })
    }
}

impl Granted {
    /// Checks what the grant demands, and uses the touch up. A request that lacks only the reason
    /// leaves the touch unused.
    pub(super) fn admit(self, holder: &Holder) -> Result<Admitted, Refusal> {
        let Terms { fresh_touch, reason, .. } = self.terms;
        holder.may_view(fresh_touch)?;
        if reason && self.vetted.claimed.reason.is_none() {
            return Err(Refusal::ReasonRequired);
        }
        holder.spend_touch(fresh_touch)?;
        Ok(Admitted { granted: self })
    }
}

impl Admitted {
    pub(super) fn owner(&self) -> &AccountName {
        &self.granted.vetted.owner
    }

    pub(super) fn target(&self) -> &Target {
        &self.granted.vetted.claimed.target
    }

    pub(super) fn reason(&self) -> Option<&Reason> {
        self.granted.vetted.claimed.reason.as_ref()
    }

    /// The shell to start; `None` for the user's own.
    pub(super) fn shell(&self) -> Option<&Shell> {
        self.granted.launch.shell.as_ref()
    }

    /// The environment of the shell, as `NAME=value`.
    pub(super) fn environment(&self) -> Vec<String> {
        self.granted.launch.environment.for_account(self.owner())
    }

    /// How long the session may last, if there is a limit.
    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.granted.terms.time_limit.map(TimeLimit::get)
    }

    /// The unit of the machine.
    pub(super) fn unit(&self) -> Unit<'_> {
        let machine = &self.target().machine;
        if self.granted.managed { Unit::ManagedMachine(machine) } else { Unit::Machine(machine) }
    }

    pub(super) fn program(&self) -> Program {
        self.granted.vetted.claimed.program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::PasskeyId;
    use crate::protocol::vouch::AuthMethod;

    const POLICY: &str = r#"
        origin = "https://shell.example.org"
        [[grant]]
        accounts = ["alice"]
        machine = "box"
        user = "dev"
        shell = "/usr/bin/zsh"
        environment = { WHO = "{account}" }
        [[grant]]
        accounts = ["alice"]
        machine = ".host"
        user = "ops"
        time-limit = "5m"
        [[grant]]
        accounts = ["alice"]
        machine = ".host"
        user = "root"
        reason = true
        [[grant]]
        accounts = ["alice"]
        machine = "vault"
        user = "dev"
        fresh-touch = "20s"
        [[grant]]
        accounts = ["alice"]
        machine = "lab"
        user = "dev"
        reason = true
        [[machine]]
        name = "box"
        template = "debian"
    "#;

    fn alice() -> Principal {
        Principal::Account("alice".parse().unwrap())
    }

    fn holder(principal: &Principal, how: fn(PasskeyId) -> AuthMethod) -> Holder {
        Holder::vouched(principal.clone(), how(PasskeyId::of(b"a")), crate::clock::now())
    }

    fn ask(holder: &Holder, target: &str, reason: Option<&str>) -> Result<Admitted, Refusal> {
        let policy = Config::parse(POLICY, "tere.toml").unwrap();
        let (size, reason) = (TermSize::new(80, 24).unwrap(), reason.map(|reason| reason.parse().unwrap()));
        let claimed = Claimed { target: target.parse().unwrap(), program: Program::Shell(size), reason };
        claimed.vet(&holder.principal)?.grant(&policy)?.admit(holder)
    }

    #[test]
    fn only_what_is_granted_is_granted() {
        let mallory = Principal::Account("mallory".parse().unwrap());
        assert!(ask(&holder(&alice(), AuthMethod::Passkey), "dev@box", None).is_ok());
        for (principal, target) in [
            (&alice(), "root@box"),
            (&alice(), "dev@.host"),
            (&alice(), "dev@other"),
            (&mallory, "dev@box"),
            (&mallory, "ops@.host"),
            (&Principal::Operator, "dev@box"),
            (&Principal::Operator, "ops@.host"),
        ] {
            for how in [AuthMethod::Passkey, AuthMethod::StepUp] {
                let refused = ask(&holder(principal, how), target, None).unwrap_err();
                assert_eq!(refused, Refusal::NotGranted, "{target}");
            }
        }
    }

    #[test]
    fn the_host_needs_a_touch_of_its_own_and_a_touch_opens_nothing_else() {
        let signed_in = holder(&alice(), AuthMethod::Passkey);
        assert_eq!(ask(&signed_in, "ops@.host", None).unwrap_err(), Refusal::TouchRequired);
        let stepped_up = holder(&alice(), AuthMethod::StepUp);
        assert_eq!(ask(&stepped_up, "dev@box", None).unwrap_err(), Refusal::NoTouchNeeded);
        let admitted = ask(&stepped_up, "ops@.host", Some("disk full")).unwrap();
        assert_eq!(admitted.time_limit(), Some(Duration::from_secs(300)));
        assert_eq!(admitted.reason().map(Reason::as_str), Some("disk full"));
        assert_eq!(ask(&stepped_up, "ops@.host", None).unwrap_err(), Refusal::TouchSpent);
        let in_a_machine = ask(&signed_in, "dev@box", None).unwrap();
        assert_eq!((in_a_machine.time_limit(), in_a_machine.reason()), (None, None));
        assert!(matches!(in_a_machine.unit(), Unit::ManagedMachine(_)));
        assert_eq!(in_a_machine.shell().map(Shell::as_str), Some("/usr/bin/zsh"));
        assert!(in_a_machine.environment().contains(&"WHO=alice".to_owned()));
        assert_eq!(admitted.shell(), None);
    }

    #[test]
    fn a_machine_needs_a_touch_or_a_reason_where_its_grant_says_so() {
        let signed_in = holder(&alice(), AuthMethod::Passkey);
        assert_eq!(ask(&signed_in, "dev@vault", None).unwrap_err(), Refusal::TouchRequired);
        let stepped_up = holder(&alice(), AuthMethod::StepUp);
        let admitted = ask(&stepped_up, "dev@vault", None).unwrap();
        assert_eq!((admitted.time_limit(), admitted.reason()), (None, None));
        for target in ["dev@vault", "ops@.host"] {
            assert_eq!(ask(&stepped_up, target, None).unwrap_err(), Refusal::TouchSpent, "{target}");
        }
        let old = |age| {
            let how = AuthMethod::StepUp(PasskeyId::of(b"a"));
            ask(&Holder::vouched(alice(), how, crate::clock::now() - age), "dev@vault", None)
        };
        assert!(old(10).is_ok());
        assert_eq!(old(21).unwrap_err(), Refusal::TouchStale);

        assert_eq!(ask(&signed_in, "dev@lab", None).unwrap_err(), Refusal::ReasonRequired);
        let stepped_up = holder(&alice(), AuthMethod::StepUp);
        assert_eq!(ask(&stepped_up, "dev@lab", Some("disk full")).unwrap_err(), Refusal::NoTouchNeeded);
        let admitted = ask(&signed_in, "dev@lab", Some("disk full")).unwrap();
        assert_eq!(admitted.reason().map(Reason::as_str), Some("disk full"));
    }

    #[test]
    fn a_session_in_a_machine_has_a_time_limit_only_if_its_grant_says_so() {
        let text = POLICY.replace("shell = \"/usr/bin/zsh\"", "time-limit = \"8h\"");
        let policy = Config::parse(&text, "tere.toml").unwrap();
        let size = TermSize::new(80, 24).unwrap();
        let program = Program::Shell(size);
        let claimed = Claimed { target: "dev@box".parse().unwrap(), program, reason: None };
        let granted = claimed.vet(&alice()).unwrap().grant(&policy).unwrap();
        let admitted = granted.admit(&holder(&alice(), AuthMethod::Passkey)).unwrap();
        assert_eq!(admitted.time_limit(), Some(Duration::from_secs(8 * 3600)));
    }

    #[test]
    fn where_a_reason_is_demanded_none_uses_no_touch_up() {
        let signed_in = holder(&alice(), AuthMethod::Passkey);
        assert_eq!(ask(&signed_in, "root@.host", None).unwrap_err(), Refusal::TouchRequired);
        let stepped_up = holder(&alice(), AuthMethod::StepUp);
        assert_eq!(ask(&stepped_up, "root@.host", None).unwrap_err(), Refusal::ReasonRequired);
        let admitted = ask(&stepped_up, "root@.host", Some("disk full")).unwrap();
        assert_eq!(admitted.time_limit(), Some(Duration::from_secs(3600)));
    }
}
