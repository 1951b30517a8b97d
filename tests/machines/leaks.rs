//! Many sessions, and what they leave behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tere::protocol::EndReason;
use tere::protocol::vouch::Principal;

use crate::host::Host;
use crate::parts::pool::{POOL, POOL_UNITS};
use crate::parts::shell::PrincipalClient;
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Everything that a session could leave behind, counted.
#[derive(Debug)]
struct Count(BTreeMap<&'static str, String>);

impl Count {
    /// The first count may include the remains of an earlier session; the last count must not.
    fn is_no_more_than(&self, before: &Self) -> bool {
        let number = |text: &String| text.parse::<usize>().unwrap();
        self.0.iter().all(|(what, after)| number(after) <= number(&before.0[what]))
    }
}

fn count(host: &Host) -> Count {
    let mut count = BTreeMap::new();
    let mut look = |what, line: &str| count.insert(what, host.sh(line));
    look("units", "systemctl list-units --all --plain --no-legend 'tere-session@*' | wc -l");
    look("failed units", "systemctl list-units --failed --plain --no-legend | wc -l");
    look("sockets", "ls /run/tere/session 2>/dev/null | wc -l");
    look("records", "ls /run/tere-broker | wc -l");
    look("workers", "pgrep -c tere-session || true");
    look("dynamic users", "ls /run/systemd/dynamic-uid | grep -c '^tere-[a-z2-7]\\{12\\}$' || true");
    look("PTYs on the host", "ls /dev/pts | wc -l");
    look("PTYs in the machine", "ls /proc/$(machinectl show -P Leader web1)/root/dev/pts | wc -l");
    look(
        "shells in the machine",
        "machinectl -q list >/dev/null; systemd-cgls -M web1 2>/dev/null | grep -c container-shell || true",
    );
    // Connections of idle clients are not counted: only those of this test are open.
    look("descriptors of the broker", "ls /proc/$(systemctl show -P MainPID tere-broker)/fd | wc -l");
    Count(count)
}

fn quick(holder: &mut PrincipalClient, number: usize) {
    let mut shell = holder.open("dev@web1").unwrap();
    shell.type_in(&format!("stty -echo; printf 'x%s.' {number}; exit\r"));
    shell.expect(&format!("x{number}."));
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
}

/// Needs the host alone, because it counts.
#[test]
fn quick_sessions_say_everything_and_leave_nothing() {
    let host = Host::alone();
    // Sessions that other tests left running might end during the count.
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    operator.end_all_sessions();
    eventually("the host is empty", Duration::from_secs(20), || {
        (host.session_units().len() == POOL_UNITS).then_some(())
    });
    let mut alice = holder(&host, "alice");
    quick(&mut alice, 0);
    let before = eventually("the first session is gone", Duration::from_secs(20), || {
        let now = count(&host);
        let is = |what, number: usize| now.0[what] == number.to_string();
        (is("units", POOL_UNITS) && is("workers", POOL)).then_some(now)
    });

    for number in 1..=500 {
        quick(&mut alice, number);
    }
    std::thread::scope(|scope| {
        for number in 1000..1050 {
            // A single account may not have this many channels.
            let account = if number % 2 == 0 { "alice" } else { "bob" };
            let host = &host;
            scope.spawn(move || quick(&mut holder(host, account), number));
        }
    });

    let mut after = count(&host);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !after.is_no_more_than(&before) && Instant::now() < deadline {
        after = count(&host);
    }
    assert!(after.is_no_more_than(&before), "before {before:#?}\nafter {after:#?}");
}
