//! Has a machine changed: asks the policy, and then has systemd start the unit that makes the
//! change. That asks the policy again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Broker;
use super::holder::Holder;
use crate::names::{AccountName, MachineChange};
use crate::protocol::Refusal;
use crate::protocol::vouch::Principal;

/// The accounts for which a change is being made. Each has one at a time, so that nobody fills the
/// disk or keeps it busy with many copies at once. One more is refused.
#[derive(Debug, Default)]
pub(super) struct Changes {
    of: Mutex<BTreeSet<AccountName>>,
}

/// Permits one change for an account, until this is dropped.
#[derive(Debug)]
struct Permit<'a> {
    changes: &'a Changes,
    account: AccountName,
}

impl Changes {
    fn begin(&self, account: &AccountName) -> Result<Permit<'_>, Refusal> {
        if self.of().insert(account.clone()) {
            Ok(Permit { changes: self, account: account.clone() })
        } else {
            Err(Refusal::ChangeUnderWay)
        }
    }

    fn of(&self) -> MutexGuard<'_, BTreeSet<AccountName>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.changes.of().remove(&self.account);
    }
}

/// Makes a change of a machine of the principal's own. If the principal leaves meanwhile, its
/// requests go on, so the change still counts.
pub(super) async fn change(broker: &Broker, holder: &Holder, change: &MachineChange) -> Result<(), Refusal> {
    let Principal::Account(account) = &holder.principal else { return Err(Refusal::NotGranted) };
    if !broker.policy.now().lets_change(account, change) {
        return Err(Refusal::NotGranted);
    }
    let _permit = broker.changes.begin(account)?;
    let credential = || holder.credential.as_ref().map(tracing::field::display);
    let machine = change.machine();
    tracing::info!(%account, credential = credential(), %machine, asked = %change, "change of a machine asked for");
    broker.systemd.make_change(change).await?;
    tracing::info!(%account, credential = credential(), %machine, asked = %change, "machine changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_change_made_at_a_time() {
        let changes = Changes::default();
        let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let first = changes.begin(&alice).unwrap();
        assert_eq!(changes.begin(&alice).unwrap_err(), Refusal::ChangeUnderWay);
        assert!(changes.begin(&bob).is_ok());
        drop(first);
        assert!(changes.begin(&alice).is_ok());
    }
}
