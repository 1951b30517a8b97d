use serde::{Deserialize, Serialize};

/// The name of a template: 1 to 32 of `a-z 0-9 -`, beginning and ending with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateName(String);

super::parsed_text!(
    TemplateName,
    "a template name",
    "use 1 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
    is_template
);

fn is_template(text: &str) -> bool {
    is_plain(text, 32)
}

/// Whether a text is 1 to `most` of `a-z 0-9 -`, beginning and ending with a letter or a digit.
pub(super) fn is_plain(text: &str, most: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().last());
    text.len() <= most
        && first.is_some_and(plain)
        && last.is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b == b'-')
}

/// The version of a template: 1 to 64 of `A-Z a-z 0-9 . _ + ~ -`, beginning with a letter or a
/// digit. Versions are ordered as people count: `9` before `10`, see [`Self::cmp`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateVersion(String);

super::parsed_text!(
    TemplateVersion,
    "a version of a template",
    "use 1 to 64 of A-Z, a-z, 0-9 and '._+~-', beginning with a letter or a digit",
    is_version
);

fn is_version(text: &str) -> bool {
    let first = text.bytes().next();
    text.len() <= 64
        && first.is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+~-".contains(&b))
}

impl Ord for TemplateVersion {
    /// Compares runs of digits as numbers and everything else as text.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (ours, theirs) = (runs(&self.0), runs(&other.0));
        // Two versions that differ only in leading zeros are still two versions.
        ours.cmp(&theirs).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for TemplateVersion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A part of a version. A number sorts before text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run<'a> {
    /// Digits without leading zeros: first the number of digits, then the digits.
    Number(usize, &'a str),
    Text(&'a str),
}

fn runs(mut text: &str) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    while let Some(first) = text.bytes().next() {
        let digits = first.is_ascii_digit();
        let end = text.bytes().position(|b| b.is_ascii_digit() != digits).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        if digits {
            let run = run.trim_start_matches('0');
            runs.push(Run::Number(run.len(), run));
        } else {
            runs.push(Run::Text(run));
        }
        text = rest;
    }
    runs
}
