use serde::{Deserialize, Serialize};

/// The name of a task, of which a machine for it has its name: 1 to 24 of `a-z 0-9 -`, beginning and
/// ending with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

super::parsed_text!(
    TaskName,
    "a name of a task",
    "use 1 to 24 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
    is_task
);

fn is_task(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().last());
    text.len() <= 24
        && first.is_some_and(plain)
        && last.is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b == b'-')
}
