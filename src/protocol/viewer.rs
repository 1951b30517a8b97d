//! The viewer socket: terminal bytes between a session's worker and the program that displays them,
//! front or `tere`. The worker makes a socketpair, and one end is passed through the broker. Intent
//! [`Intent::Viewer`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors. A view begins with a snapshot and continues with
//! the shell's output. A viewer that is too slow for the output gets another snapshot, which
//! replaces everything sent before.

use serde::{Deserialize, Serialize};

use super::SessionEnd;
use crate::names::{TermSize, Theme};
use crate::wire::Message;

/// Most terminal bytes in one packet.
pub const CHUNK_MAX: usize = 32 * 1024;

/// From the worker to the viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToViewer {
    /// The next `length` bytes of `Output` are a snapshot for a terminal of this size. A snapshot
    /// that begins before the last one is complete replaces it.
    SnapshotBegins {
        /// The size of the terminal.
        size: TermSize,
        /// Length of the snapshot, bytes.
        length: u32,
        /// What the snapshot contains.
        extent: Extent,
    },
    /// Output of the shell, or part of a snapshot. At most [`CHUNK_MAX`] bytes.
    Output(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The terminal has this size from here on.
    Size(TermSize),
    /// This many bytes of the viewer's input were thrown away, because the program does not read.
    InputDropped(u64),
    /// The view has ended, usually together with the session.
    Ended(SessionEnd),
}

/// What a snapshot contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Extent {
    /// The screen and the whole scrollback.
    Whole,
    /// The screen alone. The viewer keeps its scrollback, at the end of which lines may be missing.
    Screen,
    /// The screen and the most recent part of the scrollback. There is more.
    Recent,
}

/// From the viewer to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromViewer {
    /// Input from the viewer's user. At most [`CHUNK_MAX`] bytes.
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// No more `Input` comes. Input sent before is typed; output continues until the viewer closes.
    End,
    /// The viewer has room for a terminal of this size.
    Resize(TermSize),
    /// The viewer has displayed this many more bytes of `Output`, snapshots included. Without these
    /// messages the worker sends no more than one window's worth.
    Shown(u32),
    /// Request a snapshot with the whole scrollback.
    Refresh,
    /// Reset the terminal's modes, character sets and scrolling region. Sends no input to the
    /// program; every viewer gets a snapshot. Not allowed for a watcher.
    ResetTerminal,
    /// The viewer displays the terminal in these colours, and programs that query the colours get
    /// them as the answer. Only the theme of the session's owner is used.
    Theme(Theme),
}

impl Message for ToViewer {}
impl Message for FromViewer {}
