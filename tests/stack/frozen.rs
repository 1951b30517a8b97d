//! Workers that stand still, as on a host that is busy with other things.

use tere::names::SessionId;
use tere::protocol::Refusal;

use crate::host::Host;
use crate::parts::shell::PATIENCE;
use crate::parts::spares::{SPARE_UNITS, SPARES};
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// The workers that wait, once they do.
fn spares(host: &Host) -> Vec<SessionId> {
    eventually("spares wait", PATIENCE, || (host.processes() == SPARES).then_some(()));
    let units = host.session_units();
    let id = |unit: &String| unit.strip_prefix("tere-session@")?.strip_suffix(".service")?.parse().ok();
    units.iter().filter_map(id).collect()
}

#[test]
fn a_terminal_that_a_slow_worker_may_have_is_given_to_no_other() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let spares = spares(&host);
    spares.iter().for_each(|spare| host.freeze_worker(spare));
    assert_eq!(alice.open("dev@web1").unwrap_err(), Refusal::WorkerUnavailable);
    // One of them takes the terminal now, and is stopped.
    spares.iter().for_each(|spare| host.thaw_worker(spare));
    eventually("nothing is left of it", PATIENCE, || {
        (host.processes() == SPARES && host.session_units().len() == SPARE_UNITS).then_some(())
    });
    marked(&mut alice);
}

#[test]
fn a_worker_that_died_while_it_was_given_a_terminal_has_another_in_its_place() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let spares = spares(&host);
    spares.iter().for_each(|spare| host.freeze_worker(spare));
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| drop(marked(&mut alice)));
        eventually("the shell is there, and a worker more waits", PATIENCE, || {
            (host.processes() == SPARES + 2).then_some(())
        });
        spares.iter().for_each(|spare| host.kill_worker(spare));
        opened.join().unwrap();
    });
    eventually("one worker keeps it", PATIENCE, || {
        (host.processes() == SPARES + 2 && host.session_units().len() == SPARE_UNITS + 2).then_some(())
    });
}
