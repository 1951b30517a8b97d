//! Names in the policy that may contain `{account}`, which stands for each account of a grant.

use std::str::FromStr;

use serde::Deserialize;

use crate::names::{AccountName, BadName};

/// What stands for the account's name in a pattern.
const PLACEHOLDER: &str = "{account}";

/// A name of type `T`, or a pattern that gives each account a name of its own: `{account}-box`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String", bound = "T: FromStr<Err = BadName>")]
pub enum Pattern<T> {
    /// The same name for every account.
    Fixed(T),
    /// A name for each account: the text before and after the account's name.
    PerAccount(String, String),
}

impl<T: FromStr<Err = BadName> + Clone> Pattern<T> {
    /// The name for this account.
    ///
    /// # Errors
    /// The account's name makes it a name that `T` does not accept.
    pub fn for_account(&self, account: &AccountName) -> Result<T, BadName> {
        match self {
            Self::Fixed(name) => Ok(name.clone()),
            Self::PerAccount(before, after) => format!("{before}{account}{after}").parse(),
        }
    }
}

impl<T: FromStr<Err = BadName>> TryFrom<String> for Pattern<T> {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let Some((before, after)) = text.split_once(PLACEHOLDER) else {
            return Ok(Self::Fixed(text.parse()?));
        };
        // Whether the rest is valid does not depend on the account. If it is not, the error names
        // the text as it was written.
        match format!("{before}a{after}").parse::<T>() {
            Ok(_) => Ok(Self::PerAccount(before.to_owned(), after.to_owned())),
            Err(bad) => Err(bad.of(&text)),
        }
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Pattern<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(name) => name.fmt(f),
            Self::PerAccount(before, after) => write!(f, "{before}{PLACEHOLDER}{after}"),
        }
    }
}
