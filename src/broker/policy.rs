//! The policy in force, replaced whole at a reload.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use crate::config::{Config, ConfigError};

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

    /// The one in force now.
    pub(super) fn now(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
