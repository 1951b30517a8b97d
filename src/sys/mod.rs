//! The one room where `unsafe` is allowed: what the kernel offers and no safe wrapper covers.
//! Each function is a thin, safe face over one or two system calls.

#![allow(unsafe_code)] // this room's purpose; denied everywhere else

pub mod inherited;
pub mod mapping;
pub mod notify;
pub mod pty;
pub mod reactor;
pub mod seqpacket;
pub mod signals;
