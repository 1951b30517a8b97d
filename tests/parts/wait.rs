//! Waiting for what has no event of its own.

use std::time::{Duration, Instant};

/// Asks until the answer is there, with a deadline.
#[track_caller]
pub fn eventually<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {at_most:?}: {what}");
        // Between two looks at something that cannot be awaited.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
