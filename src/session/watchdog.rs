//! systemd's watchdog. The control thread pings it as long as the two threads that output and input
//! can keep busy (`viewers` and `terminal`) make progress. If one of them is stuck, the worker is
//! restarted and continues the session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wake::Wake;

/// Interval between `WATCHDOG=1` messages: half of what the unit's `WatchdogSec=` allows; `None` if
/// the unit sets none. `WATCHDOG_PID` is ignored, because it is the pid outside of this process's
/// namespace. See sd_watchdog_enabled(3).
fn watchdog_interval() -> Option<Duration> {
    let microseconds: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds / 2))
}

#[derive(Debug)]
pub(super) struct Watchdog {
    interval: Duration,
    next: Instant,
    /// The wakes of the watched threads, each with its count of [`Wake::lowered`] at the last
    /// check.
    threads: Vec<(Arc<Wake>, u64)>,
}

impl Watchdog {
    pub(super) fn new(threads: [Arc<Wake>; 2]) -> Option<Self> {
        let interval = watchdog_interval()?;
        let threads = threads.map(|thread| (thread, 0)).into();
        Some(Self { interval, next: Instant::now(), threads })
    }

    /// Watches only this thread from now on: the others have ended.
    pub(super) fn watch_only(&mut self, wake: &Arc<Wake>) {
        self.threads.retain(|(thread, _)| Arc::ptr_eq(thread, wake));
    }

    /// Time until the next check.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whether to ping the watchdog now: the check is due, and every thread has turned since the
    /// last one, or all of them are still `waiting` for their PTY. The check also wakes each
    /// thread, so that it turns before the next one.
    pub(super) fn is_due(&mut self, now: Instant, waiting: bool) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + self.interval;
        let mut turn = true;
        for (thread, before) in &mut self.threads {
            let lowered = thread.lowered();
            turn &= lowered != *before || waiting;
            *before = lowered;
            thread.raise();
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_pinged_as_long_as_the_threads_turn() {
        let wakes = [(); 2].map(|()| Arc::new(Wake::new().unwrap()));
        let (interval, mut now) = (Duration::from_secs(15), Instant::now());
        let threads = wakes.clone().map(|wake| (wake, 0)).into();
        let mut watchdog = Watchdog { interval, next: now, threads };
        assert!(watchdog.is_due(now, true), "they wait for a terminal");
        assert!(!watchdog.is_due(now, false), "not yet");
        for _ in 0..3 {
            wakes.iter().for_each(|wake| wake.lower());
            now += interval;
            assert!(watchdog.is_due(now, false));
        }
        wakes[0].lower();
        now += interval;
        assert!(!watchdog.is_due(now, false), "one of them does not turn");
        wakes.iter().for_each(|wake| wake.lower());
        now += interval;
        assert!(watchdog.is_due(now, false), "it does again");
        watchdog.watch_only(&wakes[1]);
        wakes[1].lower();
        now += interval;
        assert!(watchdog.is_due(now, false), "the other has ended");
    }
}
