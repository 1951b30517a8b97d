//! What machines reach. The host gets a neighbour, `world`, which stands for the internet
//! (198.51.100.7), for a private network (10.9.9.9, which is also the host's DNS server) and for
//! another one (10.8.8.8). The host's own address towards it is 203.0.113.1.

use tere::protocol::EndReason;

use crate::grants::PolicyHost;
use crate::host::Host;
use crate::managed::{asks, failed_units};
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stories::holder;

const INTERNET: &str = "198.51.100.7/80";
const PRIVATE: &str = "10.9.9.9/80";
const OTHER_PRIVATE: &str = "10.8.8.8/80";
const DNS: &str = "10.9.9.9/53";
const THE_HOST: &str = "203.0.113.1/80";

/// A host with a neighbour, and with a network for the machines of the policy.
struct World {
    changed: PolicyHost,
}

impl World {
    fn with(network: &str) -> Self {
        let world = Self { changed: PolicyHost::with(&policy(network)) };
        let host = &world.changed.host;
        host.sh("\
            ip netns add world && ip link add up0 type veth peer name w0 netns world && \
            ip address add 203.0.113.1/24 dev up0 && ip link set up0 up && ip route add default via 203.0.113.2 && \
            ip -n world address add 203.0.113.2/24 dev w0 && ip -n world link set lo up && \
            for address in 198.51.100.7 10.9.9.9 10.8.8.8; do ip -n world address add $address/32 dev lo; done && \
            ip -n world link set w0 up && echo nameserver 10.9.9.9 >/etc/resolv.conf && \
            systemctl start systemd-networkd");
        let serve = |unit: &str, before: &str, port: &str| {
            host.sh(&format!(
                "systemd-run --quiet --unit={unit} {before} systemd-socket-activate --accept --inetd -l 0.0.0.0:{port} echo here"
            ));
        };
        serve("world-80", "ip netns exec world", "80");
        serve("world-53", "ip netns exec world", "53");
        serve("host-80", "", "80");
        world
    }

    fn host(&self) -> &Host {
        &self.changed.host
    }

    /// Opens a machine and waits until it has an address, which is returned.
    fn open(&self, account: &str) -> (PrincipalClient, String) {
        let mut client = holder(self.host(), account);
        client.open(&format!("dev@{account}-net")).unwrap();
        inside(self.host(), account, "systemctl start systemd-networkd");
        let address = eventually("the machine has an address", PATIENCE, || {
            let shown = inside(self.host(), account, "ip -4 -o address show dev host0 scope global");
            let address = shown.split_whitespace().skip_while(|word| *word != "inet").nth(1)?;
            Some(address.split('/').next()?.to_owned())
        });
        (client, address)
    }

    /// Whether the root of the account's machine gets an answer from ADDRESS/PORT.
    fn reaches(&self, account: &str, server: &str) -> bool {
        inside(self.host(), account, &format!("timeout 3 bash -c 'cat </dev/tcp/{server}' 2>&1 || true"))
            == "here"
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.host().sh("\
            systemctl stop 'tere-managed@*.service' world-80 world-53 host-80 systemd-networkd systemd-networkd.socket; \
            rm -f /etc/resolv.conf; ip link del up0; ip netns del world");
    }
}

/// Runs a line of shell as the root of the account's machine.
fn inside(host: &Host, account: &str, line: &str) -> String {
    let machine = format!("--machine={account}-net");
    host.run(&["systemd-run", "--quiet", &machine, "--pipe", "--wait", "sh", "-c", line])
}

fn policy(network: &str) -> String {
    format!(
        "[[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{{account}}-net\"\nuser = \"dev\"\n\
         [[machine]]\nname = \"{{account}}-net\"\ntemplate = \"debian\"\n{network}\n"
    )
}

#[test]
fn a_machine_with_the_internet_reaches_nothing_else() {
    let world = World::with("network = \"internet\"");
    let host = world.host();
    let ((_alice, _), (_bob, bobs)) = (world.open("alice"), world.open("bob"));
    eventually("the internet", PATIENCE, || world.reaches("alice", INTERNET).then_some(()));
    assert!(world.reaches("alice", DNS));
    for server in [PRIVATE, OTHER_PRIVATE, THE_HOST] {
        assert!(!world.reaches("alice", server), "{server}");
    }
    // Neither by the host's address towards it, nor another machine, nor it from there.
    let gateway =
        inside(host, "alice", "ip -4 route show default").split_whitespace().nth(2).unwrap().to_owned();
    assert!(!world.reaches("alice", &format!("{gateway}/80")), "{gateway}");
    inside(
        host,
        "bob",
        "systemd-run --quiet systemd-socket-activate --accept --inetd -l 0.0.0.0:80 echo here",
    );
    assert!(world.reaches("bob", "127.0.0.1/80"));
    assert!(!world.reaches("alice", &format!("{bobs}/80")));
    // Nor does anybody connect to it from elsewhere. The host itself does.
    host.sh(&format!("ip -n world route add {bobs} via 203.0.113.1"));
    let from_world = format!("ip netns exec world timeout 3 bash -c 'cat </dev/tcp/{bobs}/80' || true");
    assert_eq!(host.sh(&from_world), "");
    assert_eq!(host.sh(&format!("timeout 3 bash -c 'cat </dev/tcp/{bobs}/80'")), "here");
    // Nothing leaves with an address that is not the machine's.
    host.sh("ip netns exec world nft 'add table inet seen { chain incoming { type filter hook prerouting priority 0; ip saddr 10.7.7.7 counter; }; }'");
    inside(
        host,
        "alice",
        "ip address add 10.7.7.7/32 dev host0; ip route add 198.51.100.7 via $(ip -4 route show default | cut -d' ' -f3) src 10.7.7.7",
    );
    assert!(!world.reaches("alice", INTERNET));
    let seen = host.sh("ip netns exec world nft list table inet seen");
    assert!(seen.contains("packets 0"), "{seen}");
    inside(host, "alice", "ip route del 198.51.100.7");
    // Whoever replaces the host's firewall leaves the filter in its place.
    host.sh("nft flush ruleset; systemctl restart systemd-networkd");
    eventually("the internet", PATIENCE, || world.reaches("alice", INTERNET).then_some(()));
    assert!(!world.reaches("alice", PRIVATE) && !world.reaches("alice", THE_HOST));
}

#[test]
fn a_machine_does_not_outlive_its_filter_and_the_filter_not_the_machine() {
    let world = World::with("network = \"internet\"");
    let host = world.host();
    let mut alice = holder(host, "alice");
    let mut shell = alice.open("dev@alice-net").unwrap();
    asks(&mut shell, "echo $((6*7))", "42\r\n");
    let tables = || host.sh("nft list tables | grep tere_ || true");
    assert_ne!(tables(), "");
    // It runs as nobody in particular, and can do nothing else.
    let process = host.sh("cat /proc/$(systemctl show -P MainPID tere-network@alice-net)/status");
    assert!(
        process.contains("Name:\tnft")
            && !process.contains("Uid:\t0")
            && process.contains("CapBnd:\t0000000000001000"),
        "{process}"
    );
    // What would be an orderly end for systemd ends it not at all.
    for signal in ["TERM", "HUP", "INT", "PIPE"] {
        host.sh(&format!("systemctl kill --signal={signal} tere-network@alice-net"));
    }
    asks(&mut shell, "echo $((6*8))", "48\r\n");
    assert_ne!(tables(), "");
    host.sh("systemctl kill --signal=KILL tere-network@alice-net");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    eventually("the machine is stopped", PATIENCE, || {
        (!host.try_run(&["systemctl", "is-active", "--quiet", "tere-managed@alice-net"]).success)
            .then_some(())
    });
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-net").ok());
    asks(&mut shell, "echo $((6*7))", "42\r\n");
    assert_ne!(tables(), "");
    host.power_off("alice-net");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    eventually("the filter is gone", PATIENCE, || tables().is_empty().then_some(()));
    assert_eq!(failed_units(host), "");
    // Without one, no machine.
    let nft = host.sh("command -v nft");
    host.sh(&format!("mv {nft} {nft}.away"));
    let refused = alice.open("dev@alice-net");
    host.sh(&format!("mv {nft}.away {nft}"));
    assert_eq!(refused.unwrap_err(), tere::protocol::Refusal::MachineNotMade);
    alice.open("dev@alice-net").unwrap();
}

#[test]
fn a_machine_reaches_what_is_listed_and_without_a_network_nothing() {
    let world = World::with("network = [\"10.9.9.0/24\", \"203.0.113.1\"]");
    let host = world.host();
    let (alice, _) = world.open("alice");
    eventually("the listed network", PATIENCE, || world.reaches("alice", PRIVATE).then_some(()));
    assert!(world.reaches("alice", THE_HOST), "it is listed by itself");
    for server in [INTERNET, OTHER_PRIVATE] {
        assert!(!world.reaches("alice", server), "{server}");
    }
    drop(alice);
    // A machine has what the policy says when it starts, however soon it starts again.
    world.changed.rewrite(&policy("network = [\"dns\", \"203.0.113.0/24\"]"));
    host.sh("systemctl restart tere-managed@alice-net");
    let (alice, _) = world.open("alice");
    eventually("the listed network", PATIENCE, || world.reaches("alice", DNS).then_some(()));
    assert!(!world.reaches("alice", THE_HOST), "only its network is listed");
    assert!(!world.reaches("alice", PRIVATE));
    drop(alice);
    world.changed.rewrite(&policy("network = [\"10.8.8.8\"]"));
    host.sh("machinectl reboot alice-net");
    eventually("it has rebooted", PATIENCE, || {
        let filter = host.sh("nft list ruleset");
        (filter.contains("10.8.8.8") && !filter.contains("203.0.113.0")).then_some(())
    });
    let (alice, _) = world.open("alice");
    eventually("the listed address", PATIENCE, || world.reaches("alice", OTHER_PRIVATE).then_some(()));
    assert!(!world.reaches("alice", DNS));
    drop(alice);
    world.changed.rewrite(&policy(""));
    host.sh("systemctl stop tere-managed@alice-net");
    holder(host, "alice").open("dev@alice-net").unwrap();
    let links = inside(host, "alice", "ls /sys/class/net");
    assert_eq!(links, "lo");
    assert_eq!(host.sh("nft list tables | grep tere_ || true"), "");
}
