//! The time limit of a session: the broker ends the session when it is reached. The
//! record has it, so a broker that was restarted ends the session too.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::orders::WorkerOrder;
use super::records::Record;
use super::session::Session;
use crate::clock::now;
use crate::protocol::EndReason;

/// How long the watching task waits before it looks at both clocks and at the session again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// When a session has to end. Both clocks count, and the first to reach the limit decides: the
/// clock of the host may be set back, and the other one stands still while the host sleeps.
#[derive(Debug)]
struct Deadline {
    /// In seconds since 1970.
    ends: u64,
    latest: Instant,
}

impl Deadline {
    fn of(record: &Record, now: u64) -> Option<Self> {
        let ends = record.ends?;
        let left = ends.saturating_sub(now).min(ends.saturating_sub(record.opened));
        Some(Self { ends, latest: Instant::now() + Duration::from_secs(left) })
    }

    fn left(&self, now: u64) -> Duration {
        let by_clock = Duration::from_secs(self.ends.saturating_sub(now));
        by_clock.min(self.latest.saturating_duration_since(Instant::now()))
    }
}

/// Ends a session when its time limit is reached, if it has one.
pub(super) fn watch(session: &Arc<Session>) {
    let Some(deadline) = Deadline::of(&session.record, now()) else { return };
    // Without a strong reference, so that a session that ends earlier is forgotten.
    let session = Arc::downgrade(session);
    tokio::spawn(async move {
        loop {
            let left = deadline.left(now());
            let Some(session) = session.upgrade() else { return };
            if left.is_zero() {
                tracing::info!(session = %session.record.id, "the session has reached its time limit");
                // Fails only if the session is already over.
                let _ = session.worker.send(WorkerOrder::End(EndReason::TimeLimit)).await;
                return;
            }
            drop(session);
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::orders::ORDERS;
    use super::*;

    fn record(opened: u64, ends: Option<u64>) -> Record {
        let id = "aaaaaaaaaaaa".parse().unwrap();
        let record = Record::of_now(id, "alice".parse().unwrap(), "ops@.host".parse().unwrap());
        Record { opened, ends, ..record }
    }

    #[test]
    fn neither_clock_prolongs_a_session() {
        let left = |now| {
            let deadline = Deadline::of(&record(1000, Some(1600)), now).unwrap();
            (deadline.left(now) + Duration::from_millis(500)).as_secs()
        };
        assert_eq!((left(1000), left(1599), left(1600), left(9999)), (600, 1, 0, 0));
        assert_eq!(left(0), 600, "the clock was set back");
        assert!(Deadline::of(&record(1000, None), 1000).is_none());
        // Set back, or forward, while the session runs.
        let deadline = Deadline::of(&record(1000, Some(1600)), 1000).unwrap();
        assert!(deadline.left(0) <= Duration::from_secs(600) && deadline.left(1600).is_zero());
    }

    #[tokio::test]
    async fn a_session_ends_at_its_time_limit_whoever_watches_it() {
        for (ends, is_over) in [(Some(now()), true), (Some(now() + 1), true), (Some(now() + 600), false)] {
            let (orders, mut inbox) = mpsc::channel(ORDERS);
            let session =
                Session::of(record(now() - 5, ends), orders, tokio::sync::broadcast::Sender::new(1));
            watch(&session);
            let told = tokio::time::timeout(Duration::from_secs(3), inbox.recv()).await;
            let ended = matches!(told, Ok(Some(WorkerOrder::End(EndReason::TimeLimit))));
            assert_eq!(ended, is_over, "{ends:?}: {told:?}");
        }
    }
}
