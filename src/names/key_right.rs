use std::fmt;

use serde::{Deserialize, Serialize};

/// What the policy can let a command line from afar do, signed in with a client key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum KeyRight {
    /// List targets and sessions.
    List,
    /// View a session that is there.
    Attach,
    /// Open a session, and view it.
    Open,
    /// Run commands without a terminal.
    Exec,
    /// End a session.
    End,
    /// Name a session.
    Name,
    /// Share a session with another account.
    Share,
}

impl fmt::Display for KeyRight {
    /// Writes the word, as in tere.toml.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
