//! The ring of machines: a real systemd, machined, polkit and nspawn machine, tere installed from
//! its package. `tests/run machines` boots the host once and all of these share it.
//!
//! The policy of the host: alice and bob may be `dev@web1`, and alice may share her sessions there; alice also `dev@nobus`, `dev@absent`
//! and `nobody-there@web1`.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // a host is seen as the stories see it

#[path = "../parts/mod.rs"]
mod parts;
#[path = "../stories/mod.rs"]
mod stories;

mod attacks;
mod faults;
mod host;
mod leaks;
mod soak;
mod upkeep;
mod versions;
