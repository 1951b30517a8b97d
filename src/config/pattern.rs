//! Names in the policy that may contain `{account}`, which stands for each account of a grant, and
//! `{task}`, which stands for whatever that account calls its task.

use std::str::FromStr;

use serde::Deserialize;

use crate::names::{AccountName, BadName, TaskName};

/// What stands for the account's name in a pattern.
pub(super) const ACCOUNT: &str = "{account}";

/// What stands for the name of a task in a pattern.
const TASK: &str = "{task}";

/// A name of type `T`, or a pattern that gives each account names of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String", bound = "T: FromStr<Err = BadName>")]
pub enum Pattern<T> {
    /// The same name for every account.
    Fixed(T),
    /// `{account}-box`, a name for each account: the text before and after the account's name.
    PerAccount(String, String),
    /// `{account}.{task}`, as many names for each account as it has tasks: the text before the
    /// account's name, between the two names, and after the task's. The text between ends with a dot,
    /// which no task has, so a name belongs to one account and one task.
    PerTask(String, String, String),
}

impl<T: FromStr<Err = BadName> + Clone + PartialEq> Pattern<T> {
    /// The name that it gives this account; one of several if it has a `{task}`.
    ///
    /// # Errors
    /// The account's name makes it a name that `T` does not accept.
    pub fn example_for(&self, account: &AccountName) -> Result<T, BadName> {
        match self {
            Self::Fixed(name) => Ok(name.clone()),
            Self::PerAccount(before, after) => format!("{before}{account}{after}").parse(),
            // The longest, so that the others are valid too.
            Self::PerTask(before, between, after) => {
                format!("{before}{account}{between}{}{after}", "t".repeat(24)).parse()
            }
        }
    }

    /// The only name that it gives this account; `None` if it has a `{task}`.
    pub fn for_account(&self, account: &AccountName) -> Option<T> {
        if self.is_for_tasks() { None } else { self.example_for(account).ok() }
    }

    /// Whether it gives this account this name.
    pub fn gives(&self, account: &AccountName, name: &T) -> bool
    where
        T: AsRef<str>,
    {
        match self {
            Self::Fixed(fixed) => fixed == name,
            Self::PerAccount(before, after) => *name.as_ref() == format!("{before}{account}{after}"),
            Self::PerTask(before, between, after) => {
                let task = name.as_ref().strip_prefix(&format!("{before}{account}{between}"));
                let task = task.and_then(|task| task.strip_suffix(after.as_str()));
                task.is_some_and(|task| task.parse::<TaskName>().is_ok())
            }
        }
    }

    /// What stands before and after the name of a task, for this account; `None` if it has no
    /// `{task}`.
    pub fn around_task(&self, account: &AccountName) -> Option<(String, String)> {
        match self {
            Self::PerTask(before, between, after) => {
                Some((format!("{before}{account}{between}"), after.clone()))
            }
            Self::Fixed(_) | Self::PerAccount(..) => None,
        }
    }

    /// Whether the names that it gives an account belong to that account alone.
    pub fn is_personal(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// Whether it gives an account any number of names.
    pub fn is_for_tasks(&self) -> bool {
        matches!(self, Self::PerTask(..))
    }
}

impl<T: FromStr<Err = BadName>> TryFrom<String> for Pattern<T> {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let Some((before, rest)) = text.split_once(ACCOUNT) else {
            return Ok(Self::Fixed(text.parse()?));
        };
        let pattern = match rest.split_once(TASK) {
            None => Self::PerAccount(before.to_owned(), rest.to_owned()),
            Some((between, after)) if between.ends_with('.') => {
                Self::PerTask(before.to_owned(), between.to_owned(), after.to_owned())
            }
            Some(_) => {
                let rule = "a dot must stand before {task}, like {account}.{task}";
                return Err(BadName::new(&text, "a pattern of names", rule));
            }
        };
        // Whether the rest is valid does not depend on the account. If it is not, the error names
        // the text as it was written.
        let example = text.replacen(ACCOUNT, "a", 1).replacen(TASK, "t", 1);
        example.parse::<T>().map(|_| pattern).map_err(|bad| bad.of(&text))
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Pattern<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(name) => name.fmt(f),
            Self::PerAccount(before, after) => write!(f, "{before}{ACCOUNT}{after}"),
            Self::PerTask(before, between, after) => {
                write!(f, "{before}{ACCOUNT}{between}{TASK}{after}")
            }
        }
    }
}
