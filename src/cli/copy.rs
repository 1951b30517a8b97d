//! `tere cp`: files between this computer and a machine, by rsync(1), which is needed on both. It
//! copies what differs, checks what it has copied, and goes on where a copy was cut off.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

use clap::Args;

use super::failure::Failure;
use crate::names::Target;

/// How rsync copies: whole trees with links, times, holes and modes. Whoever copies as root gets no
/// set-user-ID program of a machine's making. What was cut off is kept beside its file until the
/// next time. The other rsync gets paths as they are.
const OPTIONS: [&str; 9] = [
    "--recursive",
    "--links",
    "--perms",
    "--chmod=ug-s",
    "--times",
    "--sparse",
    "--compress",
    "--secluded-args",
    "--partial-dir=.rsync-partial",
];

/// The exit statuses of rsync that was interrupted.
const INTERRUPTED: [i32; 2] = [19, 20];

/// Its exit status if `tere rsh` failed, which has said why.
const RSH_FAILED: i32 = 255;

/// Its exit status if there is no rsync in the machine.
const NO_RSYNC: i32 = 127;

/// `tere cp`.
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// What to copy, and last where to: paths on one side, and TARGET:PATH on the other. A folder
    /// with a slash at its end stands for what is in it.
    #[arg(value_name = "FROM... TO", required = true, num_args = 2..)]
    locations: Vec<Location>,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    Here(String),
    There(Target, String),
}

impl FromStr for Location {
    type Err = String;

    /// As for scp(1): a colon before any slash ends the name of a target.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((target, path)) if !target.contains('/') => match target.parse() {
                Ok(target) => Ok(Self::There(target, path.to_owned())),
                Err(error) => Err(format!(
                    "{target} is no target: {error}. For a file here whose name has a colon, write ./{text}"
                )),
            },
            Some(_) | None if text.is_empty() => Err("a path has at least one character".to_owned()),
            Some(_) | None => Ok(Self::Here(text.to_owned())),
        }
    }
}

impl Location {
    /// As rsync takes it, which would have a second colon lead to a server of its own.
    fn word(&self) -> String {
        match self {
            Self::Here(path) => path.clone(),
            Self::There(target, path) if path.starts_with(':') => format!("{target}:./{path}"),
            Self::There(target, path) => format!("{target}:{path}"),
        }
    }

    fn target(&self) -> Option<&Target> {
        match self {
            Self::Here(_) => None,
            Self::There(target, _) => Some(target),
        }
    }
}

/// Carries it out. `named` is the host that was named.
pub(super) fn run(
    Copy { locations }: &Copy,
    named: Option<&str>,
    runtime_dir: &Path,
) -> Result<ExitCode, Failure> {
    check(locations)?;
    let this = std::env::current_exe().map_err(|error| not_run(&error))?;
    let tere = [this.as_path(), Path::new("--runtime-dir"), runtime_dir].map(quoted).join(" ");
    let mut rsync = Command::new("rsync");
    rsync.args(OPTIONS).arg(format!("--rsh={tere} rsh"));
    if io::stdout().is_terminal() {
        rsync.arg("--info=progress2");
    }
    rsync.arg("--").args(locations.iter().map(Location::word)).stdin(Stdio::null());
    // The person's settings for ssh do not concern this.
    for setting in ["RSYNC_RSH", "RSYNC_OLD_ARGS", "RSYNC_PROTECT_ARGS", "RSYNC_CONNECT_PROG", "RSYNC_SHELL"]
    {
        rsync.env_remove(setting);
    }
    if let Some(host) = named {
        rsync.env("TERE_HOST", host);
    }
    let status = rsync.status().map_err(|error| not_run(&error))?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(RSH_FAILED) => Ok(ExitCode::FAILURE),
        Some(NO_RSYNC) => Err(Failure {
            cause: "there is no rsync in the machine".to_owned(),
            next: "Install it there. Without it: tar -c FILES | tere exec TARGET -- tar -x".to_owned(),
        }),
        Some(code) if !INTERRUPTED.contains(&code) => Err(Failure {
            cause: format!("not everything is copied: rsync ended with status {code}"),
            next: "It has said why above. The same command goes on where this one was.".to_owned(),
        }),
        Some(_) | None => Err(Failure {
            cause: "the copy was interrupted".to_owned(),
            next: "The same command goes on where this one was.".to_owned(),
        }),
    }
}

/// One side is one target, and the other one is here.
fn check(locations: &[Location]) -> Result<(), Failure> {
    let next = "Write TARGET:PATH on one side, and paths of this computer on the other: tere cp notes.txt alice@alice-box:";
    let failure = |cause: &str| Failure { cause: cause.to_owned(), next: next.to_owned() };
    let Some((to, from)) = locations.split_last() else { return Err(failure("nothing is to be copied")) };
    let Some(first) = from.first() else { return Err(failure("it is not said where to copy it")) };
    if from.iter().any(|one| one.target() != first.target()) {
        return Err(failure("what is to be copied is not all in one place"));
    }
    match (first.target(), to.target()) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err(failure("neither side is a machine")),
        (Some(_), Some(_)) => Err(failure("both sides are machines")),
    }
}

fn not_run(error: &io::Error) -> Failure {
    Failure {
        cause: format!("rsync cannot be run: {error}"),
        next: "Install it on this computer: apt install rsync".to_owned(),
    }
}

/// A word of the command that rsync takes apart. Within quotes, it takes two for one.
fn quoted(word: &Path) -> String {
    format!("'{}'", word.display().to_string().replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_ends_with_a_colon_before_any_slash() {
        let location = |text: &str| text.parse::<Location>();
        let there = |path: &str| Ok(Location::There("dev@web1".parse().unwrap(), path.to_owned()));
        for path in ["", "notes", "/etc/hosts", "a:b", "-x", "a b"] {
            assert_eq!(location(&format!("dev@web1:{path}")), there(path));
        }
        assert_eq!(location("dev@web1::module").unwrap().word(), "dev@web1:./:module");
        for here in ["notes", "./a:b", "/x/dev@web1:notes", "-x"] {
            assert_eq!(location(here), Ok(Location::Here(here.to_owned())));
        }
        for bad in ["", "a:b", "web1:notes", ":", "rsync://web1/x"] {
            assert!(location(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_side_is_a_machine() {
        let allowed = |words: &[&str]| {
            check(&words.iter().map(|word| word.parse().unwrap()).collect::<Vec<_>>()).is_ok()
        };
        assert!(allowed(&["a", "b", "dev@web1:"]));
        assert!(allowed(&["dev@web1:a", "dev@web1:b", "."]));
        for bad in [
            &["a", "b"][..],
            &["dev@web1:a", "dev@web1:b"],
            &["dev@web1:a", "dev@web2:b", "."],
            &["dev@web1:a", "b", "."],
            &["a"],
        ] {
            assert!(!allowed(bad), "{bad:?}");
        }
    }
}
