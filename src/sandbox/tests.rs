use std::fs::File;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::table::{NEVER, TABLE};
use super::*;

/// Runs `attack` in a new thread inside the sandbox of `thread`.
fn inside<T: Send>(thread: Thread, paths: &[AllowedPath], attack: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                enter(thread, paths).unwrap();
                attack()
            })
            .join()
            .unwrap()
    })
}

#[test]
fn no_thread_reads_a_file() {
    for thread in Thread::EVERY {
        assert!(inside(thread, &[], || File::open("/etc/passwd")).is_err(), "{thread:?}");
    }
    assert!(File::open("/etc/passwd").is_ok(), "the sandbox is a thread's, not the process's");
}

#[test]
fn a_worker_makes_no_socket_and_nobody_reaches_tcp() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for thread in Thread::EVERY {
        assert!(inside(thread, &[], || TcpStream::connect(address)).is_err(), "{thread:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for thread in [Thread::WorkerControl, Thread::WorkerPty, Thread::WorkerTerminal, Thread::WorkerViewers] {
        assert!(inside(thread, &[], || UnixStream::connect(&path)).is_err(), "{thread:?}");
    }
}

#[test]
fn what_is_kept_is_kept_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (kept, beside) = (folder.path().join("a"), other.path().join("b"));
    let paths = [AllowedPath::Write(folder.path().to_owned())];
    inside(Thread::Auth, &paths, || {
        std::fs::write(&kept, "x").unwrap();
        assert!(std::fs::write(&beside, "x").is_err());
    });
    let paths = [AllowedPath::Read(folder.path().to_owned())];
    inside(Thread::Broker, &paths, || {
        assert_eq!(std::fs::read(&kept).unwrap(), b"x");
        assert!(std::fs::write(&kept, "y").is_err());
    });
}

#[test]
fn every_row_has_a_reason_and_says_something() {
    let mut seen = std::collections::BTreeSet::new();
    for row in TABLE {
        assert!(!row.why.is_empty() && !row.threads.is_empty(), "call {}", row.call);
        assert!(!NEVER.contains(&row.call), "call {} is never made", row.call);
        for thread in row.threads {
            assert!(
                seen.insert((row.call, format!("{thread:?}"))),
                "call {} of {thread:?} is there twice",
                row.call
            );
        }
    }
}

#[test]
fn no_thread_has_more_calls_than_it_needs() {
    // As docs/design.md says.
    let expected = [
        (Thread::WorkerControl, 25),
        (Thread::WorkerPty, 15),
        (Thread::WorkerTerminal, 16),
        (Thread::WorkerViewers, 20),
        (Thread::Front, 32),
        (Thread::Auth, 35),
        (Thread::Broker, 41),
        (Thread::Show, 21),
        (Thread::Attach, 26),
    ];
    let calls = |thread| TABLE.iter().filter(|row| row.threads.contains(&thread)).count();
    assert_eq!(expected.map(|(thread, _)| (thread, calls(thread))), expected);
}
