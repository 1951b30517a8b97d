//! What a person is told when something that they need is missing; that nothing is left behind; and
//! that nobody else notices.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tere::protocol::{EndReason, Refusal};

use super::holder;
use crate::host::Host;
use crate::parts::pool::POOL_UNITS;
use crate::parts::wait::eventually;

/// Longest time until the person is told.
const SOON: Duration = Duration::from_secs(10);

/// The records of all current sessions. Those of other stories may end meanwhile.
fn sessions(host: &Host) -> Vec<PathBuf> {
    let records = std::fs::read_dir(host.path("/run/tere-broker")).unwrap();
    records.map(|record| record.unwrap().path()).collect()
}

/// Asks for a shell that cannot be opened, while another session continues.
fn refused(host: &Host, target: &str, refusal: Refusal) {
    let mut alice = holder(host, "alice");
    let mut other = alice.open("dev@web1").unwrap();
    let sessions = sessions(host);
    let start = Instant::now();
    assert_eq!(alice.open(target).unwrap_err(), refusal);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    eventually("nothing is left of the refused session", SOON, || {
        let units = 2 * self::sessions(host).len() + POOL_UNITS;
        (self::sessions(host).len() <= sessions.len() && host.session_units().len() <= units).then_some(())
    });
    other.type_in("echo still $((1+1)) here\r");
    other.expect("still 2 here");
    other.type_in("exit\r");
    other.expect_end();
}

#[test]
fn a_machine_that_is_not_there() {
    refused(&Host::alone(), "dev@absent", Refusal::MachineUnavailable);
}

#[test]
fn a_machine_without_a_bus() {
    refused(&Host::alone(), "dev@nobus", Refusal::MachineWithoutBus);
}

#[test]
fn a_user_who_is_not_there() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("nobody-there@web1").unwrap();
    assert_eq!(shell.expect_end(), EndReason::NeverStarted);
}

#[test]
fn machined_stopped() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut other = alice.open("dev@web1").unwrap();
    host.stop_machined();
    let start = Instant::now();
    let refused = alice.open("dev@web1").unwrap_err();
    host.start_machined();
    assert_eq!(refused, Refusal::MachinedUnavailable);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    other.type_in("echo still $((1+1)) here\r");
    other.expect("still 2 here");
    alice.open("dev@web1").unwrap();
}

#[test]
fn a_machine_that_stopped_is_started_and_one_powered_off_ends_its_sessions() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("echo ready $((1+1))\r");
    shell.expect("ready 2");
    let start = Instant::now();
    host.power_off("web1");
    let reason = shell.expect_end();
    assert!(matches!(reason, EndReason::ShellEnded | EndReason::MachineGone), "{reason:?}");
    assert_eq!(alice.expect_machine_stopped().as_str(), "web1");
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    eventually("its units are gone", SOON, || {
        (host.session_units().len() <= 2 * sessions(&host).len() + POOL_UNITS).then_some(())
    });
    // The next request starts the machine again.
    let mut again = alice.open("dev@web1").unwrap();
    again.type_in("echo back $((1+1))\r");
    again.expect("back 2");
}
