//! The broker without a free file descriptor: the tests set how many the kernel gives it.

use std::process::Command;

use tere::protocol::vouch::Principal;

use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// Limits the number of descriptors that a program may have. See prlimit(1).
fn limit(pid: u32, descriptors: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={pid}")).arg(format!("--nofile={descriptors}"));
    assert!(prlimit.status().expect("prlimit is part of util-linux").success());
}

#[test]
fn a_broker_that_runs_out_of_descriptors_waits_for_some() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let broker = || host.programs().into_iter().find(|(name, _)| *name == "broker").unwrap().1;
    let (pid, cursor) = (broker(), host.journal_cursor());
    limit(pid, "1:");
    std::thread::scope(|scope| {
        let socket = host.path("/run/tere/broker.sock");
        let waits = scope.spawn(move || PrincipalClient::vouched(&socket, Principal::Operator));
        eventually("it cannot take the connection", PATIENCE, || {
            host.journal(&cursor).contains("cannot take a connection").then_some(())
        });
        limit(pid, "1024:");
        waits.join().unwrap();
    });
    assert_eq!(broker(), pid);
    shell.type_in("echo still $((mark+1))\r");
    shell.expect("still 43");
}
