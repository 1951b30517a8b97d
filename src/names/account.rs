use serde::{Deserialize, Serialize};

/// The name of an account: 1 to 32 of `a-z 0-9 . _ -`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct AccountName(String);

super::parsed_text!(
    AccountName,
    "an account name",
    "use 1 to 32 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit",
    accepts
);

fn accepts(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next();
    text.len() <= 32
        && first.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}
