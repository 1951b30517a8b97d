//! systemd's watchdog: pinged by the control thread, as long as the threads turn that may be kept busy by what is
//! printed and typed. A worker of which one does not is started again, and goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wake::Wake;

/// How often to say `WATCHDOG=1`: half of what the unit's `WatchdogSec=` allows. Nothing where
/// the unit asks for none. `WATCHDOG_PID` is not looked at: it is the pid outside of our namespace. See
/// sd_watchdog_enabled(3).
fn watchdog_interval() -> Option<Duration> {
    let microseconds: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds / 2))
}

/// The watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    interval: Duration,
    next: Instant,
    /// The wakes of those threads, with how often each was lowered at the last look.
    threads: [(Arc<Wake>, u64); 2],
}

impl Watchdog {
    pub(super) fn new(threads: [Arc<Wake>; 2]) -> Option<Self> {
        let interval = watchdog_interval()?;
        let threads = threads.map(|thread| (thread, 0));
        Some(Self { interval, next: Instant::now(), threads })
    }

    /// How long it can wait.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whether it is to be pinged now. Each thread is woken at every look, so that it has turned by the next.
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
        let threads = wakes.clone().map(|wake| (wake, 0));
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
    }
}
