//! `tere policy`: what the policy says of an account.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::print;
use crate::config::{Config, DiskSpace, Grant, HostTerms, Machine, Shell};
use crate::names::{AccountName, GroupName, Target};

/// The subcommands for the policy.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what an account may open and why, or whether it may open one target.
    Explain {
        /// The account. It need not exist.
        #[arg(value_name = "ACCOUNT")]
        account: AccountName,
        /// The target, as USER@MACHINE.
        #[arg(value_name = "TARGET")]
        target: Option<Target>,
        /// The policy to explain.
        #[arg(long, value_name = "FILE", default_value = "/etc/tere/tere.toml")]
        config: PathBuf,
        /// Print JSON: an object with account and grants, an array of objects with target, line (of
        /// the grant), group (by which the account has it, or null), share, time_limit (seconds, or
        /// null), shell (null for the
        /// user's own), template (null if the machine must be there before), network (what the machine
        /// reaches, in words, or null), disk (the limit of its disk space in bytes, or null), allow (the
        /// changes of the machine that the account may have made), host (null, or for the host
        /// itself an object with fresh_touch in seconds, and reason).
        #[arg(long)]
        json: bool,
    },
}

/// What one grant gives an account.
struct Given<'a> {
    /// The target, or all those of a pattern for tasks.
    target: String,
    grant: &'a Grant,
    group: Option<&'a GroupName>,
    machine: Option<&'a Machine>,
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Explain { account, target, config: path, json } = command;
    let config = Config::load(&path).map_err(|error| Failure {
        cause: error.report(),
        next: "Correct the file, or run this as root if it cannot be read.".to_owned(),
    })?;
    let given = given(&config, &account);
    let file = path.display().to_string();
    match target {
        None if json => print(&for_programs(&account, &given).to_string()),
        None => print(&for_people(&account, &given, &file)),
        Some(target) => {
            let gives = |given: &Given<'_>| given.grant.gives(&account, &target);
            let given: Vec<_> = given.into_iter().filter(gives).collect();
            let granted = !given.is_empty();
            if json {
                print(&for_programs(&account, &given).to_string())?;
            } else if granted {
                print(&for_people(&account, &given, &file))?;
            } else {
                print(&refused(&account, &target, &file))?;
            }
            Ok(if granted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn given<'a>(config: &'a Config, account: &AccountName) -> Vec<Given<'a>> {
    let given = |grant: &'a Grant| {
        let machine = config.machines.iter().find(|machine| machine.name == grant.machine);
        let target = match grant.machine.around_task(account).filter(|_| grant.accounts.contains(account)) {
            Some((before, after)) => format!("{}@{before}{{task}}{after}", grant.user.for_account(account)?),
            None => grant.target_of(account)?.to_string(),
        };
        Some(Given { target, grant, group: config.group_of(account, grant), machine })
    };
    config.grants.iter().filter_map(given).collect()
}

fn for_people(account: &AccountName, given: &[Given<'_>], file: &str) -> String {
    if given.is_empty() {
        return format!("{account} may open nothing: no grant in {file} names the account.");
    }
    let line = |Given { target, grant, group, machine }: &Given<'_>| {
        let share = if grant.share { " and share the sessions" } else { "" };
        let made = match (machine, grant.host) {
            (_, Some(terms)) => on_host(&terms),
            (Some(machine), None) => {
                let (template, network) = (&machine.template, &machine.network);
                let changes = changes(machine);
                let disk = machine.limits.disk;
                let disk =
                    disk.map_or_else(String::new, |disk| format!(" It takes up to {disk} of the disk."));
                format!(
                    "The machine is made from the template {template}{changes}.{disk} Over the network it reaches {network}."
                )
            }
            (None, None) => "The machine must be there: tere does not make it.".to_owned(),
        };
        let group = group.map_or_else(String::new, |group| format!(", as one of the group {group}"));
        let shell = grant.launch.shell.as_ref();
        let shell = shell.map_or_else(String::new, |shell| format!(" The shell is {}.", shell.as_str()));
        let limit = grant
            .time_limit
            .map_or_else(String::new, |limit| format!(" A session ends after {} s.", limit.get().as_secs()));
        let line = grant.line;
        format!(
            "{account} may open {target}{share}, by the grant in line {line} of {file}{group}. {made}{shell}{limit}"
        )
    };
    given.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the account may have done with a machine.
fn changes(machine: &Machine) -> String {
    if machine.allow.is_empty() {
        return String::new();
    }
    let allowed: Vec<_> = machine.allow.iter().map(ToString::to_string).collect();
    format!("; the account may have it changed: {}", allowed.join(", "))
}

/// What a shell on the host itself takes.
fn on_host(terms: &HostTerms) -> String {
    let HostTerms { fresh_touch, reason } = terms;
    let reason = if *reason { " and a reason in words" } else { "" };
    format!(
        "This is the host itself: each view needs a touch of the passkey that is at most {} s old{reason}. polkit must permit it too, see 'tere check'.",
        fresh_touch.get().as_secs()
    )
}

/// Why an account may not open a target, and what would have to be written.
fn refused(account: &AccountName, target: &Target, file: &str) -> String {
    if target.user.is_root() && !target.machine.is_host() {
        return format!(
            "{account} may not open {target}: tere opens no shell as root in a machine. Grant another user, who may use sudo in the machine."
        );
    }
    format!(
        "{account} may not open {target}: no grant in {file} says so. This one would:\n\n\
         [[grant]]\naccounts = [\"{account}\"]\nmachine = \"{}\"\nuser = \"{}\"",
        target.machine, target.user
    )
}

fn for_programs(account: &AccountName, given: &[Given<'_>]) -> serde_json::Value {
    let grants = given.iter().map(|Given { target, grant, group, machine }| {
        json!({
            "target": target,
            "line": grant.line,
            "group": group,
            "share": grant.share,
            "time_limit": grant.time_limit.map(|limit| limit.get().as_secs()),
            "shell": grant.launch.shell.as_ref().map(Shell::as_str),
            "template": machine.map(|machine| &machine.template),
            "network": machine.map(|machine| machine.network.to_string()),
            "disk": machine.and_then(|machine| machine.limits.disk).map(DiskSpace::bytes),
            "allow": machine.map(|machine| &machine.allow),
            "host": grant.host.map(|terms| json!({
                "fresh_touch": terms.fresh_touch.get().as_secs(),
                "reason": terms.reason,
            })),
        })
    });
    json!({ "account": account, "grants": serde_json::Value::from_iter(grants) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "origin = \"https://a.example\"\n\
        [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{account}-box\"\nuser = \"dev\"\n\
        [[group]]\nname = \"lab\"\naccounts = [\"alice\"]\n\
        [[grant]]\naccounts = [\"@lab\"]\nmachine = \"lab\"\nuser = \"dev\"\nshare = true\nshell = \"/bin/zsh\"\n\
        [[machine]]\nname = \"{account}-box\"\ntemplate = \"debian\"\nallow = [\"fork\", \"checkpoint\"]\ndisk = \"20G\"\n\
        [[grant]]\naccounts = [\"bob\"]\nmachine = \"{account}.{task}\"\nuser = \"dev\"\n\
        [[machine]]\nname = \"{account}.{task}\"\ntemplate = \"debian\"\n";

    #[test]
    fn each_target_is_explained_by_its_grant() {
        let config = Config::parse(POLICY, "tere.toml").unwrap();
        let (alice, eve) = ("alice".parse().unwrap(), "eve".parse().unwrap());
        assert_eq!(
            for_people(&alice, &given(&config, &alice), "tere.toml"),
            "alice may open dev@alice-box, by the grant in line 2 of tere.toml. The machine is made from the template debian; the account may have it changed: checkpoint, fork. It takes up to 20G of the disk. Over the network it reaches nothing.\n\
             alice may open dev@lab and share the sessions, by the grant in line 9 of tere.toml, as one of the group lab. The machine must be there: tere does not make it. The shell is /bin/zsh."
        );
        let bob = "bob".parse().unwrap();
        let said = for_people(&bob, &given(&config, &bob), "tere.toml");
        assert!(said.contains("bob may open dev@bob.{task}, by the grant in line 20"), "{said}");
        let given_for_task = given(&config, &bob);
        let target = "dev@bob.try".parse().unwrap();
        assert!(given_for_task.iter().any(|given| given.grant.gives(&bob, &target)));
        assert!(for_people(&eve, &given(&config, &eve), "tere.toml").starts_with("eve may open nothing"));
        let json = for_programs(&alice, &given(&config, &alice));
        assert_eq!(
            json["grants"][1],
            json!({"target": "dev@lab", "line": 9, "group": "lab", "share": true, "time_limit": null, "shell": "/bin/zsh", "template": null, "network": null, "disk": null, "allow": null, "host": null})
        );
        assert_eq!(json["grants"][0]["disk"], 20_u64 << 30);
    }

    /// What it says to write is what grants the target.
    #[test]
    fn what_is_missing_is_said_in_the_policys_own_words() {
        let (eve, target): (AccountName, Target) = ("eve".parse().unwrap(), "dev@lab".parse().unwrap());
        let said = refused(&eve, &target, "tere.toml");
        let (_, grant) = said.split_once("\n\n").unwrap();
        let config = Config::parse(&format!("{POLICY}{grant}\n"), "tere.toml").unwrap();
        assert!(config.allows(&eve, &target));
        let root = "root@lab".parse().unwrap();
        assert!(refused(&eve, &root, "tere.toml").contains("tere opens no shell as root"));
    }

    #[test]
    fn a_grant_on_the_host_is_explained_with_its_terms() {
        let eve: AccountName = "eve".parse().unwrap();
        let said = refused(&eve, &"root@.host".parse().unwrap(), "tere.toml");
        let (_, grant) = said.split_once("\n\n").unwrap();
        let config = Config::parse(&format!("{POLICY}{grant}\nreason = true\n"), "tere.toml").unwrap();
        assert_eq!(
            for_people(&eve, &given(&config, &eve), "tere.toml"),
            "eve may open root@.host, by the grant in line 27 of tere.toml. This is the host itself: each view needs a touch of the passkey that is at most 60 s old and a reason in words. polkit must permit it too, see 'tere check'. A session ends after 3600 s."
        );
        let json = for_programs(&eve, &given(&config, &eve));
        assert_eq!(json["grants"][0]["host"], json!({"fresh_touch": 60, "reason": true}));
    }
}
