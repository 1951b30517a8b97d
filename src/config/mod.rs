//! `/etc/tere/tere.toml`: the address of the page, and who may open what.
//!
//! ```toml
//! origin = "https://shell.example.org"
//!
//! [[grant]]
//! accounts = ["alice", "bob"]
//! machine = "alice-box"
//! user = "dev"
//! share = true
//!
//! [[group]]
//! name = "staff"
//! accounts = ["carol", "dave"]
//!
//! [[grant]]
//! accounts = ["@staff", "bob"]
//! machine = "{account}-box"
//! user = "dev"
//!
//! [[machine]]
//! name = "{account}-box"
//! template = "debian"
//! ```
//!
//! The daemons and `tere check` use the same parser. It refuses unknown keys and values, naming the
//! file, the line, the column and what to write instead: a grant with a typo must never grant
//! something else.

mod client_key;
mod document;
mod error;
mod explain;
mod launch;
mod lifecycle;
mod limits;
mod network;
mod origin;
mod pattern;
mod period;
mod proxy;
mod resume;
mod share;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use crate::names::{
    AccountName, ChangeKind, GroupName, MachineChange, MachineName, Target, TemplateName, UnixGroup, UnixUser,
};
use crate::protocol::GuestRole;

pub use client_key::{ClientKeyRule, MaxAge};
pub use error::{ConfigError, Fault, Position};
pub use launch::{Environment, Launch, Shell};
pub use lifecycle::{Start, Update};
pub use limits::{CpuWeight, DiskSpace, Limits, Memory, PerAccount, Tasks};
pub use network::{Bridge, INTERFACE_MAX, Network, Prefix, Reach};
pub use origin::{BadOrigin, Origin};
pub use pattern::Pattern;
pub use period::Period;
pub use proxy::ProxySource;
pub use resume::Resume;
pub use terms::{FreshTouch, Terms, TimeLimit};

/// Largest configuration file, bytes. A larger file is refused without parsing it.
pub const CONFIG_MAX: u64 = 1024 * 1024;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The page's origin, as in the browser's address bar.
    pub origin: Origin,
    /// How a proxy says where a browser is; `None` if its word is not to be taken.
    pub proxy: Option<ProxySource>,
    /// How long after a touch a page may come back without another.
    pub resume: Resume,
    /// The groups of accounts, in the order of the file.
    pub groups: Vec<Group>,
    /// The grants: who may open what, in the order of the file.
    pub grants: Vec<Grant>,
    /// The machines that tere makes, in the order of the file.
    pub machines: Vec<Machine>,
    /// What may be done from afar with a client key, in the order of the file.
    pub client_keys: Vec<ClientKeyRule>,
}

/// One `[[group]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name. No other group has it.
    pub name: GroupName,
    /// The accounts in it. Never empty.
    pub accounts: Vec<AccountName>,
}

/// One `[[grant]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The accounts that hold the grant, those of its groups included. Never empty.
    pub accounts: Vec<AccountName>,
    /// The groups that it names.
    pub groups: Vec<GroupName>,
    /// The machine that they may open. For each of the accounts, the pattern gives a valid name,
    /// which is the host itself only if the grant names it.
    pub machine: Pattern<MachineName>,
    /// The UNIX user in it. The same applies. It is root only on the host.
    pub user: Pattern<UnixUser>,
    /// The most that they may let others do in the sessions that they open on the target; `None` if
    /// they may not share them, as always on the host.
    pub share: Option<GuestRole>,
    /// What a session demands.
    pub terms: Terms,
    /// Which shell it is, and its environment.
    pub launch: Launch,
    /// The line of the file in which the grant begins.
    pub line: usize,
}

/// One `[[machine]]`: machines that tere makes when they are first opened. At least one grant names
/// the same pattern, and each machine that it gives belongs to no other grant's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The name, or the names.
    pub name: Pattern<MachineName>,
    /// What they are made from.
    pub template: TemplateName,
    /// When one of them gets a newer version of it.
    pub update: Update,
    /// How much of the host each of them may use.
    pub limits: Limits,
    /// What each of them reaches over the network.
    pub network: Network,
    /// The UNIX groups in them that the users of their grants are in, besides those of the template.
    pub user_groups: BTreeSet<UnixGroup>,
    /// When one of them is started.
    pub start: Start,
    /// After how long without use one of them is stopped; `None` for never.
    pub idle: Option<Period>,
    /// How many of them an account may have at once, if they are for tasks.
    pub per_account: PerAccount,
    /// How long one of them exists, if they are for tasks; `None` for as long as somebody wants it.
    pub lifetime: Option<Period>,
    /// The changes that an account may have made of one that is its own; empty if they are shared.
    pub allow: BTreeSet<ChangeKind>,
}

impl Grant {
    /// The target that this grant gives `account`, if it is one of its accounts, and unless the
    /// machine is for a task.
    pub fn target_of(&self, account: &AccountName) -> Option<Target> {
        let granted = self.accounts.contains(account);
        // Both patterns were tried with each account of the grant.
        let target = || {
            let (machine, user) = (self.machine.for_account(account), self.user.for_account(account));
            Some(Target { machine: machine?, user: user? })
        };
        granted.then(target).flatten()
    }

    /// Whether the grant is for the host itself.
    pub fn is_on_host(&self) -> bool {
        matches!(&self.machine, Pattern::Fixed(machine) if machine.is_host())
    }

    /// Whether this grant gives `account` this target.
    pub fn gives(&self, account: &AccountName, target: &Target) -> bool {
        self.accounts.contains(account)
            && self.machine.gives(account, &target.machine)
            && self.user.gives(account, &target.user)
    }
}

impl Config {
    /// Parses a configuration. Errors refer to the file as `file_name`.
    ///
    /// # Errors
    /// The first error in the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        document::read(text).map_err(|found| found.in_file(text, file_name))
    }

    /// Reads the configuration file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than [`CONFIG_MAX`]; otherwise as [`Self::parse`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let unreadable = |cause| ConfigError::Unreadable { path: name.clone(), cause };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // Reading one byte more than allowed distinguishes a file that is too large from one that
        // just fits.
        file.take(CONFIG_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > CONFIG_MAX {
            return Err(ConfigError::TooLarge { path: name });
        }
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::NotUtf8 { path: name.clone() })?;
        Self::parse(&text, &name)
    }

    /// The targets that `account` may open, in the order of the file, without duplicates and without
    /// machines for tasks.
    pub fn targets_of(&self, account: &AccountName) -> Vec<Target> {
        // The file contains each pair of account and target at most once, so there are no
        // duplicates.
        self.grants.iter().filter_map(|grant| grant.target_of(account)).collect()
    }

    /// Whether `account` may open `target`.
    pub fn allows(&self, account: &AccountName, target: &Target) -> bool {
        self.grant_of(account, target).is_some()
    }

    /// The most that `account` may let others do in its sessions on `target`; `None` if it may not
    /// share them.
    pub fn share(&self, account: &AccountName, target: &Target) -> Option<GuestRole> {
        self.grant_of(account, target).and_then(|grant| grant.share)
    }

    /// The grant by which `account` may open `target`.
    pub fn grant_of(&self, account: &AccountName, target: &Target) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.gives(account, target))
    }

    /// What a session of `account` on `target` demands, if the account may open it.
    pub fn terms(&self, account: &AccountName, target: &Target) -> Option<Terms> {
        self.grant_of(account, target).map(|grant| grant.terms)
    }

    /// The first group of a grant that `account` is in, if any.
    pub fn group_of(&self, account: &AccountName, grant: &Grant) -> Option<&GroupName> {
        let holds = |group: &&Group| group.accounts.contains(account) && grant.groups.contains(&group.name);
        self.groups.iter().find(holds).map(|group| &group.name)
    }

    /// The `[[machine]]` of the machine with this name, if it is one that tere makes.
    pub fn machine(&self, name: &MachineName) -> Option<&Machine> {
        self.machines.iter().find(|machine| self.account_in(&machine.name, name).is_some())
    }

    /// The account that a machine belongs to alone, if it is one that tere makes.
    pub fn owner_of(&self, name: &MachineName) -> Option<&AccountName> {
        let mut personal = self.machines.iter().filter(|machine| machine.name.is_personal());
        personal.find_map(|machine| self.account_in(&machine.name, name))
    }

    /// The targets that `account` may open in one machine.
    pub fn targets_in(&self, account: &AccountName, machine: &MachineName) -> Vec<Target> {
        let grants = self.grants.iter().filter(|grant| grant.accounts.contains(account));
        let granted = grants.filter(|grant| grant.machine.gives(account, machine));
        let target =
            |grant: &Grant| Some(Target { machine: machine.clone(), user: grant.user.for_account(account)? });
        granted.filter_map(target).collect()
    }

    /// The UNIX users that grants give anybody in one machine, in the order of their names, and their
    /// shells; `None` where the policy names none.
    pub fn users_in(&self, machine: &MachineName) -> BTreeMap<UnixUser, Option<&Shell>> {
        let mut users = BTreeMap::new();
        for grant in &self.grants {
            let accounts = grant.accounts.iter().filter(|account| grant.machine.gives(account, machine));
            for user in accounts.filter_map(|account| grant.user.for_account(account)) {
                users.entry(user).or_insert(grant.launch.shell.as_ref());
            }
        }
        users
    }

    /// The machines for tasks that `account` may have: the user in them, what stands before and after
    /// the task in their names, and what a session there demands.
    pub fn tasks_of(&self, account: &AccountName) -> Vec<(UnixUser, String, String, Terms)> {
        let grants = self.grants.iter().filter(|grant| grant.accounts.contains(account));
        let parts = |grant: &Grant| {
            let (before, after) = grant.machine.around_task(account)?;
            Some((grant.user.for_account(account)?, before, after, grant.terms))
        };
        grants.filter_map(parts).collect()
    }

    /// What `account` may do from afar with a client key, if it may have one.
    pub fn client_key_rule(&self, account: &AccountName) -> Option<&ClientKeyRule> {
        self.client_keys.iter().find(|rule| rule.accounts.contains(account))
    }

    /// How many machines the policy has tere make at most.
    pub fn most_machines(&self) -> usize {
        let of = |machine: &Machine| {
            let grants = self.grants.iter().filter(|grant| grant.machine == machine.name);
            let accounts = grants.flat_map(|grant| &grant.accounts);
            // As many as there are names, each of them several times if it is a pattern for tasks.
            let names: BTreeSet<_> =
                accounts.filter_map(|account| machine.name.example_for(account).ok()).collect();
            let each = if machine.name.is_for_tasks() { machine.per_account.get() } else { 1 };
            names.len() * usize::from(each)
        };
        self.machines.iter().map(of).sum()
    }

    /// Whether `account` may have this change made: the machine is its own, the policy allows that
    /// kind of change, and a copy becomes a machine for a task of the same account.
    pub fn lets_change(&self, account: &AccountName, change: &MachineChange) -> bool {
        let is_own = |machine| self.owner_of(machine) == Some(account);
        let allowed = |machine| self.machine(machine).is_some_and(|made| made.allow.contains(&change.kind()));
        let for_task = |copy| self.machine(copy).is_some_and(|made| made.name.is_for_tasks());
        let machine = change.machine();
        is_own(machine) && allowed(machine) && change.copy().is_none_or(|copy| is_own(copy) && for_task(copy))
    }

    /// An account whose grant gives it this machine by this pattern.
    fn account_in(&self, pattern: &Pattern<MachineName>, name: &MachineName) -> Option<&AccountName> {
        let grants = self.grants.iter().filter(|grant| grant.machine == *pattern);
        grants.flat_map(|grant| &grant.accounts).find(|account| pattern.gives(account, name))
    }
}

#[cfg(test)]
mod tests;
