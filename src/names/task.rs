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
    super::template::is_plain(text, 24)
}
