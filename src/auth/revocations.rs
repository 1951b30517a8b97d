//! Removed accounts that the broker has not confirmed: their channels and views may still be open.
//! Each revocation is repeated until the broker confirms it. They are held in memory only: if auth
//! ends in between, removing the account once more repeats the revocation.
//!
//! The broker knows accounts by name. So a name must not pass to a new account while the revocation
//! of the old one is under way or pending: [`Revocations::hold_names`].

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

/// Maximum number of revocations that the broker has not confirmed. At this limit, further removals
/// are refused with `unavailable`: it is the broker that is missing.
const OWED_MAX: usize = 256;

/// Delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// The revocations that the broker has not confirmed.
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

    /// Locks the assignment of names to accounts. The lock is held while an account is added or
    /// removed, and while the broker is told of a removal, which takes at most the broker's
    /// deadline.
    pub(super) async fn hold_names(&self) -> AsyncMutexGuard<'_, ()> {
        self.names.lock().await
    }

    /// Reserves room for one more revocation. Must be called before an account is removed.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] at [`OWED_MAX`].
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Unavailable)
    }

    /// Whether an account of this name was removed and the broker has not confirmed it.
    pub(super) fn has(&self, account: &AccountName) -> bool {
        self.owed().contains_key(account)
    }

    /// Has the broker close everything that a removed account holds, now or as soon as it can.
    ///
    /// # Errors
    /// [`Refusal::NotRevoked`] if the broker has not confirmed it yet.
    pub(super) async fn settle(
        &self,
        account: &AccountName,
        place: OwnedSemaphorePermit,
        broker: &Broker,
    ) -> Result<(), Refusal> {
        self.owed().insert(account.clone(), place);
        self.settle_now(account, broker).await
    }

    /// Like [`Self::settle`], for a revocation that is already pending.
    ///
    /// # Errors
    /// [`Refusal::NotRevoked`] if the broker has not confirmed it yet.
    pub(super) async fn settle_now(&self, account: &AccountName, broker: &Broker) -> Result<(), Refusal> {
        self.attempt(account, broker).await.map_err(|error| {
            tracing::error!(%account, %error, "the broker could not be told of the removal of an account: {error}");
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

/// Repeats the pending revocations, for as long as the program runs.
pub(super) async fn serve(auth: Arc<Auth>) {
    loop {
        let owed: Vec<_> = auth.revocations.owed().keys().cloned().collect();
        if owed.is_empty() {
            auth.revocations.more.notified().await;
        }
        tokio::time::sleep(RETRY_DELAY).await;
        for account in owed {
            let _held = auth.revocations.hold_names().await;
            // The broker may have confirmed it since the list was made, and the name may be in use
            // again.
            if !auth.revocations.has(&account) {
                continue;
            }
            match auth.revocations.attempt(&account, &auth.broker).await {
                Ok(()) => tracing::info!(%account, "the broker has confirmed the removal of an account"),
                Err(error) => {
                    tracing::debug!(%account, %error, "the broker still cannot be told of a removal: {error}");
                    // If this revocation fails, the others would fail too.
                    break;
                }
            }
        }
    }
}
