//! Reaching the worker of a session that is there: one whose channel broke, or an earlier broker's.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::orders::Order;
use super::systemd::{Systemd, Unit};
use super::worker::{self, WorkerChannel};
use crate::names::SessionId;
use crate::protocol::worker::{Standing, ViewerNumber};
use crate::protocol::{EndReason, Refusal};
use crate::wire::WireError;

/// How long a worker that went away may take to be back, with crashes on the way.
const RETURN_TIME: Duration = Duration::from_secs(20);

/// Between two attempts: what `RestartSec=` of its unit is.
const RETURN_PAUSE: Duration = Duration::from_millis(50);

/// How long the worker of a session that goes on is left alone after it did not come back in time.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Why the worker of a session cannot be talked to.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The session is over: its worker lost it.
    Over,
    /// The session goes on: systemd has its terminal. But no worker answered in [`RETURN_TIME`]; the host may be
    /// busy with other things.
    NoAnswer,
    /// The session goes on, in a worker that speaks another version than this broker, whichever of
    /// the two was not started again. The next broker reaches it.
    OtherVersion,
}

/// The channel to a worker, and the viewers that it has.
pub(super) type Reached = (WorkerChannel, Vec<ViewerNumber>);

/// Connects to the worker of a session that is there, and hears which viewers it has: an earlier broker's, or one whose channel
/// broke. While that takes longer than a restart does, whoever wants something of the session is told so.
///
/// # Errors
/// The session is over, or somebody wants its end: now, or before, which is what `ending` says.
pub(super) async fn return_to(
    systemd: &Systemd,
    id: &SessionId,
    orders: &mut mpsc::Receiver<Order>,
    ending: Option<EndReason>,
) -> Result<Reached, EndReason> {
    loop {
        let unreached = match reach(systemd, id).await {
            Ok(reached) => return Ok(reached),
            Err(unreached) => unreached,
        };
        match (unreached, ending) {
            (Unreached::Over, _) => return Err(EndReason::WorkerGone),
            (Unreached::OtherVersion | Unreached::NoAnswer, Some(reason)) => return Err(reason),
            (Unreached::OtherVersion, None) => {
                return Err(stand_by(orders, Refusal::VersionMismatch).await);
            }
            (Unreached::NoAnswer, None) => {
                let standing_by = stand_by(orders, Refusal::WorkerUnavailable);
                if let Ok(reason) = tokio::time::timeout(LEFT_ALONE, standing_by).await {
                    return Err(reason);
                }
            }
        }
    }
}

/// systemd starts a worker again by itself, or because we connect. One of another version
/// is started again in place, once: the programs were replaced under it.
pub(super) async fn reach(systemd: &Systemd, id: &SessionId) -> Result<Reached, Unreached> {
    let deadline = Instant::now() + RETURN_TIME;
    let mut started_again = false;
    loop {
        let error = match worker::connect(&systemd.socket(id)).await {
            Ok((channel, Standing::Keeping(viewers))) => return Ok((channel, viewers)),
            Ok((_, Standing::Waiting)) => return Err(Unreached::Over),
            Err(error) => error,
        };
        let of_another_version = matches!(error, WireError::WrongVersion { .. });
        let late = Instant::now() >= deadline;
        if of_another_version && (started_again || late) {
            tracing::error!(session = %id, %error, "restart tere-broker: it is not of the version that is installed: {error}");
            return Err(Unreached::OtherVersion);
        }
        // No socket: the host was restarted under the record, or somebody stopped it.
        let gone = matches!(&error, WireError::Io(error) if error.kind() == io::ErrorKind::NotFound);
        if gone || late {
            still_kept(systemd, id, &error).await?;
        }
        if late {
            return Err(Unreached::NoAnswer);
        }
        if of_another_version {
            tracing::info!(session = %id, %error, "a worker of another version is started again in place: {error}");
            match systemd.stop(Unit::SessionService(id)).await {
                Ok(()) => started_again = true,
                Err(error) => {
                    tracing::warn!(session = %id, %error, "the worker of another version cannot be stopped: {error}");
                }
            }
        }
        // It may have been killed while it greeted, and start again right now.
        tokio::time::sleep(RETURN_PAUSE).await;
    }
}

/// Looks whether systemd still has the terminal of a session whose worker does not answer, and has its socket there.
async fn still_kept(systemd: &Systemd, id: &SessionId, error: &WireError) -> Result<(), Unreached> {
    match systemd.stored_descriptors(id).await {
        Ok(0) => {
            tracing::warn!(session = %id, %error, "the worker does not come back: {error}");
            return Err(Unreached::Over);
        }
        Ok(_) => {
            tracing::warn!(session = %id, %error, "the session goes on, but its worker does not answer: {error}")
        }
        Err(unasked) => {
            tracing::warn!(session = %id, error = %unasked, "systemd cannot be asked for a session: {unasked}");
            return Ok(());
        }
    }
    if let Err(error) = systemd.start(Unit::SessionSocket(id)).await {
        tracing::warn!(session = %id, %error, "the socket of a session cannot be started: {error}");
    }
    Ok(())
}

/// Answers for a worker that cannot be talked to, until the session is to end: it goes on, and its viewers with it.
async fn stand_by(orders: &mut mpsc::Receiver<Order>, refusal: Refusal) -> EndReason {
    loop {
        match orders.recv().await {
            Some(Order::Attach { answer, .. }) => {
                // Nobody waits any more.
                let _ = answer.send(Err(refusal));
            }
            // It is listed without what its worker could say.
            Some(Order::Describe(_) | Order::SetRole { .. } | Order::Detach { .. }) => {}
            Some(Order::End(reason)) => return reason,
            // The table holds a sender for as long as the session is live.
            None => return EndReason::WorkerGone,
        }
    }
}
