//! Two builds, one protocol version apart: the programs are replaced on a host on which people
//! work.
//!
//! `TERE_NEXT_PROGRAMS` is a folder with the programs of the next version: the same sources with
//! the feature `test-next-version`. The page's own protocol is the same in both, so a page works
//! throughout.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tere::protocol::page::FromPage;
use tere::protocol::{EndReason, Refusal};

use crate::host::Host;
use crate::parts::client::Client;
use crate::parts::page::Page;
use crate::parts::pool::POOL;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::enrolled;

const PROGRAMS: [&str; 4] = ["tere-front", "tere-auth", "tere-broker", "tere-session"];

/// The programs of the package, which are restored when the test ends, whatever its result.
struct Installed<'a> {
    host: &'a Host,
    kept: tempfile::TempDir,
}

impl<'a> Installed<'a> {
    fn keep(host: &'a Host) -> Self {
        let kept = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            std::fs::copy(installed(host, program), kept.path().join(program)).unwrap();
        }
        Self { host, kept }
    }

    /// Installs programs where the package has them, as dpkg does: complete files, under running
    /// programs.
    fn replace(&self, folder: &Path) {
        for program in PROGRAMS {
            let (at, new) = (installed(self.host, program), installed(self.host, "new"));
            std::fs::copy(folder.join(program), &new).unwrap();
            std::fs::rename(new, at).unwrap();
        }
    }

    fn restart(&self) {
        self.host.run(&["systemctl", "restart", "tere-broker", "tere-auth", "tere-front"]);
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        self.replace(self.kept.path());
        self.restart();
    }
}

fn installed(host: &Host, program: &str) -> PathBuf {
    host.path(&format!("/usr/lib/tere/{program}"))
}

fn next_programs() -> PathBuf {
    std::env::var_os("TERE_NEXT_PROGRAMS").expect("tests/run makes the programs of the next version").into()
}

#[test]
fn sessions_go_on_over_programs_of_another_version_and_back() {
    let host = Host::alone();
    let connect = || Page::over(host.connect_to_front());
    let passkey = Mutex::new(enrolled(&host, "alice").0);
    let mut client = Client::new(&connect, &passkey);
    ["v0", "v1", "v2"].into_iter().for_each(|tag| client.count(tag));
    client.look_until_further(100);
    let package = Installed::keep(&host);
    for (what, folder) in [("newer", next_programs()), ("older", package.kept.path().to_owned())] {
        let cursor = host.journal_cursor();
        package.replace(&folder);
        let away = client.away.len();
        package.restart();
        client.look_until_back(away);
        client.look_until_further(500);
        let journal = host.journal(&cursor);
        let again = journal.matches("restarting a worker of another version").count();
        assert!(again >= client.sessions.len(), "{what}: {journal}");
        // Everything else works too: a session opens, beside the others.
        client.count(what);
        client.look_until_further(100);
    }
    client.stop_counting();
}

#[test]
fn a_broker_that_was_not_restarted_says_so_and_ends_no_session() {
    let host = Host::alone();
    let connect = || Page::over(host.connect_to_front());
    let passkey = Mutex::new(enrolled(&host, "alice").0);
    let mut client = Client::new(&connect, &passkey);
    client.count("w0");
    let session = client.sessions[0].session.clone();
    let package = Installed::keep(&host);
    let cursor = host.journal_cursor();
    package.replace(&next_programs());
    // A worker that crashes now is restarted in the next version, and so is every new worker.
    host.kill_worker(&session);
    eventually("the broker says what to do", PATIENCE, || {
        host.journal(&cursor).contains("restart tere-broker").then_some(())
    });
    // The view uses the broker's version: it is closed rather than misread.
    assert_eq!(client.page.take().unwrap().expect_end(0), EndReason::ViewLost);
    let mut page = Page::over(host.connect_to_front());
    page.sign_in(&mut passkey.lock().unwrap());
    assert_eq!(page.attach(1, &session).unwrap_err(), Refusal::VersionMismatch);
    // The waiting workers still have the broker's version. Those that replace them have the next
    // one.
    let mut opened = Vec::new();
    let refusal = (2..).find_map(|channel| match page.open(channel, "dev@web1") {
        Ok(session) => {
            opened.push(session);
            assert!(opened.len() <= POOL, "{opened:?}");
            None
        }
        Err(refusal) => Some(refusal),
    });
    assert_eq!(refusal, Some(Refusal::VersionMismatch));
    for session in opened {
        page.say(&FromPage::EndSession { session });
    }
    // The advice in the broker's message works.
    package.restart();
    client.look_until_further(500);
    client.stop_counting();
}
