//! Accounts that are gone, of which the broker has not said that it knows: what they have open there
//! may still be open. Each is said again until the broker confirms it. This is in memory alone: where
//! auth ends meanwhile, whoever removes the account once more has it said again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Desk;
use super::vouch::{Broker, VouchError};
use crate::names::AccountName;
use crate::protocol::Refusal;

/// Most accounts of which the broker does not know yet. Then no other is removed, which is refused
/// with `unavailable`: it is the broker that is missing.
const OWED_MAX: usize = 256;

/// From one attempt to the next.
const AGAIN: Duration = Duration::from_secs(2);

/// What the broker is still to be told.
#[derive(Debug)]
pub(super) struct Revocations {
    places: Arc<Semaphore>,
    owed: Mutex<BTreeMap<AccountName, OwnedSemaphorePermit>>,
    more: Notify,
}

impl Revocations {
    pub(super) fn new() -> Self {
        let places = Arc::new(Semaphore::new(OWED_MAX));
        Self { places, owed: Mutex::default(), more: Notify::new() }
    }

    /// Room for one more, to be had before an account is removed.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] at [`OWED_MAX`].
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Unavailable)
    }

    /// Whether somebody of this name is gone, and the broker may not know it.
    pub(super) fn has(&self, account: &AccountName) -> bool {
        self.owed().contains_key(account)
    }

    /// Has the broker close what an account holds that is gone, now or as soon as it can.
    ///
    /// # Errors
    /// [`Refusal::NotRevoked`] where it is not done yet.
    pub(super) async fn settle(
        &self,
        account: &AccountName,
        place: OwnedSemaphorePermit,
        broker: &Broker,
    ) -> Result<(), Refusal> {
        self.owed().insert(account.clone(), place);
        self.settle_now(account, broker).await
    }

    /// [`Self::settle`] for one that is owed already.
    ///
    /// # Errors
    /// [`Refusal::NotRevoked`] where it is not done yet.
    pub(super) async fn settle_now(&self, account: &AccountName, broker: &Broker) -> Result<(), Refusal> {
        self.attempt(account, broker).await.map_err(|error| {
            tracing::error!(%account, %error, "the broker was not told that an account is gone: {error}");
            self.more.notify_one();
            Refusal::NotRevoked
        })
    }

    async fn attempt(&self, account: &AccountName, broker: &Broker) -> Result<(), VouchError> {
        broker.revoke(account.clone()).await?;
        self.owed().remove(account);
        Ok(())
    }

    fn owed(&self) -> MutexGuard<'_, BTreeMap<AccountName, OwnedSemaphorePermit>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the broker again, for as long as the program runs.
pub(super) async fn serve(desk: Arc<Desk>) {
    loop {
        let owed: Vec<_> = desk.revocations.owed().keys().cloned().collect();
        if owed.is_empty() {
            desk.revocations.more.notified().await;
        }
        tokio::time::sleep(AGAIN).await;
        for account in owed {
            match desk.revocations.attempt(&account, &desk.broker).await {
                Ok(()) => tracing::info!(%account, "the broker knows by now that an account is gone"),
                Err(error) => {
                    tracing::debug!(%account, %error, "the broker still cannot be told: {error}");
                    // What it does not take of this one it takes of no other.
                    break;
                }
            }
        }
    }
}
