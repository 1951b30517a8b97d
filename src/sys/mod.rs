//! The only module in which `unsafe` is allowed: interfaces of the kernel that no safe wrapper
//! covers. Each function is a thin, safe wrapper of one or two system calls.

#![allow(unsafe_code)] // this room's purpose; denied everywhere else

pub mod inherited;
pub mod mapping;
pub mod notify;
pub mod pty;
pub mod quota;
pub mod reactor;
pub mod seqpacket;
pub mod signals;
