//! `/etc/tere/tere.toml`: where tere is reached, and who may open what.
//!
//! ```toml
//! origin = "https://shell.example.org"
//!
//! [[grant]]
//! accounts = ["alice", "bob"]
//! machine = "alice-box"
//! user = "dev"
//! share = true
//! ```
//!
//! One parser for the daemons and for `tere check`. What it does not know it refuses, with file,
//! line, column and what to write instead: a grant with a typo must never grant something else.

mod document;
mod error;
mod origin;

use std::io::Read as _;
use std::path::Path;

use crate::names::{AccountName, Target};

pub use error::{ConfigError, Fault, Position};
pub use origin::{BadOrigin, Origin};

/// Largest configuration file, bytes. A longer one is refused unread.
pub const CONFIG_MAX: u64 = 1024 * 1024;

/// A configuration that has been vetted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the browser's address bar says.
    pub origin: Origin,
    /// Who may open what, in the order of the file.
    pub grants: Vec<Grant>,
}

/// One `[[grant]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who may. Never empty.
    pub accounts: Vec<AccountName>,
    /// What they may open: never root, never the host itself.
    pub target: Target,
    /// Whether they may share the sessions that they open there.
    pub share: bool,
}

impl Config {
    /// Reads a configuration from its text. `file_name` is what errors call it.
    ///
    /// # Errors
    /// The first thing in the file that is wrong.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        document::read(text).map_err(|found| found.in_file(text, file_name))
    }

    /// Reads the configuration file at `path`.
    ///
    /// # Errors
    /// That it cannot be read, or is larger than [`CONFIG_MAX`], or as [`Self::parse`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let unreadable = |cause| ConfigError::Unreadable { path: name.clone(), cause };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits.
        file.take(CONFIG_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > CONFIG_MAX {
            return Err(ConfigError::TooLarge { path: name });
        }
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotUtf8 { path: name.clone() })?;
        Self::parse(&text, &name)
    }

    /// What `account` may open, in the order of the file, each once.
    pub fn targets_of(&self, account: &AccountName) -> Vec<Target> {
        // A pair of account and target stands in the file once, so no target comes up twice.
        let granted = self.grants.iter().filter(|grant| grant.accounts.contains(account));
        granted.map(|grant| grant.target.clone()).collect()
    }

    /// Whether `account` may open `target`.
    pub fn allows(&self, account: &AccountName, target: &Target) -> bool {
        self.grant_of(account, target).is_some()
    }

    /// Whether `account` may share its sessions on `target`.
    pub fn lets_share(&self, account: &AccountName, target: &Target) -> bool {
        self.grant_of(account, target).is_some_and(|grant| grant.share)
    }

    fn grant_of(&self, account: &AccountName, target: &Target) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.target == *target && grant.accounts.contains(account))
    }
}

#[cfg(test)]
mod tests;
