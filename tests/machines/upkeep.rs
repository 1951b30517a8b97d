//! What happens to a host while people work on it: upgrades and restarts of what tere stands on. A
//! session with a viewer goes on through all of it.

use std::time::Duration;

use tere::protocol::EndReason;

use crate::host::Host;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// How long a service may take to be started again.
const AGAIN: Duration = Duration::from_secs(10);

#[test]
fn a_session_goes_on_through_an_upgrade_and_restarts_of_what_tere_stands_on() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    for (round, line) in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl kill -s KILL systemd-machined",
        "systemctl restart polkit",
        // What dpkg runs at an upgrade.
        "/var/lib/dpkg/info/tere.postinst configure 0.0.1",
    ]
    .into_iter()
    .enumerate()
    {
        host.sh(line);
        shell.type_in(&format!("echo {round}: still $mark\r"));
        shell.expect(&format!("{round}: still 42"));
        // And so does all the rest: a new session opens, a list is there.
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

/// Stops by which a worker is gone for a moment; more than systemd starts a unit again of itself within its
/// default limit, or a socket its service.
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

/// As the broker sees to it that a stopped worker is started again, this one has none.
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

/// More than systemd's default limit of starts.
const CRASHES: usize = 12;

#[test]
fn a_service_that_crashes_often_is_started_again() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let worker = format!("tere-session@{}.service", shell.session);
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
    shell.type_in("echo still $mark\r");
    shell.expect("still 42");
}
