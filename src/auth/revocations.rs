//! Removed accounts that the broker has not confirmed: what they have open there may still be open.
//! Each is said again until the broker confirms it. They are held in memory only: if auth ends in
//! between, removing the account once more has it said again.
//!
//! The broker knows accounts by name. So no name may pass to a new account while the removal of the
//! old one is being said, or is still to be said: [`Revocations::hold_names`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{
    Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify, OwnedSemaphorePermit, Semaphore,
};

use super::Auth;
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
    names: AsyncMutex<()>,
}

impl Revocations {
    pub(super) fn new() -> Self {
        let places = Arc::new(Semaphore::new(OWED_MAX));
        Self { places, owed: Mutex::default(), more: Notify::new(), names: AsyncMutex::default() }
    }

    /// Keeps every name with whom it belongs to, for as long as this is held: while an account is
    /// added or removed, and while the broker is told of one. Nobody waits longer than the broker's
    /// deadline for it.
    pub(super) async fn hold_names(&self) -> AsyncMutexGuard<'_, ()> {
        self.names.lock().await
    }

    /// Room for one more, to be had before an account is removed.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] at [`OWED_MAX`].
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Unavailable)
    }

    /// Whether an account of this name was removed, and the broker may not know it.
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
pub(super) async fn serve(auth: Arc<Auth>) {
    loop {
        let owed: Vec<_> = auth.revocations.owed().keys().cloned().collect();
        if owed.is_empty() {
            auth.revocations.more.notified().await;
        }
        tokio::time::sleep(AGAIN).await;
        for account in owed {
            let _held = auth.revocations.hold_names().await;
            // The broker may have confirmed it since the list was made, and the name be somebody's.
            if !auth.revocations.has(&account) {
                continue;
            }
            match auth.revocations.attempt(&account, &auth.broker).await {
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
