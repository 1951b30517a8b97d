//! How soon a worker is returned to whose channel broke: at once, unless the channel did not last. One that greets and
//! hangs up for ever must not keep the broker busy.

use std::time::Duration;

use tokio::time::Instant;

/// A channel that lived this long is one that lasts.
const LASTS: Duration = Duration::from_secs(1);

/// Before a worker is returned to whose channel did not last; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// The returns to one worker.
#[derive(Debug)]
pub(super) struct Returns {
    /// When the last channel came.
    since: Instant,
    next: Duration,
}

impl Returns {
    /// None yet, with a channel that came just now.
    pub(super) fn to_come(now: Instant) -> Self {
        Self { since: now, next: PAUSE }
    }

    /// How long to wait before the next return; the channel after it comes then.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let lasted = now.saturating_duration_since(self.since) >= LASTS;
        let pause = if lasted { Duration::ZERO } else { self.next };
        self.next = if lasted { PAUSE } else { (2 * self.next).min(PAUSE_MAX) };
        self.since = now + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_hangs_up_again_and_again_is_returned_to_more_and_more_seldom() {
        let mut now = Instant::now();
        let mut returns = Returns::to_come(now);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            now += Duration::from_millis(10);
            let pause = returns.pause(now);
            now += pause;
            pauses.push(pause);
        }
        assert_eq!(pauses.first(), Some(&PAUSE));
        assert!(pauses.windows(2).all(|two| two[1] == (2 * two[0]).min(PAUSE_MAX)), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        now += LASTS;
        assert_eq!(returns.pause(now), Duration::ZERO);
        assert_eq!(returns.pause(now), PAUSE);
    }
}
