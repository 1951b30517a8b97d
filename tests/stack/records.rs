//! What happens to sessions about which the next broker knows less, or nothing.

use tere::protocol::Refusal;
use tere::protocol::principal::{Answer, Ask};

use crate::host::Host;
use crate::parts::pool::POOL_UNITS;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::{holder, marked};

/// The situation after a downgrade to a build that cannot read what the newer build wrote.
#[test]
fn a_session_whose_record_cannot_be_read_is_left_alone_until_it_can() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let record = host.path(&format!("/run/tere-broker/{}.json", shell.session));
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace(r#""guests":[]"#, r#""guests":["everybody"]"#)).unwrap();
    let cursor = host.journal_cursor();
    host.kill_broker();
    // The broker no longer knows whose views the session had.
    shell.expect_closed();
    let mut alice = holder(&host, "alice");
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    eventually("its file is named", PATIENCE, || {
        let journal = host.journal(&cursor);
        journal
            .lines()
            .any(|line| line.contains("ERROR") && line.contains(record.to_str().unwrap()))
            .then_some(())
    });
    eventually("the orphans are stopped, and it is none", PATIENCE, || {
        (host.session_units().len() == POOL_UNITS + 2).then_some(())
    });

    // A field that a later build added is tolerated, and not lost.
    std::fs::write(&record, text.replacen('{', r#"{"colour":"red","#, 1)).unwrap();
    host.kill_broker();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.attach(&shell.session).unwrap();
    shell.type_in("echo still $mark\r");
    shell.expect("still 42");
    let name = Ask::Name { session: shell.session.clone(), name: tere::names::Label::cut("build") };
    assert_eq!(alice.ask(name).0, Answer::Named);
    let text = std::fs::read_to_string(&record).unwrap();
    assert!(text.contains(r#""colour":"red""#) && text.contains("build"), "{text}");
}

#[test]
fn orphans_are_stopped_once_systemd_answers_and_nothing_else_is() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut kept = marked(&mut alice);
    let mut orphan = marked(&mut alice);
    host.stop_systemd();
    std::fs::remove_file(host.path(&format!("/run/tere-broker/{}.json", orphan.session))).unwrap();
    let cursor = host.journal_cursor();
    host.kill_broker();
    kept.expect_closed();
    eventually("systemd was asked", PATIENCE, || {
        host.journal(&cursor).contains("systemd cannot be asked for units of sessions").then_some(())
    });
    host.start_systemd();
    let mut alice = holder(&host, "alice");
    let opened = marked(&mut alice);
    orphan.expect_closed();
    eventually("only what was kept, opened, or waits has units", PATIENCE, || {
        (host.session_units().len() == 2 * 2 + POOL_UNITS).then_some(())
    });
    for (session, mark) in [(&kept.session, "kept"), (&opened.session, "opened")] {
        let mut again = alice.attach(session).unwrap();
        again.type_in(&format!("echo {mark} $mark\r"));
        again.expect(&format!("{mark} 42"));
    }
}
