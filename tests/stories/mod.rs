//! Stories that run twice: with the real programs among fakes, and on a booted host with the real
//! systemd and machined. An error in a fake shows as a story that ends differently.
//!
//! The ring that includes this module has a module `host` with a `Host`, which offers
//!
//! | method | what it gives |
//! | --- | --- |
//! | `shared`, `alone` | a host with web1 running; for tests that share one, or need it alone |
//! | `path` | a path in it as the test reaches it; sockets too |
//! | `connect_to_front` | a connection to the front |
//! | `tere` | what `tere` prints when root runs it there |
//! | `tere_of` | a command line of `tere` for the UNIX user of an account |
//! | `session_units` | the units of sessions that are loaded |
//! | `journal`, `journal_cursor` | what tere recorded since then |
//! | `reload_broker` | whether the policy it was told to read is good |
//! | `restart_front_and_auth`, `restart_broker`, `kill_broker` | trouble in tere |
//! | `kill_worker`, `restart_worker` | trouble in one session |
//! | `power_off`, `stop_machined`, `start_machined` | trouble around tere |
//! | `worker_memory` | private memory of a session's worker, bytes |
//! | `user_of_shells` | the user as which a shell in a machine runs |
//! | `add_host_user`, `rules_changed` | a user of the host itself; polkit has read its rules again |
//!
//! The policy of the host: alice and bob may be `dev@web1`, and alice may share her sessions there.
//! alice may also be `dev@nobus`, `dev@absent` and `nobody-there@web1`.

mod afar;
pub mod attacks;
mod ends;
mod exec;
mod flood;
mod logins;
pub mod on_host;
mod pages;
mod programs;
mod resume;
mod sessions;
mod sharing;
mod touches;
mod trouble;
mod viewers;

use tere::protocol::vouch::Principal;

use crate::host::Host;
use crate::parts::page::{ORIGIN, Page};
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::{PrincipalClient, Shell};

/// A principal channel of an account, vouched for in the way auth does it.
pub fn holder(host: &Host, account: &str) -> PrincipalClient {
    let principal = Principal::Account(account.parse().unwrap());
    PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), principal)
}

/// The policy of a host, which is put back at the end.
pub struct Policy<'a> {
    host: &'a Host,
    before: String,
}

impl<'a> Policy<'a> {
    const PATH: &'static str = "/etc/tere/tere.toml";

    pub fn of(host: &'a Host) -> Self {
        Self { host, before: std::fs::read_to_string(host.path(Self::PATH)).unwrap() }
    }

    /// Writes the policy with the line `share = true` of alice's grant replaced by these.
    pub fn write(&self, lines: &str) {
        let text = self.before.replace("share = true", lines);
        assert!(text != self.before || lines == "share = true");
        std::fs::write(self.host.path(Self::PATH), text).unwrap();
    }

    /// Puts the policy into force with these tables in addition.
    pub fn add(&self, tables: &str) {
        std::fs::write(self.host.path(Self::PATH), format!("{}\n{tables}", self.before)).unwrap();
        assert!(self.host.reload_broker(), "{tables}");
    }

    /// Puts the policy into force with these lines at its beginning, before all tables.
    pub fn begin(&self, lines: &str) {
        std::fs::write(self.host.path(Self::PATH), format!("{lines}\n{}", self.before)).unwrap();
        assert!(self.host.reload_broker(), "{lines}");
    }

    /// Writes the policy as [`Self::write`] does, and puts it into force.
    pub fn set(&self, lines: &str) {
        self.write(lines);
        assert!(self.host.reload_broker(), "{lines}");
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        drop(std::fs::write(self.host.path(Self::PATH), &self.before));
        self.host.reload_broker();
    }
}

/// Opens a shell and sets a variable in it, which later proves that it is the same shell.
pub fn marked(holder: &mut PrincipalClient) -> Shell {
    let mut shell = holder.open("dev@web1").unwrap();
    shell.type_in("mark=$((6*7)); echo set $mark\r");
    shell.expect("set 42");
    shell
}

/// The secret of an enrolment link for an account without passkeys. All existing connections of the
/// account are closed, so this is only for a test that is alone on its host.
pub fn enrolment_token(host: &Host, account: &str) -> String {
    // Fails if there is no such account.
    host.tere(&["account", "remove", account]);
    // A test that failed may have left machines of the account.
    let (added, printed) = host.tere(&["account", "add", account, "--inherit", "--json"]);
    assert!(added, "no account {account}");
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    printed["link"].as_str().unwrap().split_once("#enrol=").unwrap().1.to_owned()
}

/// A page on which an account has just registered a passkey, and the authenticator that holds it. Like
/// [`enrolment_token`], only for a test that is alone on its host.
pub fn enrolled(host: &Host, account: &str) -> (SoftAuthenticator, Page) {
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    let mut page = Page::over(host.connect_to_front());
    page.enrol(&enrolment_token(host, account), &mut passkey);
    (passkey, page)
}
