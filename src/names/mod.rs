//! The names and values of tere as types. A value of one of these types has been validated: input
//! from a peer, a file or a command line is parsed into one of them before anything acts on it.

mod account;
mod change;
mod client_key;
mod group;
mod key_right;
mod label;
mod passkey;
mod reason;
mod report;
mod session;
mod size;
mod target;
mod task;
mod template;
mod theme;
mod uid;

pub use account::AccountName;
pub use change::{ChangeKind, MachineChange};
pub use client_key::{ClientKeyId, ClientPublicKey};
pub use group::GroupName;
pub use key_right::KeyRight;
pub use label::Label;
pub use passkey::PasskeyId;
pub use reason::Reason;
pub use report::ReportKey;
pub use session::SessionId;
pub use size::TermSize;
pub use target::{MachineName, Target, UnixGroup, UnixUser};
pub use task::TaskName;
pub use template::{TemplateName, TemplateVersion};
pub use theme::{Color, Theme};
pub use uid::{BadUid, UserUid};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {noun}: {rule}")]
pub struct BadName {
    /// The rejected text, cut to 64 characters.
    text: String,
    /// The kind of name expected, with an article: "an account name".
    noun: &'static str,
    /// The rule that the text breaks, as a sentence for people.
    rule: &'static str,
}

impl BadName {
    pub(crate) fn new(text: &str, noun: &'static str, rule: &'static str) -> Self {
        let text = text.chars().take(64).collect();
        Self { text, noun, rule }
    }

    /// The same error for the text from which the rejected text was made.
    pub(crate) fn of(self, text: &str) -> Self {
        Self::new(text, self.noun, self.rule)
    }
}

/// Implements a type that holds a validated string: `FromStr`, `Display`, `as_str`, and serde by
/// way of the parser.
macro_rules! parsed_text {
    ($name:ident, $noun:literal, $rule:literal, $accepts:path) => {
        impl $name {
            /// The validated text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::BadName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($crate::names::BadName::new(text, $noun, $rule))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::names::BadName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
use parsed_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_their_rules_say() {
        for good in ["alice", "a", "alice.b-c_9"] {
            assert!(good.parse::<AccountName>().is_ok(), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "Alice", ".alice", "-a", "a b", "a/b", "..", "a\0", "é", &long] {
            assert!(bad.parse::<AccountName>().is_err(), "{bad:?}");
        }
        for good in [".host", "web1", "alice-box", "a.b"] {
            assert!(good.parse::<MachineName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hosts", "-a", "a-", "a/b", "a@b", "a..b", "a\n"] {
            assert!(bad.parse::<MachineName>().is_err(), "{bad:?}");
        }
        for bad in ["", "0", "1000", "Dev", "a b", "a:b", "dev@x"] {
            assert!(bad.parse::<UnixUser>().is_err(), "{bad:?}");
        }
        for good in ["debian", "d", "debian-13"] {
            assert!(good.parse::<TemplateName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a.b", "a/b", "..", "A", &"a".repeat(33)] {
            assert!(bad.parse::<TemplateName>().is_err(), "{bad:?}");
        }
        for bad in ["", "-a", "a-", "a.b", "A", "a_b", &"a".repeat(25)] {
            assert!(bad.parse::<TaskName>().is_err(), "{bad:?}");
        }
        for bad in ["", ".1", "-1", "..", "1/2", "1 2", "1\0", &"1".repeat(65)] {
            assert!(bad.parse::<TemplateVersion>().is_err(), "{bad:?}");
        }
        for bad in ["", "abcdefghijk", "abcdefghijklm", "abcdefghijk1", "ABCDEFGHIJKL"] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_of_templates_are_ordered_as_people_count() {
        let ordered =
            ["1", "2", "9", "10", "10.1", "10.2", "10.10", "2026.11.01", "2026.11.29", "a", "b2", "b10"];
        let mut versions: Vec<TemplateVersion> = ordered.iter().map(|text| text.parse().unwrap()).collect();
        versions.reverse();
        versions.sort();
        assert_eq!(versions.iter().map(TemplateVersion::as_str).collect::<Vec<_>>(), ordered);
        let zeros: [TemplateVersion; 2] = ["01".parse().unwrap(), "1".parse().unwrap()];
        assert_ne!(zeros[0].cmp(&zeros[1]), std::cmp::Ordering::Equal);
    }

    #[test]
    fn a_target_reads_as_user_at_machine() {
        let target: Target = "dev@alice-box".parse().unwrap();
        assert_eq!(target.user.as_str(), "dev");
        assert_eq!(target.machine.as_str(), "alice-box");
        assert_eq!(target.to_string(), "dev@alice-box");
        assert!("dev".parse::<Target>().is_err());
        assert!("dev@a@b".parse::<Target>().is_err());
    }

    #[test]
    fn a_size_outside_its_bounds_does_not_parse() {
        assert!(TermSize::new(80, 24).is_ok());
        for (cols, rows) in [(0, 24), (80, 0), (1001, 24), (80, 1001), (65535, 65535)] {
            assert!(TermSize::new(cols, rows).is_err());
        }
        assert!(serde_json::from_str::<TermSize>(r#"{"cols":0,"rows":1}"#).is_err());
    }

    #[test]
    fn new_session_ids_are_valid_and_differ() {
        let one = SessionId::random().unwrap();
        let two = SessionId::random().unwrap();
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<SessionId>().unwrap(), one);
    }
}
