//! How far one viewer is behind the output, and whether that makes it late. A late viewer is sent a
//! snapshot instead of the backlog.

use std::time::{Duration, Instant};

use super::pace::Pace;

/// The time budget of a viewer. Output that was printed longer ago and has not been sent yet is
/// replaced by a snapshot.
pub(super) const LATE: Duration = Duration::from_millis(300);

/// A viewer that is behind by at most this many bytes is not late, however long that lasts.
const LATE_BYTES: u64 = 16 * 1024;

/// The same limit for a viewer that is already late on a slow link: it is sent an echo, but no part
/// of a flood, because the next snapshot would wait behind it.
const ECHO_BYTES: u64 = 1024;

/// The lag of one viewer.
#[derive(Debug)]
pub(super) struct Lag {
    /// An offset that the output had reached, and when. The viewer falls behind if it has not been
    /// sent the output up to there within [`LATE`].
    mark: (u64, Instant),
    /// The viewer fell behind, and has not caught up since.
    is_late: bool,
    /// Start of the period in which the lag stayed at or below [`LATE_BYTES`] and no snapshot left
    /// out more than the link takes; `None` otherwise.
    caught_up_since: Option<Instant>,
    /// The viewer's cursor when it was last found to be late.
    fell_behind_at: u64,
}

impl Lag {
    pub(super) fn new(now: Instant) -> Self {
        Self { mark: (0, now), is_late: false, caught_up_since: None, fell_behind_at: 0 }
    }

    /// Whether the viewer gets a snapshot instead of the output between its cursor and the head.
    /// During a flood on a slow link, every snapshot briefly shows all the output; that alone does
    /// not mean that the viewer has caught up.
    pub(super) fn is_late(&mut self, cursor: u64, head: u64, pace: &Pace, now: Instant) -> bool {
        let behind = head.saturating_sub(cursor);
        let for_long = self.caught_up_since.is_some_and(|since| now.saturating_duration_since(since) > LATE);
        if for_long || (behind == 0 && pace.is_wide()) {
            self.is_late = false;
        }
        self.caught_up_since = (behind <= LATE_BYTES).then(|| self.caught_up_since.unwrap_or(now));
        if cursor >= self.mark.0 {
            self.mark = (head, now);
        } else if now.saturating_duration_since(self.mark.1) > LATE {
            self.is_late = true;
        }
        let is_late = self.is_late && behind > if pace.is_wide() { LATE_BYTES } else { ECHO_BYTES };
        if is_late {
            self.fell_behind_at = cursor;
        }
        is_late
    }

    /// Records that the ring has overwritten the viewer's next output.
    pub(super) fn overwritten(&mut self) {
        self.is_late = true;
    }

    /// Records that the viewer will be sent a snapshot that was taken at `offset`.
    pub(super) fn snapshot(&mut self, offset: u64, pace: &Pace) {
        if self.is_late && !pace.takes(offset.saturating_sub(self.fell_behind_at)) {
            self.caught_up_since = None;
        }
    }

    /// Records that a snapshot was sent completely while the output ended at `head`.
    pub(super) fn snapshot_sent(&mut self, head: u64, now: Instant) {
        self.mark = (head, now);
    }
}
