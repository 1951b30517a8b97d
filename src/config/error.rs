use std::fmt;
use std::io;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::CONFIG_MAX;
use crate::names::{AccountName, BadName, Target};

/// Why there is no configuration. Its text is one line that names the file and the next step;
/// [`Self::report`] shows the place as well.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {cause}: {}", next_step(.cause))]
    Unreadable {
        /// Which file.
        path: String,
        /// What the kernel says.
        cause: io::Error,
    },
    /// The file is larger than [`CONFIG_MAX`].
    #[error("{path} is larger than {CONFIG_MAX} bytes: this is not a tere.toml, see tere.toml(5)")]
    TooLarge {
        /// Which file.
        path: String,
    },
    /// The file is not text.
    #[error("{path} is not UTF-8 text: save it as UTF-8")]
    NotUtf8 {
        /// Which file.
        path: String,
    },
    /// Something in it is wrong.
    #[error("{file}:{position}: {fault}")]
    Wrong {
        /// Which file.
        file: String,
        /// Where.
        position: Position,
        /// What, and what to write instead.
        fault: Box<Fault>,
        /// The whole text of the file.
        text: String,
        /// The bytes of it that are wrong.
        span: Range<usize>,
    },
}

/// Line and column, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong in a configuration, and after the colon what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not TOML.
    #[error("this is not TOML ({0}): see tere.toml(5) for an example")]
    Syntax(String),
    /// A key that does not exist.
    #[error("there is no key {key:?} {place}: {}", instead_of_key(.near, .known))]
    UnknownKey {
        /// As it stands there, cut to 64 characters.
        key: String,
        /// Where it stands, with its preposition.
        place: String,
        /// The known key that it resembles.
        near: Option<String>,
        /// Every key that may stand there.
        known: Vec<String>,
    },
    /// A key is not there.
    #[error("{key:?} is missing {place}: add a line like {example}")]
    Missing {
        /// Which.
        key: String,
        /// Where it should be, with its preposition.
        place: String,
        /// A line that would do.
        example: &'static str,
    },
    /// A value of another type.
    #[error("{key:?} has {found} for its value: write it like {example}")]
    WrongType {
        /// The key.
        key: String,
        /// The type of its value, with an article.
        found: &'static str,
        /// A line that would do.
        example: &'static str,
    },
    /// A value that its type refuses, in the words of the type.
    #[error("{0}")]
    Value(String),
    /// A name in a list breaks its rule.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A grant for nobody.
    #[error("this grant is for nobody: name an account, like accounts = [\"alice\"], or remove the grant")]
    NoAccounts,
    /// The same account twice in one grant.
    #[error("the account {0} stands in this grant twice: remove one")]
    AccountTwice(AccountName),
    /// The same account and target in two grants.
    #[error("the account {account} has {target} already, by the grant in line {line}: remove one of the two")]
    GrantedTwice {
        /// Who.
        account: AccountName,
        /// What.
        target: Target,
        /// The line of the other grant.
        line: usize,
    },
    /// A shell as root.
    #[error(
        "tere opens no shell as root, and polkit would refuse it: grant another user, who may use sudo in the machine"
    )]
    Root,
    /// A shell on the host.
    #[error(
        "tere opens no shell on the host itself (.host) in this version, and polkit would refuse it: name a machine, as 'machinectl list' shows them"
    )]
    Host,
}

/// A fault and the bytes that it is about, before the file is known.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) fault: Fault,
    pub(super) span: Range<usize>,
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

/// The line and column of a byte of `text`.
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
    /// The error over several lines, with the line of the file that it is about. One that is about no
    /// line is its own text.
    #[must_use]
    pub fn report(&self) -> String {
        let Self::Wrong { file, fault, text, span, .. } = self else { return self.to_string() };
        let title = fault.to_string();
        // A place at the end of the file has no character.
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
