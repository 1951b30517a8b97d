//! The sessions whose participants are reported to a principal channel.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::session::Session;
use crate::names::SessionId;

/// Capacity of the queue of sessions that have changed and were not reported yet. While it is full,
/// the watching tasks wait, and several changes of one session become one.
const CHANGES: usize = 16;

/// The sessions whose participants are reported to one channel.
#[derive(Debug)]
pub(super) struct WatchedSessions {
    watched: BTreeSet<SessionId>,
    /// One task per session in `watched`; it ends with the session.
    watches: JoinSet<SessionId>,
    to_tell: mpsc::Sender<Arc<Session>>,
    changed: mpsc::Receiver<Arc<Session>>,
}

impl WatchedSessions {
    pub(super) fn new() -> Self {
        let (to_tell, changed) = mpsc::channel(CHANGES);
        Self { watched: BTreeSet::new(), watches: JoinSet::new(), to_tell, changed }
    }

    /// Returns the next session to report: immediately after [`Self::watch`], and then after each
    /// change.
    pub(super) async fn changed(&mut self) -> Arc<Session> {
        match self.changed.recv().await {
            Some(session) => session,
            // Unreachable: `to_tell` is a sender of this queue.
            None => std::future::pending().await,
        }
    }

    /// Watches a session until it is over.
    pub(super) fn watch(&mut self, session: &Arc<Session>) {
        while let Some(Ok(over)) = self.watches.try_join_next() {
            self.watched.remove(&over);
        }
        if self.watched.insert(session.record.id.clone()) {
            let (watched, changes) = (Arc::downgrade(session), session.changes());
            self.watches.spawn(watch(session.record.id.clone(), watched, changes, self.to_tell.clone()));
        }
    }
}

/// Reports a session immediately and after each change, until it is over. Holds no strong reference
/// while it waits for a change, so the session can end.
async fn watch(
    id: SessionId,
    session: Weak<Session>,
    mut changes: watch::Receiver<()>,
    to_tell: mpsc::Sender<Arc<Session>>,
) -> SessionId {
    while let Some(session) = session.upgrade() {
        if to_tell.send(session).await.is_err() || changes.changed().await.is_err() {
            break;
        }
    }
    id
}
