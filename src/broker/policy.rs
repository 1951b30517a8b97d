//! The policy in force. A reload replaces it as a whole.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use super::session::Session;
use crate::config::{Config, ConfigError};
use crate::names::AccountName;
use crate::protocol::{Refusal, Role};

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

    /// Returns the role of this account in a session, if the current policy permits it. The owner
    /// must still be granted the session's target; for a guest, the owner must still be permitted
    /// to share it.
    pub(super) fn view(&self, account: &AccountName, session: &Session) -> Result<Role, Refusal> {
        let role = session.role_of(account).ok_or(Refusal::NoSuchSession)?;
        let (owner, target, policy) = (&session.record.owner, &session.record.target, self.now());
        let granted = match role {
            Role::Owner => policy.allows(owner, target),
            Role::Writer | Role::Watcher => policy.lets_share(owner, target),
        };
        if granted { Ok(role) } else { Err(Refusal::NotGranted) }
    }

    /// Returns the policy in force.
    pub(super) fn now(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
