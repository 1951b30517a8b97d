//! Which host a command is for: the one that it runs on, or one from afar.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::client::{Login, Logins, LoginsError};

/// The host of a command.
#[derive(Debug)]
pub(super) enum Host {
    /// The one that it runs on, with its sockets in this folder.
    Here(PathBuf),
    /// One from afar.
    Afar(Box<Login>),
}

impl Host {
    /// The host that was named; without one, this host if it has a tere, or else the one to which
    /// the user has signed in last.
    pub(super) fn chosen(named: Option<&str>, runtime_dir: &Path) -> Result<Self, Failure> {
        let here = || Self::Here(runtime_dir.to_owned());
        let afar = |login| Self::Afar(Box::new(login));
        let Some(name) = named else {
            if runtime_dir.join("control.sock").exists() {
                return Ok(here());
            }
            return match Logins::of_user().and_then(|logins| logins.last()) {
                Ok(Some(login)) => Ok(afar(login)),
                Ok(None) | Err(LoginsError::NoHome) => Err(Failure {
                    cause: format!(
                        "no tere runs on this computer ({} has no control.sock), and you are signed in at no host",
                        runtime_dir.display()
                    ),
                    next: "From another computer than the host: tere login https://HOST. On the host itself, 'tere check' says what is wrong."
                        .to_owned(),
                }),
                Err(error) => Err(failure(&error)),
            };
        };
        let login = Logins::of_user().and_then(|logins| logins.by_name(name));
        login.map_err(|error| failure(&error))?.map(afar).ok_or_else(|| Failure {
            cause: format!("you are not signed in at {name}"),
            next: "Sign in there once: tere login https://HOST".to_owned(),
        })
    }
}

pub(super) fn failure(error: &LoginsError) -> Failure {
    let next = match error {
        LoginsError::Open { path } => format!(
            "If nobody has read it, 'chmod 600 {0}'. Otherwise 'rm {0}', have the key removed on the host, and sign in again.",
            path.display()
        ),
        LoginsError::Unreadable { path } => {
            format!("Remove it and sign in again: rm {}", path.display())
        }
        LoginsError::Io { .. } => "Is the folder yours, and the disk not full?".to_owned(),
        LoginsError::NoHome => "Set HOME, or XDG_STATE_HOME, to an absolute path.".to_owned(),
    };
    Failure { cause: error.to_string(), next }
}
