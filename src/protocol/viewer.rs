//! The viewer socket: terminal bytes between a session's worker and whoever shows it, front or
//! `tere`. A socketpair made by the worker; one end travels through the broker. Intent
//! [`Intent::Viewer`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors. A view begins with a snapshot, and goes on with what
//! is printed. A viewer that is too slow for that is given another snapshot, which takes the place
//! of all that it was sent before.

use serde::{Deserialize, Serialize};

use super::SessionEnd;
use crate::names::{TermSize, Theme};
use crate::wire::Message;

/// Most terminal bytes in one packet.
pub const CHUNK_MAX: usize = 32 * 1024;

/// From the worker to the viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToViewer {
    /// The next `length` bytes of `Output` are a snapshot, for a terminal of this size. One that begins
    /// before the last is complete replaces it.
    SnapshotBegins {
        /// The size of the terminal.
        size: TermSize,
        /// Length of the snapshot, bytes.
        length: u32,
        /// What it shows.
        extent: Extent,
    },
    /// What the shell printed, or part of a snapshot. At most [`CHUNK_MAX`] bytes.
    Output(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The terminal has another size from here on.
    Size(TermSize),
    /// This many bytes of the viewer's input were thrown away: the program does not read.
    InputDropped(u64),
    /// The view is over, as a rule with the session.
    Ended(SessionEnd),
}

/// What a snapshot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Extent {
    /// The screen and the scrollback above it.
    Whole,
    /// The screen alone. The viewer keeps the scrollback that it has; lines may be missing at its end.
    Screen,
    /// The screen and the end of the scrollback above it. There is more.
    Recent,
}

/// From the viewer to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromViewer {
    /// What the person typed. At most [`CHUNK_MAX`] bytes.
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// No more `Input` comes. What came before is typed; output goes on until the viewer closes.
    End,
    /// The viewer's window has room for a terminal of this size.
    Resize(TermSize),
    /// The viewer has shown this many more bytes of `Output`, of a snapshot's too. Without it the worker
    /// sends no more than a window's worth.
    Shown(u32),
    /// The viewer wants a snapshot with the whole scrollback.
    Refresh,
    /// Put the terminal's modes, character sets and scrolling region back. Nothing is typed; every
    /// viewer is sent a snapshot. Not for a watcher.
    ResetTerminal,
    /// The viewer shows the terminal in these colours: what programs are told that ask for them. Counts
    /// from the session's owner alone.
    Theme(Theme),
}

impl Message for ToViewer {}
impl Message for FromViewer {}
