//! The ring of machines: a real systemd, machined, polkit and nspawn machine, with tere installed
//! from its package. `tests/run machines` boots the host once, and all of these tests share it.
//!
//! The policy of the host: alice and bob may be `dev@web1`, and alice may share her sessions there.
//! alice may also be `dev@nobus`, `dev@absent` and `nobody-there@web1`. tere makes `alice-box` and
//! `bob-box`, where alice and bob may be dev, and up to three machines for tasks of each of them.

// Tests and their helpers fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // the stories use a host through this

#[path = "../parts/mod.rs"]
mod parts;
#[path = "../stories/mod.rs"]
mod stories;

mod attacks;
mod changes;
mod checkpoints;
mod command_line;
mod faults;
mod grants;
mod host;
mod idle;
mod leaks;
mod managed;
mod network;
mod probe;
mod proxies;
mod soak;
mod stopped;
mod upkeep;
mod versions;
