//! Reads the configuration file with serde and validates it. A new option takes three lines: a
//! field with its doc comment in [`Document`] or [`GrantTable`], and a line of [`EXAMPLES`] for the
//! error messages.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Found, position};
use super::{
    Config, CpuWeight, Fault, FreshTouch, Grant, HostTerms, Limits, Machine, Memory, Origin, Pattern,
    PerAccount, Period, Tasks, TimeLimit,
};
use crate::names::{AccountName, BadName, MachineName, Target, TemplateName, UnixUser};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// The page's origin, as in the browser's address bar.
    origin: Origin,
    /// The grants: who may open what.
    #[serde(default)]
    grant: Vec<Spanned<GrantTable>>,
    /// The machines that tere makes.
    #[serde(default)]
    machine: Vec<MachineTable>,
}

/// One `[[grant]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrantTable {
    /// Names of accounts. They are parsed in [`accounts`], so that an error can point at one of
    /// them.
    accounts: Spanned<Vec<Spanned<String>>>,
    /// The machine.
    machine: Spanned<Pattern<MachineName>>,
    /// The UNIX user in the machine.
    user: Spanned<Pattern<UnixUser>>,
    /// Whether the accounts may share their sessions on this target.
    share: Option<Spanned<bool>>,
    /// How old the touch may be that a session on the host needs.
    fresh_touch: Option<Spanned<FreshTouch>>,
    /// How long a session on the host may last.
    time_limit: Option<Spanned<TimeLimit>>,
    /// Whether a session on the host needs a reason in words.
    reason: Option<Spanned<bool>>,
}

/// One `[[machine]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MachineTable {
    /// The name, or a pattern that gives each account of a grant a machine of its own.
    name: Spanned<Pattern<MachineName>>,
    /// What the machine is made from.
    template: TemplateName,
    /// The most memory.
    memory: Option<Memory>,
    /// The most processes and threads.
    tasks: Option<Tasks>,
    /// The share of the processors.
    cpu_weight: Option<CpuWeight>,
    /// After how long without use the machine is stopped.
    idle: Option<Period>,
    /// How many machines for tasks an account may have.
    per_account: Option<PerAccount>,
    /// How long a machine for a task exists.
    lifetime: Option<Period>,
}

/// An example line for each option: the key whose table contains the option (`None` at the top of
/// the file), the option's key, and the line.
pub(super) const EXAMPLES: &[(Option<&str>, &str, &str)] = &[
    (None, "origin", "origin = \"https://shell.example.org\""),
    (None, "grant", "[[grant]]"),
    (None, "machine", "[[machine]]"),
    (Some("grant"), "accounts", "accounts = [\"alice\"]"),
    (Some("grant"), "machine", "machine = \"alice-box\""),
    (Some("grant"), "user", "user = \"dev\""),
    (Some("grant"), "share", "share = true"),
    (Some("grant"), "fresh-touch", "fresh-touch = \"60s\""),
    (Some("grant"), "time-limit", "time-limit = \"30m\""),
    (Some("grant"), "reason", "reason = true"),
    (Some("machine"), "name", "name = \"{account}-box\""),
    (Some("machine"), "template", "template = \"debian\""),
    (Some("machine"), "memory", "memory = \"2G\""),
    (Some("machine"), "tasks", "tasks = 4096"),
    (Some("machine"), "cpu-weight", "cpu-weight = 50"),
    (Some("machine"), "idle", "idle = \"2h\""),
    (Some("machine"), "per-account", "per-account = 4"),
    (Some("machine"), "lifetime", "lifetime = \"7d\""),
];

/// Parses a configuration.
pub(super) fn read(text: &str) -> Result<Config, Found> {
    let document: Document = toml::from_str(text).map_err(|error| explain(text, &error))?;
    let mut grants: Vec<(Grant, Spans)> = Vec::new();
    for table in document.grant {
        let (grant, spans) = grant(text, table)?;
        refuse_twice(text, &grants, &grant, &spans)?;
        grants.push((grant, spans));
    }
    let machines = machines(text, document.machine, &grants)?;
    let grants = grants.into_iter().map(|(grant, _)| grant).collect();
    Ok(Config { origin: document.origin, grants, machines })
}

/// Where a grant stands in the file, and its machine.
struct Spans {
    grant: Range<usize>,
    machine: Range<usize>,
}

fn grant(text: &str, table: Spanned<GrantTable>) -> Result<(Grant, Spans), Found> {
    let span = table.span();
    let table = table.into_inner();
    let spans = Spans { grant: span, machine: table.machine.span() };
    let host = host_terms(&table)?;
    let accounts = accounts(table.accounts)?;
    for account in &accounts {
        let machine = for_account(&table.machine, account)?;
        let user = for_account(&table.user, account)?;
        // Only a grant that names the host, and only one that names root.
        if machine.is_host() && host.is_none() {
            return Err(found(Fault::HostByPattern, table.machine.span()));
        }
        let names_root = matches!(table.user.get_ref(), Pattern::Fixed(user) if user.is_root());
        if user.is_root() && !(host.is_some() && names_root) {
            let fault = if host.is_some() { Fault::RootByPattern } else { Fault::Root };
            return Err(found(fault, table.user.span()));
        }
    }
    let (machine, user) = (table.machine.into_inner(), table.user.into_inner());
    let share = table.share.is_some_and(Spanned::into_inner);
    let line = position(text, spans.grant.start).line;
    Ok((Grant { accounts, machine, user, share, host, line }, spans))
}

/// The terms of a grant that names the host, and `None` for any other grant, which may not have
/// them.
fn host_terms(table: &GrantTable) -> Result<Option<HostTerms>, Found> {
    let GrantTable { fresh_touch, time_limit, reason, .. } = table;
    if matches!(table.machine.get_ref(), Pattern::Fixed(machine) if machine.is_host()) {
        if let Some(share) = table.share.as_ref().filter(|share| *share.get_ref()) {
            return Err(found(Fault::HostShared, share.span()));
        }
        let fresh_touch = fresh_touch.as_ref().map(|touch| *touch.get_ref()).unwrap_or_default();
        let time_limit = time_limit.as_ref().map(|limit| *limit.get_ref()).unwrap_or_default();
        let reason = reason.as_ref().is_some_and(|reason| *reason.get_ref());
        return Ok(Some(HostTerms { fresh_touch, time_limit, reason }));
    }
    let theirs = [
        ("fresh-touch", fresh_touch.as_ref().map(Spanned::span)),
        ("time-limit", time_limit.as_ref().map(Spanned::span)),
        ("reason", reason.as_ref().map(Spanned::span)),
    ];
    let misplaced = theirs.into_iter().find_map(|(key, span)| Some(found(Fault::OnlyOnHost(key), span?)));
    misplaced.map_or(Ok(None), Err)
}

/// The name that a pattern gives this account.
fn for_account<T>(pattern: &Spanned<Pattern<T>>, account: &AccountName) -> Result<T, Found>
where
    T: std::str::FromStr<Err = BadName> + Clone + PartialEq,
{
    pattern.get_ref().example_for(account).map_err(|bad| {
        let fault = Fault::NameFor { account: account.clone(), bad };
        found(fault, pattern.span())
    })
}

/// The machines that tere makes, each of which has a grant. No machine belongs to two patterns:
/// otherwise one account could be given the machine of another.
fn machines(text: &str, tables: Vec<MachineTable>, grants: &[(Grant, Spans)]) -> Result<Vec<Machine>, Found> {
    let mut machines: Vec<Machine> = Vec::new();
    for table in tables {
        let span = table.name.span();
        let machine = machine(table)?;
        if machines.iter().any(|other| other.name == machine.name) {
            return Err(found(Fault::MachineTwice(machine.name.to_string()), span));
        }
        if !grants.iter().any(|(grant, _)| grant.machine == machine.name) {
            return Err(found(Fault::MachineOfNobody(machine.name.to_string()), span));
        }
        // Whether two of them give the same name cannot be seen from the patterns.
        if machine.name.is_for_tasks() && machines.iter().any(|other| other.name.is_for_tasks()) {
            return Err(found(Fault::TwoTaskPatterns, span));
        }
        machines.push(machine);
    }
    for (grant, spans) in grants {
        if grant.machine.is_for_tasks() && !machines.iter().any(|machine| machine.name == grant.machine) {
            let fault = Fault::TasksWithoutMachine(grant.machine.to_string());
            return Err(found(fault, spans.machine.clone()));
        }
    }
    // The pattern, and the place in the file, that gave each name first.
    let mut first: BTreeMap<MachineName, (&Pattern<MachineName>, usize)> = BTreeMap::new();
    let of_task = |name: &MachineName| {
        let for_tasks = grants.iter().filter(|(grant, _)| grant.machine.is_for_tasks());
        let (grant, spans) = for_tasks
            .into_iter()
            .find(|(grant, _)| grant.accounts.iter().any(|account| grant.machine.gives(account, name)))?;
        Some((&grant.machine, spans.machine.start))
    };
    for (grant, spans) in grants {
        for account in &grant.accounts {
            let Some(name) = grant.machine.for_account(account) else { continue };
            let this = (&grant.machine, spans.machine.start);
            let (pattern, at) = of_task(&name).unwrap_or_else(|| *first.entry(name.clone()).or_insert(this));
            let made = machines.iter().any(|made| made.name == *pattern || made.name == grant.machine);
            if *pattern != grant.machine && made {
                let (pattern, line) = (pattern.to_string(), position(text, at).line);
                let fault = Fault::MachineOfTwoPatterns { name, pattern, line };
                return Err(found(fault, spans.machine.clone()));
            }
        }
    }
    Ok(machines)
}

fn machine(table: MachineTable) -> Result<Machine, Found> {
    let span = table.name.span();
    let name = table.name.into_inner();
    if matches!(&name, Pattern::Fixed(fixed) if fixed.is_host()) {
        return Err(found(Fault::HostMade, span));
    }
    for (key, given) in [("per-account", table.per_account.is_some()), ("lifetime", table.lifetime.is_some())]
    {
        if given && !name.is_for_tasks() {
            return Err(found(Fault::OnlyForTasks(key), span));
        }
    }
    Ok(Machine {
        name,
        template: table.template,
        limits: Limits { memory: table.memory, tasks: table.tasks, cpu_weight: table.cpu_weight },
        idle: table.idle,
        per_account: table.per_account.unwrap_or(PerAccount::DEFAULT),
        lifetime: table.lifetime,
    })
}

fn accounts(list: Spanned<Vec<Spanned<String>>>) -> Result<Vec<AccountName>, Found> {
    let span = list.span();
    let mut accounts: Vec<AccountName> = Vec::new();
    for name in list.into_inner() {
        let account = name.get_ref().parse().map_err(|bad| found(Fault::Name(bad), name.span()))?;
        if accounts.contains(&account) {
            return Err(found(Fault::AccountTwice(account), name.span()));
        }
        accounts.push(account);
    }
    if accounts.is_empty() { Err(found(Fault::NoAccounts, span)) } else { Ok(accounts) }
}

fn refuse_twice(text: &str, before: &[(Grant, Spans)], next: &Grant, spans: &Spans) -> Result<(), Found> {
    for account in &next.accounts {
        let (Ok(machine), Ok(user)) = (next.machine.example_for(account), next.user.example_for(account))
        else {
            continue;
        };
        let target = Target { machine, user };
        let other = before.iter().find(|(grant, _)| grant.gives(account, &target));
        if let Some((_, other)) = other {
            let (account, line) = (account.clone(), position(text, other.grant.start).line);
            return Err(found(Fault::GrantedTwice { account, target, line }, spans.grant.clone()));
        }
    }
    Ok(())
}

/// Turns an error of toml and serde into one that says what to write instead. Their errors consist
/// of a message and a span. The span leads to the key and the table in question; of the message
/// only the first words and the names of options are used.
fn explain(text: &str, error: &toml::de::Error) -> Found {
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

/// The options listed in "unknown field `a`, expected one of `b`, `c`": the fields of the table, in
/// their order.
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

fn found(fault: Fault, span: Range<usize>) -> Found {
    Found { fault, span }
}
