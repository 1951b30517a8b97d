//! The viewer socket: terminal bytes between a session's worker and whoever shows it, front or
//! `tere`. A socketpair made by the worker; one end travels through the broker. Intent
//! [`Intent::Viewer`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors.

use serde::{Deserialize, Serialize};

use super::EndReason;
use crate::names::TermSize;
use crate::wire::Message;

/// Most terminal bytes in one packet.
pub const CHUNK_MAX: usize = 32 * 1024;

/// From the worker to the viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToViewer {
    /// What the shell printed. At most [`CHUNK_MAX`] bytes.
    Output(#[serde(with = "serde_bytes")] Vec<u8>),
    /// This many bytes of output were overwritten before the viewer took them.
    Skipped(u64),
    /// This many bytes of the viewer's input were thrown away: the program does not read.
    InputDropped(u64),
    /// The session is over.
    Ended(EndReason),
}

/// From the viewer to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromViewer {
    /// What the person typed. At most [`CHUNK_MAX`] bytes.
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The viewer's terminal has a new size.
    Resize(TermSize),
}

impl Message for ToViewer {}
impl Message for FromViewer {}
