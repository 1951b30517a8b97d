//! A fault that no real systemd has: it loses what it keeps for a worker.

use tere::protocol::Refusal;

use crate::host::Host;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

#[test]
fn a_worker_that_lost_everything_is_said_to_be_gone_and_leaves_nothing() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    host.lose_worker(&shell.session);
    shell.expect_closed();
    let session = shell.session.as_str();
    eventually("its units are gone", PATIENCE, || {
        (!host.session_units().iter().any(|unit| unit.contains(session))).then_some(())
    });
    assert!(!host.path(&format!("/run/tere-broker/{session}.json")).exists());
    assert!(!host.path(&format!("/run/tere/session/{session}.sock")).exists());
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    marked(&mut alice);
}
