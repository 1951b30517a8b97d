//! Explains the errors of toml and serde: what to write instead, in the words of this file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;
use super::error::{Found, found};

/// An example line for each option: the key whose table contains the option (`None` at the top of
/// the file), the option's key, and the line.
pub(super) const EXAMPLES: &[(Option<&str>, &str, &str)] = &[
    (None, "origin", "origin = \"https://shell.example.org\""),
    (None, "proxy", "[proxy]"),
    (None, "resume", "resume = \"12h\""),
    (None, "group", "[[group]]"),
    (None, "grant", "[[grant]]"),
    (None, "machine", "[[machine]]"),
    (None, "client-key", "[[client-key]]"),
    (Some("proxy"), "source", "source = \"x-forwarded-for\""),
    (Some("group"), "name", "name = \"staff\""),
    (Some("group"), "accounts", "accounts = [\"alice\", \"bob\"]"),
    (Some("grant"), "accounts", "accounts = [\"alice\"]"),
    (Some("grant"), "machine", "machine = \"alice-box\""),
    (Some("grant"), "user", "user = \"dev\""),
    (Some("grant"), "share", "share = true"),
    (Some("grant"), "fresh-touch", "fresh-touch = \"60s\""),
    (Some("grant"), "time-limit", "time-limit = \"30m\""),
    (Some("grant"), "reason", "reason = true"),
    (Some("grant"), "shell", "shell = \"/usr/bin/zsh\""),
    (Some("grant"), "environment", "environment = { EDITOR = \"vim\" }"),
    (Some("machine"), "name", "name = \"{account}-box\""),
    (Some("machine"), "template", "template = \"debian\""),
    (Some("machine"), "update", "update = \"at-start\""),
    (Some("machine"), "memory", "memory = \"2G\""),
    (Some("machine"), "tasks", "tasks = 4096"),
    (Some("machine"), "cpu-weight", "cpu-weight = 50"),
    (Some("machine"), "disk", "disk = \"20G\""),
    (Some("machine"), "network", "network = \"internet\""),
    (Some("machine"), "user-groups", "user-groups = [\"sudo\"]"),
    (Some("machine"), "start", "start = \"at-boot\""),
    (Some("machine"), "idle", "idle = \"2h\""),
    (Some("machine"), "per-account", "per-account = 4"),
    (Some("machine"), "lifetime", "lifetime = \"7d\""),
    (Some("machine"), "allow", "allow = [\"checkpoint\", \"fork\"]"),
    (Some("client-key"), "accounts", "accounts = [\"alice\"]"),
    (Some("client-key"), "allow", "allow = [\"list\", \"attach\", \"open\", \"end\"]"),
    (Some("client-key"), "max-age", "max-age = \"30d\""),
];

/// Turns an error of toml and serde into one that says what to write instead. Their errors consist
/// of a message and a span. The span leads to the key and the table in question; of the message
/// only the first words and the names of options are used.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> Found {
    let message = error.message();
    let span = error.span().unwrap_or(0..0);
    let Ok(document) = DeTable::parse(text) else {
        // The message may have several lines; a journal record has one.
        let message = message.lines().collect::<Vec<_>>().join(", ");
        return found(Fault::Syntax(message), span);
    };
    let spot = find(document.get_ref(), None, &span);
    if message.starts_with("unknown field ")
        && let Some(Spot::Key { table, inside }) = spot
    {
        return unknown_key(table, inside, &options(message));
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        let key = key.trim_matches('`');
        let inside = if let Some(Spot::Value { key, .. }) = spot { Some(key) } else { None };
        if let Some(example) = example(inside, key) {
            return found(Fault::Missing { key: key.to_owned(), place: place(inside), example }, span);
        }
    }
    if message.starts_with("unknown variant ")
        && let Some(Spot::Value { inside, key, .. }) = spot
        && let Some(example) = example(inside, key)
    {
        let allowed = options(message).join(", ");
        let value = text.get(span.clone()).unwrap_or_default().chars().take(64).collect();
        return found(Fault::NotOneOf { value, allowed, example }, span);
    }
    if message.starts_with("invalid type: ")
        && let Some(Spot::Value { inside, key, value }) = spot
        && let Some(example) = example(inside, key)
    {
        return found(Fault::WrongType { key: key.to_owned(), found: type_of(value), example }, span);
    }
    found(Fault::Value(message.lines().collect::<Vec<_>>().join(", ")), span)
}

/// The example line for `key` in the table that is the value of `inside`.
fn example(inside: Option<&str>, key: &str) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(table, name, _)| *table == inside && *name == key);
    found.map(|(_, _, line)| *line)
}

/// The options listed in "unknown field `a`, expected one of `b`, `c`" or "unknown variant `a`,
/// expected `b` or `c`": the fields of the table, or the values, in their order.
fn options(message: &str) -> Vec<&str> {
    // The part before may contain text from the file.
    let listed = message.rsplit_once(", expected ").map_or("", |(_, listed)| listed);
    listed.split('`').skip(1).step_by(2).collect()
}

/// Reports the first key in the file that is not an option of its table. toml reports keys in
/// alphabetical order, but people read a file from the top.
fn unknown_key(table: &DeTable<'_>, inside: Option<&str>, options: &[&str]) -> Found {
    let unknown = table.keys().filter(|key| !options.contains(&key.get_ref().as_ref()));
    let Some(key) = unknown.min_by_key(|key| key.span().start) else {
        return found(Fault::Value("there is an unknown key".to_owned()), 0..0);
    };
    let name: String = key.get_ref().chars().take(64).collect();
    let near = near(&name, options);
    let known = options.iter().map(|option| (*option).to_owned()).collect();
    found(Fault::UnknownKey { key: name, place: place(inside), near, known }, key.span())
}

/// The option that `key` was probably meant to be, if any is similar enough.
fn near(key: &str, options: &[&str]) -> Option<String> {
    let scored = options.iter().map(|option| (strsim::jaro_winkler(&key.to_lowercase(), option), option));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= 0.8).then(|| (*best.1).to_owned())
}

/// What the span of an error covers.
#[derive(Clone, Copy)]
enum Spot<'a> {
    /// A key of `table`. `table` is the value of `inside`, or the whole file.
    Key { table: &'a DeTable<'a>, inside: Option<&'a str> },
    /// The value of `key`, or an element of it. `key` stands in the table that is the value of
    /// `inside`, or at the top of the file.
    Value { inside: Option<&'a str>, key: &'a str, value: &'a DeValue<'a> },
}

fn find<'a>(table: &'a DeTable<'a>, inside: Option<&'a str>, span: &Range<usize>) -> Option<Spot<'a>> {
    for (key, value) in table {
        if key.span() == *span {
            return Some(Spot::Key { table, inside });
        }
        if let Some(spot) = find_in_value(inside, key.get_ref(), value, span) {
            return Some(spot);
        }
    }
    None
}

fn find_in_value<'a>(
    inside: Option<&'a str>,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
    span: &Range<usize>,
) -> Option<Spot<'a>> {
    let inner = match value.get_ref() {
        DeValue::Array(array) => array.iter().find_map(|element| find_in_value(inside, key, element, span)),
        DeValue::Table(table) => find(table, Some(key), span),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    };
    inner.or_else(|| (value.span() == *span).then(|| Spot::Value { inside, key, value: value.get_ref() }))
}

/// Where a key stands, as a phrase with its preposition.
fn place(inside: Option<&str>) -> String {
    inside.map_or_else(|| "at the top of the file".to_owned(), |key| format!("in a {key}"))
}

/// The type of a value, with an article.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
