//! Two builds that speak different versions of the protocol.

use std::path::Path;

use crate::host::Host;
use crate::parts::pool::POOL;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::holder;

/// In the middle of a session the broker finds that the worker has another version. The worker is
/// restarted in place from the program that is installed by then, and no viewer loses a line.
#[test]
fn a_worker_of_another_version_is_started_again_in_place_and_loses_no_line() {
    const LINES: usize = 5_000;
    let next = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/next/tere-session");
    assert!(next.exists(), "{} is missing: run tests/next", next.display());
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("stty -echo; PS1=; echo ready $((1+1))\r");
    shell.expect("ready 2");
    shell.type_in(&format!(
        "i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; done; echo over $i\r"
    ));
    shell.expect("line 500\r\n");
    eventually("the next worker is this session's", PATIENCE, || {
        (host.processes() == 2 + POOL).then_some(())
    });
    let cursor = host.journal_cursor();
    host.next_worker_is(next);
    host.kill_worker(&shell.session);
    // A view that uses another version is closed, so that neither side misreads the other. Front
    // asks for it again.
    shell.expect_closed();
    eventually("it is said to be one", PATIENCE, || {
        host.journal(&cursor).contains("restarting a worker of another version").then_some(())
    });
    // The broker has found the session again, and so does a viewer that returns, with every line.
    let mut again = eventually("the session is there", PATIENCE, || alice.attach(&shell.session).ok());
    again.expect_on_screen(&format!("over {LINES}"));
    again.refresh();
    while again.screen.wholes == 0 {
        again.step(PATIENCE).unwrap();
    }
    let text = again.screen.text();
    let lines: Vec<usize> =
        text.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(lines.iter().copied().eq(1..=LINES), "{} lines", lines.len());
    again.type_in("echo $((i+1)) still\r");
    again.expect(&format!("{} still", LINES + 1));
    again.type_in("exit\r");
    again.expect_end();
}
