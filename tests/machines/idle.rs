//! Machines that nobody uses are stopped, and machines whose time is over are removed. The policy has
//! `idle = "2h"` for `{account}-box`; the tests set what upkeep has seen back by three hours.

use tere::protocol::EndReason;

use crate::grants::PolicyHost;
use crate::host::Host;
use crate::managed::{asks, in_machine, no_machines};
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Makes upkeep believe that it has last seen alice's machine used three hours ago.
fn three_hours_pass(host: &Host) {
    in_machine(host, "touch -a -d '3 hours ago' /dev/pts/[0-9]*");
    host.sh("cd /run/tere-upkeep && now=$(date +%s) && sed -i \"s/\\\"used\\\":[0-9]*/\\\"used\\\":$((now - 10800))/\" alice-box");
}

fn upkeep(host: &Host) {
    host.sh("systemctl start tere-upkeep.service");
}

fn state(host: &Host) -> String {
    // Fails if it does not run.
    host.try_run(&["systemctl", "is-active", "tere-managed@alice-box"]).out
}

/// The processor time that alice's machine has taken, microseconds.
fn usage(host: &Host) -> u64 {
    let stat = host.sh("grep usage_usec /sys/fs/cgroup/machine.slice/tere-managed@alice*/payload/cpu.stat");
    stat.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_machine_that_nobody_uses_is_announced_and_stopped_and_starts_again() {
    let host = Host::alone();
    no_machines(&host);
    // It must not look in between.
    host.sh("systemctl stop tere-upkeep.timer; rm -f /run/tere-upkeep/*");
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo mine >~/kept; echo $((1+1))", "2\r\n");
    upkeep(&host);
    assert_eq!(state(&host), "active", "it was just used");
    three_hours_pass(&host);
    upkeep(&host);
    shell.expect("[tere] Nobody uses this machine.");
    assert_eq!(state(&host), "active");
    // A key keeps it.
    asks(&mut shell, "echo still $((1+1))", "still 2");
    upkeep(&host);
    upkeep(&host);
    assert_eq!(state(&host), "active");
    three_hours_pass(&host);
    upkeep(&host);
    shell.expect("[tere] Nobody uses this machine.");
    upkeep(&host);
    shell.expect("[tere] Stopped to save resources.");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    assert_eq!(state(&host), "inactive");
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    asks(&mut shell, "cat ~/kept", "mine\r\n");
    host.sh("systemctl start tere-upkeep.timer");
    no_machines(&host);
}

/// Each kind of work keeps a machine for as long as it lasts.
#[test]
fn a_machine_in_which_something_works_is_not_stopped() {
    let host = Host::alone();
    no_machines(&host);
    host.sh("systemctl stop tere-upkeep.timer; rm -f /run/tere-upkeep/*");
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo $((1+1))", "2\r\n");
    for (typed, work, end) in [
        ("sleep 1000 &", "", "pkill -x sleep"),
        ("setsid sleep 1000 &", "", "pkill -x sleep"),
        ("systemd-run --quiet --user --unit=work sleep 1000", "", "pkill -x sleep"),
        ("", "systemd-run --quiet systemd-inhibit --mode=block --what=sleep sleep 1000", "pkill -x sleep"),
        ("", "systemd-run --quiet --unit=spin sh -c 'while :; do :; done'", "systemctl stop spin"),
    ] {
        if !typed.is_empty() {
            asks(&mut shell, &format!("{typed} echo $((2+2))").replace("1000 echo", "1000; echo"), "4\r\n");
        }
        let spins = work.contains("spin");
        in_machine(&host, work);
        if !spins {
            eventually("it has started", PATIENCE, || {
                in_machine(&host, "pgrep -x sleep || :").parse::<u32>().is_ok().then_some(())
            });
        }
        upkeep(&host);
        three_hours_pass(&host);
        let before = usage(&host);
        eventually("it has computed", PATIENCE, || {
            (!spins || usage(&host) > before + 2_000_000).then_some(())
        });
        upkeep(&host);
        let seen = host.sh("cat /run/tere-upkeep/alice-box");
        assert!(seen.contains("\"announced\":false"), "{typed}{work}: {seen}");
        in_machine(&host, end);
        eventually("it has ended", PATIENCE, || {
            in_machine(&host, "pgrep -x sleep || :").is_empty().then_some(())
        });
    }
    // Without all that, it is.
    eventually("it is stopped", PATIENCE, || {
        if state(&host) == "active" {
            three_hours_pass(&host);
            upkeep(&host);
            return None;
        }
        Some(())
    });
    host.sh("systemctl start tere-upkeep.timer");
    no_machines(&host);
}

#[test]
fn a_machine_for_a_task_is_removed_when_its_time_is_over() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice.try").unwrap();
    let mut kept = alice.open("dev@alice-box").unwrap();
    upkeep(&host);
    asks(&mut shell, "echo $((1+1))", "2\r\n");
    host.sh("sed -i 's/\"expires\": [0-9]*/\"expires\": 1/' /var/lib/tere/machines/alice.try/machine.json");
    // Left by a process that was killed.
    host.sh("mkdir -p /var/lib/tere/incoming/.alice.two/system");
    upkeep(&host);
    shell.expect_end();
    assert_eq!(
        host.sh("cd /var/lib/tere && ls -A machines homes incoming"),
        "homes:\nalice-box\n\nincoming:\n\nmachines:\nalice-box"
    );
    asks(&mut kept, "echo still $((1+1))", "still 2");
    no_machines(&host);
}

/// As after a boot of the host, once.
#[test]
fn machines_that_the_policy_starts_are_started_after_a_boot_and_stay_as_they_are_after_that() {
    let changed = PolicyHost::with(
        "[[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{account}-always\"\nuser = \"dev\"\n\
         [[machine]]\nname = \"{account}-always\"\ntemplate = \"debian\"\nstart = \"at-boot\"\n",
    );
    let host = &changed.host;
    host.sh("systemctl stop tere-upkeep.timer");
    upkeep(host);
    holder(host, "alice").open("dev@alice-always").unwrap();
    holder(host, "alice").open("dev@alice-box").unwrap();
    let stop = || host.sh("systemctl stop 'tere-managed@*.service'");
    let running = || {
        host.sh("systemctl list-units --plain --no-legend --state=active 'tere-managed@*' | cut -d' ' -f1")
    };
    stop();
    upkeep(host);
    assert_eq!(running(), "", "the host has been up for a while");
    host.sh("rm /run/tere-upkeep/.started");
    upkeep(host);
    // bob's was never made.
    assert_eq!(running(), "tere-managed@alice-always.service");
    stop();
    upkeep(host);
    assert_eq!(running(), "", "somebody stopped it");
    host.sh("systemctl start tere-upkeep.timer");
}
