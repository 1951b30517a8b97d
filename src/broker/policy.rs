//! The policy in force, replaced whole at a reload.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use super::session::Session;
use crate::config::{Config, ConfigError};
use crate::names::AccountName;
use crate::protocol::{Refusal, Role};

/// The policy and where it was read.
#[derive(Debug)]
pub(super) struct Policy {
    path: PathBuf,
    config: RwLock<Arc<Config>>,
}

impl Policy {
    /// Reads it.
    pub(super) fn load(path: PathBuf) -> Result<Self, ConfigError> {
        let config = RwLock::new(Arc::new(Config::load(&path)?));
        Ok(Self { path, config })
    }

    /// Reads it again; the old one stays in force where the new one is bad.
    pub(super) fn reload(&self) -> Result<(), ConfigError> {
        let config = Arc::new(Config::load(&self.path)?);
        *self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner) = config;
        Ok(())
    }

    /// What this account may do in a session, by the one in force now: its own, where it may still open one
    /// there; another's that is shared with it, where that one may still share it.
    pub(super) fn view(&self, account: &AccountName, session: &Session) -> Result<Role, Refusal> {
        let role = session.role_of(account).ok_or(Refusal::NoSuchSession)?;
        let (owner, target, policy) = (&session.record.owner, &session.record.target, self.now());
        let granted = match role {
            Role::Owner => policy.allows(owner, target),
            Role::Writer | Role::Watcher => policy.lets_share(owner, target),
        };
        if granted { Ok(role) } else { Err(Refusal::NotGranted) }
    }

    /// The one in force now.
    pub(super) fn now(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
