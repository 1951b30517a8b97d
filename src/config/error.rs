use std::fmt;
use std::io;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::CONFIG_MAX;
use crate::names::{AccountName, BadName, GroupName, MachineName, Target, UnixUser};

/// Why the configuration cannot be used. The `Display` text is one line that names the file and the
/// next step; [`Self::report`] also shows the place in the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {cause}: {}", next_step(.cause))]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's error.
        cause: io::Error,
    },
    /// The file is larger than [`CONFIG_MAX`].
    #[error("{path} is larger than {CONFIG_MAX} bytes: this is not a tere.toml, see tere.toml(5)")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// The file is not text.
    #[error("{path} is not UTF-8 text: save it as UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
    /// The contents are wrong.
    #[error("{file}:{position}: {fault}")]
    Wrong {
        /// The file.
        file: String,
        /// The position of the error.
        position: Position,
        /// What is wrong, and what to write instead.
        fault: Box<Fault>,
        /// The whole text of the file.
        text: String,
        /// The bytes of `text` that are wrong.
        span: Range<usize>,
    },
}

/// Line and column, both counted from 1. The column counts characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong in a configuration. The text after the colon says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not TOML.
    #[error("this is not TOML ({0}): see tere.toml(5) for an example")]
    Syntax(String),
    /// A key is unknown.
    #[error("there is no key {key:?} {place}: {}", instead_of_key(.near, .known))]
    UnknownKey {
        /// The key as written, cut to 64 characters.
        key: String,
        /// Where the key stands, as a phrase with its preposition.
        place: String,
        /// The known key that it resembles, if any.
        near: Option<String>,
        /// All keys that are allowed there.
        known: Vec<String>,
    },
    /// A required key is missing.
    #[error("{key:?} is missing {place}: add a line like {example}")]
    Missing {
        /// The key.
        key: String,
        /// Where the key should be, as a phrase with its preposition.
        place: String,
        /// An example line.
        example: &'static str,
    },
    /// A value has the wrong type.
    #[error("{key:?} has {found} for its value: write it like {example}")]
    WrongType {
        /// The key.
        key: String,
        /// The type of the value, with an article.
        found: &'static str,
        /// An example line.
        example: &'static str,
    },
    /// A value that is none of those that there are.
    #[error("{value} is none of {allowed}: write it like {example}")]
    NotOneOf {
        /// The value as written, cut to 64 characters.
        value: String,
        /// The values, with commas.
        allowed: String,
        /// An example line.
        example: &'static str,
    },
    /// A value that its type rejects, with the type's own message.
    #[error("{0}")]
    Value(String),
    /// A name in a list is not valid.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A grant or a group without accounts.
    #[error("this is for nobody: name an account, like accounts = [\"alice\"], or remove the table")]
    NoAccounts,
    /// The same account appears twice in one list.
    #[error("the account {0} stands here twice: remove one")]
    AccountTwice(AccountName),
    /// A group that is not there.
    #[error("no [[group]] has name = \"{0}\": correct the name, or add the group")]
    NoSuchGroup(GroupName),
    /// Two groups with the same name.
    #[error("the group {0} stands here twice: remove one of the two")]
    GroupTwice(GroupName),
    /// The same account and target appear in two grants.
    #[error("the account {account} has {target} already, by the grant in line {line}: remove one of the two")]
    GrantedTwice {
        /// The account.
        account: AccountName,
        /// The target.
        target: Target,
        /// The line of the other grant.
        line: usize,
    },
    /// A pattern gives an account a name that is not valid.
    #[error("for the account {account}, {bad}")]
    NameFor {
        /// The account.
        account: AccountName,
        /// Why the name is not valid.
        bad: BadName,
    },
    /// Two machines with the same name or pattern.
    #[error("the machine {0} stands here twice: remove one of the two")]
    MachineTwice(String),
    /// A machine that nobody may open.
    #[error("no grant has machine = {0:?}: correct the name, or remove this machine")]
    MachineOfNobody(String),
    /// A machine that tere makes has its name from two patterns.
    #[error(
        "the machine {name} is one of machine = {pattern:?} in line {line} already: choose another name for one of the two"
    )]
    MachineOfTwoPatterns {
        /// The machine.
        name: MachineName,
        /// The other pattern.
        pattern: String,
        /// The line of the other grant's machine.
        line: usize,
    },
    /// Two users whom tere would make in a machine with the same uid.
    #[error(
        "the users {one} and {other} would have the same uid in {machine}: choose another name for one of the two"
    )]
    SameUid {
        /// The machine.
        machine: MachineName,
        /// The user of the earlier grant.
        one: UnixUser,
        /// The other user.
        other: UnixUser,
    },
    /// Machines for tasks from two patterns.
    #[error("another machine has a name with {{task}} already: use one pattern for all tasks")]
    TwoTaskPatterns,
    /// A grant for tasks of which nobody makes the machines.
    #[error("no [[machine]] has name = {0:?}: tere has to make the machines for tasks, so add one")]
    TasksWithoutMachine(String),
    /// An option that only machines for tasks have.
    #[error(
        "{0} is for machines with {{task}} in their name: remove it, or name the machine like {{account}}.{{task}}"
    )]
    OnlyForTasks(&'static str),
    /// Changes that an account may have made of a machine that is not its own.
    #[error(
        "an account may only change machines of its own: remove this line, or use {{account}} in the name"
    )]
    OnlyForOwned,
    /// The same account appears in two rules for client keys.
    #[error("the account {0} is in another [[client-key]] already: remove it from one of the two")]
    ClientKeysTwice(AccountName),
    /// A rule for client keys that lets them do nothing.
    #[error(
        "a key that may do nothing is of no use: name what it may do, like allow = [\"list\", \"attach\"]"
    )]
    ClientKeyForNothing,
    /// A grant for root in a machine.
    #[error(
        "tere opens no shell as root in a machine, and polkit would refuse it: grant another user, who may use sudo in the machine"
    )]
    Root,
    /// A pattern that makes an account root on the host.
    #[error(
        "this gives an account the user root of the host: root is granted only by user = \"root\", in a grant of its own"
    )]
    RootByPattern,
    /// A pattern that gives an account the host itself.
    #[error("this gives an account the host itself: it is granted only by machine = \".host\"")]
    HostByPattern,
    /// A `[[machine]]` that is the host itself.
    #[error("the host itself (.host) is no machine that tere makes: remove this machine")]
    HostMade,
    /// A grant on the host of which the sessions may be shared.
    #[error("a shell on the host itself is not shared: remove this line")]
    HostShared,
}

/// A fault and the bytes that it concerns. The file name is added by [`Self::in_file`].
#[derive(Debug)]
pub(super) struct Found {
    pub(super) fault: Fault,
    pub(super) span: Range<usize>,
}

pub(super) fn found(fault: Fault, span: Range<usize>) -> Found {
    Found { fault, span }
}

impl Found {
    pub(super) fn in_file(self, text: &str, file: &str) -> ConfigError {
        ConfigError::Wrong {
            file: file.to_owned(),
            position: position(text, self.span.start),
            fault: Box::new(self.fault),
            text: text.to_owned(),
            span: self.span,
        }
    }
}

/// The line and column of byte `at` in `text`.
pub(super) fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    Position { line, column: last.chars().count() + 1 }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl ConfigError {
    /// The error over several lines, with the line of the file that it concerns. An error that does
    /// not concern a line is reported by its `Display` text.
    #[must_use]
    pub fn report(&self) -> String {
        let Self::Wrong { file, fault, text, span, .. } = self else { return self.to_string() };
        let title = fault.to_string();
        // The end of the file has no character to point at.
        let end = span.end.min(text.len());
        let place = AnnotationKind::Primary.span(span.start.min(end)..end).label("here");
        let snippet = Snippet::source(text.as_str()).path(file.as_str()).annotation(place);
        Renderer::plain().render(&[Level::ERROR.no_name().primary_title(title.as_str()).element(snippet)])
    }
}

fn next_step(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::NotFound {
        "make it, see tere.toml(5) for an example"
    } else {
        "see that it is a file which this program's user may read"
    }
}

fn instead_of_key(near: &Option<String>, known: &[String]) -> String {
    match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the keys there are {}", known.join(", ")),
    }
}
