//! Waiting for conditions that no event reports.

use std::time::{Duration, Instant};

/// Polls until the answer is there, with a deadline.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {at_most:?}: {what}");
        // The pause between two checks of something that cannot be awaited.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
