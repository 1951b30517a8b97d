//! What happens to a host while people work on it: upgrades and restarts of what tere stands on. A
//! session with a viewer goes on through all of it.

use tere::protocol::EndReason;

use crate::host::Host;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

#[test]
fn a_session_goes_on_through_an_upgrade_and_restarts_of_what_tere_stands_on() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    for (round, line) in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl kill -s KILL systemd-machined",
        "systemctl restart polkit",
        // What dpkg runs at an upgrade.
        "/var/lib/dpkg/info/tere.postinst configure 0.0.1",
    ]
    .into_iter()
    .enumerate()
    {
        host.sh(line);
        shell.type_in(&format!("echo {round}: still $mark\r"));
        shell.expect(&format!("{round}: still 42"));
        // And so does all the rest: a new session opens, a list is there.
        let (mut other, mut new) = eventually("tere answers", PATIENCE, || {
            let mut other = holder(&host, "alice");
            let new = other.open("dev@web1").ok()?;
            Some((other, new))
        });
        new.type_in("exit\r");
        assert_eq!(new.expect_end(), EndReason::ShellEnded);
        let mut viewer = other.attach(&shell.session).unwrap();
        viewer.type_in("echo seen $mark\r");
        viewer.expect("seen 42");
    }
}
