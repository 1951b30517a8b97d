//! The ring of wires: the bytes of every message between tere's processes, and what becomes of
//! bytes that are not one. A change of a golden line is a change of protocol: raise
//! `wire::VERSION` with it.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;
mod hostile;
mod samples;
