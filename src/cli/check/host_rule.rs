//! The second lock of shells on the host: polkit/40-tere-host.rules, which an administrator
//! installs.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::names::{Target, UnixUser};

/// The rule as this version of tere comes with it.
const RULE: &str = include_str!("../../../polkit/40-tere-host.rules");

/// Where the package puts it, and where it is in force.
const PACKAGED: &str = "/usr/share/tere/polkit/40-tere-host.rules";
const INSTALLED: &str = "/etc/polkit-1/rules.d/40-tere-host.rules";

/// What comes before and after the list of users in the rule.
const LIST: (&str, &str) = ("var tereHostUsers = [", "];");

const WHAT: &str = "polkit rule for the host";

/// Whether polkit permits what the policy grants on the host, and no more. `None` if neither does
/// anything there.
pub(super) fn look(config: &Config) -> Option<Finding> {
    let granted = granted(config);
    match fs::read_to_string(INSTALLED) {
        Ok(rule) => Some(compare(&granted, &rule)),
        Err(error) if error.kind() == ErrorKind::NotFound && granted.is_empty() => None,
        Err(error) if error.kind() == ErrorKind::NotFound => Some(missing()),
        Err(error) => {
            let found = format!("cannot read {INSTALLED}: {error}");
            Some(Finding::unknown(WHAT, found, "Run 'tere check' as root."))
        }
    }
}

/// The users of the host that some account is granted.
fn granted(config: &Config) -> BTreeSet<UnixUser> {
    let grants = config.grants.iter();
    let targets =
        grants.flat_map(|grant| grant.accounts.iter().filter_map(|account| grant.target_of(account)));
    targets.filter(|target| target.machine.is_host()).map(|Target { user, .. }| user).collect()
}

fn missing() -> Finding {
    Finding::wrong(
        WHAT,
        format!("the policy grants shells on the host, and there is no {INSTALLED}"),
        format!("cp {PACKAGED} {}; then name the users in it", folder()),
    )
}

fn folder() -> String {
    Path::new(INSTALLED).parent().unwrap_or(Path::new("/")).display().to_string()
}

fn compare(granted: &BTreeSet<UnixUser>, rule: &str) -> Finding {
    let Some((before, users, after)) = parts(rule) else { return changed() };
    let ours = parts(RULE);
    if ours.is_none_or(|(ours_before, _, ours_after)| (ours_before, ours_after) != (before, after)) {
        return changed();
    }
    let Some(listed) = users_of(users) else { return changed() };
    let names = |users: Vec<&UnixUser>| users.iter().map(|user| user.as_str()).collect::<Vec<_>>().join(", ");
    let absent: Vec<_> = granted.difference(&listed).collect();
    if !absent.is_empty() {
        let found = format!(
            "the policy grants shells on the host as {}, which {INSTALLED} does not list",
            names(absent)
        );
        return Finding::wrong(WHAT, found, "Add the user to its list, or remove the grant");
    }
    let more: Vec<_> = listed.difference(granted).collect();
    if more.is_empty() {
        Finding::ok(WHAT, format!("{INSTALLED} lists {}", names(listed.iter().collect())))
    } else {
        let found = format!("{INSTALLED} lists {}, and no grant is for this", names(more));
        Finding::wrong(WHAT, found, "Remove the user from its list: the second lock is open for nobody")
    }
}

fn changed() -> Finding {
    Finding::wrong(
        WHAT,
        format!("{INSTALLED} is not the rule that this version of tere came with, apart from its list"),
        format!("Compare it with {PACKAGED}; if nobody changed it on purpose, copy that again"),
    )
}

/// The rule before its list of users, the list, and the rest.
fn parts(rule: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = rule.split_once(LIST.0)?;
    let (users, after) = rest.split_once(LIST.1)?;
    Some((before, users, after))
}

/// The users in the list: texts in double quotes with commas between them.
fn users_of(list: &str) -> Option<BTreeSet<UnixUser>> {
    let items = list.split(',').map(str::trim);
    // The last comma may be followed by nothing.
    let items = items.filter(|item| !item.is_empty());
    items.map(|item| item.strip_prefix('"')?.strip_suffix('"')?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    fn of(granted: &[&str], rule: &str) -> FindingState {
        compare(&granted.iter().map(|user| user.parse().unwrap()).collect(), rule).state
    }

    #[test]
    fn the_list_of_the_rule_is_what_the_policy_grants() {
        let rule = |users: &str| RULE.replace("tereHostUsers = []", &format!("tereHostUsers = [{users}]"));
        for users in [r#""ops", "root""#, "\n    \"root\",\n    \"ops\",\n"] {
            assert!(matches!(of(&["ops", "root"], &rule(users)), FindingState::Ok), "{users}");
        }
        for (granted, users) in [(vec!["ops"], ""), (vec!["ops"], r#""ops", "root""#), (vec![], r#""ops""#)] {
            assert!(matches!(of(&granted, &rule(users)), FindingState::Wrong(_)), "{granted:?} {users}");
        }
        for changed in [rule("ops"), rule(r#""ops""#).replace("NO;", "YES;"), String::new()] {
            assert!(matches!(of(&["ops"], &changed), FindingState::Wrong(_)), "{changed}");
        }
    }

    #[test]
    fn the_users_of_the_host_are_those_of_its_grants() {
        let policy = "origin = \"https://a.example\"\n\
            [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \".host\"\nuser = \"{account}\"\n\
            [[grant]]\naccounts = [\"alice\"]\nmachine = \"lab\"\nuser = \"dev\"\n";
        let config = Config::parse(policy, "tere.toml").unwrap();
        let users: Vec<_> = granted(&config).iter().map(ToString::to_string).collect();
        assert_eq!(users, ["alice", "bob"]);
    }
}
