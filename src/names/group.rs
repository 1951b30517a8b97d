use serde::{Deserialize, Serialize};

/// The name of a group of accounts: 1 to 32 of `a-z 0-9 -`, beginning and ending with a letter or a
/// digit. In the list of a grant's accounts it is written `@NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

super::parsed_text!(
    GroupName,
    "the name of a group",
    "use 1 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
    is_group
);

fn is_group(text: &str) -> bool {
    super::template::is_plain(text, 32)
}
