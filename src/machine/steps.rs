//! Tells systemd, and through it the broker, which step has begun.

use crate::protocol::OpeningStep;

/// Makes a step the status of the unit that this process belongs to.
pub(super) fn report(step: OpeningStep) {
    // If that fails, somebody who waits is told less.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Status(step.status())]));
}
