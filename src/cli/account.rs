use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::host::Host;
use super::{ask, inheritance, print, session, table, time};
use crate::clock;
use crate::names::{AccountName, ClientKeyId, MachineName, UserUid};
use crate::protocol::SessionSummary;
use crate::protocol::control::{
    ACCOUNTS_A_PAGE, AccountSummary, FromCli, KeyKind, KeySummary, ToCli, UnusableFile,
};

/// The subcommands for accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account, and print an enrolment link for it.
    ///
    /// Give the link to the person. Opened in a browser, once and within 15 minutes, it registers
    /// a passkey and signs them in. What the account may open is written in /etc/tere/tere.toml.
    Add {
        #[command(flatten)]
        named: Named,
        /// Give the account the machines and homes that are there under its name, those of an earlier
        /// account of that name for instance. Without this, the account is not made if there are any.
        #[arg(long)]
        inherit: bool,
    },
    /// List all accounts, and account files that cannot be used.
    List {
        /// Print JSON: an array of objects with account, created, passkeys, last_sign_in, unix_users
        /// (uids), unusable. Times are seconds since 1970. unusable is the path of a file that
        /// cannot be used; for such a file only account may be known as well.
        #[arg(long)]
        json: bool,
    },
    /// Remove an account with its passkeys and its link, and close its connections.
    ///
    /// The account's sessions go on, and are printed. From then on only root sees them, with 'tere
    /// session list', and can end them with 'tere end'. A later account of the same name
    /// has no right to them.
    Remove {
        /// The account.
        #[arg(value_name = "NAME")]
        account: AccountName,
        /// Print JSON: an object with account, sessions (the ids of the sessions that go on, or null if
        /// the broker did not answer) and machines (those that are kept).
        #[arg(long)]
        json: bool,
    },
    /// Print a new enrolment link for an account, to register another passkey or after the first
    /// link has expired. An older link stops working.
    Link(Named),
    /// Let a UNIX user of this host act as an account at the command line, without a passkey: open,
    /// attach to and list what the account may.
    ///
    /// A shell on the host itself needs a passkey all the same.
    AddUnixUser(UnixUserOf),
    /// No longer let a UNIX user act as an account. What it had attached is closed; sessions go on.
    RemoveUnixUser(UnixUserOf),
    /// List where an account is signed in: its client keys and the resume keys of its pages.
    ///
    /// With a client key, a command line signs in from afar; the person binds one with 'tere login'.
    /// With a resume key, a page comes back without a touch of the passkey. What the keys are good for
    /// is written in /etc/tere/tere.toml.
    ListKeys {
        /// The account.
        #[arg(value_name = "ACCOUNT")]
        account: AccountName,
        /// Print JSON: an array of objects with kind (command-line or page), key, name, bound,
        /// last_sign_in, source (the address that it was bound from, or null for this host). Times are
        /// seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Remove a client key or a resume key of an account. What it has open is closed at once;
    /// sessions go on.
    RemoveKey {
        /// The account.
        #[arg(value_name = "ACCOUNT")]
        account: AccountName,
        /// The key, as 'tere account list-keys' shows it.
        #[arg(value_name = "KEY")]
        key: ClientKeyId,
    },
}

/// A UNIX user of the host, and an account.
#[derive(Debug, Args)]
pub(super) struct UnixUserOf {
    /// The account.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,
    /// The UNIX user: a name or a uid.
    #[arg(value_name = "USER")]
    user: String,
}

impl UnixUserOf {
    /// The uid of the user.
    fn uid(&self) -> Result<UserUid, Failure> {
        let unknown = |why: String| Failure {
            cause: format!("there is no UNIX user {}{why}", self.user),
            next: "'getent passwd' lists them. A uid is taken as it is.".to_owned(),
        };
        let uid = match self.user.parse::<u32>() {
            Ok(uid) => uid,
            Err(_) => match nix::unistd::User::from_name(&self.user) {
                Ok(Some(user)) => user.uid.as_raw(),
                Ok(None) => return Err(unknown(String::new())),
                Err(error) => return Err(unknown(format!(": {}", error.desc()))),
            },
        };
        UserUid::try_from(uid).map_err(|error| Failure {
            cause: format!("{} cannot act as an account: {error}", self.user),
            next: "Name a UNIX user who is a person.".to_owned(),
        })
    }
}

/// An account name, and the format of the output.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The account: 1 to 32 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit.
    #[arg(value_name = "NAME")]
    account: AccountName,
    /// Print JSON: an object with account, link, expires (seconds since 1970).
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command, runtime_dir: &Path) -> Result<ExitCode, Failure> {
    match command {
        Command::Add { named: Named { account, json }, inherit } => {
            let what = format!("add the account {account}");
            if !inherit {
                inheritance::refuse(&account)?;
            }
            link(ask::auth(runtime_dir, &FromCli::AccountAdd(account), &what)?, json)
        }
        Command::Link(Named { account, json }) => {
            let what = format!("make a link for {account}");
            link(ask::auth(runtime_dir, &FromCli::AccountLink(account), &what)?, json)
        }
        Command::AddUnixUser(of) => {
            let what = format!("let {} act as {}", of.user, of.account);
            ask::auth(runtime_dir, &FromCli::AccountAddUnixUser(of.account.clone(), of.uid()?), &what)?;
            print(&format!(
                "The UNIX user {} may act as {}: 'tere open', 'tere attach'.",
                of.user, of.account
            ))
        }
        Command::RemoveUnixUser(of) => {
            let what = format!("take {} away from {}", of.user, of.account);
            ask::auth(runtime_dir, &FromCli::AccountRemoveUnixUser(of.account.clone(), of.uid()?), &what)?;
            print(&format!("The UNIX user {} may no longer act as {}.", of.user, of.account))
        }
        Command::ListKeys { account, json } => {
            let what = format!("list the client keys of {account}");
            match ask::auth(runtime_dir, &FromCli::AccountKeys(account.clone()), &what)? {
                ToCli::Keys(keys) => list_keys(&account, keys, json),
                ToCli::Done
                | ToCli::Link { .. }
                | ToCli::Accounts(_)
                | ToCli::Unusable { .. }
                | ToCli::Refused(_)
                | ToCli::Principal(_) => out_of_turn(),
            }
        }
        Command::RemoveKey { account, key } => {
            let what = format!("remove the client key {key} of {account}");
            ask::auth(runtime_dir, &FromCli::AccountRemoveKey(account.clone(), key.clone()), &what)?;
            print(&format!("The client key {key} is removed. Nobody signs in as {account} with it."))
        }
        Command::List { json } => list(all(runtime_dir)?, unusable(runtime_dir)?, json),
        Command::Remove { account, json } => {
            let what = format!("remove the account {account}");
            match ask::auth(runtime_dir, &FromCli::AccountRemove(account.clone()), &what)? {
                ToCli::Done => {
                    let (sessions, machines) = (
                        session::of(&account, &Host::Here(runtime_dir.to_owned())),
                        inheritance::machines_of(&account),
                    );
                    print(&removed(&account, sessions, &machines, json))
                }
                ToCli::Link { .. }
                | ToCli::Accounts(_)
                | ToCli::Unusable { .. }
                | ToCli::Keys(_)
                | ToCli::Refused(_)
                | ToCli::Principal(_) => out_of_turn(),
            }
        }
    }
}

fn list_keys(account: &AccountName, keys: Vec<KeySummary>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let object = |key: KeySummary| {
            json!({
                "kind": key.kind,
                "key": key.key,
                "name": key.name,
                "bound": key.bound,
                "last_sign_in": key.last_sign_in,
                "source": key.source,
            })
        };
        return print(&serde_json::Value::from_iter(keys.into_iter().map(object)).to_string());
    }
    if keys.is_empty() {
        return print(&format!(
            "{account} has no keys. A person gets one by signing in to the page, or: tere login"
        ));
    }
    let now = clock::now();
    let row = |key: KeySummary| {
        vec![
            key.key.to_string(),
            kind(key.kind).to_owned(),
            key.name.to_string(),
            time::told(key.bound, now),
            key.source.map_or_else(|| "this host".to_owned(), |source| source.to_string()),
            key.last_sign_in.map_or_else(|| "never".to_owned(), |last| time::told(last, now)),
        ]
    };
    print(&table(
        &["KEY", "KIND", "NAME", "BOUND", "FROM", "LAST SIGN-IN"],
        keys.into_iter().map(row).collect(),
    ))
}

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::CommandLine => "command line",
        KeyKind::Page => "page",
    }
}

/// Reports that an account was removed, with its sessions, because they continue, and its machines,
/// because they are kept.
fn removed(
    account: &AccountName,
    sessions: Result<Vec<SessionSummary>, Failure>,
    machines: &[MachineName],
    json: bool,
) -> String {
    if json {
        let ids = |sessions: Vec<SessionSummary>| sessions.into_iter().map(|session| session.id).collect();
        let ids: Option<Vec<_>> = sessions.ok().map(ids);
        return json!({ "account": account, "sessions": ids, "machines": machines }).to_string();
    }
    let kept = machines.iter().map(|machine| {
        format!(
            "\nIts machine {machine} is kept. Remove it, with its home: tere machine remove --home {machine}"
        )
    });
    let removed = format!("The account {account} is removed.{}", kept.collect::<String>());
    let sessions = match sessions {
        Ok(sessions) if sessions.is_empty() => return removed,
        Ok(sessions) => sessions,
        Err(Failure { cause, .. }) => {
            return format!(
                "{removed}\nWhich of its sessions go on is not known: {cause}\n'tere list' shows them."
            );
        }
    };
    let now = clock::now();
    let row = |session: SessionSummary| {
        vec![session.id.to_string(), session.target.to_string(), time::relative(session.opened, now)]
    };
    let rows = sessions.into_iter().map(row).collect();
    format!(
        "{removed}\nIts sessions go on, and nobody but root sees them. End one: tere end ID\n\n{}",
        table(&["SESSION", "TARGET", "OPENED"], rows)
    )
}

fn link(reply: ToCli, json: bool) -> Result<ExitCode, Failure> {
    match reply {
        ToCli::Link { account, link, expires } if json => {
            print(&json!({ "account": account, "link": link.reveal(), "expires": expires }).to_string())
        }
        ToCli::Link { account, link, expires } => {
            let until = time::told(expires, clock::now());
            print(&format!(
                "{}\n\nThis link registers a passkey for {account}, once. It expires {until}.\n\
                 It is shown only now: whoever has it can sign in as {account}.",
                link.reveal()
            ))
        }
        ToCli::Accounts(_)
        | ToCli::Unusable { .. }
        | ToCli::Keys(_)
        | ToCli::Done
        | ToCli::Refused(_)
        | ToCli::Principal(_) => out_of_turn(),
    }
}

/// An account file that cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The account that it belongs to, if that part of the file is readable.
    pub(super) account: Option<AccountName>,
    pub(super) path: PathBuf,
}

/// The account files that cannot be used.
pub(super) fn unusable(runtime_dir: &Path) -> Result<Vec<Unusable>, Failure> {
    match ask::auth(runtime_dir, &FromCli::AccountUnusable, "list the account files that cannot be used")? {
        ToCli::Unusable { folder, files } => {
            // A file name may contain control characters, and terminals act on them.
            let shown = |name: &str| name.replace(char::is_control, "\u{fffd}");
            let folder = PathBuf::from(shown(&folder));
            let one =
                |file: UnusableFile| Unusable { account: file.name, path: folder.join(shown(&file.file)) };
            Ok(files.into_iter().map(one).collect())
        }
        ToCli::Link { .. }
        | ToCli::Accounts(_)
        | ToCli::Keys(_)
        | ToCli::Done
        | ToCli::Refused(_)
        | ToCli::Principal(_) => Err(Failure::out_of_turn("tere-auth")),
    }
}

/// All accounts.
fn all(runtime_dir: &Path) -> Result<Vec<AccountSummary>, Failure> {
    let mut all: Vec<AccountSummary> = Vec::new();
    loop {
        let after = all.last().map(|account| account.name.clone());
        let ToCli::Accounts(page) =
            ask::auth(runtime_dir, &FromCli::AccountList { after }, "list the accounts")?
        else {
            return Err(Failure::out_of_turn("tere-auth"));
        };
        let is_last = page.len() < ACCOUNTS_A_PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn list(accounts: Vec<AccountSummary>, unusable: Vec<Unusable>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let object = |account: AccountSummary| {
            json!({
                "account": account.name,
                "created": account.created,
                "passkeys": account.passkeys,
                "last_sign_in": account.last_sign_in,
                "unix_users": account.unix_users,
                "unusable": null,
            })
        };
        let unusable_object = |unusable: Unusable| {
            json!({
                "account": unusable.account,
                "created": null,
                "passkeys": null,
                "last_sign_in": null,
                "unix_users": null,
                "unusable": unusable.path.to_string_lossy(),
            })
        };
        let all = accounts.into_iter().map(object).chain(unusable.into_iter().map(unusable_object));
        return print(&serde_json::Value::from_iter(all).to_string());
    }
    let mut parts = Vec::new();
    if accounts.is_empty() {
        parts.push("There are no accounts. Make one: tere account add NAME".to_owned());
    } else {
        parts.push(usable_table(accounts));
    }
    if !unusable.is_empty() {
        let row = |unusable: Unusable| {
            let account = unusable.account.map_or_else(|| "?".to_owned(), String::from);
            vec![account, unusable.path.display().to_string()]
        };
        parts.push(format!(
            "These files cannot be used: 'journalctl -u tere-auth' says why. Mend a file and restart tere-auth, \
             or remove it with its account.\n\n{}",
            table(&["ACCOUNT", "FILE"], unusable.into_iter().map(row).collect())
        ));
    }
    print(&parts.join("\n\n"))
}

fn usable_table(accounts: Vec<AccountSummary>) -> String {
    let now = clock::now();
    let row = |account: AccountSummary| {
        let last = account.last_sign_in.map_or_else(|| "never".to_owned(), |last| time::told(last, now));
        let users: Vec<_> = account.unix_users.iter().map(|uid| user_name(*uid)).collect();
        vec![
            account.name.to_string(),
            account.passkeys.to_string(),
            time::told(account.created, now),
            last,
            users.join(", "),
        ]
    };
    let rows = accounts.into_iter().map(row).collect();
    table(&["ACCOUNT", "PASSKEYS", "CREATED", "LAST SIGN-IN", "UNIX USERS"], rows)
}

/// The name of a UNIX user, or its uid if it has none any more.
fn user_name(uid: UserUid) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid.get()));
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

fn out_of_turn() -> Result<ExitCode, Failure> {
    Err(Failure::out_of_turn("tere-auth"))
}
