//! Workers that are frozen, as on a host that is too busy to run them.

use tere::names::SessionId;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;
use tere::protocol::{EndReason, Refusal};

use crate::host::Host;
use crate::parts::pool::{POOL, POOL_UNITS};
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// Waits until the worker pool is full and nothing else runs, and returns the waiting workers.
fn waiting(host: &Host) -> Vec<SessionId> {
    eventually("workers wait", PATIENCE, || {
        (host.processes() == POOL && host.session_units().len() == POOL_UNITS).then_some(())
    });
    let units = host.session_units();
    let id = |unit: &String| unit.strip_prefix("tere-session@")?.strip_suffix(".service")?.parse().ok();
    units.iter().filter_map(id).collect()
}

#[test]
fn a_terminal_that_a_slow_worker_may_have_is_given_to_no_other() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let waiting = eventually("a terminal is given to one that stands still", PATIENCE, || {
        let waiting = waiting(&host);
        waiting.iter().for_each(|worker| host.freeze_worker(worker));
        match alice.open("dev@web1") {
            Err(refusal) => {
                assert_eq!(refusal, Refusal::WorkerUnavailable);
                Some(waiting)
            }
            // No waiting worker had reported to the broker yet, so another was started.
            Ok(mut shell) => {
                shell.type_in("exit\r");
                shell.expect_end();
                waiting.iter().for_each(|worker| host.thaw_worker(worker));
                None
            }
        }
    });
    // One of them now takes the terminal and is stopped.
    waiting.iter().for_each(|worker| host.thaw_worker(worker));
    eventually("nothing is left of it", PATIENCE, || {
        (host.processes() == POOL && host.session_units().len() == POOL_UNITS).then_some(())
    });
    marked(&mut alice);
}

#[test]
fn a_worker_that_died_while_it_was_given_a_terminal_has_another_in_its_place() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let waiting = waiting(&host);
    waiting.iter().for_each(|worker| host.freeze_worker(worker));
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| drop(marked(&mut alice)));
        eventually("the shell is there, and a worker more waits", PATIENCE, || {
            (host.processes() == POOL + 2).then_some(())
        });
        waiting.iter().for_each(|worker| host.kill_worker(worker));
        opened.join().unwrap();
    });
    eventually("one worker keeps it", PATIENCE, || {
        (host.processes() == POOL + 2 && host.session_units().len() == POOL_UNITS + 2).then_some(())
    });
}

/// Kills a session's worker before it reads the broker's last message.
fn kill_unheard(host: &Host, operator: &mut PrincipalClient, session: &SessionId) {
    // For the list, the broker asks the worker to describe its session and waits until the time is
    // up. By then the earlier message is in the worker's socket too.
    let Answer::AllSessions(all) = operator.ask(Ask::AllSessions { after: None }).0 else {
        panic!("no list")
    };
    let listed = all.iter().find(|listed| listed.id == *session).unwrap();
    assert_eq!(listed.about, None);
    host.kill_worker(session);
}

#[test]
fn what_a_worker_died_with_and_did_not_hear_the_next_one_is_told() {
    let host = Host::alone();
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let session = shell.session.clone();

    // The unread message is that a view is over.
    let path = host.path("/etc/tere/tere.toml");
    let policy = std::fs::read_to_string(&path).unwrap();
    host.freeze_worker(&session);
    std::fs::write(&path, policy.replace("alice", "nobody")).unwrap();
    assert!(host.reload_broker());
    kill_unheard(&host, &mut operator, &session);
    assert_eq!(shell.expect_end(), EndReason::ViewClosed);
    std::fs::write(&path, policy).unwrap();
    assert!(host.reload_broker());
    let mut shell = alice.attach(&session).unwrap();
    shell.type_in("echo still $mark\r");
    shell.expect("still 42");

    // The unread message is that the session is over.
    host.freeze_worker(&session);
    assert_eq!(alice.ask(Ask::End { session: session.clone() }).0, Answer::Ending);
    kill_unheard(&host, &mut operator, &session);
    assert_eq!(shell.expect_end(), EndReason::EndedByRequest);
    eventually("nothing is left of it", PATIENCE, || {
        (host.processes() == POOL && host.session_units().len() == POOL_UNITS).then_some(())
    });
}
