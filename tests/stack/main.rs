//! The ring of the stack: the real tere-front, tere-auth, tere-broker, tere-session and tere,
//! without root, against a fake systemd and a fake machined on a private bus.
//!
//! Each test has a stack of its own, in a folder that stands for `/`. The programs are sandboxed,
//! but do not run in their units: walls that only systemd and polkit can build are tested in the
//! ring of machines. Everything runs as the user who runs the tests. Only tere-auth is in a user
//! namespace of its own, in which that user has uid 0. So the kernel tells tere-auth that the user
//! is root, and the tests can make accounts.
//!
//! The tests in `stories/` also run on a real host, so that the fakes cannot drift.

// Tests and their helpers fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // the stories use a host through this

#[path = "../parts/mod.rs"]
mod parts;
#[path = "../stories/mod.rs"]
mod stories;

mod afar;
mod descriptors;
mod fake;
mod frozen;
mod held;
mod host;
mod journal;
mod late;
mod leaks;
mod lost;
mod polkit;
mod program;
mod records;
mod sandbox;
mod skew;

use std::time::Duration;

/// Longest wait for a program to start or end.
const DEADLINE: Duration = Duration::from_secs(20);
