//! The network of a machine, and the packet filter on the host in front of it. systemd starts
//! `tere-machine network NAME` in `tere-network@NAME.service` before the machine boots. It becomes
//! nft(8), which holds the filter for as long as the machine runs: a table that belongs to a process
//! cannot be changed or flushed by others, and goes away with the process. systemd stops the machine
//! if that process ends before it.
//!
//! The filter is on the host's side of the machine's interface, where the machine's root has no say.
//! Filters on the machine's control group (`IPAddressDeny=`) see no packets that it forwards from a
//! network namespace of its own, or writes to a packet socket.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::failure::Failure;
use super::folders::storage;
use super::tool::output;
use crate::config::{Config, INTERFACE_MAX, Network, Prefix, Reach};
use crate::names::MachineName;

/// How long nft has to set up a filter. It takes milliseconds, on an emulated processor seconds.
const FILTER_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay between two looks at whether the filter is there.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What the host's side of a machine's interface begins with. systemd-networkd gives an address to
/// interfaces of this name, see `80-container-ve.network`.
const INTERFACE_PREFIX: &str = "ve-";

/// Where the host's resolvers name their servers.
const RESOLVERS: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// Most DNS servers that are taken from each of [`RESOLVERS`]. The rest is left out; programs use
/// three.
const SERVERS_MAX: usize = 8;

/// IPv4 addresses that are not of the internet: private, shared, reserved and multicast networks.
const NOT_PUBLIC: &str = "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, \
                          172.16.0.0/12, 192.0.0.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3";

/// IPv6 addresses of the internet; and those among them that stand for IPv4 addresses, which may be
/// private ones.
const PUBLIC_V6: &str = "2000::/3";
const MAPPED_V6: &str = "2001::/32, 2002::/16";

/// Drops packets whose source address does not belong to the interface that they come from.
const FROM_ELSEWHERE: &str = "fib saddr . iif oif missing drop";

/// Sets up the machine's filter. Returns if the machine needs none; otherwise this process becomes
/// nft, which waits for more commands that never come.
pub(super) fn hold_filter(name: &MachineName, policy: &Path) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    let machine = policy.machine(name).ok_or(Failure::NotInPolicy)?;
    let Network::Filtered(reach) = &machine.network else { return Ok(()) };
    let rules = ruleset(name, reach, &servers());
    match become_nft(&rules)? {}
}

fn become_nft(rules: &str) -> Result<Infallible, Failure> {
    let failed = |error: io::Error| Failure::Tool("nft", error.to_string());
    let (reader, mut writer) = io::pipe().map_err(failed)?;
    // The rules are much shorter than what a pipe holds.
    writeln!(writer, "{rules}").map_err(failed)?;
    // nft ends when its input does, so it keeps the other end itself.
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| failed(errno.into()))?;
    // systemd takes an end by one of these signals for an orderly one, and would leave the machine
    // running without its filter.
    let mut nft = Command::new("env");
    nft.args(["--ignore-signal=TERM,HUP,INT,PIPE", "nft", "--interactive"]).stdin(Stdio::from(reader));
    let error = nft.exec();
    drop(writer);
    Err(failed(error))
}

/// Waits until the machine's filter is there as the policy has it now, if it needs one.
pub(super) fn await_filter(name: &MachineName, network: &Network) -> Result<(), Failure> {
    let Network::Filtered(reach) = network else { return Ok(()) };
    let deadline = Instant::now() + FILTER_TIMEOUT;
    loop {
        let mut list = Command::new("nft");
        list.args(["list", "table", "inet", &table(name)]);
        if output("nft", &mut list).is_ok_and(|table| table.contains(&comment(name, reach))) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            // The journal of tere-network@ has the reason.
            return Err(Failure::NoFilter(name.clone()));
        }
        // Between two looks: nft says nothing when it is done.
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The options of systemd-nspawn for a network.
pub(super) fn nspawn_options(name: &MachineName, network: &Network) -> String {
    match network {
        Network::None => "--private-network".to_owned(),
        // The filter names the interface, so it is not left to systemd-nspawn to choose one.
        Network::Filtered(_) => format!("--network-veth-extra={}:host0", interface(name)),
        Network::Bridge(bridge) => format!("--network-bridge={}", bridge.as_str()),
    }
}

/// The host's side of the machine's interface: `ve-` and the name, or a hash of it if it is too long.
fn interface(name: &MachineName) -> String {
    let short = format!("{INTERFACE_PREFIX}{name}");
    if short.len() <= INTERFACE_MAX { short } else { format!("{INTERFACE_PREFIX}{}", hash(name.as_str())) }
}

fn table(name: &MachineName) -> String {
    format!("tere_{}", hash(name.as_str()))
}

/// The comment of the table: whose it is, and what it lets pass by the policy.
fn comment(name: &MachineName, reach: &Reach) -> String {
    format!("comment \"{name} {}\"", hash(&reach.to_string()))
}

/// 12 characters that stand for a text.
fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(12).collect()
}

/// The DNS servers of the host, without those that only the host itself reaches.
fn servers() -> Vec<IpAddr> {
    let texts = RESOLVERS.iter().filter_map(|path| {
        let read = fs::read_to_string(path).map_err(storage("read", Path::new(path)));
        read.inspect_err(|error| tracing::debug!(%error, "{error}")).ok()
    });
    let mut servers: Vec<IpAddr> = texts.flat_map(|text| named_in(&text)).collect();
    servers.sort();
    servers.dedup();
    servers
}

fn named_in(resolv_conf: &str) -> Vec<IpAddr> {
    let named = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        address.parse::<IpAddr>().ok()
    });
    named.filter(|server| !server.is_loopback() && !server.is_unspecified()).take(SERVERS_MAX).collect()
}

/// The rules of a machine, as one command for nft: they are in force all at once, or not at all.
fn ruleset(name: &MachineName, reach: &Reach, servers: &[IpAddr]) -> String {
    let interface = interface(name);
    let mut rules = format!("add table inet {} {{ {}; flags owner; ", table(name), comment(name, reach));
    let mut rule = |text: &str| {
        // Writing to a String cannot fail.
        let _ = write!(rules, "{text}; ");
    };
    let prefixes = |wanted: fn(&Prefix) -> bool| {
        let of = |v4: bool| {
            let chosen = reach.prefixes.iter().filter(|prefix| prefix.is_v4() == v4 && wanted(prefix));
            chosen.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        [("ip", of(true)), ("ip6", of(false))].into_iter().filter(|(_, list)| !list.is_empty())
    };

    // To the host itself: DHCP and neighbour discovery, answers to what the host has begun, and those
    // of its addresses that the policy lists one by one.
    rule("chain input { type filter hook input priority filter - 10; policy accept");
    rule(&format!("iifname != \"{interface}\" accept"));
    rule("udp sport 68 udp dport 67 accept");
    rule("icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept");
    // Not even an answer comes from an address of somebody else.
    rule(FROM_ELSEWHERE);
    rule("ct state established,related accept");
    for (family, list) in prefixes(Prefix::is_address) {
        rule(&format!("{family} daddr {{ {list} }} accept"));
    }
    rule("reject with icmpx admin-prohibited");
    rule("}");

    // To it, only answers. From it, only packets with an address of its own.
    rule("chain forward { type filter hook forward priority filter - 10; policy accept");
    rule(&format!("oifname \"{interface}\" ct state established,related accept"));
    rule(&format!("oifname \"{interface}\" drop"));
    rule(&format!("iifname != \"{interface}\" accept"));
    rule(FROM_ELSEWHERE);
    if reach.dns {
        for server in servers {
            let family = if server.is_ipv4() { "ip" } else { "ip6" };
            rule(&format!("{family} daddr {server} udp dport 53 accept"));
            rule(&format!("{family} daddr {server} tcp dport 53 accept"));
        }
    }
    for (family, list) in prefixes(|_| true) {
        rule(&format!("{family} daddr {{ {list} }} accept"));
    }
    if reach.internet {
        rule(&format!("ip daddr != {{ {NOT_PUBLIC} }} accept"));
        rule(&format!("ip6 daddr {{ {MAPPED_V6} }} reject with icmpx admin-prohibited"));
        rule(&format!("ip6 daddr {PUBLIC_V6} accept"));
    }
    rule("reject with icmpx admin-prohibited");
    rule("}");
    rules.push('}');
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_name_that_fits() {
        for (name, interface_name) in [("web1", "ve-web1"), ("abcdefghijkl", "ve-abcdefghijkl")] {
            assert_eq!(interface(&name.parse().unwrap()), interface_name);
        }
        let (one, other) =
            (interface(&"alice.a-task".parse().unwrap()), interface(&"alice-longer-box".parse().unwrap()));
        assert_eq!(one, "ve-alice.a-task");
        assert!(
            other.len() == INTERFACE_MAX && other.starts_with("ve-") && !other.contains("alice"),
            "{other}"
        );
    }

    #[test]
    fn dns_servers_are_those_that_a_machine_can_reach() {
        let text = "# nameserver 192.0.2.9\nnameserver 127.0.0.53\nnameserver 192.0.2.1 x\noptions edns0\n\
                    nameserver fe80::1%eth0\nnameserver 2001:db8::53\nnameserver\nnameserver ::1\nnameserver 0.0.0.0\n";
        let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::53".parse().unwrap()];
        assert_eq!(named_in(text), expected);
        assert_eq!(named_in(&"nameserver 192.0.2.1\n".repeat(100)).len(), SERVERS_MAX);
    }

    #[test]
    fn the_rules_end_with_a_refusal_and_name_what_the_policy_names() {
        let name = "alice-box".parse().unwrap();
        let prefixes = ["10.1.2.0/24", "10.1.2.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        let reach = Reach { internet: false, dns: true, prefixes: prefixes.into() };
        let rules = ruleset(&name, &reach, &["192.0.2.1".parse().unwrap()]);
        let (input, forward) = rules.split_once("chain forward").unwrap();
        for chain in [input, forward.trim_end_matches('}')] {
            assert!(
                chain.trim_end_matches("; ").ends_with("reject with icmpx admin-prohibited; }"),
                "{chain}"
            );
        }
        let are_in_order = |chain: &str, rules: &[&str]| {
            let places: Vec<_> = rules.iter().map(|rule| chain.find(rule).expect(rule)).collect();
            assert!(places.is_sorted(), "{chain}");
        };
        are_in_order(input, &[FROM_ELSEWHERE, "ct state established,related accept", "ip daddr"]);
        let (drop, pass) = ("oifname \"ve-alice-box\" drop", "iifname != \"ve-alice-box\" accept");
        are_in_order(forward, &[drop, pass, FROM_ELSEWHERE, "ip daddr"]);
        // The host itself only by its address.
        assert!(
            input.contains("ip daddr { 10.1.2.7/32 } accept; ip6 daddr { 2001:db8::7/128 } accept"),
            "{input}"
        );
        assert!(forward.contains("ip daddr { 10.1.2.0/24, 10.1.2.7/32 } accept"), "{forward}");
        assert!(forward.contains("ip daddr 192.0.2.1 udp dport 53 accept"), "{forward}");
        assert!(!rules.contains('\n') && !rules.contains(PUBLIC_V6), "{rules}");
        let internet = Reach { internet: true, ..Reach::default() };
        let rules = ruleset(&name, &internet, &["192.0.2.1".parse().unwrap()]);
        assert!(
            rules.contains(NOT_PUBLIC) && rules.contains(PUBLIC_V6) && !rules.contains("dport 53"),
            "{rules}"
        );
    }
}
