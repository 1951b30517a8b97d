use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Found, position};
use super::{Config, Fault, Grant, Origin};
use crate::names::{AccountName, BadName, MachineName, Target, UnixUser};

/// A table of the file: which keys it may have, and how errors name it.
struct Kind {
    keys: &'static [&'static str],
    place: &'static str,
}

const TOP: Kind = Kind { keys: &["origin", "grant"], place: "at the top of the file" };
const GRANT: Kind = Kind { keys: &["accounts", "machine", "user", "share"], place: "in a grant" };

const ORIGIN_EXAMPLE: &str = "origin = \"https://shell.example.org\"";
const GRANT_EXAMPLE: &str = "[[grant]]";
const ACCOUNTS_EXAMPLE: &str = "accounts = [\"alice\"]";
const MACHINE_EXAMPLE: &str = "machine = \"alice-box\"";
const USER_EXAMPLE: &str = "user = \"dev\"";
const SHARE_EXAMPLE: &str = "share = true";

type Value<'a> = Spanned<DeValue<'a>>;

/// A grant and the byte where it begins.
struct Placed {
    grant: Grant,
    start: usize,
}

pub(super) fn read(text: &str) -> Result<Config, Found> {
    let document = DeTable::parse(text).map_err(|error| Found {
        // toml's messages may have several lines; a record has one.
        fault: Fault::Syntax(error.message().lines().collect::<Vec<_>>().join(", ")),
        span: error.span().unwrap_or(0..0),
    })?;
    let table = document.get_ref();
    refuse_unknown(table, &TOP)?;
    let origin = read_origin(table)?;
    let mut placed: Vec<Placed> = Vec::new();
    for value in grants(table)? {
        let next = read_grant(value)?;
        refuse_twice(text, &placed, &next, &value.span())?;
        placed.push(next);
    }
    Ok(Config { origin, grants: placed.into_iter().map(|placed| placed.grant).collect() })
}

fn read_origin(table: &DeTable<'_>) -> Result<Origin, Found> {
    let value = required(table, "origin", &TOP, ORIGIN_EXAMPLE, 0..0)?;
    let text = as_text(value, "origin", ORIGIN_EXAMPLE)?;
    text.parse().map_err(|cause| {
        let text = text.chars().take(64).collect();
        found(Fault::Origin { text, cause }, value.span())
    })
}

fn grants<'a, 'i>(table: &'a DeTable<'i>) -> Result<&'a [Value<'i>], Found> {
    match table.get("grant") {
        None => Ok(&[]),
        Some(value) => match value.get_ref().as_array() {
            Some(array) => Ok(array),
            None => Err(wrong_type(value, "grant", GRANT_EXAMPLE)),
        },
    }
}

fn read_grant(value: &Value<'_>) -> Result<Placed, Found> {
    let Some(table) = value.get_ref().as_table() else {
        return Err(wrong_type(value, "grant", GRANT_EXAMPLE));
    };
    refuse_unknown(table, &GRANT)?;
    let accounts = read_accounts(required(table, "accounts", &GRANT, ACCOUNTS_EXAMPLE, value.span())?)?;
    let machine = required(table, "machine", &GRANT, MACHINE_EXAMPLE, value.span())?;
    let machine_name: MachineName = read_name(machine, "machine", MACHINE_EXAMPLE)?;
    if machine_name.is_host() {
        return Err(found(Fault::Host, machine.span()));
    }
    let user = required(table, "user", &GRANT, USER_EXAMPLE, value.span())?;
    let user_name: UnixUser = read_name(user, "user", USER_EXAMPLE)?;
    if user_name.as_str() == "root" {
        return Err(found(Fault::Root, user.span()));
    }
    let share = match table.get("share") {
        None => false,
        Some(value) => value.get_ref().as_bool().ok_or_else(|| wrong_type(value, "share", SHARE_EXAMPLE))?,
    };
    let target = Target { machine: machine_name, user: user_name };
    Ok(Placed { grant: Grant { accounts, target, share }, start: value.span().start })
}

fn read_accounts(value: &Value<'_>) -> Result<Vec<AccountName>, Found> {
    let Some(array) = value.get_ref().as_array() else {
        return Err(wrong_type(value, "accounts", ACCOUNTS_EXAMPLE));
    };
    let mut accounts = Vec::new();
    for value in array {
        let account = read_name(value, "accounts", ACCOUNTS_EXAMPLE)?;
        if accounts.contains(&account) {
            return Err(found(Fault::AccountTwice(account), value.span()));
        }
        accounts.push(account);
    }
    if accounts.is_empty() { Err(found(Fault::NoAccounts, value.span())) } else { Ok(accounts) }
}

fn refuse_twice(text: &str, before: &[Placed], next: &Placed, span: &Range<usize>) -> Result<(), Found> {
    for placed in before.iter().filter(|placed| placed.grant.target == next.grant.target) {
        if let Some(account) = next.grant.accounts.iter().find(|a| placed.grant.accounts.contains(a)) {
            let (account, target) = (account.clone(), next.grant.target.clone());
            let line = position(text, placed.start).line;
            return Err(found(Fault::GrantedTwice { account, target, line }, span.clone()));
        }
    }
    Ok(())
}

fn refuse_unknown(table: &DeTable<'_>, kind: &Kind) -> Result<(), Found> {
    // The table is sorted by key; people read a file from its top.
    let unknown = table.keys().filter(|key| !kind.keys.contains(&key.get_ref().as_ref()));
    let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
    let text: String = key.get_ref().chars().take(64).collect();
    let near = near(&text, kind.keys);
    Err(found(Fault::UnknownKey { key: text, place: kind.place, near, known: kind.keys }, key.span()))
}

/// The known key that `key` was probably meant to be.
fn near(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let scored = known.iter().map(|known| (strsim::jaro_winkler(&key.to_lowercase(), known), *known));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= 0.8).then_some(best.1)
}

fn required<'a, 'i>(
    table: &'a DeTable<'i>,
    key: &'static str,
    kind: &Kind,
    example: &'static str,
    span: Range<usize>,
) -> Result<&'a Value<'i>, Found> {
    table.get(key).ok_or_else(|| found(Fault::Missing { key, place: kind.place, example }, span))
}

fn read_name<N>(value: &Value<'_>, key: &'static str, example: &'static str) -> Result<N, Found>
where
    N: std::str::FromStr<Err = BadName>,
{
    as_text(value, key, example)?.parse().map_err(|bad: BadName| found(bad.into(), value.span()))
}

fn as_text<'a>(value: &'a Value<'_>, key: &'static str, example: &'static str) -> Result<&'a str, Found> {
    value.get_ref().as_str().ok_or_else(|| wrong_type(value, key, example))
}

fn wrong_type(value: &Value<'_>, key: &'static str, example: &'static str) -> Found {
    let found_type = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    found(Fault::WrongType { key, found: found_type, example }, value.span())
}

fn found(fault: Fault, span: Range<usize>) -> Found {
    Found { fault, span }
}
