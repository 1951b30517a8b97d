//! The keys of an account: client keys, with which a command line signs in, and resume keys, with
//! which a page comes back. Listing them shows where the account is signed in.

use super::Auth;
use super::accounts::Change;
use super::clock::Now;
use crate::names::{AccountName, ClientKeyId};
use crate::protocol::Refusal;
use crate::protocol::control::KeySummary;

/// Lists the keys of an account. If the broker does not say how long a resume key is good, all of
/// them are listed.
pub(super) async fn list(auth: &Auth, account: AccountName) -> Result<Vec<KeySummary>, Refusal> {
    let seconds = auth.broker.resume_rule().await.unwrap_or(Some(u32::MAX));
    let now = Now::read().moment();
    auth.accounts.run(move |stored| stored.accounts.keys(&account, seconds, now)).await?
}

/// Removes a key from an account, and has the broker close what it has open. `by` says who wants it,
/// for the journal.
pub(super) async fn remove(
    auth: &Auth,
    account: &AccountName,
    key: ClientKeyId,
    by: &'static str,
) -> Result<(), Refusal> {
    let change = Change::RemoveKey { name: account.clone(), key: key.clone() };
    auth.accounts.run(move |stored| stored.apply(change, Now::read())).await??.into_result()?;
    tracing::info!(%account, how = "key removed", %key, "a key of the account is removed by {by}");
    auth.broker.close_key_channels(key.clone()).await.map_err(|error| {
        tracing::error!(%account, %key, %error, "the broker could not be told that a key is gone");
        Refusal::NotRevoked
    })
}
