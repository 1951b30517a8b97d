//! tere-auth: verifies who somebody is.
//!
//! Reads: logins from the front, requests of `tere` on the host, its own account files.
//! Holds: accounts with their public keys, hashes of enrolment links; in memory, challenges, codes
//! of client keys that wait, and removed accounts that the broker has not confirmed.
//! Has given up: the network, D-Bus, all files but its state folder, starting programs.
//!
//! The broker decides what somebody may do. Auth vouches for a principal on a fresh connection to
//! the broker and hands that connection over: it is the principal channel. No cookie and no token
//! represents a login.
//!
//! | file | what it is |
//! | --- | --- |
//! | `login` | the state machine of a login connection: states and actions, no I/O |
//! | `login_socket` | `auth.sock`: the login connections themselves |
//! | `control_socket` | `control.sock`: requests of `tere` on the host |
//! | `bounds` | limits on connections, and deadlines for peers |
//! | `keys` | the keys of an account: listed and removed |
//! | `bindings` | client keys that wait until a person binds them to an account |
//! | `passkeys` | the ceremonies of WebAuthn |
//! | `secret` | the secret of an enrolment link, and its hash |
//! | `accounts` | all accounts, and the rules for changing them |
//! | `account_files` | the files of the accounts |
//! | `account_store` | the thread that holds both and changes them together |
//! | `vouch` | auth's end of `broker.sock` |
//! | `revocations` | removed accounts that the broker has not confirmed |

mod account_files;
mod account_store;
mod accounts;
mod bindings;
mod bounds;
mod clock;
mod control_socket;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod keys;
mod login;
mod login_socket;
mod passkeys;
mod revocations;
mod secret;
mod vouch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::config::Config;
use crate::record_limiter::RecordLimiter;
use crate::sandbox::{AllowedPath, Thread};
use crate::service::{self, Service, StartError};
use crate::wire::AsyncListener;
use control_socket::LocalUser;
use login_socket::ClaimedAccount;

/// tere's auth. systemd starts it; see tere-auth(8).
#[derive(Debug, Parser)]
#[command(name = "tere-auth", version)]
struct Flags {
    /// Where tere's sockets are.
    #[arg(long, value_name = "FOLDER", default_value = "/run/tere")]
    runtime_dir: PathBuf,
    /// Where the accounts are.
    #[arg(long, value_name = "FOLDER", env = "STATE_DIRECTORY", default_value = "/var/lib/tere-auth")]
    state_dir: PathBuf,
    /// The configuration [default: tere.toml among the service's credentials if they are given,
    /// else /etc/tere/tere.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Flags {
    fn config(&self) -> PathBuf {
        let credentials = || std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let given = || credentials().map(|folder| folder.join("tere.toml"));
        self.config.clone().or_else(given).unwrap_or_else(|| "/etc/tere/tere.toml".into())
    }
}

/// State that all connections share.
#[derive(Debug)]
struct Auth {
    accounts: account_store::AccountStore,
    party: Arc<passkeys::RelyingParty>,
    broker: vouch::Broker,
    bindings: Arc<bindings::Bindings>,
    revocations: revocations::Revocations,
    /// For all records of people who are not signed in.
    record_limiter: RecordLimiter<ClaimedAccount>,
    /// For the records of users of the host other than root.
    local_record_limiter: RecordLimiter<LocalUser>,
}

/// Runs the program `tere-auth`.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    service::exit(run(&flags))
}

fn run(flags: &Flags) -> Result<(), StartError> {
    let mut service = Service::begin("tere-auth")?;
    let logins = service.sockets("auth")?;
    let controls = service.sockets("control")?;
    let config = Config::load(&flags.config()).map_err(because)?;
    let party = passkeys::RelyingParty::new(&config.origin).map_err(because)?;
    let files = account_files::AccountFiles::open(&flags.state_dir).map_err(because)?;
    let accounts = files.read_all().map_err(because)?;
    let broker = vouch::Broker::at(flags.runtime_dir.join("broker.sock"));
    let paths = [AllowedPath::Write(flags.state_dir.clone())];
    let (accounts, mut store_ended) =
        account_store::AccountStore::open(accounts, files, &paths).map_err(because)?;
    service.run(Thread::Auth, &paths, async move || {
        let revocations = revocations::Revocations::new();
        let (party, record_limiter) = (Arc::new(party), RecordLimiter::default());
        let local_record_limiter = RecordLimiter::default();
        let bindings = Arc::default();
        let auth =
            Auth { accounts, party, broker, bindings, revocations, record_limiter, local_record_limiter };
        let auth = Arc::new(auth);
        tokio::spawn(revocations::serve(Arc::clone(&auth)));
        for socket in logins {
            let listener = AsyncListener::over(socket).map_err(|error| error.to_string())?;
            tokio::spawn(login_socket::serve(listener, Arc::clone(&auth)));
        }
        for socket in controls {
            let listener = AsyncListener::over(socket).map_err(|error| error.to_string())?;
            tokio::spawn(control_socket::serve(listener, Arc::clone(&auth)));
        }
        service::ready()?;
        store_ended.wait().await;
        Err("the thread that keeps the accounts has ended".to_owned())
    })
}

fn because(error: impl std::fmt::Display) -> StartError {
    StartError::Program(error.to_string())
}
