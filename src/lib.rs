//! tere: a secure front door to shells. One library and six programs. Each program has a room (a
//! top-level module) of its own, and so has each part that several programs share.

pub mod atomic_file;
pub mod auth;
pub mod backoff;
pub mod broker;
pub mod cli;
pub mod client;
pub mod client_key;
pub mod clock;
pub mod config;
pub mod front;
pub mod machine;
#[cfg(test)]
mod mutation;
pub mod names;
pub mod protocol;
pub mod record_limiter;
pub mod records;
pub mod sandbox;
pub mod service;
pub mod session;
pub mod sys;
pub mod terminal;
pub mod wire;
