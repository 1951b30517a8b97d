//! Connects to the worker of a session that exists: after its channel broke, or after the broker
//! was restarted.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::orders::WorkerOrder;
use super::systemd::{Systemd, Unit};
use super::worker::{self, WorkerChannel};
use crate::names::SessionId;
use crate::protocol::worker::{Standing, ViewerId};
use crate::protocol::{EndReason, Refusal};
use crate::wire::WireError;

/// How long a worker that went away may take to come back, including crashes on the way.
const RETURN_TIMEOUT: Duration = Duration::from_secs(20);

/// Delay between two attempts: the same as `RestartSec=` of the worker's unit.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// How long to wait before trying again to reach a worker that did not come back in time.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);

/// Why the worker of a session cannot be reached.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The session is over: its worker lost it.
    Over,
    /// No worker answered within [`RETURN_TIMEOUT`]; the host may be overloaded. The session goes
    /// on: systemd has its terminal, or could not be asked.
    NoAnswer,
    /// The session goes on, in a worker of another version than this broker. Either of the two was
    /// not restarted after an upgrade. The next broker reaches it.
    OtherVersion,
}

/// The channel to a worker, and the viewers that it has.
pub(super) type Reached = (WorkerChannel, Vec<ViewerId>);

/// Connects to the worker of a session that exists, and receives the list of its viewers. The
/// session is an earlier broker's, or its channel broke. If this takes longer than a restart does,
/// requests for a view are refused in the meantime.
///
/// # Errors
/// The session is over, or it is to end: `ending` is the reason if that was requested before.
pub(super) async fn return_to(
    systemd: &Systemd,
    id: &SessionId,
    orders: &mut mpsc::Receiver<WorkerOrder>,
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
                if let Ok(reason) = tokio::time::timeout(RECONNECT_DELAY, standing_by).await {
                    return Err(reason);
                }
            }
        }
    }
}

/// Connects to the worker of a session. systemd starts the worker by itself, or because of the
/// connection. A worker of another version is restarted in place, once: the programs were replaced
/// while it ran.
pub(super) async fn reach(systemd: &Systemd, id: &SessionId) -> Result<Reached, Unreached> {
    let deadline = Instant::now() + RETURN_TIMEOUT;
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
            tracing::error!(session = %id, %error, "restart tere-broker, which is not the installed version: {error}");
            return Err(Unreached::OtherVersion);
        }
        // No socket: the host was restarted and the record is left, or somebody stopped the socket.
        let gone = matches!(&error, WireError::Io(error) if error.kind() == io::ErrorKind::NotFound);
        if gone || late {
            still_kept(systemd, id, &error).await?;
        }
        if late {
            return Err(Unreached::NoAnswer);
        }
        if of_another_version {
            tracing::info!(session = %id, %error, "restarting a worker of another version: {error}");
            match systemd.stop(Unit::SessionService(id)).await {
                Ok(()) => started_again = true,
                Err(error) => {
                    tracing::warn!(session = %id, %error, "the worker of another version cannot be stopped: {error}");
                }
            }
        }
        // The worker may have been killed during the greeting, and may be restarting now.
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Checks that systemd still has the terminal of a session whose worker does not answer, and starts
/// the session's socket.
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

/// Answers orders for a worker that cannot be reached, until the session is to end. The session and
/// its viewers go on meanwhile.
async fn stand_by(orders: &mut mpsc::Receiver<WorkerOrder>, refusal: Refusal) -> EndReason {
    loop {
        match orders.recv().await {
            Some(WorkerOrder::Attach { answer, .. }) => {
                // Fails if the request has timed out.
                let _ = answer.send(Err(refusal));
            }
            // The session is listed without a description. A worker that comes back is told the
            // current roles and which views to close.
            Some(WorkerOrder::Describe(_) | WorkerOrder::SetRole { .. } | WorkerOrder::Detach { .. }) => {}
            Some(WorkerOrder::End(reason)) => return reason,
            // The registry holds a sender for as long as the session is live.
            None => return EndReason::WorkerGone,
        }
    }
}
