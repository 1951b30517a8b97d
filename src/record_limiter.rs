//! A limit on the records of people who are not signed in, so that they cannot fill the journal and
//! push out what it says of others.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most records that are written at once. front and auth, which both record what such people do,
/// then write ten together.
const BURST: u32 = 5;

/// After that, one record is written in this time, 8640 a day. While records are left out, it is the
/// one that tells how many.
const REFILL: Duration = Duration::from_secs(10);

/// Most sources whose records are counted apart while they are left out. Those of more sources are
/// counted together.
const SOURCES_MAX: usize = 64;

/// Most sources that a record names for those that were left out.
const NAMED_MAX: usize = 3;

/// Writes records of people who are not signed in, or counts them if there are too many. The counts
/// are then told in one record.
#[derive(Debug)]
pub struct RecordLimiter<S> {
    state: Arc<Mutex<State<S>>>,
}

#[derive(Debug)]
struct State<S> {
    /// How many records may be written now.
    tokens: u32,
    refilled: Instant,
    left_out: HashMap<S, u64>,
    left_out_in_all: u64,
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Written,
    /// The first that is left out: from this time on, one record tells of all of them.
    FirstLeftOut(Instant),
    LeftOut,
}

impl<S> Default for RecordLimiter<S> {
    fn default() -> Self {
        Self { state: Arc::new(Mutex::new(State::new(Instant::now()))) }
    }
}

impl<S: Display + Eq + Hash + Send + 'static> RecordLimiter<S> {
    /// Writes a record with `write`, or counts it for its source. Must be called in a tokio runtime.
    pub fn record(&self, source: S, write: impl FnOnce()) {
        let outcome = self.lock().record(source, Instant::now());
        match outcome {
            Outcome::Written => write(),
            Outcome::LeftOut => {}
            Outcome::FirstLeftOut(told) => {
                let limiter = Self { state: Arc::clone(&self.state) };
                tokio::spawn(async move {
                    tokio::time::sleep_until(told.into()).await;
                    let (count, sources) = limiter.lock().tell(Instant::now());
                    tracing::warn!(
                        left_out = count,
                        "{count} more records of people who are not signed in are left out{sources}"
                    );
                });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> State<S> {
    fn new(now: Instant) -> Self {
        Self { tokens: BURST, refilled: now, left_out: HashMap::new(), left_out_in_all: 0 }
    }

    /// Takes a token, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        while self.tokens < BURST && now >= self.refilled + REFILL {
            self.tokens += 1;
            self.refilled += REFILL;
        }
        if self.tokens == BURST {
            self.refilled = now;
        }
        let there = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        there
    }
}

impl<S: Display + Eq + Hash> State<S> {
    /// Decides about a record. Once one is left out, all are until they are told: the next token is
    /// for that.
    fn record(&mut self, source: S, now: Instant) -> Outcome {
        if self.left_out_in_all == 0 && self.take(now) {
            return Outcome::Written;
        }
        self.left_out_in_all += 1;
        if self.left_out.len() < SOURCES_MAX || self.left_out.contains_key(&source) {
            *self.left_out.entry(source).or_default() += 1;
        }
        if self.left_out_in_all == 1 {
            Outcome::FirstLeftOut(self.refilled + REFILL)
        } else {
            Outcome::LeftOut
        }
    }

    /// How many were left out, and the sources of most of them. They are counted anew.
    fn tell(&mut self, now: Instant) -> (u64, String) {
        self.take(now);
        let mut sources: Vec<_> = self.left_out.drain().collect();
        sources.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let named = sources.iter().take(NAMED_MAX).map(|(source, count)| format!(", {count} from {source}"));
        (std::mem::take(&mut self.left_out_in_all), named.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_in_one_record() {
        let began = Instant::now();
        let mut state = State::new(began);
        let outcomes: Vec<_> = (0..1000)
            .map(|number| state.record(if number % 10 == 0 { "one" } else { "another" }, began))
            .collect();
        let burst = usize::try_from(BURST).unwrap();
        assert!(outcomes[..burst].iter().all(|outcome| *outcome == Outcome::Written), "{outcomes:?}");
        assert_eq!(outcomes[burst], Outcome::FirstLeftOut(began + REFILL));
        assert!(outcomes[burst + 1..].iter().all(|outcome| *outcome == Outcome::LeftOut), "{outcomes:?}");
        let (count, sources) = state.tell(began + REFILL);
        assert_eq!((count, sources.as_str()), (995, ", 896 from another, 99 from one"));
        // A day of it, ten a second.
        let (mut written, mut told) = (0, None);
        for tenth in 0..864_000 {
            let now = began + REFILL + Duration::from_millis(100 * tenth);
            if told.is_some_and(|at| now >= at) {
                assert!(state.tell(now).0 > 0);
                (written, told) = (written + 1, None);
            }
            match state.record("one", now) {
                Outcome::Written => written += 1,
                Outcome::FirstLeftOut(at) => told = Some(at),
                Outcome::LeftOut => {}
            }
        }
        assert!((8600..=8640).contains(&written), "{written}");
        // After a quiet time, all is as at first.
        let later = began + REFILL + Duration::from_secs(86_400 + 3600);
        state.tell(later);
        let outcomes = (0..100).map(|_| state.record("one", later + REFILL));
        assert_eq!(outcomes.filter(|outcome| *outcome == Outcome::Written).count(), burst);
    }

    #[test]
    fn what_is_counted_has_a_bound_and_the_worst_is_named() {
        let now = Instant::now();
        let mut state = State::new(now);
        for source in 0..10_000 {
            state.record(source, now);
        }
        for _ in 0..7 {
            state.record(20, now);
        }
        assert_eq!(state.left_out.len(), SOURCES_MAX);
        let (count, sources) = state.tell(now + REFILL);
        assert_eq!(count, 10_007 - u64::from(BURST));
        assert!(sources.starts_with(", 8 from 20, 1 from "), "{sources}");
        assert_eq!(sources.matches("from").count(), NAMED_MAX);
        assert_eq!(state.tell(now + 2 * REFILL), (0, String::new()));
    }
}
