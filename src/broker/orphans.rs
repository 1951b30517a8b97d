//! Orphans: units of sessions without a record. A broker leaves some behind if it is stopped while
//! workers wait in the pool, or while it opens a session or cleans up after one. They are looked
//! for once, when a broker starts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bus::BusError;
use super::systemd::Systemd;
use crate::backoff::Backoff;
use crate::names::SessionId;

/// The delays between attempts to list the units of sessions.
const LIST_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// The sessions whose units are not orphans.
#[derive(Debug)]
pub(super) struct Orphans {
    /// Sessions with a record, and those whose units this broker starts. Grows with each worker
    /// that is started, until orphans have been looked for; `None` from then on.
    known: Mutex<Option<BTreeSet<SessionId>>>,
}

impl Default for Orphans {
    fn default() -> Self {
        Self { known: Mutex::new(Some(BTreeSet::new())) }
    }
}

impl Orphans {
    /// Exempts a session. Must be called before a unit of it is started.
    pub(super) fn exempt(&self, id: &SessionId) {
        if let Some(known) = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            known.insert(id.clone());
        }
    }

    /// Returns the orphans among these sessions. Must be called once, with all that systemd has
    /// loaded.
    fn orphans_among(&self, loaded: Vec<SessionId>) -> Vec<SessionId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        loaded.into_iter().filter(|id| !known.contains(id)).collect()
    }

    /// Stops the units of orphans, as soon as systemd can list the units of sessions.
    pub(super) async fn stop_all(&self, systemd: &Arc<Systemd>) {
        let loaded = loaded_sessions(systemd).await;
        for id in self.orphans_among(loaded) {
            tracing::warn!(session = %id, "stopping units that have no record");
            systemd.stop_session_later(&id);
        }
    }
}

async fn loaded_sessions(systemd: &Systemd) -> Vec<SessionId> {
    let mut again = LIST_BACKOFF;
    loop {
        let error: BusError = match systemd.session_units().await {
            Ok(loaded) => return loaded,
            Err(error) => error,
        };
        tracing::warn!(%error, "systemd cannot be asked for units of sessions yet: {error}");
        systemd.forget_connection().await;
        tokio::time::sleep(again.pause()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_known_when_systemd_answers_is_no_orphan() {
        let [kept, started, orphan] =
            ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"].map(|id| id.parse::<SessionId>().unwrap());
        let orphans = Orphans::default();
        orphans.exempt(&kept);
        orphans.exempt(&started);
        let loaded = vec![kept, started, orphan.clone()];
        assert_eq!(orphans.orphans_among(loaded), std::slice::from_ref(&orphan));
        // From then on nothing is recorded.
        orphans.exempt(&orphan);
        assert!(orphans.known.lock().unwrap().is_none());
    }
}
