//! The policy in force. A reload replaces it as a whole.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use super::session::Session;
use crate::config::{Config, ConfigError, FreshTouch};
use crate::names::AccountName;
use crate::protocol::{GuestRole, Refusal, Role};

/// The policy, and the file that it is read from.
#[derive(Debug)]
pub(super) struct Policy {
    path: PathBuf,
    config: RwLock<Arc<Config>>,
}

impl Policy {
    /// Loads the policy.
    pub(super) fn load(path: PathBuf) -> Result<Self, ConfigError> {
        let config = RwLock::new(Arc::new(Config::load(&path)?));
        Ok(Self { path, config })
    }

    /// Loads the policy again. The old one stays in force if the new one is invalid.
    pub(super) fn reload(&self) -> Result<(), ConfigError> {
        let config = Arc::new(Config::load(&self.path)?);
        *self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner) = config;
        Ok(())
    }

    /// Returns the role of this account in a session, as far as the current policy permits it. The
    /// owner must still be granted the session's target; for a guest, the owner must still be
    /// permitted to share it, and a guest who may type may only watch if that is all that the owner
    /// may share.
    pub(super) fn view(&self, account: &AccountName, session: &Session) -> Result<Role, Refusal> {
        let role = session.role_of(account).ok_or(Refusal::NoSuchSession)?;
        let (owner, target, policy) = (&session.record.owner, &session.record.target, self.now());
        let granted = match (role, policy.share(owner, target)) {
            (Role::Owner, _) => policy.allows(owner, target).then_some(Role::Owner),
            (Role::Writer, Some(GuestRole::Writer)) => Some(Role::Writer),
            (Role::Writer, Some(GuestRole::Watcher)) | (Role::Watcher, Some(_)) => Some(Role::Watcher),
            (Role::Writer | Role::Watcher, None) => None,
        };
        granted.ok_or(Refusal::NotGranted)
    }

    /// Returns the touch that each view of a session takes by the current policy, if it takes one.
    ///
    /// # Errors
    /// The owner of the session is not granted its target.
    pub(super) fn touch(&self, session: &Session) -> Result<Option<FreshTouch>, Refusal> {
        let terms = self.now().terms(&session.record.owner, &session.record.target);
        Ok(terms.ok_or(Refusal::NotGranted)?.fresh_touch)
    }

    /// Returns the policy in force.
    pub(super) fn now(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support;
    use super::*;

    /// Whatever role its record gives a guest, the policy in force bounds it.
    #[tokio::test]
    async fn nobody_has_a_role_beyond_what_the_policy_lets_the_owner_share() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, _orders) = test_support::session(&broker, "aaaaaaaaaaaa");
        let (alice, bob, carol) =
            ("alice".parse().unwrap(), "bob".parse().unwrap(), "carol".parse().unwrap());
        broker.registry.share(&session, &bob, Some(GuestRole::Writer), &broker.policy).unwrap();
        broker.registry.share(&session, &carol, Some(GuestRole::Watcher), &broker.policy).unwrap();
        let not_granted = Err(Refusal::NotGranted);
        for (share, of_bob, of_carol) in [
            ("share = true", Ok(Role::Writer), Ok(Role::Watcher)),
            ("share = \"watch\"", Ok(Role::Watcher), Ok(Role::Watcher)),
            ("share = false", not_granted, not_granted),
        ] {
            test_support::set_policy(&broker, folder.path(), share);
            let views = [&alice, &bob, &carol].map(|account| broker.policy.view(account, &session));
            assert_eq!(views, [Ok(Role::Owner), of_bob, of_carol], "{share}");
        }
    }
}
