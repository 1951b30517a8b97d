//! Reads the configuration file with serde and validates it. A new option takes three lines: a
//! field with its doc comment in [`Document`] or [`GrantTable`], and a line of
//! [`EXAMPLES`](super::explain::EXAMPLES) for the error messages.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::error::{Found, found, position};
use super::explain::explain;
use super::share::Share;
use super::{
    ClientKeyRule, Config, CpuWeight, DiskSpace, Environment, Fault, FreshTouch, Grant, Group, Launch,
    Limits, Machine, MaxAge, Memory, Network, Origin, Pattern, PerAccount, Period, ProxySource, Resume,
    Shell, Start, Tasks, Terms, TimeLimit, Update,
};
use crate::names::{
    AccountName, BadName, ChangeKind, GroupName, KeyRight, MachineName, Target, TemplateName, UnixGroup,
    UnixUser,
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// The page's origin, as in the browser's address bar.
    origin: Origin,
    /// The proxy before the front.
    proxy: Option<ProxyTable>,
    /// How long after a touch a page may come back without another.
    #[serde(default)]
    resume: Resume,
    /// The groups of accounts.
    #[serde(default)]
    group: Vec<Spanned<GroupTable>>,
    /// The grants: who may open what.
    #[serde(default)]
    grant: Vec<Spanned<GrantTable>>,
    /// The machines that tere makes.
    #[serde(default)]
    machine: Vec<MachineTable>,
    /// What may be done from afar with a client key.
    #[serde(default, rename = "client-key")]
    client_key: Vec<Spanned<ClientKeyTable>>,
}

/// The `[proxy]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyTable {
    /// How it says where a browser is.
    source: ProxySource,
}

/// One `[[group]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupTable {
    /// Its name.
    name: Spanned<GroupName>,
    /// The names of the accounts in it.
    accounts: Spanned<Vec<Spanned<String>>>,
}

/// One `[[grant]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrantTable {
    /// Names of accounts, and of groups after a `@`. They are parsed in [`accounts`], so that an
    /// error can point at one of them.
    accounts: Spanned<Vec<Spanned<String>>>,
    /// The machine.
    machine: Spanned<Pattern<MachineName>>,
    /// The UNIX user in the machine.
    user: Spanned<Pattern<UnixUser>>,
    /// What the accounts may let others do in their sessions on this target.
    share: Option<Spanned<Share>>,
    /// How old the touch may be that each view of a session takes.
    fresh_touch: Option<FreshTouch>,
    /// How long a session may last.
    time_limit: Option<TimeLimit>,
    /// Whether a session is opened for a reason in words.
    #[serde(default)]
    reason: bool,
    /// The shell.
    shell: Option<Shell>,
    /// Its environment.
    environment: Option<Environment>,
}

/// One `[[machine]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MachineTable {
    /// The name, or a pattern that gives each account of a grant a machine of its own.
    name: Spanned<Pattern<MachineName>>,
    /// What the machine is made from.
    template: TemplateName,
    /// When the machine gets a newer version of it.
    #[serde(default)]
    update: Update,
    /// The most memory.
    memory: Option<Memory>,
    /// The most processes and threads.
    tasks: Option<Tasks>,
    /// The share of the processors.
    cpu_weight: Option<CpuWeight>,
    /// The most disk space.
    disk: Option<DiskSpace>,
    /// What the machine reaches over the network.
    #[serde(default)]
    network: Network,
    /// The UNIX groups in the machine that the users of its grants are in.
    #[serde(default)]
    user_groups: BTreeSet<UnixGroup>,
    /// When the machine is started.
    #[serde(default)]
    start: Start,
    /// After how long without use the machine is stopped.
    idle: Option<Period>,
    /// How many machines for tasks an account may have.
    per_account: Option<PerAccount>,
    /// How long a machine for a task exists.
    lifetime: Option<Period>,
    /// The changes that an account may have made of a machine of its own.
    allow: Option<Spanned<BTreeSet<ChangeKind>>>,
}

/// One `[[client-key]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClientKeyTable {
    /// Names of accounts, and of groups after a `@`.
    accounts: Spanned<Vec<Spanned<String>>>,
    /// What the key is good for.
    allow: Spanned<BTreeSet<KeyRight>>,
    /// How long the key is good.
    max_age: Option<Period>,
}

/// Parses a configuration.
pub(super) fn read(text: &str) -> Result<Config, Found> {
    let document: Document = toml::from_str(text).map_err(|error| explain(text, &error))?;
    let groups = groups(document.group)?;
    let mut grants: Vec<(Grant, Spans)> = Vec::new();
    for table in document.grant {
        let (grant, spans) = grant(text, table, &groups)?;
        refuse_twice(text, &grants, &grant, &spans)?;
        grants.push((grant, spans));
    }
    let machines = machines(text, document.machine, &grants)?;
    let grants = grants.into_iter().map(|(grant, _)| grant).collect();
    let client_keys = client_keys(document.client_key, &groups)?;
    let proxy = document.proxy.map(|table| table.source);
    let Document { origin, resume, .. } = document;
    Ok(Config { origin, proxy, resume, groups, grants, machines, client_keys })
}

/// Where a grant stands in the file, and its machine.
struct Spans {
    grant: Range<usize>,
    machine: Range<usize>,
}

fn groups(tables: Vec<Spanned<GroupTable>>) -> Result<Vec<Group>, Found> {
    let mut groups: Vec<Group> = Vec::new();
    for table in tables {
        let GroupTable { name, accounts: members } = table.into_inner();
        if groups.iter().any(|other| other.name == *name.get_ref()) {
            return Err(found(Fault::GroupTwice(name.get_ref().clone()), name.span()));
        }
        // A group of groups would have to be followed by whoever reads a grant.
        let (accounts, _) = accounts(members, None)?;
        groups.push(Group { name: name.into_inner(), accounts });
    }
    Ok(groups)
}

fn client_keys(tables: Vec<Spanned<ClientKeyTable>>, known: &[Group]) -> Result<Vec<ClientKeyRule>, Found> {
    let mut rules: Vec<ClientKeyRule> = Vec::new();
    for table in tables {
        let span = table.span();
        let ClientKeyTable { accounts: named, allow, max_age } = table.into_inner();
        let (accounts, _) = accounts(named, Some(known))?;
        let taken = |account: &&AccountName| rules.iter().any(|rule| rule.accounts.contains(account));
        if let Some(account) = accounts.iter().find(taken) {
            return Err(found(Fault::ClientKeysTwice(account.clone()), span));
        }
        if allow.get_ref().is_empty() {
            return Err(found(Fault::ClientKeyForNothing, allow.span()));
        }
        rules.push(ClientKeyRule { accounts, allow: allow.into_inner(), max_age: MaxAge::of(max_age) });
    }
    Ok(rules)
}

fn grant(text: &str, table: Spanned<GrantTable>, known: &[Group]) -> Result<(Grant, Spans), Found> {
    let span = table.span();
    let table = table.into_inner();
    let spans = Spans { grant: span, machine: table.machine.span() };
    let on_host = matches!(table.machine.get_ref(), Pattern::Fixed(machine) if machine.is_host());
    if let Some(share) = table.share.as_ref().filter(|share| on_host && share.get_ref().0.is_some()) {
        return Err(found(Fault::HostShared, share.span()));
    }
    let (accounts, groups) = accounts(table.accounts, Some(known))?;
    for account in &accounts {
        let machine = for_account(&table.machine, account)?;
        let user = for_account(&table.user, account)?;
        // Only a grant that names the host, and only one that names root.
        if machine.is_host() && !on_host {
            return Err(found(Fault::HostByPattern, table.machine.span()));
        }
        let names_root = matches!(table.user.get_ref(), Pattern::Fixed(user) if user.is_root());
        if user.is_root() && !(on_host && names_root) {
            let fault = if on_host { Fault::RootByPattern } else { Fault::Root };
            return Err(found(fault, table.user.span()));
        }
    }
    let (machine, user) = (table.machine.into_inner(), table.user.into_inner());
    let share = table.share.and_then(|share| share.into_inner().0);
    let line = position(text, spans.grant.start).line;
    let launch = Launch { shell: table.shell, environment: table.environment.unwrap_or_default() };
    let terms = Terms { fresh_touch: table.fresh_touch, reason: table.reason, time_limit: table.time_limit };
    let terms = if on_host { terms.on_host() } else { terms };
    Ok((Grant { accounts, groups, machine, user, share, terms, launch, line }, spans))
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
    refuse_equal_uids(grants, &machines)?;
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

/// Refuses two users whom tere would make in the same machine with the same uid.
fn refuse_equal_uids(grants: &[(Grant, Spans)], machines: &[Machine]) -> Result<(), Found> {
    let mut users: BTreeMap<(MachineName, u32), UnixUser> = BTreeMap::new();
    for (grant, spans) in grants {
        if !machines.iter().any(|machine| machine.name == grant.machine) {
            continue;
        }
        for account in &grant.accounts {
            let (Ok(machine), Ok(user)) =
                (grant.machine.example_for(account), grant.user.example_for(account))
            else {
                continue;
            };
            let other = users.entry((machine.clone(), user.uid())).or_insert_with(|| user.clone());
            if *other != user {
                let fault = Fault::SameUid { machine, one: other.clone(), other: user };
                return Err(found(fault, spans.grant.clone()));
            }
        }
    }
    Ok(())
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
    let allow = table.allow.map_or(Ok(BTreeSet::new()), |allow| {
        if name.is_personal() {
            Ok(allow.into_inner())
        } else {
            Err(found(Fault::OnlyForOwned, allow.span()))
        }
    })?;
    Ok(Machine {
        name,
        template: table.template,
        update: table.update,
        limits: Limits {
            memory: table.memory,
            tasks: table.tasks,
            cpu_weight: table.cpu_weight,
            disk: table.disk,
        },
        network: table.network,
        user_groups: table.user_groups,
        start: table.start,
        idle: table.idle,
        per_account: table.per_account.unwrap_or(PerAccount::DEFAULT),
        lifetime: table.lifetime,
        allow,
    })
}

/// The accounts of a list, those of its groups included, and its groups. An account may be in several
/// of the groups. `known` are the groups that there are; without them, the list may have none.
fn accounts(
    list: Spanned<Vec<Spanned<String>>>,
    known: Option<&[Group]>,
) -> Result<(Vec<AccountName>, Vec<GroupName>), Found> {
    let span = list.span();
    let (mut accounts, mut groups): (Vec<AccountName>, Vec<GroupName>) = (Vec::new(), Vec::new());
    let mut members = Vec::new();
    for name in list.into_inner() {
        let bad = |bad| found(Fault::Name(bad), name.span());
        let group = known.and_then(|known| Some((known, name.get_ref().strip_prefix('@')?)));
        if let Some((known, group)) = group {
            let group: GroupName = group.parse().map_err(bad)?;
            let Some(there) = known.iter().find(|there| there.name == group) else {
                return Err(found(Fault::NoSuchGroup(group), name.span()));
            };
            members.extend_from_slice(&there.accounts);
            groups.push(group);
        } else {
            let account = name.get_ref().parse().map_err(bad)?;
            if accounts.contains(&account) {
                return Err(found(Fault::AccountTwice(account), name.span()));
            }
            accounts.push(account);
        }
    }
    for member in members {
        if !accounts.contains(&member) {
            accounts.push(member);
        }
    }
    if accounts.is_empty() { Err(found(Fault::NoAccounts, span)) } else { Ok((accounts, groups)) }
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
