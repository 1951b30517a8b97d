//! Many viewers of one session, slow ones and hostile ones, and programs whose output no program
//! should print: the session continues, within its memory limit. `TERE_NOISE_SECONDS` is how long
//! one of them prints noise (3 if unset).

use std::time::{Duration, Instant};

use tere::names::TermSize;
use tere::protocol::principal::Ask;
use tere::protocol::viewer::FromViewer;
use tere::protocol::vouch::Principal;

use super::holder;
use crate::host::Host;
use crate::parts::rng::Rng;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell};

/// Maximum memory of a worker in bytes, whatever is printed and whoever watches.
const WORKER_MAX: usize = 64 * 1024 * 1024;

/// Number of hostile messages that the watcher sends.
const HOSTILE: usize = 100_000;

/// A shell without a prompt that echoes its input.
fn quiet(alice: &mut PrincipalClient) -> Shell {
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("PS1=; echo ready $((1+1))\r");
    shell.expect("ready 2");
    shell
}

fn answers(shell: &mut Shell, word: &str) {
    shell.type_in(&format!("echo {word} $((40+2))\r"));
    shell.expect(&format!("{word} 42"));
}

/// A viewer that comes to a session with a long scrollback sees the screen at once, and the rest on
/// request.
#[test]
fn a_long_scrollback_does_not_stand_before_the_screen() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = quiet(&mut alice);
    shell.type_in("seq 20000; echo be''hind\r");
    shell.expect("behind\r\n");
    let mut other = alice.attach(&shell.session).unwrap();
    other.expect("20000\r\nbehind");
    let recent = other.screen.terminal().scrollback_lines();
    assert!((100..2000).contains(&recent), "{recent} lines came with the screen");
    other.refresh();
    while other.screen.wholes == 0 {
        other.step(PATIENCE).unwrap();
    }
    assert_eq!(other.screen.terminal().scrollback_lines(), 10_000);
    assert_eq!(other.screen.text(), shell.screen.text());
    let (_, shown) = host.tere(&["show", shell.session.as_str(), "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["scrollback"].as_array().unwrap().len(), 10_000);
}

#[test]
fn whatever_a_watcher_sends_nothing_is_typed_and_no_size_changes() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = quiet(&mut alice);
    let show = Ask::Show { session: shell.session.clone() };
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    let mut chance = Rng::of_this_run();
    let mut number = |below: usize| chance.below(below);
    let mut watcher = operator.view(show.clone()).unwrap();
    for _ in 0..HOSTILE {
        let sent = match number(200) {
            // Not a valid message: the view is cut off, and the watcher comes back.
            0 => {
                let bytes: Vec<u8> = (0..number(64)).map(|_| u8::try_from(number(256)).unwrap()).collect();
                watcher.send_raw(&bytes)
            }
            1..60 => {
                let side = |number: usize| u16::try_from(1 + number).unwrap();
                watcher
                    .send(&FromViewer::Resize(TermSize::new(side(number(300)), side(number(300))).unwrap()))
            }
            60..80 => watcher.send(&FromViewer::Shown(u32::try_from(number(1 << 31)).unwrap())),
            80..82 => watcher.send(&FromViewer::Refresh),
            _ => {
                let bytes = (0..number(40)).map(|_| u8::try_from(number(256)).unwrap()).collect();
                watcher.send(&FromViewer::Input(bytes))
            }
        };
        // Output is received meanwhile, so that only the watcher's own messages can end the view.
        if sent.is_err() || !watcher.take_all() {
            watcher = operator.view(show.clone()).unwrap();
        }
    }
    let before = shell.screen.text();
    assert!(before.trim_end().ends_with("ready 2"), "{before}");
    shell.type_in("stty size\r");
    shell.expect("24 80\r\n");
    assert!(host.worker_memory(&shell.session) < WORKER_MAX);
}

/// The median time until a typed key is echoed.
fn echo(shell: &mut Shell) -> Duration {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        for _ in 0..50 {
            let began = Instant::now();
            shell.type_in("#");
            shell.expect("#");
            times.push(began.elapsed());
        }
        shell.type_in("\u{15}");
        answers(shell, "line");
    }
    times.sort();
    times[times.len() / 2]
}

#[test]
fn twenty_viewers_and_two_that_do_not_keep_up() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = quiet(&mut alice);
    let session = shell.session.clone();
    let alone = echo(&mut shell);
    // One viewer never reads, and one reads a little now and then.
    let _deaf = alice.attach(&session).unwrap();
    let mut slow = alice.attach(&session).unwrap();
    let mut others: Vec<Shell> = (0..18).map(|_| alice.attach(&session).unwrap()).collect();
    shell.type_in(
        "stty -echo; for i in 1 2 3 4 5 6 7 8; do seq 100000; echo round $i over; done; stty echo\r",
    );
    for _ in 0..8 {
        slow.step(PATIENCE).unwrap();
        assert!(host.worker_memory(&session) < WORKER_MAX);
    }
    for other in others.iter_mut().chain([&mut shell]) {
        other.expect_on_screen("round 8 over");
    }
    for other in &mut others {
        answers(other, "prompt");
    }
    println!("an echo takes {alone:?} alone, {:?} beside the others", echo(&mut shell));
    let memory = host.worker_memory(&session);
    println!("the worker of 21 viewers has {} KiB", memory / 1024);
    assert!(memory < WORKER_MAX);
    // The slow viewer has missed much, and now sees what all viewers see.
    slow.expect_on_screen("prompt 42");
}

#[test]
fn what_no_program_should_print_costs_no_session() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = quiet(&mut alice);
    let session = shell.session.clone();
    let seconds = std::env::var("TERE_NOISE_SECONDS").map_or(3, |seconds| seconds.parse().unwrap());
    // The terminal's answers to queries in the noise are typed, as in any terminal. All of them
    // have arrived once it reports the position of the cursor.
    let noise = format!(
        r"timeout {seconds} cat /dev/urandom; stty sane; while read -t 0.5 -N 1000 answer; do :; done; printf '\030\033\\\\\033c\033[17;23H\033[6n'; until [[ $answer == *'[17;23' ]]; do read -r -d R answer; done"
    );
    let bombs = [
        ("a character repeated 2^31 times", r"printf 'x\033[2147483647b'"),
        (
            "huge numbers",
            r"printf '\033[99999999999999999999;%sH\033[4294967295L\033[2147483648P' $(seq -s ';' 5000)",
        ),
        (
            "a scrolling part that is moved for ever",
            r"printf '\033[2;3r'; for i in $(seq 2000); do printf '\033[65535S\033[65535T\033[65535M'; done",
        ),
        ("a string without an end", r"printf '\033]0;'; head -c 100000000 /dev/zero | tr '\0' a"),
        ("a device string without an end", r"printf '\033P'; head -c 100000000 /dev/zero | tr '\0' a"),
        ("combining marks", r"printf 'e'; yes $(printf '\314\201') | head -n 1000000 | tr -d '\n'"),
        ("hyperlinks", r"seq -f $(printf '\033]8;;http://example.org/%%.0f\033')'\l' 1000000"),
        ("an update that never ends", r"printf '\033[?2026h'; seq 50000"),
        ("bells and titles", r"yes $(printf '\a\033]2;title\a') | head -n 200000"),
        ("noise", noise.as_str()),
    ];
    for (number, (what, bomb)) in bombs.into_iter().enumerate() {
        // Waits for the prompt, because bash may discard input while it takes over the terminal.
        // Each round has its own words, because those of the previous round are still on the
        // screen.
        shell.type_in(&format!(
            "PS1='now {number}> '; {bomb}; printf '\\030\\033\\\\\\\\\\033c'; stty sane; echo be''hind {number}\r"
        ));
        let over = format!("behind {number}\nnow {number}>");
        shell.expect_on_screen_within(&over, PATIENCE + Duration::from_secs(seconds));
        let began = Instant::now();
        answers(&mut shell, &format!("usable-{number}"));
        let memory = host.worker_memory(&session);
        println!("after {what}: {} KiB, usable after {:?}", memory / 1024, began.elapsed());
        assert!(memory < WORKER_MAX, "{what}: {memory} bytes");
    }
}

#[test]
fn a_thousand_sizes_end_with_the_last() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = quiet(&mut alice);
    let session = shell.session.clone();
    for round in 0..1000_u16 {
        shell.resize(1 + round * 7 % 500, 1 + round * 13 % 500);
    }
    shell.resize(81, 25);
    // Some sizes in a burst are skipped, and the last one is applied a moment later.
    while shell.screen.terminal().size() != TermSize::new(81, 25).unwrap() {
        shell.step(PATIENCE).unwrap();
    }
    answers(&mut shell, "sized");
    shell.type_in("stty size\r");
    shell.expect("25 81\r\n");
    assert!(host.worker_memory(&session) < WORKER_MAX);
}

/// How long the slow link is observed.
const A_WHILE: Duration = Duration::from_secs(2);

/// Bytes per second of a link of 1 Mbit/s.
const MEGABIT: usize = 125_000;

#[test]
fn a_slow_link_does_not_stand_between_a_person_and_ctrl_c() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("PS1='pro''mpt> '; clear; yes\r");
    let began = Instant::now();
    while began.elapsed() < A_WHILE {
        shell.step_at(MEGABIT, PATIENCE).unwrap();
    }
    shell.type_in("\u{3}");
    let (pressed, mut bytes) = (Instant::now(), 0);
    while !shell.screen.terminal().screen_text().trim_end().ends_with("prompt>") {
        bytes += shell.step_at(MEGABIT, PATIENCE).unwrap();
    }
    println!("Ctrl-C to prompt: {bytes} bytes, {:?} on a link of 1 Mbit/s", pressed.elapsed());
    // At most a few windows of output are in flight when Ctrl-C is pressed, not a backlog.
    assert!(bytes < 64 * 1024, "{bytes} bytes came before the prompt");
}

#[test]
fn a_reset_puts_the_terminal_back_for_everybody_and_in_the_next_worker() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    let mut other = alice.attach(&shell.session).unwrap();
    // A line of q in the line-drawing character set, which is left switched on.
    shell.type_in("printf '%s\\033(0qq\\n' dr\"\"awn\r");
    for view in [&mut shell, &mut other] {
        view.expect_on_screen("drawn──");
    }
    let before = other.screen.snapshots;
    shell.send(&FromViewer::ResetTerminal).unwrap();
    while other.screen.snapshots == before {
        other.step(PATIENCE).unwrap();
    }
    shell.type_in("echo pl\"\"ain\r");
    for view in [&mut shell, &mut other] {
        view.expect_on_screen("plain");
        assert!(view.screen.terminal().screen_text().contains("drawn──"), "what was there stays");
    }
    host.kill_worker(&shell.session);
    shell.type_in("echo af\"\"ter\r");
    for view in [&mut shell, &mut other] {
        view.expect_on_screen("after");
    }
}
