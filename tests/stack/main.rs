//! The ring of the stack: the real tere-front, tere-auth, tere-broker, tere-session and tere,
//! without root, against a systemd and a machined of ours on a bus of ours.
//!
//! Each test has a stack of its own, in a folder that stands for `/`. The programs are in their
//! sandboxes, but not in their units: walls that only systemd and polkit can build are the matter
//! of the ring of machines. Everything runs as whoever runs the tests. Only tere-auth is in a user
//! namespace of its own, in which that user has uid 0: so it takes who runs the tests for root,
//! by the kernel's word, and they can make accounts.
//!
//! What is told in `stories/` is told again on a real host, so that the fakes cannot drift.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // a host is seen as the stories see it

#[path = "../parts/mod.rs"]
mod parts;
#[path = "../stories/mod.rs"]
mod stories;

mod descriptors;
mod fake;
mod frozen;
mod host;
mod journal;
mod late;
mod leaks;
mod lost;
mod polkit;
mod program;
mod records;
mod skew;

use std::time::Duration;

/// Longest wait for a program to start or end.
const DEADLINE: Duration = Duration::from_secs(20);
