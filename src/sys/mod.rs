//! The only module in which `unsafe` is allowed: interfaces of the kernel and of the C library
//! that no safe wrapper covers. Each function is a thin, safe wrapper of one or two calls.

#![allow(unsafe_code)] // this room's purpose; denied everywhere else

pub mod cgroup;
pub mod inherited;
pub mod mapping;
pub mod memory;
pub mod notify;
pub mod pty;
pub mod quota;
pub mod reactor;
pub mod seqpacket;
