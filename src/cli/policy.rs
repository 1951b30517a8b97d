//! `tere policy`: what the policy says of an account.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::{print, time};
use crate::config::{Config, DiskSpace, Grant, Machine, Shell, Terms};
use crate::names::{AccountName, GroupName, Target};
use crate::protocol::GuestRole;

/// The subcommands for the policy.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what an account may open and why, and how it may sign in; or whether it may open one
    /// target.
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
        /// the grant), group (by which the account has it, or null), share (the most that a
        /// guest may become, watcher or writer, or null), time_limit (seconds, or
        /// null), fresh_touch (seconds, or null if no touch is needed), reason (whether one is), shell
        /// (null for the user's own), template (null if the machine must be there before), network
        /// (what the machine reaches, in words, or null), disk (the limit of its disk space in bytes,
        /// or null), allow (the changes of the machine that the account may have made); without
        /// TARGET also resume (for how many seconds after a touch the page comes back without
        /// another, or null) and client_key (what a command line from afar may do, an object with
        /// allow and max_age in seconds, or null).
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
        None if json => {
            let client_key = config
                .client_key_rule(&account)
                .map(|rule| json!({ "allow": rule.allow, "max_age": rule.max_age.get().as_secs() }));
            let (resume, grants) = (config.resume.seconds(), grants(&given));
            let said =
                json!({ "account": account, "grants": grants, "resume": resume, "client_key": client_key });
            print(&said.to_string())
        }
        None if given.is_empty() => print(&for_people(&account, &given, &file)),
        None => {
            print(&for_people(&account, &given, &file))?;
            print(&sign_ins(&config, &account, &file))
        }
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
        let share = match grant.share {
            Some(GuestRole::Writer) => " and share the sessions",
            Some(GuestRole::Watcher) => " and share the sessions with others who only watch",
            None => "",
        };
        let made = match machine {
            _ if grant.is_on_host() => {
                "This is the host itself: polkit must permit it too, see 'tere check'.".to_owned()
            }
            Some(machine) => {
                let (template, network) = (&machine.template, &machine.network);
                let changes = changes(machine);
                let disk = machine.limits.disk;
                let disk =
                    disk.map_or_else(String::new, |disk| format!(" It takes up to {disk} of the disk."));
                format!(
                    "The machine is made from the template {template}{changes}.{disk} Over the network it reaches {network}."
                )
            }
            None => "The machine must be there: tere does not make it.".to_owned(),
        };
        let group = group.map_or_else(String::new, |group| format!(", as one of the group {group}"));
        let shell = grant.launch.shell.as_ref();
        let shell = shell.map_or_else(String::new, |shell| format!(" The shell is {}.", shell.as_str()));
        let (terms, line) = (demands(&grant.terms), grant.line);
        format!(
            "{account} may open {target}{share}, by the grant in line {line} of {file}{group}. {made}{shell}{terms}"
        )
    };
    given.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What an account signs in with beside its passkeys, in sentences.
fn sign_ins(config: &Config, account: &AccountName, file: &str) -> String {
    let page = match config.resume.get() {
        Some(time) => format!(
            "The page comes back without a touch of the passkey for {} after the last one.",
            time::lasting(time)
        ),
        None => "The page needs a touch of the passkey each time it comes back.".to_owned(),
    };
    let key = match config.client_key_rule(account) {
        Some(rule) => {
            let allowed: Vec<_> = rule.allow.iter().map(ToString::to_string).collect();
            format!(
                "From another computer, a client key signs tere in for {} after it was bound. It may: {}.",
                time::lasting(rule.max_age.get()),
                allowed.join(", ")
            )
        }
        None => format!(
            "tere cannot be used from another computer: no [[client-key]] in {file} names the account."
        ),
    };
    format!("{page}\n{key}")
}

/// What the account may have done with a machine.
fn changes(machine: &Machine) -> String {
    if machine.allow.is_empty() {
        return String::new();
    }
    let allowed: Vec<_> = machine.allow.iter().map(ToString::to_string).collect();
    format!("; the account may have it changed: {}", allowed.join(", "))
}

/// What a grant demands, in sentences that follow another one.
fn demands(Terms { fresh_touch, reason, time_limit }: &Terms) -> String {
    let touch = fresh_touch.map(|touch| {
        let age = touch.get().as_secs();
        format!(" Each view needs a touch of the passkey, made for it and at most {age} s old.")
    });
    let reason = reason.then(|| " Whoever opens a session has to say why.".to_owned());
    let limit = time_limit.map(|limit| format!(" A session ends after {} s.", limit.get().as_secs()));
    [touch, reason, limit].into_iter().flatten().collect()
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
    json!({ "account": account, "grants": grants(given) })
}

fn grants(given: &[Given<'_>]) -> serde_json::Value {
    let grants = given.iter().map(|Given { target, grant, group, machine }| {
        json!({
            "target": target,
            "line": grant.line,
            "group": group,
            "share": grant.share,
            "time_limit": grant.terms.time_limit.map(|limit| limit.get().as_secs()),
            "fresh_touch": grant.terms.fresh_touch.map(|touch| touch.get().as_secs()),
            "reason": grant.terms.reason,
            "shell": grant.launch.shell.as_ref().map(Shell::as_str),
            "template": machine.map(|machine| &machine.template),
            "network": machine.map(|machine| machine.network.to_string()),
            "disk": machine.and_then(|machine| machine.limits.disk).map(DiskSpace::bytes),
            "allow": machine.map(|machine| &machine.allow),
        })
    });
    grants.collect()
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
            json!({"target": "dev@lab", "line": 9, "group": "lab", "share": "writer", "time_limit": null, "shell": "/bin/zsh", "template": null, "network": null, "disk": null, "allow": null, "fresh_touch": null, "reason": false})
        );
        assert_eq!(json["grants"][0]["disk"], 20_u64 << 30);
    }

    #[test]
    fn what_beside_a_passkey_signs_in_is_said() {
        let alice: AccountName = "alice".parse().unwrap();
        let rule =
            "[[client-key]]\naccounts = [\"alice\"]\nallow = [\"open\", \"list\"]\nmax-age = \"36h\"\n";
        let said = |text: &str| sign_ins(&Config::parse(text, "tere.toml").unwrap(), &alice, "tere.toml");
        assert_eq!(
            said(&format!("{POLICY}{rule}")),
            "The page comes back without a touch of the passkey for 12 hours after the last one.\n\
             From another computer, a client key signs tere in for 36 hours after it was bound. It may: list, open."
        );
        assert_eq!(
            said(&format!("resume = false\n{POLICY}")),
            "The page needs a touch of the passkey each time it comes back.\n\
             tere cannot be used from another computer: no [[client-key]] in tere.toml names the account."
        );
    }

    #[test]
    fn how_far_sessions_are_shared_is_said() {
        let alice: AccountName = "alice".parse().unwrap();
        for (share, words, role) in [
            ("true", "dev@lab and share the sessions, by", json!("writer")),
            ("\"watch\"", "dev@lab and share the sessions with others who only watch, by", json!("watcher")),
            ("false", "dev@lab, by", json!(null)),
        ] {
            let text = POLICY.replace("share = true", &format!("share = {share}"));
            let config = Config::parse(&text, "tere.toml").unwrap();
            let given = given(&config, &alice);
            let said = for_people(&alice, &given, "tere.toml");
            assert!(said.contains(words), "{said}");
            assert_eq!(for_programs(&alice, &given)["grants"][1]["share"], role);
        }
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
            "eve may open root@.host, by the grant in line 27 of tere.toml. This is the host itself: polkit must permit it too, see 'tere check'. Each view needs a touch of the passkey, made for it and at most 60 s old. Whoever opens a session has to say why. A session ends after 3600 s."
        );
        let json = for_programs(&eve, &given(&config, &eve));
        let grant = &json["grants"][0];
        assert_eq!(
            (&grant["fresh_touch"], &grant["reason"], &grant["time_limit"]),
            (&json!(60), &json!(true), &json!(3600))
        );
    }

    #[test]
    fn what_a_grant_demands_is_said_wherever_it_is() {
        let alice: AccountName = "alice".parse().unwrap();
        let text = POLICY.replace("share = true", "fresh-touch = \"20s\"\ntime-limit = \"8h\"");
        let config = Config::parse(&text, "tere.toml").unwrap();
        let said = for_people(&alice, &given(&config, &alice), "tere.toml");
        let lab = said.lines().nth(1).unwrap();
        assert!(
            lab.ends_with("Each view needs a touch of the passkey, made for it and at most 20 s old. A session ends after 28800 s."),
            "{lab}"
        );
        assert!(!said.lines().next().unwrap().contains("touch"), "{said}");
    }
}
