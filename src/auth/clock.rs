use std::time::Instant;

use crate::clock::Moment;

/// The current time, passed as an argument to code that does no I/O.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// For deadlines that live no longer than this process.
    pub(super) instant: Instant,
    /// For times that are stored or sent: seconds since 1970.
    pub(super) unix: u64,
    /// For ages that a clock which is set must not shorten: the time since the host was booted.
    pub(super) uptime: u64,
}

impl Now {
    /// Reads both clocks.
    pub(super) fn read() -> Self {
        let Moment { unix, uptime } = Moment::now();
        Self { instant: Instant::now(), unix, uptime }
    }

    /// The moment, as it is stored.
    pub(super) fn moment(self) -> Moment {
        Moment { unix: self.unix, uptime: self.uptime }
    }
}
