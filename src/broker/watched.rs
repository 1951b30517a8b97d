//! The sessions of which a principal channel is told who may view them, and who does.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::session::Session;
use crate::names::SessionId;

/// Room for sessions that have changed and were not told of yet. While there is none, the watches wait, and
/// several changes of one session become one.
const CHANGES: usize = 16;

/// The sessions that one channel hears of.
#[derive(Debug)]
pub(super) struct WatchedSessions {
    watched: BTreeSet<SessionId>,
    /// One a session in `watched`; it ends with the session.
    watches: JoinSet<SessionId>,
    to_tell: mpsc::Sender<Arc<Session>>,
    changed: mpsc::Receiver<Arc<Session>>,
}

impl WatchedSessions {
    pub(super) fn new() -> Self {
        let (to_tell, changed) = mpsc::channel(CHANGES);
        Self { watched: BTreeSet::new(), watches: JoinSet::new(), to_tell, changed }
    }

    /// The next session of which something is to be told: at once after [`Self::watch`], and then at each
    /// change.
    pub(super) async fn changed(&mut self) -> Arc<Session> {
        match self.changed.recv().await {
            Some(session) => session,
            // Not reached: a sender of the queue is held here.
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

/// Tells of a session at once and at each change, until it is over. It does not keep the session.
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
