//! A broker that starts where another was: it takes up the sessions whose records it finds, and stops the
//! units of those without one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::decisions::{Decision, note};
use super::orders::{ORDERS, Order};
use super::worker::WorkerChannel;
use super::{Broker, reach, session_task};
use crate::names::SessionId;
use crate::protocol::worker::{FromWorker, ToWorker, UnreadInput, ViewerNumber};
use crate::wire::WireError;

/// How long a worker has to close the viewers of a session that is left alone.
const LEAVE_TIME: Duration = Duration::from_secs(8);

/// Takes up the sessions that an earlier broker left. How their workers are is found out while others are served.
///
/// # Errors
/// The records cannot be read. A broker that went on would take living sessions for orphans.
pub(super) fn restore(broker: &Arc<Broker>) -> Result<(), String> {
    let unreadable = |error| format!("the records of sessions cannot be read: {error}");
    let left = broker.registry.left_behind().map_err(unreadable)?;
    // Their shells run on: they are not this build's to judge.
    for id in left.unreadable {
        broker.orphans.exempt(&id);
        tokio::spawn(leave_alone(Arc::clone(broker), id));
    }
    for record in left.records {
        let id = record.id.clone();
        broker.orphans.exempt(&id);
        let (orders, inbox) = mpsc::channel(ORDERS);
        broker.registry.restore(record, orders);
        tokio::spawn(go_on_with(Arc::clone(broker), id, inbox));
    }
    let (orphans, systemd) = (Arc::clone(&broker.orphans), Arc::clone(&broker.systemd));
    tokio::spawn(async move { orphans.stop_all(&systemd).await });
    Ok(())
}

/// Goes on with a session of an earlier broker, or cleans up after it where it ended meanwhile.
async fn go_on_with(broker: Arc<Broker>, id: SessionId, mut orders: mpsc::Receiver<Order>) {
    let (channel, viewers) = match reach::return_to(&broker.systemd, &id, &mut orders, None).await {
        Ok(reached) => reached,
        Err(reason) => return session_task::clean_up(&broker, &id, reason.into()).await,
    };
    if let Err(error) = close_views_of_before(&channel, &viewers).await {
        tracing::warn!(session = %id, %error, "a viewer of before cannot be closed: {error}");
    }
    if let Some(session) = broker.registry.find(&id) {
        note(Decision::TakenUp, None, &session.record);
    }
    session_task::spawn(&broker, &id, channel, orders, session_task::first_viewer());
}

/// Leaves a session alone whose record cannot be read: nobody views it, and it goes on.
async fn leave_alone(broker: Arc<Broker>, id: SessionId) {
    let Ok((channel, viewers)) = reach::reach(&broker.systemd, &id).await else { return };
    let mut closed = close_views_of_before(&channel, &viewers).await;
    let mut left = viewers.len();
    while closed.is_ok() && left > 0 {
        closed = match channel.receive_within(LEAVE_TIME).await {
            Ok((FromWorker::ViewerGone(_), _)) => {
                left -= 1;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
    }
    if let Err(error) = closed {
        tracing::warn!(session = %id, %error, "a viewer of before cannot be closed: {error}");
    }
}

/// Closes the viewers that a worker has from before: those of channels that closed with an earlier broker.
async fn close_views_of_before(channel: &WorkerChannel, viewers: &[ViewerNumber]) -> Result<(), WireError> {
    for viewer in viewers {
        channel.send(&ToWorker::Detach { viewer: *viewer, unread: UnreadInput::Dropped }, &[]).await?;
    }
    Ok(())
}
