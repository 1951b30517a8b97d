//! What the rings of tests share: ways to speak with tere's sockets by hand, and to wait.

#![allow(dead_code)] // each ring uses some of it
#![allow(unreachable_pub)] // a room that several test programs include

pub mod chance;
pub mod client;
pub mod memory;
pub mod page;
pub mod passkey;
pub mod pool;
pub mod screen;
pub mod shell;
pub mod wait;
