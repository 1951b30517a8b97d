//! tere: a secure front door to shells. One library, five programs, one room for each; what two
//! programs share has a room of its own.

pub mod atomic_file;
pub mod auth;
pub mod backoff;
pub mod broker;
pub mod cli;
pub mod config;
pub mod front;
pub mod names;
pub mod protocol;
pub mod records;
pub mod sandbox;
pub mod service;
pub mod session;
pub mod sys;
pub mod terminal;
pub mod wire;
