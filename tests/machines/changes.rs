//! Changes of machines that accounts ask for.

use tere::names::{MachineChange, Target};
use tere::protocol::Refusal;
use tere::protocol::machine::{CheckpointReason, MachineSummary, StopReason};
use tere::protocol::principal::{Answer, Ask};

use crate::host::Host;
use crate::managed::{asks, in_machine, no_machines};
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stories::holder;

fn change(client: &mut PrincipalClient, change: &str) -> Result<(), Refusal> {
    match client.ask(Ask::Change(change.parse::<MachineChange>().unwrap())) {
        (Answer::Changed, None) => Ok(()),
        (Answer::Refused(refusal), None) => Err(refusal),
        other => panic!("not an answer to this: {other:?}"),
    }
}

/// The targets in the client's list, and its machines.
fn lobby(client: &mut PrincipalClient) -> (Vec<Target>, Vec<MachineSummary>) {
    match client.ask(Ask::Lobby) {
        (Answer::Lobby { targets, machines, .. }, None) => {
            (targets.into_iter().map(|granted| granted.target).collect(), machines)
        }
        other => panic!("not an answer to this: {other:?}"),
    }
}

fn names(machines: &[MachineSummary]) -> Vec<&str> {
    machines.iter().map(|machine| machine.machine.as_str()).collect()
}

#[test]
fn an_account_changes_its_own_machines_as_far_as_the_policy_allows() {
    let host = Host::alone();
    no_machines(&host);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    assert!(lobby(&mut alice).1.is_empty());
    assert_eq!(change(&mut alice, "checkpoint:alice-box"), Err(Refusal::NoSuchMachine));
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo one >~/mark; cat ~/mark", "one\r\n");
    change(&mut alice, "checkpoint:alice-box").unwrap();
    change(&mut alice, "fork:alice-box:alice.try").unwrap();
    asks(&mut shell, "echo still $((1+1))", "still 2");

    // What there is, and where one may go now.
    let (targets, machines) = lobby(&mut alice);
    assert_eq!(names(&machines), ["alice-box", "alice.try"]);
    assert!(targets.contains(&"dev@alice.try".parse().unwrap()), "{targets:?}");
    let kept = &machines[0].checkpoints;
    assert_eq!((kept.len(), kept[0].reason, kept[0].home), (1, CheckpointReason::Asked, true));
    assert!(!machines[0].task && machines[1].task && machines[1].expires.is_some());
    assert!(lobby(&mut bob).1.is_empty());
    let mut fork = alice.open("dev@alice.try").unwrap();
    asks(&mut fork, "cat ~/mark", "one\r\n");

    // Back to the checkpoint, and a new system.
    asks(&mut shell, "echo two >~/mark; cat ~/mark", "two\r\n");
    change(&mut alice, "rollback:alice-box:1").unwrap();
    shell.expect_end();
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    asks(&mut shell, "cat ~/mark", "one\r\n");
    in_machine(&host, "echo two >/etc/mark");
    change(&mut alice, "rebuild:alice-box").unwrap();
    shell.expect_end();
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    asks(&mut shell, "cat ~/mark; ls /etc/mark", "one\r\nls: cannot access");
    change(&mut alice, "remove-checkpoint:alice-box:1").unwrap();

    // Her machine for a task is removed with its home.
    change(&mut alice, "remove:alice.try").unwrap();
    fork.expect_end();
    assert_eq!(names(&lobby(&mut alice).1), ["alice-box"]);
    assert_eq!(host.sh("ls /var/lib/tere/homes"), "alice-box");
    eventually("she is told why", PATIENCE, || {
        lobby(&mut alice);
        let why: Vec<_> = alice.stopped.iter().map(|(_, why)| *why).collect();
        (why == [Some(StopReason::Rollback), Some(StopReason::Rebuild), Some(StopReason::Removed)])
            .then_some(())
    });
    // Nothing of it stays with systemd.
    assert_eq!(host.sh("systemctl list-units --all --plain --no-legend 'tere-change@*'"), "");
    no_machines(&host);
}

/// What accounts may not have changed, by whom, and why not.
const NOT_ALLOWED: [(&str, &str); 14] = [
    ("alice", "remove:alice-box"),
    ("alice", "checkpoint:alice.try"),
    ("alice", "rebuild:alice.try"),
    ("alice", "checkpoint:bob-box"),
    ("alice", "rollback:bob-box:1"),
    ("alice", "remove:bob.try"),
    ("alice", "fork:bob-box:alice.stolen"),
    ("alice", "fork:alice-box:bob.gift"),
    ("alice", "fork:alice-box:bob-box"),
    ("alice", "fork:alice-box:alice-box"),
    ("alice", "fork:alice-box:mallory"),
    ("alice", "rebuild:web1"),
    ("alice", "remove:.host"),
    ("mallory", "rebuild:alice-box"),
];

#[test]
fn nothing_else_is_changed_by_either_lock() {
    let host = Host::alone();
    no_machines(&host);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shells: Vec<_> =
        ["dev@alice-box", "dev@alice.try"].map(|target| alice.open(target).unwrap()).into();
    shells.extend(["dev@bob-box", "dev@bob.try"].map(|target| bob.open(target).unwrap()));
    let there = "cd /var/lib/tere; ls -A machines homes bases checkpoints incoming";
    let before = host.sh(there);
    for (account, refused) in NOT_ALLOWED {
        assert_eq!(
            change(&mut holder(&host, account), refused),
            Err(Refusal::NotGranted),
            "{account} {refused}"
        );
    }
    assert_eq!(change(&mut holder(&host, "alice"), "fork:alice-box:alice.try"), Err(Refusal::MachineExists));
    // The second lock: what is no change by the policy is none, whoever starts the unit.
    for (account, refused) in NOT_ALLOWED {
        // Between these two, only the broker knows who asks.
        if account != "alice" || refused.contains(":bob") && !refused.contains("fork") {
            continue;
        }
        let unit = format!("tere-change@{refused}.service");
        assert!(!host.try_run(&["systemctl", "start", &unit]).success, "{unit}");
        let status = host.run(&["systemctl", "show", "-P", "ExecMainStatus", &unit]);
        let expected = if refused == "remove:.host" { ["77", "2"] } else { ["77", "77"] };
        assert!(expected.contains(&status.as_str()), "{unit}: {status}");
        host.run(&["systemctl", "reset-failed", &unit]);
    }
    assert_eq!(host.sh(there), before);
    for shell in &mut shells {
        asks(shell, "echo still $((1+1))", "still 2");
    }
    no_machines(&host);
}

/// An account that leaves while a change of its machine is made has not gained another one.
#[test]
fn a_change_counts_until_it_is_made_though_nobody_waits_for_it() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo $((1+1))", "2\r\n");
    // Whoever changes the machine waits for whoever has its lock.
    host.sh("systemd-run --quiet --unit=holds-the-lock --property=Type=notify --property=NotifyAccess=all \
         flock /var/lib/tere/locks/alice-box sh -c 'systemd-notify --ready; exec sleep 1000'");
    alice.send(Ask::Change("checkpoint:alice-box".parse().unwrap()));
    let unit = "tere-change@checkpoint:alice-box.service";
    eventually("the change is being made", PATIENCE, || {
        let state = host.run(&["systemctl", "show", "-P", "ActiveState", unit]);
        (state == "activating").then_some(())
    });
    drop(alice);
    let mut alice = holder(&host, "alice");
    assert_eq!(change(&mut alice, "fork:alice-box:alice.try"), Err(Refusal::ChangeUnderWay));
    host.sh("systemctl stop holds-the-lock");
    eventually("it is made", PATIENCE, || change(&mut alice, "fork:alice-box:alice.try").ok());
    assert_eq!(lobby(&mut alice).1[0].checkpoints.len(), 1);
    no_machines(&host);
}
