//! Sessions, as a principal channel sees them.

use tere::names::Label;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::{EndReason, Refusal};

use super::{holder, marked};
use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell, size};
use crate::parts::wait::eventually;

#[test]
fn a_shell_opens_types_resizes_and_ends() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.expect("$ ");
    shell.type_in("bind 'set enable-bracketed-paste off'; PS1='> '; clear\r");
    shell.expect("\u{1b}[H\u{1b}[2J");
    shell.expect("> ");
    shell.type_in("id -un; tput cols; echo \"$TERM $COLORTERM $LANG\"; printf '\\u4f60\\u597d\\n'\r");
    let user = host.user_of_shells("dev");
    shell.expect(&format!("\r\n{user}\r\n80\r\nxterm-256color truecolor C.UTF-8\r\n你好\r\n"));
    shell.resize(132, 50);
    shell.type_in("tput cols; tput lines\r");
    shell.expect("\r\n132\r\n50\r\n");
    shell.type_in("exit\r");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
}

fn same_shell(shell: &mut Shell) {
    shell.type_in("echo still $mark\r");
    shell.expect("still 42");
}

#[test]
fn a_session_outlives_its_connection_and_only_its_owner_comes_back_to_it() {
    let host = Host::shared();
    let mut first = holder(&host, "alice");
    let mut shell = marked(&mut first);
    drop(first);
    shell.expect_closed();
    let mut second = holder(&host, "alice");
    same_shell(&mut second.attach(&shell.session).unwrap());
    let mut bob = holder(&host, "bob");
    assert_eq!(bob.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
}

#[test]
fn a_restart_of_front_auth_and_broker_ends_no_session() {
    let host = Host::alone();
    let mut first = holder(&host, "alice");
    let mut shell = marked(&mut first);
    host.restart_front_and_auth();
    // An existing viewer continues, whatever is restarted behind it.
    same_shell(&mut shell);
    for how in ["restart", "kill -9"] {
        if how == "restart" {
            host.restart_broker()
        } else {
            host.kill_broker()
        }
        // The broker that vouched for the viewers is gone, and so are they; the session is not.
        shell.expect_closed();
        let mut again = holder(&host, "alice");
        let (lobby, _) = again.ask(Ask::Lobby);
        let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
        assert!(sessions.iter().any(|session| session.id == shell.session), "after {how}: {sessions:?}");
        shell = again.attach(&shell.session).unwrap();
        same_shell(&mut shell);
    }
    let mut last = holder(&host, "alice");
    let mut viewer = last.attach(&shell.session).unwrap();
    viewer.type_in("exit\r");
    assert_eq!(viewer.expect_end(), EndReason::ShellEnded);
    eventually("its units are gone", PATIENCE, || {
        let units = host.session_units();
        (!units.iter().any(|unit| unit.contains(shell.session.as_str()))).then_some(())
    });
}

/// Every line that the shell prints arrives once and in order, whatever becomes of the worker.
#[test]
fn a_worker_that_is_killed_or_restarted_loses_no_line() {
    const LINES: usize = 6_000;
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("stty -echo; PS1=; echo ready $((1+1))\r");
    shell.expect("ready 2");
    // At most 2000 lines per second, so that a viewer does not become late while its worker is slow
    // to return.
    shell.type_in(&format!(
        "exec 9<> <(:); i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; \
         [ $((i % 20)) = 0 ] && read -t 0.01 -u 9; done; echo over $i\r"
    ));
    for part in 1..=5 {
        shell.expect(&format!("line {}\r\n", part * LINES / 10));
        if part % 2 == 0 { host.restart_worker(&shell.session) } else { host.kill_worker(&shell.session) }
    }
    shell.expect_lines(LINES / 2 + 1, LINES, &format!("over {LINES}\r\n"));
    // A viewer that returns finds the same shell, and the shell ends as usual.
    let mut again = alice.attach(&shell.session).unwrap();
    again.type_in("echo $((i+1)) still\r");
    again.expect(&format!("{} still", LINES + 1));
    again.type_in("exit\r");
    assert_eq!(again.expect_end(), EndReason::ShellEnded);
    let session = again.session.as_str();
    eventually("its units are gone", PATIENCE, || {
        (!host.session_units().iter().any(|unit| unit.contains(session))).then_some(())
    });
}

/// Input that a program has not read yet is held by the worker, and the next worker types it: all
/// of it, once, in order.
#[test]
fn a_worker_that_is_killed_or_restarted_loses_nothing_that_is_typed() {
    const PASTED: usize = 96 * 1024;
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    let mut other = alice.open("dev@web1").unwrap();
    let gate = format!("/tmp/gate-{}", shell.session);
    shell.type_in(&format!(
        "mkfifo {gate}; stty raw -echo; echo deaf $((1+1)); read <{gate}; came=$(head -c {PASTED} | cksum); stty sane; \
         [ \"$came\" = \"$(yes 0123456789abcde | head -c {PASTED} | cksum)\" ] && echo came whole $((1+1))\r"
    ));
    shell.expect("deaf 2");
    for _ in 0..6 {
        shell.type_in(&"0123456789abcde\n".repeat(PASTED / 6 / 16));
        // The worker has the input when it answers a request sent after it.
        let before = shell.screen.wholes;
        shell.refresh();
        while shell.screen.wholes == before {
            shell.step(PATIENCE).unwrap();
        }
    }
    host.kill_worker(&shell.session);
    host.restart_worker(&shell.session);
    other.type_in(&format!("echo >{gate}; rm {gate}; exit\r"));
    other.expect_end();
    shell.expect("came whole 2");
}

#[test]
fn a_removed_account_and_a_narrower_policy_close_what_is_open() {
    let host = Host::alone();
    host.tere(&["account", "add", "carol"]);
    let policy = std::fs::read_to_string(host.path("/etc/tere/tere.toml")).unwrap();
    let grant = "[[grant]]\naccounts = [\"carol\"]\nmachine = \"web1\"\nuser = \"dev\"\n";
    let write = |text: &str| std::fs::write(host.path("/etc/tere/tere.toml"), text).unwrap();

    write(&format!("{policy}\n{grant}"));
    assert!(host.reload_broker());
    let mut carol = holder(&host, "carol");
    let mut shell = marked(&mut carol);

    // A bad policy changes nothing and is reported.
    write(&format!("{policy}\n[[grant]]\naccount = 1\n"));
    assert!(!host.reload_broker());
    same_shell(&mut shell);

    // A narrower policy closes the view. The session continues, but cannot be reached.
    write(&policy);
    assert!(host.reload_broker());
    shell.expect_closed();
    assert_eq!(carol.attach(&shell.session).unwrap_err(), Refusal::NotGranted);

    write(&format!("{policy}\n{grant}"));
    assert!(host.reload_broker());
    let mut viewer = carol.attach(&shell.session).unwrap();
    same_shell(&mut viewer);
    host.tere(&["account", "remove", "carol"]);
    viewer.expect_closed();
    write(&policy);
    assert!(host.reload_broker());
    host.tere(&["end", shell.session.as_str()]);
}

#[test]
fn a_session_in_a_machine_ends_at_its_time_limit_if_its_grant_has_one() {
    let host = Host::alone();
    host.tere(&["account", "add", "carol"]);
    let policy = std::fs::read_to_string(host.path("/etc/tere/tere.toml")).unwrap();
    let grant =
        "[[grant]]\naccounts = [\"carol\"]\nmachine = \"web1\"\nuser = \"dev\"\ntime-limit = \"5s\"\n";
    let write = |text: &str| {
        std::fs::write(host.path("/etc/tere/tere.toml"), text).unwrap();
        assert!(host.reload_broker());
    };
    write(&format!("{policy}\n{grant}"));
    let mut carol = holder(&host, "carol");
    let mut shell = carol.open("dev@web1").unwrap();
    assert_eq!(shell.expect_end(), EndReason::TimeLimit);
    write(&policy);
    host.tere(&["account", "remove", "carol"]);
}

/// The session's entry in a list, and what the operator sees of it.
#[test]
fn a_session_is_listed_with_its_name_and_title_and_shown_as_text() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in(
        "PS1='> '; printf '\\033]2;the title\\007\\033[2J\\033[H\\033[1mbold\\033[m\\n'; echo sho''wn\r",
    );
    shell.expect("shown");
    let session = shell.session.clone();
    let listed = |holder: &mut PrincipalClient| {
        let (lobby, _) = holder.ask(Ask::Lobby);
        let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
        sessions.into_iter().find(|one| one.id == session).unwrap()
    };
    let name = Label::cut("the build");
    assert_eq!(alice.ask(Ask::Name { session: session.clone(), name: name.clone() }).0, Answer::Named);
    let about = eventually("the title is listed", PATIENCE, || {
        let listed = listed(&mut alice);
        assert_eq!(listed.name, name);
        listed.about.filter(|about| about.title == Label::cut("the title"))
    });
    assert_eq!((about.size, about.viewers), (size(), 1));

    let (shown, text) = host.tere(&["show", session.as_str()]);
    assert!(shown && text.starts_with("bold\nshown\n"), "{text}");
    let (shown, json) = host.tere(&["show", session.as_str(), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(shown && json["title"] == "the title" && json["screen"][0] == "bold", "{json}");
    assert!(json["modes"]["alternate_screen"] == false && json.get("cells").is_none(), "{json}");
    let (shown, json) = host.tere(&["show", session.as_str(), "--json", "--cells"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let bold = serde_json::json!([{ "col": 0, "cols": 4, "text": "bold", "attributes": ["bold"] }]);
    assert!(shown && json["cells"][0] == bold, "{json}");
    let (shown, ansi) = host.tere(&["show", session.as_str(), "--ansi"]);
    assert!(shown && ansi.contains("\u{1b}[0;1mbold") || ansi.contains("\u{1b}[1mbold"), "{ansi:?}");
    let (_, list) = host.tere(&["list"]);
    assert!(list.contains("the build"), "{list}");

    // A line that is longer than the screen is wide is one line.
    shell.type_in("clear; printf '%090d\\n' 7; echo wrap''ped\r");
    shell.expect("wrapped");
    let (_, json) = host.tere(&["show", session.as_str(), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let long = format!("{:090}", 7);
    assert!(
        json["lines"][0] == long && json["screen"][0] == long[..80] && json["screen"][1] == long[80..],
        "{json}"
    );

    // Only the owner can name a session, and only the operator can look at sessions of others.
    let mut bob = holder(&host, "bob");
    let taken = Ask::Name { session: session.clone(), name: None };
    assert_eq!(bob.ask(taken).0, Answer::Refused(Refusal::NoSuchSession));
    let look = Ask::Show { session: session.clone() };
    assert_eq!(bob.ask(look.clone()).0, Answer::Refused(Refusal::NotOperator));
    assert_eq!(alice.ask(look).0, Answer::Refused(Refusal::NotOperator));
    // The name survives the broker.
    host.kill_broker();
    let mut again = holder(&host, "alice");
    assert_eq!(listed(&mut again).name, name);
    let mut last = again.attach(&session).unwrap();
    last.type_in("exit\r");
    last.expect_end();
}
