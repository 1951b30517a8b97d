//! One command without a terminal.

use std::time::Duration;

use tere::protocol::exec::{CHUNK_MAX, CommandSignal, FromClient, Output, WINDOW};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::{EndReason, Refusal, SessionEnd, ShellExit, Signal};

use super::holder;
use crate::host::Host;
use crate::parts::exec::ExecClient;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell, size};
use crate::parts::wait::eventually;

/// Begins a command.
fn exec(alice: &mut PrincipalClient, words: &[&str]) -> ExecClient {
    let client = alice.exec("dev@web1").unwrap();
    client.start(words);
    client
}

fn exited(exit: ShellExit) -> SessionEnd {
    SessionEnd { reason: EndReason::ShellEnded, exit: Some(exit) }
}

/// Waits until no process has this word among its arguments.
fn expect_gone(witness: &mut Shell, word: &str) {
    let (first, rest) = word.split_at(1);
    eventually("its processes are gone", PATIENCE, || {
        witness.type_in(&format!("pgrep -f '[{first}]{rest}' >/dev/null; echo found' '$?.\r"));
        witness.expect("found ");
        (witness.expect(".") == "1.").then_some(())
    });
}

#[test]
fn a_command_has_its_streams_apart_and_its_own_status() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    for (script, exit) in [
        ("exit 0", ShellExit::Exited(0)),
        ("exit 7", ShellExit::Exited(7)),
        ("exit 255", ShellExit::Exited(255)),
        ("kill -KILL $$", ShellExit::Killed(Signal::Kill)),
        ("kill -TERM $$", ShellExit::Exited(143)),
    ] {
        let script = format!("printf 'o\\0u\\377'; printf 'e\\r\\n\\3' >&2; {script}");
        let mut client = exec(&mut alice, &["sh", "-c", &script]);
        assert_eq!(client.end(), exited(exit), "{script}");
        assert_eq!(client.stdout, b"o\0u\xff");
        assert_eq!(client.stderr, b"e\r\n\x03");
    }
    let mut client = exec(&mut alice, &["tere-test-no-such-program"]);
    assert_eq!(client.end(), exited(ShellExit::Exited(127)));
    assert!(String::from_utf8_lossy(&client.stderr).contains("not found"));
    // No word is read by a shell or by systemd.
    let words = ["$HOME", "${HOME}", "$$", "%h", "a b", "", "'", "\\", "*", "\u{e9}\n", "-n"];
    let mut client = exec(&mut alice, &[&["printf", "<%s>"][..], &words].concat());
    assert_eq!(client.end(), exited(ShellExit::Exited(0)));
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(String::from_utf8_lossy(&client.stdout), expected);
    let mut client = exec(
        &mut alice,
        &[
            "sh",
            "-c",
            "for fd in 0 1 2; do test -t $fd && echo $fd; done; tty >/dev/null; echo $?; : </dev/tty",
        ],
    );
    client.feed(b"");
    client.end();
    assert_eq!(client.stdout, b"1\n", "it has no terminal");
    // What it is stays between the client and the machine, and nothing is left.
    let session = client.session.clone();
    eventually("its units are gone", PATIENCE, || {
        (!host.session_units().iter().any(|unit| unit.contains(session.as_str()))).then_some(())
    });
}

#[test]
fn input_and_output_are_bytes_and_neither_waits_for_the_other() {
    const LENGTH: usize = 3_000_000;
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    // All bytes, in an order that does not repeat soon.
    let mut state = 1_u32;
    let input: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(LENGTH)
    .collect();
    let mut client = exec(&mut alice, &["sh", "-c", "tee /dev/stderr | cat"]);
    client.feed(&input);
    assert_eq!(client.end(), exited(ShellExit::Exited(0)));
    assert!(
        client.stdout == input && client.stderr == input,
        "{} {}",
        client.stdout.len(),
        client.stderr.len()
    );
    // A command that reads no input does not wait for it, nor its client for the command.
    let mut client = exec(&mut alice, &["true"]);
    client.until("it runs", |client| client.started);
    client.send(&FromClient::Input(vec![0; CHUNK_MAX])).unwrap();
    assert_eq!(client.end(), exited(ShellExit::Exited(0)));
}

/// Programs that take turns, as rsync and git do, would wait for each other for ever.
#[test]
fn no_byte_waits_for_the_one_behind_it() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut client = exec(&mut alice, &["sh", "-c", "tee /dev/stderr"]);
    client.until("it runs", |client| client.started);
    for byte in 0..=u8::MAX {
        client.send(&FromClient::Input(vec![byte])).unwrap();
        let all = usize::from(byte) + 1;
        client.until(&format!("byte {byte}"), |client| {
            client.stdout.len() == all && client.stderr.len() == all
        });
    }
    client.send(&FromClient::InputEnd).unwrap();
    assert_eq!(client.end(), exited(ShellExit::Exited(0)));
    let all: Vec<u8> = (0..=u8::MAX).collect();
    assert_eq!((&client.stdout, &client.stderr), (&all, &all));
}

#[test]
fn an_output_that_is_not_read_holds_up_neither_the_other_nor_a_signal() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let script = "trap 'echo caught >&2; exit 9' USR1; (while :; do echo flood || exit; done) & while :; do echo apart >&2; sleep 0.1; done";
    let mut client = exec(&mut alice, &["sh", "-c", script]);
    client.reads_stdout = false;
    client.until("as much as the window", |client| client.stdout.len() >= WINDOW);
    let before = client.stderr.len();
    client.until("errors go on", |client| client.stderr.len() > before + 20);
    assert_eq!(client.stdout.len(), WINDOW);
    client.send(&FromClient::Signal(CommandSignal::Usr1)).unwrap();
    client.until("the signal", |client| client.stderr.ends_with(b"caught\n"));
    client.send(&FromClient::Signal(CommandSignal::Kill)).unwrap();
    client.reads_stdout = true;
    let written = u32::try_from(WINDOW).unwrap();
    client.send(&FromClient::Written { output: Output::Standard, bytes: written }).unwrap();
    client.end();
}

#[test]
fn a_client_that_goes_takes_its_command_with_it() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut witness = alice.open("dev@web1").unwrap();
    for (word, script) in [
        ("tere-quiet-1", "sleep 600; : tere-quiet-1"),
        ("tere-deaf-2", "trap '' HUP TERM PIPE; while :; do sleep 1; done; : tere-deaf-2"),
        ("tere-loud-3", "while :; do echo loud; done; : tere-loud-3"),
    ] {
        let mut client = exec(&mut alice, &["sh", "-c", script]);
        client.until("it runs", |client| client.started);
        drop(client);
        expect_gone(&mut witness, word);
    }
    // Before it runs, too.
    drop(alice.exec("dev@web1").unwrap());
    // A worker that is killed.
    let mut client = exec(&mut alice, &["sh", "-c", "sleep 600; : tere-killed-4"]);
    client.until("it runs", |client| client.started);
    host.kill_worker(&client.session);
    client.expect_closed();
    expect_gone(&mut witness, "tere-killed-4");
    // A channel that closes: its holder may have lost the right to it.
    let mut bob = holder(&host, "bob");
    let mut client = exec(&mut bob, &["sh", "-c", "sleep 600; : tere-revoked-5"]);
    client.until("it runs", |client| client.started);
    drop(bob);
    assert_eq!(client.end().reason, EndReason::ViewClosed);
    expect_gone(&mut witness, "tere-revoked-5");
    // What it left behind on purpose stays when it ends by itself.
    let mut client = exec(&mut alice, &["sh", "-c", "sleep 601 >/dev/null 2>&1 & echo $!"]);
    assert_eq!(client.end(), exited(ShellExit::Exited(0)));
    let left = String::from_utf8(client.stdout).unwrap();
    witness.type_in(&format!("kill {} && echo it was' 'there\r", left.trim()));
    witness.expect("it was there");
}

#[test]
fn a_command_is_listed_and_ended_and_never_viewed() {
    let host = Host::shared();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut client = exec(&mut alice, &["sleep", "600"]);
    client.until("it runs", |client| client.started);
    let (Answer::Lobby { sessions, .. }, _) = alice.ask(Ask::Lobby) else { panic!("no lobby") };
    let listed = sessions.iter().find(|session| session.id == client.session).unwrap();
    assert!(listed.exec);
    let session = client.session.clone();
    assert_eq!(alice.attach(&session).unwrap_err(), Refusal::NotATerminal);
    assert_eq!(bob.attach(&session).unwrap_err(), Refusal::NoSuchSession);
    let refused = |(answer, _): (Answer, _)| matches!(answer, Answer::Refused(_));
    assert!(refused(bob.ask(Ask::End { session: session.clone() })));
    assert!(matches!(alice.ask(Ask::End { session }).0, Answer::Ending));
    assert_eq!(client.end().reason, EndReason::EndedByRequest);
}

#[test]
fn a_command_is_granted_as_a_shell_is() {
    let host = Host::shared();
    let (mut alice, mut carol) = (holder(&host, "alice"), holder(&host, "carol"));
    assert_eq!(carol.exec("dev@web1").unwrap_err(), Refusal::NotGranted);
    assert_eq!(alice.exec("root@web1").unwrap_err(), Refusal::NotGranted);
    assert_eq!(alice.exec("dev@nobus").unwrap_err(), Refusal::MachineWithoutBus);
    let mut nobody = alice.exec("nobody-there@web1").unwrap();
    nobody.start(&["true"]);
    assert_eq!(nobody.end().reason, EndReason::NeverStarted);
}

#[test]
fn a_client_that_breaks_the_protocol_loses_its_command() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut witness = alice.open("dev@web1").unwrap();
    let word = "tere-broken";
    // A window is on its way in the machine, one in a frame, and one waits.
    let many = || {
        std::iter::repeat_with(|| FromClient::Input(vec![0; CHUNK_MAX]))
            .take(4 * WINDOW / CHUNK_MAX)
            .collect()
    };
    let written = FromClient::Written { output: Output::Error, bytes: u32::MAX };
    let start = FromClient::Start(tere::protocol::exec::Command::new(vec![b"true".to_vec()]).unwrap());
    let cases: Vec<(&str, Vec<FromClient>)> = vec![
        ("a second command", vec![start]),
        ("more input than there is room for", many()),
        ("a piece that is too long", vec![FromClient::Input(vec![0; CHUNK_MAX + 1])]),
        ("input after its end", vec![FromClient::InputEnd, FromClient::Input(vec![0])]),
        ("more output than there was", vec![written]),
    ];
    for (what, messages) in cases {
        // It stops reading, so that nothing of the input is taken.
        let mut client = exec(&mut alice, &["sh", "-c", &format!("sleep 600; : {word}")]);
        client.until("it runs", |client| client.started);
        let sent = messages.iter().try_for_each(|message| client.send(message));
        drop(sent);
        client.expect_closed();
        assert_eq!(client.ended, None, "{what}");
    }
    // An end that the command has seen is still one.
    for (what, message) in
        [("input after its end", FromClient::Input(vec![0])), ("a second end", FromClient::InputEnd)]
    {
        let mut client = exec(&mut alice, &["sh", "-c", &format!("cat; echo over; sleep 600; : {word}")]);
        client.send(&FromClient::InputEnd).unwrap();
        client.until("its input has ended", |client| client.stdout == b"over\n");
        client.send(&message).unwrap();
        client.expect_closed();
        assert_eq!(client.ended, None, "{what}");
    }
    expect_gone(&mut witness, word);
    // A view of a shell is not spoken to in this protocol.
    let socket =
        alice.ask(Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason: None }).1.unwrap();
    let channel: tere::wire::Channel<FromClient, tere::protocol::exec::ToClient> =
        tere::wire::Channel::over(socket);
    assert!(channel.greet(tere::wire::Intent::Exec, Duration::from_secs(5)).is_err());
}
