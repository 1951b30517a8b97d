//! When a machine is started, and when it is made anew.

use serde::Deserialize;

/// When a machine is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// When somebody opens a shell in it.
    #[default]
    OnOpen,
    /// Also when the host has booted, once it was made.
    AtBoot,
}

/// When a machine gets a newer version of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// When somebody rebuilds it.
    #[default]
    AtRebuild,
    /// Also when it starts: it is then rebuilt.
    AtStart,
}
