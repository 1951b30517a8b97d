//! Tries what an attacker would who runs code of their own in a process of tere: some 430
//! attempts, each in a process of its own that first enters the sandbox of a thread.
//!
//! Without arguments, or with the name of a test, it tries what the filter of each kind of thread
//! decides, and compares what was let through with `threads.txt`. The ring of machines runs it in a
//! unit with the exact properties of each of tere's units (`tests/machines/probe.rs`), where the
//! rest is decided too: files, sockets, devices and other processes.
//!
//!     probe THREAD|none [--read PATH]... [--write PATH]...
//!
//! prints a line for each attempt: what it was and what became of it. `none` enters no sandbox, and
//! so shows what the unit alone keeps out.

// Tests fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// An attacker uses no safe wrapper.
#![allow(unsafe_code, clippy::multiple_unsafe_ops_per_block)]

mod attempts;
mod outcome;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use tere::sandbox::{AllowedPath, Thread};

use attempts::Attempt;
use outcome::{Outcome, outcome_of};

/// What every thread is let through to, as [`no_thread_is_let_through_to_more_than_is_listed`]
/// prints it.
const LISTED: &str = include_str!("threads.txt");

/// What no thread does and goes on.
const FATAL: &[&str] = &[
    "become root",
    "make a process",
    "make a user namespace",
    "make shared memory",
    "read the memory of the parent",
    "set the clock",
    "signal the parent",
    "start a program",
    "trace the parent",
];

/// A test, which returns what is wrong, in lines.
type Test = fn() -> String;

/// The tests, as cargo runs them.
const TESTS: [(&str, Test); 2] = [
    ("no_thread_is_let_through_to_more_than_is_listed", no_thread_is_let_through_to_more_than_is_listed),
    (
        "a_thread_that_does_what_none_does_ends_its_process",
        a_thread_that_does_what_none_does_ends_its_process,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map_or("", String::as_str) {
        "none" => try_all(None, &arguments[1..]),
        name => match Thread::EVERY.into_iter().find(|thread| format!("{thread:?}") == name) {
            Some(thread) => try_all(Some(thread), &arguments[1..]),
            None => test_those_of(name),
        },
    }
}

/// Runs the tests whose name contains `name`, and says so as other tests do. They fork, so no
/// harness with threads can run them.
fn test_those_of(name: &str) -> ExitCode {
    let wanted = TESTS.iter().filter(|(test, _)| test.contains(name));
    let (mut passed, mut failed) = (0, 0);
    for (test, run) in wanted {
        let wrong = run();
        if wrong.is_empty() {
            passed += 1;
            println!("test {test} ... ok");
        } else {
            failed += 1;
            println!("test {test} ... FAILED\n{wrong}");
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries everything, and prints what became of it.
fn try_all(thread: Option<Thread>, rest: &[String]) -> ExitCode {
    let paths: Vec<_> = rest
        .chunks_exact(2)
        .map(|pair| match (pair[0].as_str(), PathBuf::from(&pair[1])) {
            ("--read", path) => AllowedPath::Read(path),
            ("--write", path) => AllowedPath::Write(path),
            (other, _) => panic!("{other} is not known"),
        })
        .collect();
    for attempt in attempts::all() {
        println!("{}: {}", attempt.name, outcome_of(thread, &paths, &attempt));
    }
    ExitCode::SUCCESS
}

/// Returns what differs from the list.
fn no_thread_is_let_through_to_more_than_is_listed() -> String {
    let listed: BTreeSet<String> = LISTED.lines().map(str::to_owned).collect();
    let mut let_through = BTreeSet::new();
    let attempts: Vec<Attempt> = attempts::all().into_iter().filter(Attempt::is_for_the_filter).collect();
    println!("{} attempts for each of {} kinds of thread", attempts.len(), Thread::EVERY.len());
    for thread in Thread::EVERY {
        for attempt in &attempts {
            if outcome_of(Some(thread), &[], attempt) == Outcome::Allowed {
                let_through.insert(format!("{thread:?} {}", attempt.name));
            }
        }
    }
    let more = let_through.difference(&listed).map(|line| format!("let through, and not listed: {line}\n"));
    let less = listed.difference(&let_through).map(|line| format!("listed, and not let through: {line}\n"));
    more.chain(less).collect()
}

/// Returns what does not end it.
fn a_thread_that_does_what_none_does_ends_its_process() -> String {
    let attempts = attempts::all().into_iter().filter(|attempt| FATAL.contains(&attempt.name.as_str()));
    let each = attempts.flat_map(|attempt| {
        Thread::EVERY.map(|thread| (thread, outcome_of(Some(thread), &[], &attempt), attempt.name.clone()))
    });
    let outcomes: Vec<_> = each.collect();
    assert_eq!(outcomes.len(), FATAL.len() * Thread::EVERY.len());
    outcomes
        .into_iter()
        .filter(|(_, outcome, _)| *outcome != Outcome::Killed)
        .map(|(thread, outcome, name)| {
            format!("{thread:?} is to end with it, and it was {outcome}: {name}\n")
        })
        .collect()
}
