//! Maintenance of a host while people work on it: upgrades and restarts of the services that tere
//! depends on. A session with a viewer survives all of it.

use std::time::Duration;

use tere::protocol::EndReason;

use crate::faults::empty_host;
use crate::host::Host;
use crate::parts::pool::POOL_UNITS;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// How long the restart of a service may take.
const AGAIN: Duration = Duration::from_secs(10);

#[test]
fn a_session_goes_on_through_an_upgrade_and_restarts_of_what_tere_stands_on() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let mut holders = vec![alice];
    for (round, line) in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl kill -s KILL systemd-machined",
        "systemctl restart polkit",
        // The script that dpkg runs on an upgrade.
        "/var/lib/dpkg/info/tere.postinst configure 0.0.1",
    ]
    .into_iter()
    .enumerate()
    {
        host.sh(line);
        if line.contains("postinst") {
            // The new broker vouches for none of the earlier viewers.
            shell.expect_closed();
            let again = eventually("tere is back", PATIENCE, || {
                let mut alice = holder(&host, "alice");
                let shell = alice.attach(&shell.session).ok()?;
                Some((alice, shell))
            });
            shell = again.1;
            holders.push(again.0);
        }
        shell.type_in(&format!("echo {round}: still $mark\r"));
        shell.expect(&format!("{round}: still 42"));
        // Everything else works too: a new session opens, and a list is available.
        let (mut other, mut new) = eventually("tere answers", PATIENCE, || {
            let mut other = holder(&host, "alice");
            let new = other.open("dev@web1").ok()?;
            Some((other, new))
        });
        new.type_in("exit\r");
        assert_eq!(new.expect_end(), EndReason::ShellEnded);
        let mut viewer = other.attach(&shell.session).unwrap();
        viewer.type_in("echo seen $mark\r");
        viewer.expect("seen 42");
    }
}

/// Number of stops of a worker: more than the default limits within which systemd restarts a unit
/// by itself, or a socket starts its service.
const STOPS: usize = 25;

#[test]
fn a_worker_that_is_stopped_again_and_again_goes_on_when_it_is_asked_for() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let unit = format!("tere-session@{}.service", shell.session);
    for stop in 0..STOPS {
        host.run(&["systemctl", "stop", &unit]);
        shell.type_in(&format!("echo {stop}: still $mark\r"));
        shell.expect(&format!("{stop}: still 42"));
    }
}

/// Runs without a broker, because a broker would start the stopped worker again.
#[test]
fn a_worker_that_is_told_to_leave_comes_back_by_itself() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let unit = format!("tere-session@{}.service", shell.session);
    host.run(&["systemctl", "stop", "tere-broker.socket", "tere-broker.service"]);
    let back = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        host.run(&["systemctl", "kill", "-s", "TERM", "--kill-whom=main", &unit]);
        shell.type_in("echo still $mark\r");
        shell.expect("still 42");
    }));
    host.run(&["systemctl", "start", "tere-broker.socket", "tere-broker.service"]);
    if let Err(panic) = back {
        std::panic::resume_unwind(panic);
    }
}

/// More than systemd's default start limit.
const CRASHES: usize = 12;

#[test]
fn a_service_that_crashes_often_is_started_again() {
    let host = Host::alone();
    let session = marked(&mut holder(&host, "alice")).session;
    let worker = format!("tere-session@{session}.service");
    for unit in ["tere-front.service", "tere-auth.service", "tere-broker.service", &worker] {
        host.run(&["systemctl", "start", unit]);
        let pid = || host.run(&["systemctl", "show", "-P", "MainPID", unit]);
        for _ in 0..CRASHES {
            let before = pid();
            host.run(&["systemctl", "kill", "-s", "KILL", unit]);
            eventually(&format!("{unit} is back"), AGAIN, || {
                let now = pid();
                (now != "0" && now != before).then_some(())
            });
        }
    }
    let (_alice, mut shell) = eventually("the session is there", PATIENCE, || {
        let mut alice = holder(&host, "alice");
        let shell = alice.attach(&session).ok()?;
        Some((alice, shell))
    });
    shell.type_in("echo still $mark\r");
    shell.expect("still 42");
}

/// An administrator stops a session's socket by hand. Whatever happens to the session, no shell is
/// left that nobody can reach.
#[test]
fn a_session_whose_socket_is_stopped_goes_on_or_leaves_nothing() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    // Split, so that the command line that is typed does not match the pattern searched for.
    shell.type_in("exec sleep 86$((400+1))\r");
    let sleeps = || host.try_run(&["pgrep", "-f", "^sleep 86401$"]).success;
    eventually("the shell has become a sleep", PATIENCE, || sleeps().then_some(()));
    let session = shell.session.to_string();
    host.run(&["systemctl", "stop", &format!("tere-session@{session}.socket")]);
    // systemd 257 drops the unit and its descriptor store; systemd 262 keeps both.
    eventually("it is over, or somebody can come back to it", PATIENCE, || {
        let units = host.session_units().iter().any(|unit| unit.contains(&session));
        let over = !units && !sleeps();
        (over || alice.attach(&shell.session).is_ok()).then_some(())
    });
}

#[test]
fn a_session_whose_socket_is_restarted_goes_on() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    host.run(&["systemctl", "restart", &format!("tere-session@{}.socket", shell.session)]);
    let mut again =
        eventually("somebody can come back to it", PATIENCE, || alice.attach(&shell.session).ok());
    again.type_in("echo still $mark\r");
    again.expect("still 42");
}

/// Without polkit no unit can be started or stopped, but a person who has a session continues in
/// it.
#[test]
fn without_polkit_sessions_are_taken_up_and_orphans_are_stopped_once_it_is_back() {
    let host = empty_host();
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    let waiting = || {
        let listed = host.session_units().into_iter();
        listed.filter(|unit| !unit.contains(&*shell.session.to_string())).collect::<Vec<_>>()
    };
    let orphans = eventually("workers wait", PATIENCE, || {
        let waiting = waiting();
        (waiting.len() == POOL_UNITS).then_some(waiting)
    });
    host.sh("systemctl reset-failed polkit.service; systemctl mask --runtime --now polkit.service");
    let went_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        host.kill_broker();
        let (_alice, mut viewer) = eventually("the session is there", PATIENCE, || {
            let mut alice = holder(&host, "alice");
            let viewer = alice.attach(&shell.session).ok()?;
            Some((alice, viewer))
        });
        viewer.type_in("echo still $mark\r");
        viewer.expect("still 42");
    }));
    host.run(&["systemctl", "unmask", "--runtime", "polkit.service"]);
    if let Err(panic) = went_on {
        std::panic::resume_unwind(panic);
    }
    eventually("the orphans are gone and waiting wait", PATIENCE, || {
        let now = waiting();
        (now.len() == POOL_UNITS && !now.iter().any(|unit| orphans.contains(unit))).then_some(())
    });
}

#[test]
fn check_finds_a_host_well_and_names_a_page_that_cannot_be_reached() {
    let host = Host::alone();
    let (is_well, printed) = host.tere(&["check"]);
    assert!(is_well && printed.contains("opens WebSockets"), "{printed}");
    host.sh("systemctl stop tere-front.socket tere-front.service");
    let (is_well, printed) = host.tere(&["check"]);
    host.sh("systemctl start tere-front.socket");
    assert!(!is_well && printed.contains("page: http://localhost:8022 cannot be reached"), "{printed}");
    assert!(host.tere(&["check"]).0);
}

#[test]
fn check_names_a_part_of_a_sandbox_that_somebody_took_away() {
    let host = Host::alone();
    host.run(&["systemctl", "start", "tere-auth", "tere-broker"]);
    // A drop-in that gives auth the host's network, and a rule that lets the broker do everything.
    let weak = "/run/systemd/system/tere-auth.service.d";
    let rule = "/etc/polkit-1/rules.d/10-weak.rules";
    host.sh(&format!(
        "mkdir -p {weak}; printf '[Service]\\nPrivateNetwork=no\\n' >{weak}/weak.conf; systemctl daemon-reload; \
         systemctl restart tere-auth; mkdir -p /etc/polkit-1/rules.d; \
         echo 'polkit.addRule(function () {{ return polkit.Result.YES; }});' >{rule}; chmod 644 {rule}; systemctl restart polkit"
    ));
    let (is_well, printed) = host.tere(&["check"]);
    host.sh(&format!("rm -r {weak} {rule}; systemctl daemon-reload; systemctl restart tere-auth polkit"));
    assert!(!is_well, "{printed}");
    assert!(printed.contains("sandbox of tere-auth.service: it runs without a net namespace"), "{printed}");
    assert!(printed.contains("user root, program /bin/sh is allowed"), "{printed}");
    let (is_well, printed) = host.tere(&["check"]);
    assert!(is_well, "{printed}");
}

#[test]
fn a_reload_is_over_when_the_broker_has_read_the_policy() {
    let host = Host::alone();
    host.sh("systemctl start tere-broker; systemctl reload tere-broker");
    host.sh("systemctl kill --signal=STOP tere-broker");
    let reloaded = host.try_run(&["systemctl", "reload", "tere-broker"]);
    host.sh("systemctl kill --signal=CONT tere-broker");
    assert!(!reloaded.success, "a broker that stands still was said to have read the policy");
    // What it was sent meanwhile, it reads now.
    assert!(host.reload_broker());
}
