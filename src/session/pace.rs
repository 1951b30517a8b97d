//! How much output may be in flight to one viewer. Output that has been sent cannot be taken back,
//! and the effect of Ctrl-C waits behind it. So on a slow link little is sent ahead, and on a fast
//! link enough to fill it.
//!
//! The viewer acknowledges the output that it has shown. If an acknowledgement takes longer than
//! the fastest one of the last minutes, the output has waited behind other output. While that wait
//! is short, more may be in flight; when it is long, less. LEDBAT (RFC 6817) does the same for the
//! same reason.

use std::time::{Duration, Instant};

/// Initial window in bytes, before anything is known about the link.
const FIRST: u64 = 64 * 1024;

/// The smallest window in bytes: anything less would be mostly headers.
const LEAST: u64 = 4 * 1024;

/// The largest window in bytes: half of the ring.
const MOST: u64 = 1024 * 1024;

/// How long output may queue on the link, in addition to the link's own delay.
const WAITING: Duration = Duration::from_millis(40);

/// Number of minutes over which the shortest time is remembered: the base history of RFC 6817,
/// section 2.4.2. A permanent increase of the link's delay is recognised after this many minutes.
const HISTORY: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// A window is sent in at least this many pieces, so that the first is shown while the last is
/// being sent.
const PIECES: u64 = 4;

/// The pace of one viewer.
#[derive(Debug)]
pub(super) struct Pace {
    window: u64,
    /// Bytes sent and not yet shown.
    under_way: u64,
    /// Total bytes sent, and total bytes shown.
    sent: u64,
    shown: u64,
    base: BaseDelay,
    sample: Option<Sample>,
}

/// The shortest times from sending to acknowledgement, one for each of the last minutes in which
/// there was a measurement.
#[derive(Debug, Default)]
struct BaseDelay {
    /// The start of each minute and the shortest time in it; the latest minute is last.
    minutes: Vec<(Instant, Duration)>,
}

impl BaseDelay {
    /// Records a measurement, and returns the shortest time remembered.
    fn note(&mut self, took: Duration, now: Instant) -> Duration {
        match self.minutes.last_mut() {
            Some((began, shortest)) if now.saturating_duration_since(*began) < MINUTE => {
                *shortest = took.min(*shortest);
            }
            Some(_) | None => self.minutes.push((now, took)),
        }
        if self.minutes.len() > HISTORY {
            self.minutes.remove(0);
        }
        self.minutes.iter().map(|(_, shortest)| *shortest).min().unwrap_or(took)
    }
}

/// A measurement in progress: from sending a byte until it is shown.
#[derive(Debug)]
struct Sample {
    until: u64,
    began: Instant,
    /// Whether the window was full meanwhile: only then would a larger one help.
    full: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { window: FIRST, under_way: 0, sent: 0, shown: 0, base: BaseDelay::default(), sample: None }
    }

    /// How many bytes may be sent now.
    pub(super) fn room(&mut self) -> usize {
        let room = self.window.saturating_sub(self.under_way);
        if let Some(sample) = self.sample.as_mut().filter(|_| room == 0) {
            sample.full = true;
        }
        let piece = (self.window / PIECES).max(LEAST / PIECES);
        usize::try_from(room.min(piece)).unwrap_or(usize::MAX)
    }

    /// Whether the link can carry a flood, as far as is known.
    pub(super) fn is_wide(&self) -> bool {
        self.window > FIRST
    }

    /// Whether this many bytes may be in flight at once.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        bytes <= self.window
    }

    /// Records that this many bytes were sent.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        let bytes = bytes as u64;
        self.under_way += bytes;
        self.sent += bytes;
        if self.sample.is_none() && bytes > 0 {
            self.sample = Some(Sample { until: self.sent, began: now, full: self.under_way >= self.window });
        }
    }

    /// Records that the viewer reports this many more bytes as shown. A viewer that reports too
    /// many is sent too much, which affects no other viewer.
    pub(super) fn shown(&mut self, bytes: u64, now: Instant) {
        let bytes = bytes.min(self.under_way);
        self.under_way -= bytes;
        self.shown += bytes;
        let Some(sample) = self.sample.take_if(|sample| self.shown >= sample.until) else { return };
        let took = now.saturating_duration_since(sample.began).max(Duration::from_micros(100));
        let shortest = self.base.note(took, now);
        let waited = took - shortest;
        if waited > WAITING {
            let parts = (shortest + WAITING).as_micros().checked_mul(u128::from(self.window));
            let fitting = parts.unwrap_or_default() / took.as_micros();
            self.window = u64::try_from(fitting).unwrap_or(MOST).clamp(LEAST, MOST);
        } else if sample.full && waited < WAITING / 2 {
            self.window = (self.window + self.window / 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as much as allowed over a link with this rate, in bytes per second, and this delay,
    /// for a time from `began` on. Returns the bytes that were shown, and the bytes in flight at
    /// the end.
    fn run(pace: &mut Pace, began: Instant, rate: u64, delay: Duration, time: Duration) -> (u64, u64) {
        let mut link_free = began;
        let mut arrivals: std::collections::VecDeque<(Instant, u64)> = std::collections::VecDeque::new();
        let (mut now, mut shown) = (began, 0);
        while now < began + time {
            while let Some((_, bytes)) = arrivals.pop_front_if(|(at, _)| *at <= now) {
                pace.shown(bytes, now);
                shown += bytes;
            }
            let room = pace.room().min(4096);
            if room > 0 {
                pace.sent(room, now);
                let length = room as u64;
                link_free = link_free.max(now) + Duration::from_secs_f64(length as f64 / rate as f64);
                arrivals.push_back((link_free + delay, length));
            } else {
                now = arrivals.front().map_or(now, |(at, _)| *at);
            }
        }
        let under_way = pace.under_way;
        arrivals.into_iter().for_each(|(at, bytes)| pace.shown(bytes, at));
        (shown, under_way)
    }

    #[test]
    fn a_slow_link_is_kept_short_and_a_fast_one_full() {
        for (rate, delay, most_waiting) in
            [(125_000, 1, 0.1), (125_000, 50, 0.2), (1_250_000, 20, 0.1), (50_000_000, 1, 0.1)]
        {
            let mut pace = Pace::new();
            let delay = Duration::from_millis(delay);
            // A prompt, from which the delay of the link is measured.
            let now = Instant::now();
            pace.sent(100, now);
            pace.shown(100, now + delay);
            let time = Duration::from_secs(3);
            run(&mut pace, now, rate, delay, time);
            let (shown, under_way) = run(&mut pace, now + 2 * time, rate, delay, time);
            let used = shown as f64 / (rate as f64 * 3.0);
            assert!(used > 0.8 || under_way >= MOST / 2, "{rate} {delay:?}: {used} of the link");
            let waits = under_way as f64 / rate as f64;
            assert!(waits < most_waiting, "{rate} {delay:?}: {waits} s wait on the way");
        }
    }

    #[test]
    fn a_way_that_becomes_longer_is_full_again_after_some_minutes() {
        let (mut pace, mut now, rate) = (Pace::new(), Instant::now(), 1_250_000);
        let minute = |pace: &mut Pace, now: &mut Instant, delay| {
            let (shown, _) = run(pace, *now, rate, Duration::from_millis(delay), MINUTE);
            *now += MINUTE + Duration::from_secs(1);
            shown as f64 / (rate as f64 * 60.0)
        };
        assert!(minute(&mut pace, &mut now, 1) > 0.8);
        // The viewer moves from a home network to a mobile one: all output seems to be queued.
        minute(&mut pace, &mut now, 150);
        for _ in 0..HISTORY {
            minute(&mut pace, &mut now, 150);
        }
        let used = minute(&mut pace, &mut now, 150);
        assert!(used > 0.8, "{used} of the link");
    }

    #[test]
    fn a_viewer_that_says_nothing_is_sent_no_more_than_the_window() {
        let mut pace = Pace::new();
        let now = Instant::now();
        while pace.room() > 0 {
            let bytes = pace.room().min(1000);
            pace.sent(bytes, now);
        }
        assert_eq!(pace.under_way, FIRST);
        // Acknowledging too much does not make the count wrap.
        pace.shown(u64::MAX, now);
        assert_eq!(pace.under_way, 0);
    }
}
