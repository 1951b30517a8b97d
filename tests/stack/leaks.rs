//! Many sessions, and what they leave behind.

use std::collections::BTreeMap;
use std::time::Duration;

use tere::protocol::EndReason;

use crate::host::Host;
use crate::parts::page::Page;
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::pool::{POOL, POOL_UNITS};
use crate::parts::wait::eventually;
use crate::stories::enrolment_token;

fn count(host: &Host) -> BTreeMap<&'static str, usize> {
    let entries = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().count();
    let descriptors = |(name, pid): (&'static str, u32)| (name, entries(format!("/proc/{pid}/fd").into()));
    let mut count: BTreeMap<_, _> = host.programs().map(descriptors).into();
    count.insert("units", host.session_units().len());
    count.insert("workers and shells", host.processes());
    count.insert("sockets", entries(host.path("/run/tere/session")));
    count.insert("records", entries(host.path("/run/tere-broker")));
    count
}

#[test]
fn quick_sessions_say_everything_and_leave_nothing() {
    let host = Host::alone();
    let mut page = Page::over(host.connect_to_front());
    page.enrol(&enrolment_token(&host, "alice"), &mut SoftAuthenticator::new(crate::parts::page::ORIGIN));
    let mut quick = |number: u16| {
        page.open(number, "dev@web1").unwrap();
        page.type_in(number, &format!("stty -echo; printf 'x%s.' {number}; exit\r"));
        page.expect(number, &format!("x{number}."));
        assert_eq!(page.expect_end(number), EndReason::ShellEnded);
    };
    quick(0);
    let soon = Duration::from_secs(20);
    let before = eventually("the first session is gone", soon, || {
        let now = count(&host);
        (now["units"] == POOL_UNITS && now["workers and shells"] == POOL).then_some(now)
    });
    (1..=30).for_each(quick);
    // No more than before. There can be less: the broker lets go of a worker a moment after its
    // units are gone.
    let mut after = BTreeMap::new();
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("everything is gone", soon, || {
            after = count(&host);
            after.iter().all(|(what, number)| *number <= before[what]).then_some(())
        });
    }));
    assert!(gone.is_ok(), "before {before:?}, after {after:?}");
}
