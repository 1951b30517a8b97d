//! Helpers that the rings of tests share: clients of tere's sockets, and waiting.

#![allow(dead_code)] // each ring uses a part of it
#![allow(unreachable_pub)] // a module that several test programs include

pub mod client;
pub mod exec;
pub mod in_terminal;
pub mod memory;
pub mod page;
pub mod passkey;
pub mod pool;
pub mod rng;
pub mod screen;
pub mod shell;
pub mod stopped;
pub mod stream;
pub mod wait;
