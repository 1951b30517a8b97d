//! `/etc/tere/tere.toml`: the address of the page, and who may open what.
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
//! The daemons and `tere check` use the same parser. It refuses unknown keys and values, naming the
//! file, the line, the column and what to write instead: a grant with a typo must never grant
//! something else.

mod document;
mod error;
mod origin;

use std::io::Read as _;
use std::path::Path;

use crate::names::{AccountName, Target};

pub use error::{ConfigError, Fault, Position};
pub use origin::{BadOrigin, Origin};

/// Largest configuration file, bytes. A larger file is refused without parsing it.
pub const CONFIG_MAX: u64 = 1024 * 1024;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The page's origin, as in the browser's address bar.
    pub origin: Origin,
    /// The grants: who may open what, in the order of the file.
    pub grants: Vec<Grant>,
}

/// One `[[grant]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The accounts that hold the grant. Never empty.
    pub accounts: Vec<AccountName>,
    /// The target that they may open: never root, never the host itself.
    pub target: Target,
    /// Whether they may share the sessions that they open on the target.
    pub share: bool,
}

impl Config {
    /// Parses a configuration. Errors refer to the file as `file_name`.
    ///
    /// # Errors
    /// The first error in the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        document::read(text).map_err(|found| found.in_file(text, file_name))
    }

    /// Reads the configuration file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than [`CONFIG_MAX`]; otherwise as [`Self::parse`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let unreadable = |cause| ConfigError::Unreadable { path: name.clone(), cause };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // Reading one byte more than allowed distinguishes a file that is too large from one that
        // just fits.
        file.take(CONFIG_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > CONFIG_MAX {
            return Err(ConfigError::TooLarge { path: name });
        }
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotUtf8 { path: name.clone() })?;
        Self::parse(&text, &name)
    }

    /// The targets that `account` may open, in the order of the file, without duplicates.
    pub fn targets_of(&self, account: &AccountName) -> Vec<Target> {
        // The file contains each pair of account and target at most once, so there are no
        // duplicates.
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
