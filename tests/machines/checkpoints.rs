//! Checkpoints and forks of the machines that tere makes.

use std::time::{Duration, Instant};

use tere::protocol::Refusal;

use crate::host::Host;
use crate::managed::{asks, failed_units, in_machine, no_machines};
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell};
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Runs `tere`, which must succeed.
fn tere(host: &Host, arguments: &[&str]) -> String {
    let (done, out) = host.tere(arguments);
    assert!(done, "{arguments:?}: {out}");
    out
}

/// What `tere machine show` says of a machine.
fn shown(host: &Host, machine: &str) -> serde_json::Value {
    serde_json::from_str(&tere(host, &["machine", "show", machine, "--json"])).unwrap()
}

fn opened(client: &mut PrincipalClient, target: &str) -> Shell {
    eventually("the machine is back", PATIENCE, || client.open(target).ok())
}

#[test]
fn a_machine_goes_back_to_a_checkpoint_and_what_it_was_is_kept() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    in_machine(
        &host,
        "echo one >/etc/mark; rm /etc/debian_version; echo one >/home/dev/mark; chown dev:dev /home/dev/mark",
    );
    // It runs on while a checkpoint is kept, and so do its shells.
    let began = Instant::now();
    tere(&host, &["machine", "checkpoint", "alice-box"]);
    println!("a checkpoint of a machine that runs took {:?}", began.elapsed());
    asks(&mut shell, "echo still $((1+1))", "still 2");
    in_machine(&host, "echo two >/etc/mark; echo two >/home/dev/mark; echo more >/home/dev/more");
    assert!(!host.tere(&["machine", "rollback", "alice-box"]).0, "nobody was asked");
    tere(&host, &["machine", "rollback", "alice-box", "1", "--yes"]);
    shell.expect_end();
    let mut shell = opened(&mut alice, "dev@alice-box");
    asks(&mut shell, "cat /etc/mark ~/mark ~/more /etc/debian_version", "one\r\none\r\ncat: ");
    asks(&mut shell, "ls /etc/debian_version ~/more 2>/dev/null | wc -l | sed s/^/there-/", "there-0");
    let kept = &shown(&host, "alice-box")["checkpoints"];
    assert_eq!((&kept[0]["reason"], &kept[1]["reason"]), (&"asked".into(), &"before-rollback".into()));
    // The newest is what it was before.
    tere(&host, &["machine", "rollback", "alice-box", "--yes"]);
    let mut shell = opened(&mut alice, "dev@alice-box");
    asks(&mut shell, "cat /etc/mark ~/mark ~/more", "two\r\ntwo\r\nmore\r\n");
    assert_eq!(shown(&host, "alice-box")["checkpoints"].as_array().unwrap().len(), 2);
    // A rebuild keeps the system, and going back to it leaves the home.
    tere(&host, &["machine", "rebuild", "alice-box", "--yes"]);
    let mut shell = opened(&mut alice, "dev@alice-box");
    asks(&mut shell, "cat /etc/mark; echo three >~/mark; cat ~/mark", "three\r\n");
    let kept = shown(&host, "alice-box")["checkpoints"].clone();
    assert_eq!((&kept[2]["reason"], &kept[2]["home"]), (&"before-rebuild".into(), &false.into()));
    tere(&host, &["machine", "rollback", "alice-box", "--yes"]);
    let mut shell = opened(&mut alice, "dev@alice-box");
    asks(&mut shell, "cat /etc/mark ~/mark", "two\r\nthree\r\n");
    // One that is not there, and one too many.
    let none = host.try_run(&["tere", "machine", "rollback", "alice-box", "77", "--yes"]);
    assert!(!none.success && none.err.contains("there is no checkpoint 77"), "{none:?}");
    asks(&mut shell, "echo still $((1+1))", "still 2");
    tere(&host, &["machine", "remove-checkpoint", "alice-box", "1"]);
    for _ in 0..8 {
        tere(&host, &["machine", "checkpoint", "alice-box"]);
    }
    let more = host.try_run(&["tere", "machine", "checkpoint", "alice-box"]);
    assert!(!more.success && more.err.contains("it has 8 checkpoints already"), "{more:?}");
    // They go with the machine.
    tere(&host, &["machine", "remove", "alice-box", "--home", "--yes"]);
    assert_eq!(host.sh("find /var/lib/tere/[!t]* -mindepth 1"), "");
}

#[test]
fn a_fork_is_a_machine_of_its_own() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    in_machine(
        &host,
        "echo there >/etc/mark; ln -s /etc/mark /home/dev/link; mkfifo /home/dev/fifo; echo mine >/home/dev/kept; \
         chown -h dev:dev /home/dev/*; rm -r /usr/share/doc",
    );
    let identity = "cat /etc/machine-id /etc/hostname";
    let source = in_machine(&host, identity);
    tere(&host, &["machine", "fork", "alice-box", "alice.try"]);
    asks(&mut shell, "echo still $((1+1))", "still 2");
    let mut fork = alice.open("dev@alice.try").unwrap();
    asks(&mut fork, "cat ~/link ~/kept; hostname; ls /usr/share/doc", "there\r\nmine\r\nalice.try\r\nls: ");
    let copy = host.run(&["systemd-run", "-q", "-M", "alice.try", "--pipe", "--wait", "sh", "-c", identity]);
    assert!(copy.ends_with("alice.try") && copy.lines().next() != source.lines().next(), "{copy}");
    asks(&mut fork, "stat -c %U:%F ~/fifo; echo changed >~/kept; cat ~/kept", "dev:fifo\r\nchanged");
    asks(&mut shell, "cat ~/kept", "mine\r\n");
    let base = |machine: &str| host.sh(&format!("grep base /var/lib/tere/machines/{machine}/machine.json"));
    assert_ne!(base("alice-box"), base("alice.try"));
    let expires = shown(&host, "alice.try")["expires"].as_u64().unwrap();
    assert!(expires > 0);
    // Wrong doors.
    for (source, copy, why) in [
        ("alice-box", "bob.try", "it is not for the same account"),
        ("alice-box", "alice.try", "is there already"),
        ("alice-box", "alice-box", "is there already"),
        ("alice-box", "web9", "the policy makes no machine of this name"),
        ("alice.none", "alice.more", "there is no machine of this name"),
        ("web1", "alice.more", "it is not for the same account"),
    ] {
        let refused = host.try_run(&["tere", "machine", "fork", source, copy]);
        assert!(!refused.success && refused.err.contains(why), "{source} {copy}: {refused:?}");
    }
    // A machine for a task is made when it is opened, up to as many as the policy allows.
    alice.open("dev@alice.two").unwrap();
    tere(&host, &["machine", "fork", "alice.two", "alice.three"]);
    let more = host.try_run(&["tere", "machine", "fork", "alice.two", "alice.four"]);
    assert!(!more.success && more.err.contains("as many machines for tasks"), "{more:?}");
    assert_eq!(alice.open("dev@alice.five").unwrap_err(), Refusal::TooManyMachines);
    assert_eq!(failed_units(&host), "", "a person would fill systemd with them");
    let mut bob = holder(&host, "bob");
    assert_eq!(bob.open("dev@alice.try").unwrap_err(), Refusal::NotGranted);
    no_machines(&host);
}

/// Whoever dies while a machine is copied, it goes on, the copy is whole or absent, and the state that
/// was to be replaced is as it was, or replaced.
#[test]
fn a_copy_that_is_killed_is_whole_or_absent_and_the_machine_goes_on() {
    const FILES: u32 = 1000;
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    in_machine(
        &host,
        &format!(
            "mkdir -p /var/many /home/dev/many && cd /var/many && seq {FILES} | xargs touch && cd /home/dev/many && seq {FILES} | xargs touch"
        ),
    );
    let files = "ls /var/many /home/dev/many | grep -c '^[0-9]'";
    let whole = (2 * FILES).to_string();
    let mut forked = 0;
    for delay in ["0.02", "0.05", "0.1", "0.2", "0.3"] {
        let killed = format!(
            "tere machine fork alice-box alice.try & sleep {delay}; pkill -KILL -x tere-machine; wait; \
             systemctl list-units --plain --no-legend 'run-*' >/dev/null"
        );
        host.sh(&killed);
        // Nobody thaws it but systemd.
        asks(&mut shell, "echo on $((1+1))", "on 2");
        let there = host.try_run(&[
            "test",
            "-e",
            "/var/lib/tere/machines/alice.try",
            "-o",
            "-e",
            "/var/lib/tere/incoming/alice.try",
        ]);
        if there.success {
            let mut fork = opened(&mut alice, "dev@alice.try");
            asks(&mut fork, files, &whole);
            forked += 1;
            tere(&host, &["machine", "remove", "alice.try", "--home", "--yes"]);
        }
    }
    println!("a fork was there after {forked} of 5 kills");
    // On a busy disk it may not be copied in the time for which it may stand still.
    eventually("a checkpoint is kept", PATIENCE, || {
        host.tere(&["machine", "checkpoint", "alice-box"]).0.then_some(())
    });
    in_machine(&host, "rm -r /var/many /home/dev/many");
    let mut back = 0;
    for delay in ["0.5", "1", "1.5", "2", "4", "60"] {
        let rollback = ["/usr/lib/tere/tere-machine", "rollback", "alice-box", "1"];
        host.try_run(&[&["timeout", "-s", "KILL", delay], &rollback[..]].concat());
        let mut shell = opened(&mut alice, "dev@alice-box");
        shell.type_in(&format!("{files} 2>/dev/null; echo $((1+1))counted\r"));
        let before = shell.expect("2counted\r\n");
        let all = before.ends_with(&format!("\r{whole}\r\n2counted\r\n"));
        assert!(all || before.ends_with("\n0\r\n2counted\r\n"), "half a state: {before}");
        if all {
            back += 1;
            in_machine(&host, "rm -r /var/many /home/dev/many");
        }
    }
    println!("the machine was back after {back} of 6 kills");
    assert!(back > 0, "the last was not killed");
    no_machines(&host);
}

/// The processes of a machine that is just being started could run on while it is copied, and its root
/// could put a link in the way.
#[test]
fn a_machine_that_is_being_started_is_not_copied() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    alice.open("dev@alice-box").unwrap();
    let unit = "tere-managed@alice-box.service";
    let folder = format!("/run/systemd/system/{unit}.d");
    host.sh(&format!(
        "systemctl stop {unit} && mkdir -p {folder} && printf '[Service]\\nExecStartPre=sleep 1000\\n' \
         >{folder}/slow.conf && systemctl daemon-reload && systemctl start --no-block {unit}"
    ));
    // Its packet filter is started before it.
    eventually("it is being started", PATIENCE, || {
        (host.run(&["systemctl", "show", "-P", "ActiveState", unit]) == "activating").then_some(())
    });
    let refused = host.try_run(&["tere", "machine", "fork", "alice-box", "alice.try"]);
    host.sh(&format!("systemctl stop {unit}; rm -r {folder} && systemctl daemon-reload"));
    assert!(!refused.success && refused.err.contains("just being started or stopped"), "{refused:?}");
    assert_eq!(
        host.sh("ls -A /var/lib/tere/incoming /var/lib/tere/machines"),
        "/var/lib/tere/incoming:\n\n/var/lib/tere/machines:\nalice-box"
    );
    tere(&host, &["machine", "fork", "alice-box", "alice.try"]);
    no_machines(&host);
}

/// The processes of a machine that is copied stand still, so that the copy is of one point in time.
#[test]
fn a_copy_is_of_one_point_in_time() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    // Two files that are changed together, one in the system and one in the home: at most one step
    // apart. They are overwritten in place, so they are never empty.
    in_machine(
        &host,
        "systemd-run --quiet sh -c 'n=0; while :; do n=$((n+1)); echo $n 1<>/var/first; echo $n 1<>/home/dev/second; done'; \
         mkdir /var/many; cd /var/many; seq 5000 | xargs touch",
    );
    eventually("it counts", Duration::from_secs(10), || {
        host.try_run(&["test", "-s", "/var/lib/tere/homes/alice-box/dev/second"]).success.then_some(())
    });
    for copy in ["alice.one", "alice.two", "alice.three"] {
        tere(&host, &["machine", "fork", "alice-box", copy]);
        let read = |path: &str| host.sh(&format!("cat /var/lib/tere/{path}")).parse::<i64>().unwrap();
        let first = read(&format!("machines/{copy}/upper/var/first"));
        let second = read(&format!("homes/{copy}/dev/second"));
        assert!((first - second).abs() <= 1, "{first} {second}");
    }
    asks(&mut shell, "echo on $((1+1))", "on 2");
    no_machines(&host);
}
