use std::path::Path;
use std::process::{Command, Stdio};

use super::{Finding, PATIENCE};
use crate::config::{Config, Machine, Network};

/// Checks what the networks of the policy's machines need on the host. Without such machines there
/// is nothing to check.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let networks = config.machines.iter().map(|Machine { network, .. }| network);
    let mut findings = Vec::new();
    if networks.clone().any(|network| matches!(network, Network::Filtered(_))) {
        findings.push(packet_filter(succeeds("nft", &["--version"])));
        findings
            .push(addresses(succeeds("systemctl", &["--quiet", "is-active", "systemd-networkd.service"])));
    }
    let mut bridges: Vec<_> = networks
        .filter_map(|network| match network {
            Network::Bridge(bridge) => Some(bridge.as_str()),
            Network::None | Network::Filtered(_) => None,
        })
        .collect();
    bridges.sort_unstable();
    bridges.dedup();
    let is_there = |name: &&str| Path::new("/sys/class/net").join(name).join("bridge").is_dir();
    findings.extend(bridges.into_iter().map(|name| bridge(name, is_there(&name))));
    findings
}

/// Whether a program succeeds within [`PATIENCE`].
fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new("timeout");
    command
        .arg(PATIENCE.as_secs().to_string())
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn packet_filter(there: bool) -> Finding {
    let fix = "Machines with a network do not start. Install it: apt install nftables";
    found("packet filter", there, "nft is installed", "there is no program nft", fix)
}

fn addresses(networkd: bool) -> Finding {
    let fix =
        "Machines get no addresses unless something else gives them: systemctl enable --now systemd-networkd";
    let (runs, does_not) = ("systemd-networkd runs", "systemd-networkd does not run");
    found("addresses of machines", networkd, runs, does_not, fix)
}

fn bridge(name: &str, there: bool) -> Finding {
    let fix = "Machines with it do not start. Make it, see systemd.netdev(5), or correct the name.";
    found(&format!("bridge {name}"), there, "it is there", "the host has no such bridge", fix)
}

fn found(what: &str, good: bool, if_good: &str, if_not: &str, fix: &str) -> Finding {
    if good { Finding::ok(what, if_good) } else { Finding::wrong(what, if_not, fix) }
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn only_what_the_policy_needs_is_looked_for() {
        let with = |network: &str| {
            let text = format!(
                "origin = \"https://a.example\"\n[[grant]]\naccounts = [\"a\"]\nmachine = \"m\"\nuser = \"dev\"\n\
                 [[machine]]\nname = \"m\"\ntemplate = \"debian\"\n{network}\n"
            );
            let found = look(&Config::parse(&text, "tere.toml").unwrap());
            found.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
        };
        assert!(with("").is_empty());
        assert_eq!(with("network = \"internet\""), ["packet filter", "addresses of machines"]);
        assert_eq!(with("network = \"bridge:br-absent\""), ["bridge br-absent"]);
        for finding in [packet_filter(false), addresses(false), bridge("br0", false)] {
            assert!(matches!(finding.state, FindingState::Wrong(_)), "{finding:?}");
        }
    }
}
