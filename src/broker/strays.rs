//! Strays: units of sessions that no record is of. A broker leaves some where it is stopped while spares wait, or
//! while it opens a session or cleans up after one. They are looked for once, when a broker starts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Broker;
use crate::names::SessionId;

/// How long after systemd could not be asked it is asked again; it doubles up to [`ASK_AGAIN_MAX`].
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Whose units are no strays, while they are looked for.
#[derive(Debug)]
pub(super) struct NoStrays {
    /// Sessions with a record, and those whose units this broker starts. Nothing once strays were looked for: until then
    /// it grows with each worker that is started.
    known: Mutex<Option<BTreeSet<SessionId>>>,
}

impl Default for NoStrays {
    fn default() -> Self {
        Self { known: Mutex::new(Some(BTreeSet::new())) }
    }
}

impl NoStrays {
    /// Notes a session. To be called before a unit of it is started.
    pub(super) fn note(&self, id: &SessionId) {
        if let Some(known) = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            known.insert(id.clone());
        }
    }

    /// Those of these that are strays. To be asked once, with all that systemd has.
    fn strays_among(&self, loaded: Vec<SessionId>) -> Vec<SessionId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        loaded.into_iter().filter(|id| !known.contains(id)).collect()
    }
}

impl Broker {
    /// Stops the units of strays, as soon as systemd can be asked which there are.
    pub(super) async fn stop_strays(self: Arc<Self>) {
        let mut pause = ASK_AGAIN;
        let loaded = loop {
            match self.bus.session_units().await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    tracing::warn!(%error, "systemd cannot be asked for units of sessions yet: {error}");
                    self.bus.forget().await;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(ASK_AGAIN_MAX);
        };
        for id in self.no_strays.strays_among(loaded) {
            tracing::warn!(session = %id, "units without a record are stopped");
            self.stop_units_later(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_by_the_time_that_systemd_answers_is_no_stray() {
        let [kept, started, stray] =
            ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"].map(|id| id.parse::<SessionId>().unwrap());
        let no_strays = NoStrays::default();
        no_strays.note(&kept);
        no_strays.note(&started);
        let loaded = vec![kept, started, stray.clone()];
        assert_eq!(no_strays.strays_among(loaded), std::slice::from_ref(&stray));
        // Then nothing is kept of it.
        no_strays.note(&stray);
        assert!(no_strays.known.lock().unwrap().is_none());
    }
}
