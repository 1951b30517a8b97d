//! Machines that tere makes. The policy of the host has the machine `{account}-box` for alice and bob.

use tere::protocol::{EndReason, OpeningStep, Refusal};

use crate::host::Host;
use crate::parts::shell::{PATIENCE, Shell};
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Removes what there is of alice's and bob's machines, and their homes.
pub fn no_machines(host: &Host) {
    host.sh("systemctl stop 'tere-managed@*.service'; cd /var/lib/tere && \
             for folder in machines homes bases checkpoints incoming locks; do \
             find $folder -mindepth 1 -maxdepth 1 -exec rm -rf {} +; done; /usr/lib/tere/tere-machine index");
}

/// The units of machines that systemd keeps as failed, a line each.
pub fn failed_units(host: &Host) -> String {
    host.sh("systemctl list-units --plain --no-legend --failed 'tere-m*' 'tere-network@*'")
}

/// Runs a line of shell as the root of alice's machine.
pub fn in_machine(host: &Host, line: &str) -> String {
    host.run(&["systemd-run", "--quiet", "--machine=alice-box", "--pipe", "--wait", "sh", "-c", line])
}

/// Whether these are the steps of making a machine. On a busy host the first can be over before
/// systemd has told of it.
fn was_made(steps: &[OpeningStep]) {
    let all = [OpeningStep::Making, OpeningStep::Booting];
    assert!(*steps == all || *steps == all[1..], "{steps:?}");
}

pub fn asks(shell: &mut Shell, line: &str, answer: &str) {
    shell.type_in(&format!("{line}\r"));
    shell.expect(answer);
}

#[test]
fn a_machine_is_made_when_it_is_first_opened_and_its_home_is_kept() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    was_made(&std::mem::take(&mut alice.steps));
    asks(&mut shell, "echo $(id -un)@$(hostname):$HOME", "dev@alice-box:/home/dev");
    asks(&mut shell, "echo mine >~/kept && sync && echo written", "written");
    // Something in the system, by the machine's root.
    in_machine(&host, "echo there >/etc/mark");
    let limits = "systemctl show -p MemoryMax -p TasksMax -p CPUWeight tere-managed@alice-box | sort";
    assert_eq!(host.sh(limits), "CPUWeight=50\nMemoryMax=2147483648\nTasksMax=4096");
    // It is nobody else's: another machine, with other uids.
    let mut bob = holder(&host, "bob");
    assert_eq!(bob.open("dev@alice-box").unwrap_err(), Refusal::NotGranted);
    let mut other = bob.open("dev@bob-box").unwrap();
    asks(&mut other, "ls ~/kept /etc/mark", "cannot access '/etc/mark'");
    let base = |machine: &str| host.sh(&format!("grep base /var/lib/tere/machines/{machine}/machine.json"));
    assert_ne!(base("alice-box"), base("bob-box"));
    // It is there again after it was stopped.
    host.power_off("alice-box");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    assert_eq!(alice.steps, [OpeningStep::Booting]);
    asks(&mut shell, "cat ~/kept /etc/mark", "mine\r\nthere\r\n");
    // Nobody but root gets to the files on disk.
    let outsider = host.try_run(&["setpriv", "--reuid=1000", "--clear-groups", "ls", "/var/lib/tere/homes"]);
    assert!(!outsider.success && outsider.err.contains("Permission denied"), "{outsider:?}");
    no_machines(&host);
}

/// A machine's root owns its files, and may have changed the owner and the mode of any of them.
#[test]
fn a_machine_boots_whatever_its_root_did_to_its_folders() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    alice.open("dev@alice-box").unwrap();
    in_machine(
        &host,
        "echo mine >/home/dev/kept; chown -R dev:dev /home; chown dev:dev / /etc; chmod 0700 /home",
    );
    host.sh("systemctl stop tere-managed@alice-box");
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    asks(&mut shell, "cat ~/kept; stat -c %U /home", "mine\r\ndev\r\n");
    no_machines(&host);
}

/// An account that is added later under the same name is somebody else.
#[test]
fn an_account_gets_the_machine_of_an_earlier_one_only_if_the_operator_says_so() {
    let host = Host::alone();
    no_machines(&host);
    host.tere(&["account", "remove", "alice"]);
    assert!(host.tere(&["account", "add", "alice"]).0);
    holder(&host, "alice").open("dev@alice-box").unwrap();
    let (removed, said) = host.tere(&["account", "remove", "alice"]);
    assert!(removed && said.contains("tere machine remove --home alice-box"), "{said}");
    let refused = host.try_run(&["tere", "account", "add", "alice"]);
    assert!(!refused.success && refused.err.contains("alice-box"), "{refused:?}");
    // The home alone is reason enough.
    assert!(host.tere(&["machine", "remove", "alice-box", "--yes"]).0);
    assert!(!host.tere(&["account", "add", "alice"]).0);
    assert!(host.tere(&["account", "add", "alice", "--inherit"]).0);
    host.tere(&["account", "remove", "alice"]);
    no_machines(&host);
    assert!(host.tere(&["account", "add", "alice"]).0);
    host.tere(&["account", "remove", "alice"]);
}

/// A person is told what is wrong, nothing is left over, and the next attempt works.
#[test]
fn a_machine_that_cannot_be_made_says_so_and_is_made_at_the_next_attempt() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let left =
        || host.sh("ls -A /var/lib/tere/machines /var/lib/tere/homes; ls /run/tere-machine 2>/dev/null || :");
    let nothing = "/var/lib/tere/homes:\n\n/var/lib/tere/machines:";
    for (damage, repair, refusal) in [
        (
            "mount -t tmpfs none /var/lib/tere/templates",
            "umount /var/lib/tere/templates",
            Refusal::MachineNotMade,
        ),
        (
            "mount -t tmpfs -o size=4k,nr_inodes=1 none /var/lib/tere/machines",
            "umount /var/lib/tere/machines",
            Refusal::StorageFailed,
        ),
        (
            "chmod 0 /etc/tere/tere.toml; mv /etc/tere/tere.toml /etc/tere/away",
            "mv /etc/tere/away /etc/tere/tere.toml; chmod 0640 /etc/tere/tere.toml",
            Refusal::MachineNotMade,
        ),
    ] {
        host.sh(damage);
        let refused = alice.open("dev@alice-box").unwrap_err();
        host.sh(repair);
        assert_eq!(refused, refusal, "{damage}");
        assert_eq!(failed_units(&host), "", "{damage}");
        assert_eq!(left(), nothing, "{damage}");
    }
    // A machine that does not boot.
    host.sh(
        "mkdir -p /run/systemd/system/tere-managed@.service.d && printf '[Service]\\nTimeoutStartSec=1ms\\n' \
             >/run/systemd/system/tere-managed@.service.d/slow.conf && systemctl daemon-reload",
    );
    let refused = alice.open("dev@alice-box").unwrap_err();
    host.sh("rm -r /run/systemd/system/tere-managed@.service.d && systemctl daemon-reload");
    assert_eq!(refused, Refusal::MachineUnavailable);
    assert_eq!(failed_units(&host), "");
    // A record that is not one.
    alice.open("dev@alice-box").unwrap();
    host.sh("systemctl stop tere-managed@alice-box && cd /var/lib/tere/machines/alice-box && cp machine.json good && echo '{}' >machine.json");
    let refused = eventually("the damage is seen", PATIENCE, || match alice.open("dev@alice-box") {
        Err(Refusal::MachineUnavailable) => None,
        other => Some(other.err()),
    });
    assert_eq!(refused, Some(Refusal::MachineNotMade));
    host.sh("cd /var/lib/tere/machines/alice-box && mv good machine.json");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo up $((1+1))", "up 2");
    no_machines(&host);
}

/// Whoever dies while a machine is made, the machine is there as a whole or not at all.
#[test]
fn a_machine_whose_making_is_killed_is_whole_or_absent() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let kill = "for delay in 0.005 0.01 0.02 0.03 0.04 0.06 0.08 0.1 0.15 0.2 0.3; do \
                systemctl start --no-block tere-managed@alice-box; sleep $delay; \
                systemctl kill --signal=KILL tere-managed@alice-box 2>/dev/null; \
                systemctl stop tere-managed@alice-box; systemctl reset-failed tere-managed@alice-box 2>/dev/null; \
                cd /var/lib/tere/machines; \
                for there in *; do [ $there = '*' ] || cat $there/machine.json $there/upper/etc/hostname; done; \
                cd /var/lib/tere/homes; for there in *; do [ $there = '*' ] || stat -c %n $there/dev; done; done";
    host.sh(kill);
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "cd && pwd && echo up $((1+1))", "up 2");
    let bases = host.sh("cd /var/lib/tere/bases && readlink *");
    assert_eq!(bases, "alice-box", "one range is taken, once");
    assert_eq!(host.sh("mount | grep -c tere-machine || :"), "0", "mounts are the machine's own");
    no_machines(&host);
}

/// What `tere machine list` says of alice's machine.
fn listed(host: &Host) -> Option<serde_json::Value> {
    let (listed, out) = host.tere(&["machine", "list", "--json"]);
    assert!(listed, "{out}");
    let machines: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    machines.into_iter().find(|machine| machine["machine"] == "alice-box")
}

#[test]
fn the_operator_lists_rebuilds_and_removes_machines_and_homes_stay() {
    let host = Host::alone();
    no_machines(&host);
    assert_eq!(listed(&host), None);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo mine >~/kept && echo written", "written");
    in_machine(&host, "echo there >/etc/mark");
    let machine = listed(&host).unwrap();
    assert_eq!((&machine["state"], &machine["template"]), (&"active".into(), &"debian".into()));
    assert_eq!((&machine["version"], &machine["newest"]), (&"1".into(), &"1".into()));
    assert!(machine["in_policy"] == true && machine["system_bytes"].as_u64() > Some(0), "{machine}");
    // A new version of the template changes nothing before the machine is rebuilt.
    host.sh("cd /var/lib/tere/templates/debian && mkdir 2 && mount --bind 1 2");
    assert_eq!(listed(&host).unwrap()["newest"], "2");
    assert!(!host.tere(&["machine", "rebuild", "alice-box"]).0, "nobody was asked");
    assert_eq!(in_machine(&host, "cat /etc/mark"), "there");
    assert!(host.tere(&["machine", "rebuild", "alice-box", "--yes"]).0);
    shell.expect_end();
    assert_eq!(listed(&host).unwrap()["template"], serde_json::Value::Null);
    alice.steps.clear();
    let mut shell = alice.open("dev@alice-box").unwrap();
    was_made(&alice.steps);
    asks(&mut shell, "cat ~/kept; cat /etc/mark", "mine\r\ncat: /etc/mark: No such file");
    assert_eq!(listed(&host).unwrap()["version"], "2");
    // A machine that was removed is made again when it is opened; its home has waited.
    assert!(host.tere(&["machine", "remove", "alice-box", "--yes"]).0);
    shell.expect_end();
    assert_eq!(
        host.sh("ls /var/lib/tere/bases /var/lib/tere/machines"),
        "/var/lib/tere/bases:\n\n/var/lib/tere/machines:"
    );
    assert!(listed(&host).unwrap()["home_bytes"].as_u64() > Some(0));
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "cat ~/kept", "mine\r\n");
    // Nothing is removed under a machine that runs: it is stopped first.
    assert!(host.tere(&["machine", "remove", "--home", "alice-box", "--yes"]).0);
    assert_eq!(listed(&host), None);
    let nobody = host.try_run(&["tere", "machine", "remove", "alice-box", "--yes"]);
    assert!(!nobody.success && nobody.err.contains("there is no machine of this name"), "{nobody:?}");
    host.sh("cd /var/lib/tere/templates/debian && umount 2 && rmdir 2");
    no_machines(&host);
}

/// Whoever dies while a machine is rebuilt or removed, it is there as a whole or not at all, and its
/// home is as it was.
#[test]
fn a_machine_whose_removal_is_killed_is_whole_or_absent() {
    const FILES: u32 = 3000;
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut whole = 0;
    for delay in ["0.03", "0.06", "0.1", "0.2"] {
        for verb in ["rebuild", "remove"] {
            alice.open("dev@alice-box").unwrap();
            in_machine(
                &host,
                &format!(
                    "mkdir -p /var/many && cd /var/many && seq {FILES} | xargs touch; echo mine >/home/dev/kept"
                ),
            );
            host.sh("systemctl stop tere-managed@alice-box");
            host.try_run(&["timeout", "-s", "KILL", delay, "/usr/lib/tere/tere-machine", verb, "alice-box"]);
            let left = host.try_run(&["sh", "-c", "cd /var/lib/tere/machines/alice-box && cat machine.json upper/etc/hostname && ls upper/var/many | wc -l"]);
            if left.success {
                assert!(
                    left.out.ends_with(&format!("alice-box\n{FILES}")),
                    "half a machine is left: {}",
                    left.out
                );
                whole += 1;
            }
            assert_eq!(host.sh("cat /var/lib/tere/homes/alice-box/dev/kept"), "mine");
        }
    }
    println!("the machine was still there after {whole} of 8 kills");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "cat ~/kept", "mine\r\n");
    // What the killed ones left is removed with the machine.
    host.sh("systemctl stop tere-managed@alice-box && /usr/lib/tere/tere-machine remove --home alice-box");
    assert_eq!(
        host.sh("ls -A /var/lib/tere/machines /var/lib/tere/homes /var/lib/tere/bases"),
        "/var/lib/tere/bases:\n\n/var/lib/tere/homes:\n\n/var/lib/tere/machines:"
    );
}

#[test]
fn templates_are_listed_added_checked_and_removed() {
    let host = Host::alone();
    no_machines(&host);
    let template = |arguments: &[&str]| host.try_run(&[&["tere", "template"], arguments].concat());
    let listed: serde_json::Value = serde_json::from_str(&template(&["list", "--json"]).out).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed[0]["template"], &listed[0]["newest"]), (&"debian".into(), &true.into()));
    assert_eq!(listed[0]["faults"], serde_json::json!([]));
    assert_eq!(template(&["check", "debian"]).out, "ok     debian 1");
    // What no machine can be made of is not taken.
    host.sh("mkdir -p /run/empty /run/tree/home /run/tree/etc /run/tree/usr/lib/systemd/system && cd /run/tree/usr/lib && \
             touch os-release systemd/systemd systemd/system/dbus.socket && echo same >/run/tree/etc/machine-id");
    for (tree, fault) in [
        ("/run/empty", "it has no systemd; it has no D-Bus"),
        ("/run/tree", "all machines of it would have the same id"),
        ("/run/nothing", "No such file"),
        ("/etc/hostname", "it is not a folder"),
    ] {
        let refused = template(&["add", "debian", tree, "--as", "2"]);
        assert!(!refused.success && refused.err.contains(fault), "{refused:?}");
    }
    host.sh(": >/run/tree/etc/machine-id");
    assert!(template(&["add", "debian", "/run/tree", "--as", "2"]).success);
    let again = template(&["add", "debian", "/run/tree", "--as", "2"]);
    assert!(!again.success && again.err.contains("versions are never changed"), "{again:?}");
    assert_eq!(template(&["check", "debian"]).out, "ok     debian 2\nok     debian 1");
    assert!(template(&["remove", "debian", "2", "--yes"]).success);
    // A version of which a machine is made stays.
    holder(&host, "alice").open("dev@alice-box").unwrap();
    let used = template(&["remove", "debian", "1", "--yes"]);
    assert!(!used.success && used.err.contains("alice-box was made of it"), "{used:?}");
    let unbuilt = template(&["build", "debian"]);
    assert!(!unbuilt.success && unbuilt.err.contains("mkosi is not installed"), "{unbuilt:?}");
    host.sh("rm -r /run/empty /run/tree");
    no_machines(&host);
}
