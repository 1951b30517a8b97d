//! Takes over from an earlier broker: continues the sessions that have a record, and stops the
//! units of those without one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::decisions::{Decision, note};
use super::orders::{ORDERS, WorkerOrder};
use super::worker::WorkerChannel;
use super::{Broker, reach, session_task, time_limit};
use crate::names::SessionId;
use crate::protocol::worker::{FromWorker, ToWorker, UnreadInput, ViewerId};
use crate::wire::WireError;

/// How long a worker has to close the viewers of a session whose record cannot be read.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(8);

/// Takes over the sessions that an earlier broker left. Their workers are contacted in the
/// background.
///
/// # Errors
/// The records cannot be read. The broker must not go on, or it would take live sessions for
/// orphans.
pub(super) fn restore(broker: &Arc<Broker>) -> Result<(), String> {
    let unreadable = |error| format!("the records of sessions cannot be read: {error}");
    let left = broker.registry.left_behind().map_err(unreadable)?;
    // The shells of these sessions go on: this build cannot judge them.
    for id in left.unreadable {
        broker.orphans.exempt(&id);
        tokio::spawn(leave_alone(Arc::clone(broker), id));
    }
    for record in left.records {
        let id = record.id.clone();
        broker.orphans.exempt(&id);
        let (orders, inbox) = mpsc::channel(ORDERS);
        time_limit::watch(&broker.registry.restore(record, orders));
        tokio::spawn(resume_session(Arc::clone(broker), id, inbox));
    }
    // The policy may have changed since that broker read it. It left no view that goes on.
    broker.registry.withdraw_keyboards(&broker.policy);
    let (orphans, systemd) = (Arc::clone(&broker.orphans), Arc::clone(&broker.systemd));
    tokio::spawn(async move { orphans.stop_all(&systemd).await });
    Ok(())
}

/// Continues a session of an earlier broker, or cleans up after it if it has ended meanwhile.
async fn resume_session(broker: Arc<Broker>, id: SessionId, mut orders: mpsc::Receiver<WorkerOrder>) {
    let (channel, viewers) = match reach::return_to(&broker.systemd, &id, &mut orders, None).await {
        Ok(reached) => reached,
        Err(reason) => return session_task::clean_up(&broker, &id, reason.into()).await,
    };
    if let Err(error) = close_views_of_before(&channel, &viewers).await {
        tracing::warn!(session = %id, %error, "a viewer of the previous broker cannot be closed: {error}");
    }
    if let Some(session) = broker.registry.find(&id) {
        note(Decision::TakenUp, None, &session.record);
    }
    session_task::spawn(&broker, &id, channel, orders, session_task::first_viewer());
}

/// Closes the viewers of a session whose record cannot be read. The session goes on.
async fn leave_alone(broker: Arc<Broker>, id: SessionId) {
    let Ok((channel, viewers)) = reach::reach(&broker.systemd, &id).await else { return };
    let mut closed = close_views_of_before(&channel, &viewers).await;
    let mut left = viewers.len();
    while closed.is_ok() && left > 0 {
        closed = match channel.receive_within(LEAVE_TIMEOUT).await {
            Ok((FromWorker::ViewerGone(_), _)) => {
                left -= 1;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
    }
    if let Err(error) = closed {
        tracing::warn!(session = %id, %error, "a viewer of the previous broker cannot be closed: {error}");
    }
}

/// Closes the viewers that a worker has from an earlier broker, whose channels are closed.
async fn close_views_of_before(channel: &WorkerChannel, viewers: &[ViewerId]) -> Result<(), WireError> {
    for viewer in viewers {
        channel.send(&ToWorker::Detach { viewer: *viewer, unread: UnreadInput::Dropped }, &[]).await?;
    }
    Ok(())
}
