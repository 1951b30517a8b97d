use std::time::Instant;

use crate::clock;

/// The current time, passed as an argument to code that does no I/O.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// For deadlines that live no longer than this process.
    pub(super) instant: Instant,
    /// For times that are stored or sent: seconds since 1970.
    pub(super) unix: u64,
}

impl Now {
    /// Reads both clocks.
    pub(super) fn read() -> Self {
        Self { instant: Instant::now(), unix: clock::now() }
    }
}
