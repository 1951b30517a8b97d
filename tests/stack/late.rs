//! machined has been seen to hang just after boot, and hangs if a machine has it. Here the fake does.

use std::time::{Duration, Instant};

use tere::protocol::Refusal;

use crate::host::Host;
use crate::parts::pool::{POOL, POOL_UNITS};
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Longest time that a person waits for an answer.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_shell_that_is_late_is_asked_for_once_more_and_none_is_left_stray() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    host.answer_late(1);
    let start = Instant::now();
    let mut shell = alice.open("dev@web1").unwrap();
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    shell.type_in("echo here $((1+1))\r");
    shell.expect("here 2");
    // One worker and one shell are left besides the worker pool: the late shell is hung up when its
    // answer comes.
    eventually("the orphan shell ends", PATIENCE, || (host.processes() == 2 + POOL).then_some(()));
}

#[test]
fn a_shell_that_is_late_twice_is_refused_in_time_and_none_is_left_stray() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    host.answer_late(2);
    let start = Instant::now();
    assert_eq!(alice.open("dev@web1").unwrap_err(), Refusal::ShellTimedOut);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    eventually("nothing is left", PATIENCE, || {
        (host.processes() == POOL && host.session_units().len() == POOL_UNITS).then_some(())
    });
}

#[test]
fn a_machine_that_stalls_machined_is_left_alone_and_the_others_wait_for_the_end() {
    const STALL: Duration = Duration::from_secs(7);
    let host = Host::alone();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let cursor = host.journal_cursor();
    host.stall("nobus", STALL);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| alice.open("dev@nobus").unwrap_err());
        eventually("the stall", PATIENCE, || host.is_stalled().then_some(()));
        let start = Instant::now();
        let mut shell = bob.open("dev@web1").unwrap();
        assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
        shell.type_in("echo here $((1+1))\r");
        shell.expect("here 2");
        assert_eq!(stalled.join().unwrap(), Refusal::ShellTimedOut);
    });
    // It would not stall any more, but is not asked.
    assert_eq!(alice.open("dev@nobus").unwrap_err(), Refusal::ShellTimedOut);
    let journal = host.journal(&cursor);
    assert!(journal.contains("nobus stalls machined") && journal.contains("machine=nobus"), "{journal}");
    assert!(journal.contains("nothing is opened there for now"), "{journal}");
    alice.open("dev@web1").unwrap();
}
