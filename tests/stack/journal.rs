//! The journal records each decision: who, which session, which machine. The fields can be tested
//! only here; on a real host they are not part of the text.

use tere::names::{Label, PasskeyId};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;
use tere::protocol::{GuestRole, Refusal};

use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient, size};
use crate::parts::wait::eventually;
use crate::stories::on_host::{OpenHost, open_as, touched};
use crate::stories::{Policy, holder, marked};

#[test]
fn each_decision_names_account_session_and_machine_and_nothing_that_was_typed() {
    let host = Host::alone();
    let cursor = host.journal_cursor();
    let recorded = |words: &str, account: &str, session: &str, more: &str| {
        let wanted = [
            format!(" {words} account=\"{account}\""),
            format!(" session={session} "),
            " machine=web1 ".to_owned(),
            more.to_owned(),
        ];
        eventually(&format!("{words}, {account}, {more}"), PATIENCE, || {
            let journal = host.journal(&cursor);
            journal.lines().any(|line| wanted.iter().all(|part| line.contains(part))).then_some(())
        });
    };
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let shell = marked(&mut alice);
    let session = shell.session.clone();
    let id = session.as_str();
    let name = || Ask::Name { session: session.clone(), name: Label::cut("typed-by-somebody") };
    let share = |role| Ask::Share { session: session.clone(), account: "bob".parse().unwrap(), role };
    recorded("session opened", "alice", id, "user=dev");
    assert_eq!(alice.ask(name()).0, Answer::Named);
    recorded("session named", "alice", id, "owner=alice");
    assert_eq!(bob.ask(name()).0, Answer::Refused(Refusal::NoSuchSession));
    recorded("request refused", "bob", id, "asked=\"name\" refusal=no-such-session");
    assert_eq!(alice.ask(share(Some(GuestRole::Writer))).0, Answer::Shared);
    recorded("session shared", "alice", id, "guest=bob role=Writer");
    drop(bob.attach(&session).unwrap());
    recorded("session viewed", "bob", id, "owner=alice role=Writer");
    assert_eq!(alice.ask(share(None)).0, Answer::Shared);
    recorded("session not shared any more", "alice", id, "guest=bob");
    drop(operator.view(Ask::Show { session: session.clone() }).unwrap());
    recorded("session viewed", "(operator)", id, "owner=alice role=Watcher");
    host.kill_broker();
    recorded("session taken up", "alice", id, "");
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    assert_eq!(operator.ask(Ask::End { session: session.clone() }).0, Answer::Ending);
    recorded("end of session asked for", "(operator)", id, "owner=alice");
    recorded("session ended", "alice", id, "reason=ended-by-request");
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("exit 3\r");
    shell.expect_end();
    let id = shell.session.as_str();
    recorded("session ended", "alice", id, "reason=shell-ended exit_status=3");
    assert!(!host.journal(&cursor).contains("typed-by-somebody"));
}

#[test]
fn an_opening_in_a_machine_names_the_reason() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.set("reason = true");
    let cursor = host.journal_cursor();
    let (target, reason) = ("dev@web1".parse().unwrap(), "disk full".parse().ok());
    let mut alice = holder(&host, "alice");
    let shell = alice.view(Ask::Open { target, size: size(), reason }).unwrap();
    let wanted = format!(
        "session opened account=\"alice\" session={} machine=web1 user=dev owner=alice purpose=disk full",
        shell.session
    );
    eventually(&wanted, PATIENCE, || host.journal(&cursor).contains(&wanted).then_some(()));
}

#[test]
fn a_keyboard_that_the_policy_withdraws_is_recorded() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    let (session, role) = (shell.session.clone(), Some(GuestRole::Writer));
    let share = Ask::Share { session, account: "bob".parse().unwrap(), role };
    assert_eq!(alice.ask(share).0, Answer::Shared);
    let cursor = host.journal_cursor();
    policy.set("share = \"watch\"");
    let wanted = format!(
        "keyboard withdrawn by the policy account=\"alice\" session={} machine=web1 user=dev owner=alice guest=bob role=Watcher",
        shell.session
    );
    assert!(host.journal(&cursor).contains(&wanted), "{}", host.journal(&cursor));
}

#[test]
fn an_opening_on_the_host_names_the_passkey_and_the_reason() {
    let open = OpenHost::with("");
    let host = &open.host;
    let cursor = host.journal_cursor();
    let mut kept = touched(host, "alice", 1);
    let shell = kept.view(open_as("ops")).unwrap();
    assert_eq!(touched(host, "bob", 1).view(open_as("ops")).unwrap_err(), Refusal::NotGranted);
    let passkey = |account: &str| PasskeyId::of(account.as_bytes());
    for wanted in [
        format!(
            "session opened account=\"alice\" credential={} session={} machine=.host user=ops owner=alice purpose=disk full",
            passkey("alice"),
            shell.session
        ),
        format!(
            "request refused account=\"bob\" credential={} machine=.host user=ops asked=\"open\" refusal=not-granted",
            passkey("bob")
        ),
    ] {
        eventually(&wanted, PATIENCE, || host.journal(&cursor).contains(&wanted).then_some(()));
    }
}
