//! Whether every thread of every program is in its sandbox. What that keeps it from, `tests/probe`
//! tries.

use crate::host::Host;
use crate::stories::holder;

/// How many filters a thread has: of what is never done, and of what its kind does.
const FILTERS: &str = "Seccomp_filters:\t2";

/// Threads that are not in a sandbox, with what the kernel says of them.
fn outside(pid: impl std::fmt::Display) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default())
        .filter(|status| !status.contains(FILTERS) || !status.contains("NoNewPrivs:\t1"))
        .collect()
}

#[test]
fn every_thread_is_in_its_sandbox() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    // The second worker has taken over what the first one left.
    for round in 0..2 {
        shell.type_in(&format!("echo round' '{round}\r"));
        shell.expect(&format!("round {round}\r\n"));
        assert_eq!(outside(host.worker(&shell.session)), Vec::<String>::new(), "worker {round}");
        host.kill_worker(&shell.session);
    }
    for (name, pid) in host.programs() {
        assert_eq!(outside(pid), Vec::<String>::new(), "{name}");
    }
}
