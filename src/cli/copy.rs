//! `tere cp`: files between this computer and a machine, by rsync(1), which is needed on both. It
//! copies what differs, checks what it has copied, and goes on where a copy was cut off.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

use clap::Args;

use super::failure::Failure;
use crate::names::Target;

/// How rsync copies: whole trees with links, modes and times, holes in files, and what was cut off
/// kept beside its file until the next time. The other rsync gets paths as they are.
const HOW: [&str; 8] = [
    "--recursive",
    "--links",
    "--perms",
    "--times",
    "--sparse",
    "--compress",
    "--secluded-args",
    "--partial-dir=.rsync-partial",
];

/// What rsync ends with if it was interrupted, if its way to the machine failed, which has been
/// said, and if there is no rsync there.
const INTERRUPTED: [i32; 2] = [19, 20];
const NO_WAY: i32 = 255;
const NOT_THERE: i32 = 127;

/// `tere cp`.
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// What to copy, and last where to: paths on one side, and TARGET:PATH on the other. A folder
    /// with a slash at its end stands for what is in it.
    #[arg(value_name = "FROM... TO", required = true, num_args = 2..)]
    places: Vec<Place>,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Here(String),
    There(Target, String),
}

impl FromStr for Place {
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

impl Place {
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
    Copy { places }: &Copy,
    named: Option<&str>,
    runtime_dir: &Path,
) -> Result<ExitCode, Failure> {
    check(places)?;
    let this = std::env::current_exe().map_err(|error| not_run(&error))?;
    let way = [this.as_path(), Path::new("--runtime-dir"), runtime_dir].map(quoted).join(" ");
    let mut rsync = Command::new("rsync");
    rsync.args(HOW).arg(format!("--rsh={way} rsh"));
    if io::stdout().is_terminal() {
        rsync.arg("--info=progress2");
    }
    rsync.arg("--").args(places.iter().map(Place::word)).stdin(Stdio::null());
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
        Some(NO_WAY) => Ok(ExitCode::FAILURE),
        Some(NOT_THERE) => Err(Failure {
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
fn check(places: &[Place]) -> Result<(), Failure> {
    let next = "Write TARGET:PATH on one side, and paths of this computer on the other: tere cp notes.txt alice@alice-box:";
    let failure = |cause: &str| Failure { cause: cause.to_owned(), next: next.to_owned() };
    let Some((to, from)) = places.split_last() else { return Err(failure("nothing is to be copied")) };
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
        let place = |text: &str| text.parse::<Place>();
        let there = |path: &str| Ok(Place::There("dev@web1".parse().unwrap(), path.to_owned()));
        for path in ["", "notes", "/etc/hosts", "a:b", "-x", "a b"] {
            assert_eq!(place(&format!("dev@web1:{path}")), there(path));
        }
        assert_eq!(place("dev@web1::module").unwrap().word(), "dev@web1:./:module");
        for here in ["notes", "./a:b", "/x/dev@web1:notes", "-x"] {
            assert_eq!(place(here), Ok(Place::Here(here.to_owned())));
        }
        for bad in ["", "a:b", "web1:notes", ":", "rsync://web1/x"] {
            assert!(place(bad).is_err(), "{bad}");
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
