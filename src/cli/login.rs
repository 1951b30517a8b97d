//! `tere login` and `tere logout`: a key of this computer, bound to an account of a host from afar.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;

use super::ask::{self, Unanswered};
use super::failure::Failure;
use super::host;
use super::print;
use crate::client::{self, ClientError, Login, Logins};
use crate::client_key::ClientKey;
use crate::config::Origin;
use crate::names::Label;
use crate::protocol::Refusal;

/// `tere login`.
#[derive(Debug, Args)]
pub(super) struct LogIn {
    /// The address of its page: https://HOST.
    #[arg(value_name = "URL")]
    origin: String,
    /// What you will know this computer by, in the page and in lists. Its host name if left out.
    #[arg(long, value_name = "NAME")]
    name: Option<Label>,
}

/// `tere logout`.
#[derive(Debug, Args)]
pub(super) struct LogOut {
    /// The host. The one that you have signed in to last if left out.
    #[arg(value_name = "HOST")]
    origin: Option<String>,
}

/// Carries out `tere login`.
pub(super) fn log_in(LogIn { origin, name }: &LogIn) -> Result<ExitCode, Failure> {
    let address = origin.trim_end_matches('/');
    let address = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let origin: Origin = address.parse().map_err(|bad| Failure {
        cause: format!("{address} is no address of a tere: {bad}"),
        next: "Write what the browser's address bar shows, like https://shell.example.org".to_owned(),
    })?;
    let logins = Logins::of_user().map_err(|error| host::failure(&error))?;
    if let Some(Login { account, .. }) = logins.at_host(&origin).map_err(|error| host::failure(&error))? {
        return Err(Failure {
            cause: format!("you are signed in at {origin} already, as {account}"),
            next: format!("If that does not work any more: tere logout {origin}, and sign in again."),
        });
    }
    let what = format!("sign in at {origin}");
    let key = ClientKey::random().map_err(|error| Failure {
        cause: format!("cannot make a key: {error}"),
        next: "The kernel gives no random bytes.".to_owned(),
    })?;
    let name = name.clone().or_else(of_this_computer);
    let name = name.ok_or_else(|| Failure {
        cause: "this computer has no name".to_owned(),
        next: "Give it one: --name NAME".to_owned(),
    })?;
    let account = ask::block_on(async {
        let show = |code: &str| say(&origin, &name, code);
        let bound = client::bind(&origin, &key, name.clone(), show).await;
        bound.map_err(|error| Unanswered::from(error).failure(&what))
    })?;
    let login = Login { origin, account, key };
    logins.keep(&login).map_err(|error| host::failure(&error))?;
    let Login { origin, account, .. } = &login;
    print(&format!(
        "Signed in at {origin} as {account}: 'tere list', 'tere open', 'tere attach'.\n\
         The key is in {}, which only you can read. Whoever reads it has what it may do there.\n\
         To sign out: tere logout",
        logins.path(origin).display()
    ))
}

/// Says what is to be done with a code.
fn say(origin: &Origin, name: &Label, code: &str) {
    // If this cannot be shown, the code will expire.
    drop(writeln!(
        io::stderr(),
        "Sign in to the page, here or on another computer, and type this code there:\n\n    \
         {origin}/#key\n    {code}\n\n\
         It is good for 4 minutes. The page asks whether {name} may act as you. Waiting…"
    ));
}

fn of_this_computer() -> Option<Label> {
    Label::cut(&std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?)
}

/// Carries out `tere logout`. Without a host of its own, the one of all commands counts.
pub(super) fn log_out(LogOut { origin }: &LogOut, host: Option<&str>) -> Result<ExitCode, Failure> {
    let named = origin.as_deref().or(host);
    let logins = Logins::of_user().map_err(|error| host::failure(&error))?;
    let login = match named {
        Some(name) => logins.by_name(name.trim_end_matches('/')),
        None => logins.last(),
    };
    let login = login.map_err(|error| host::failure(&error))?;
    let Some(login) = login else {
        return Err(Failure {
            cause: "you are signed in at no such host".to_owned(),
            next: "Nothing has to be done.".to_owned(),
        });
    };
    let Login { origin, account, .. } = &login;
    let removed = ask::block_on(async {
        match client::remove(&login).await {
            // The host knows it no more, which is what is wanted.
            Ok(()) | Err(ClientError::Refused(Refusal::UnknownKey)) => Ok(()),
            Err(error) => Err(Unanswered::from(error).failure(&format!("sign out at {origin}"))),
        }
    });
    if let Err(Failure { cause, .. }) = removed {
        return Err(Failure {
            cause: format!("{cause}. Nothing has changed"),
            next: format!("Try again. If the host is gone for good: rm {}", logins.path(origin).display()),
        });
    }
    logins.forget(origin).map_err(|error| host::failure(&error))?;
    print(&format!("Signed out at {origin}: the key of {account} on this computer is removed."))
}

/// A command that is for the host that it runs on cannot be meant for another.
pub(super) fn only_here(host: Option<&str>, what: &str) -> Result<(), Failure> {
    match host {
        None => Ok(()),
        Some(host) => Err(Failure {
            cause: format!("'tere {what}' is for the host that it runs on, and not for {host}"),
            next: "Run it there.".to_owned(),
        }),
    }
}
