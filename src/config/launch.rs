//! What a grant has started in the machine: which shell, and with what environment.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pattern::ACCOUNT;
use crate::names::{AccountName, BadName};

/// Most variables of a grant. A file with more is refused.
const VARIABLES_MAX: usize = 32;

/// Longest value of a variable, bytes. A longer one is refused.
const VALUE_MAX: usize = 1024;

/// Longest path of a shell, bytes.
const PATH_MAX: usize = 256;

/// The variables that every shell of tere has, unless the policy says otherwise.
const DEFAULTS: [(&str, &str); 3] =
    [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")];

/// Variables whose values describe the terminal or the user, so the policy cannot change them.
const TAKEN: [&str; 6] = ["COLORTERM", "HOME", "LOGNAME", "SHELL", "TERM", "USER"];

/// What a grant has started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// The shell; `None` for the user's own.
    pub shell: Option<Shell>,
    /// Its environment.
    pub environment: Environment,
}

/// The path of a shell: absolute, 2 to 256 of `A-Z a-z 0-9 . _ + / -`, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Shell(String);

impl Shell {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Shell {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+/-".contains(&b);
        let is_file = text.len() > 1 && text.starts_with('/') && !text.ends_with('/');
        if is_file && text.len() <= PATH_MAX && text.bytes().all(plain) && !text.contains("..") {
            Ok(Self(text))
        } else {
            let rule = "write the path of a program that knows -l, like /usr/bin/zsh";
            Err(BadName::new(&text, "the path of a shell", rule))
        }
    }
}

/// At most 32 environment variables. A name consists of `A-Z a-z 0-9 _` and is none that tere or the
/// machine sets, such as TERM or HOME; a value has at most 1024 bytes and no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// All variables of a shell of this account, as `NAME=value`. systemd refuses a name that stands
    /// there twice.
    pub fn for_account(&self, account: &AccountName) -> Vec<String> {
        let defaults = DEFAULTS.iter().filter(|(name, _)| !self.0.contains_key(*name));
        let defaults = defaults.map(|(name, value)| format!("{name}={value}"));
        let own =
            self.0.iter().map(|(name, value)| format!("{name}={}", value.replace(ACCOUNT, account.as_str())));
        defaults.chain(own).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Environment {
    type Error = String;

    fn try_from(variables: BTreeMap<String, String>) -> Result<Self, String> {
        if variables.len() > VARIABLES_MAX {
            return Err(format!("a grant has at most {VARIABLES_MAX} variables: remove some"));
        }
        for (name, value) in &variables {
            let first = name.bytes().next();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if !first.is_some_and(|b| plain(b) && !b.is_ascii_digit()) || !name.bytes().all(plain) {
                let rule = "use A-Z, a-z, 0-9 and '_', not beginning with a digit";
                return Err(BadName::new(name, "the name of a variable", rule).to_string());
            }
            if TAKEN.contains(&name.as_str()) {
                return Err(format!("{name} is set by tere or by the machine: remove it"));
            }
            if value.len() > VALUE_MAX || value.chars().any(char::is_control) {
                return Err(format!(
                    "the value of {name} must have at most {VALUE_MAX} bytes and no control characters"
                ));
            }
        }
        Ok(Self(variables))
    }
}
