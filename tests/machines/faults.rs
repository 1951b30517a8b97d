//! Faults while people work: whatever is killed, restarted or replaced, no session ends, no line is
//! lost and nobody sees a line of somebody else. `TERE_FAULT_RUNS` is how often each fault is made
//! (once if unset), `TERE_FAULT_ONLY` limits the faults to those with this text in their name, and
//! `TERE_FAULT_SEED` repeats the random moments of an earlier run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tere::names::SessionId;
use tere::protocol::EndReason;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;

use crate::host::Host;
use crate::parts::client::Client;
use crate::parts::page::Page;
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::pool::POOL_UNITS;
use crate::parts::rng::Rng;
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stopped::StoppedUnit;
use crate::stories::holder;

/// The faults, by name and as lines of shell that run on the host. `$session` is a session with a
/// viewer.
const FAULTS: &[(&str, &str)] = &[
    ("front killed", "systemctl kill -s KILL tere-front"),
    ("auth killed", "systemctl kill -s KILL tere-auth"),
    ("broker killed", "systemctl kill -s KILL tere-broker"),
    ("worker killed", "systemctl kill -s KILL tere-session@$session.service"),
    ("front restarted", "systemctl restart tere-front"),
    ("auth restarted", "systemctl restart tere-auth"),
    ("broker restarted", "systemctl restart tere-broker"),
    ("worker restarted", "systemctl restart tere-session@$session.service"),
    ("worker stopped", "systemctl stop tere-session@$session.service"),
    (
        "twelve crashes of a worker",
        "unit=tere-session@$session.service
         for crash in 1 2 3 4 5 6 7 8 9 10 11 12; do
             before=$(systemctl show -P MainPID $unit)
             kill -9 $before
             while now=$(systemctl show -P MainPID $unit); [ $now = 0 ] || [ $now = $before ]; do :; done
         done",
    ),
    // The units may include one of a session that has just ended, which is gone by now.
    (
        "all at once",
        "systemctl kill -s KILL tere-front tere-auth tere-broker 'tere-session@*.service' || true",
    ),
    ("daemon-reload", "systemctl daemon-reload"),
    ("daemon-reexec", "systemctl daemon-reexec"),
    ("machined killed", "systemctl kill -s KILL systemd-machined"),
    // systemd-logind does not reconnect by itself. In every later shell on the host, pam_systemd
    // would wait 25 s for it.
    (
        "dbus-daemon killed",
        "systemctl kill -s KILL dbus.service
         systemctl restart systemd-logind.service",
    ),
    // Without `reset-failed`, the start limit would keep polkit from starting after many runs.
    (
        "polkit away",
        "systemctl reset-failed polkit.service
         systemctl mask --runtime --now polkit.service
         systemctl kill -s KILL tere-broker
         systemctl unmask --runtime polkit.service",
    ),
    // The script that dpkg runs on an upgrade.
    ("upgrade", "/var/lib/dpkg/info/tere.postinst configure 0.0.1"),
];

/// Sessions of each of the two people: 20 live sessions in all, as on a busy host.
const SESSIONS: usize = 10;

/// Rounds of lines from all sessions after a fault before it counts as survived.
const ROUNDS: usize = 2;

/// Upper bound of the random delay before a fault.
const LATEST: Duration = Duration::from_millis(300);

fn runs() -> usize {
    std::env::var("TERE_FAULT_RUNS").map_or(1, |runs| runs.parse().unwrap())
}

/// The faults to make.
fn faults() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let only = std::env::var("TERE_FAULT_ONLY").unwrap_or_default();
    FAULTS.iter().filter(move |(what, _)| what.contains(&only))
}

/// The host for this test alone, without the sessions that other tests left running.
pub fn empty_host() -> Host {
    let host = Host::alone();
    PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator).end_all_sessions();
    eventually("the host is empty", PATIENCE, || (host.session_units().len() == POOL_UNITS).then_some(()));
    host
}

/// A new passkey for an account that has none.
pub fn enrolled(host: &Host, account: &str) -> Mutex<SoftAuthenticator> {
    Mutex::new(crate::stories::enrolled(host, account).0)
}

/// Checks that tere works: a session opens, prints and ends.
fn works(host: &Host) {
    let mut alice = holder(host, "alice");
    let mut shell = eventually("a session opens", PATIENCE, || alice.open("dev@web1").ok());
    shell.type_in("echo here $((1+1)); exit\r");
    shell.expect("here 2");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
}

#[test]
fn no_fault_ends_a_session_or_loses_a_line() {
    let host = empty_host();
    let connect = || Page::over(host.connect_to_front());
    let mut chance = Rng::of_this_run();
    let passkeys = [enrolled(&host, "alice"), enrolled(&host, "bob")];
    let mut clients: Vec<_> = passkeys.iter().map(|passkey| Client::new(&connect, passkey)).collect();
    for number in 0..SESSIONS {
        for (who, client) in clients.iter_mut().enumerate() {
            client.count(&format!("t{who}x{number}"));
        }
    }
    let sessions: Vec<_> =
        clients.iter().flat_map(|client| client.sessions.iter().map(|one| one.session.clone())).collect();
    let stop = AtomicUsize::new(0);
    let rounds = [const { AtomicUsize::new(0) }; 2];
    std::thread::scope(|scope| {
        let looking: Vec<_> = clients
            .iter_mut()
            .zip(&rounds)
            .map(|(client, rounds)| scope.spawn(|| client.look_for_long(rounds, &stop)))
            .collect();
        let go_on = |after: &str| {
            let seen = rounds.each_ref().map(|rounds| rounds.load(Ordering::Acquire));
            eventually(&format!("lines after: {after}"), PATIENCE, || {
                assert!(
                    !looking.iter().any(|thread| thread.is_finished()),
                    "a client gave up after: {after}"
                );
                rounds
                    .iter()
                    .zip(seen)
                    .all(|(now, seen)| now.load(Ordering::Acquire) >= seen + ROUNDS)
                    .then_some(())
            });
        };
        let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for run in 1..=runs() {
                for (what, line) in faults() {
                    let session = &sessions[chance.below(sessions.len())];
                    // The fault hits the clients and the shells at a random moment.
                    std::thread::park_timeout(LATEST.mul_f64(chance.fraction()));
                    let began = Instant::now();
                    let said = host.try_run(&["sh", "-c", &format!("session={session}\n{line}")]);
                    assert!(said.success, "{what}: {}", said.err);
                    go_on(what);
                    works(&host);
                    println!("run {run}: {what}: all goes on after {:?}", began.elapsed());
                }
            }
        }));
        stop.store(1, Ordering::Release);
        if let Err(panic) = survived {
            std::panic::resume_unwind(panic);
        }
    });
    for client in &mut clients {
        let longest = client.away.iter().max();
        println!("away {} times, at most {longest:?}", client.away.len());
        client.stop_counting();
    }
}

/// Prints the pause that a viewer sees: a busy machine makes it longer, so no time is asserted but the
/// deadline of a wait.
#[test]
fn twenty_sessions_go_on_over_an_upgrade() {
    let host = empty_host();
    let connect = || Page::over(host.connect_to_front());
    let passkey = enrolled(&host, "alice");
    let mut client = Client::new(&connect, &passkey);
    (0..2 * SESSIONS).for_each(|number| client.count(&format!("u{number}")));
    client.look_until_further(100);
    for _ in 0..runs() {
        let began = Instant::now();
        let mut upgrade =
            host.command(&["/var/lib/dpkg/info/tere.postinst", "configure", "0.0.1"]).spawn().unwrap();
        // The longest time without a line in any session, from now until long after the upgrade.
        let (mut last, mut pause) = (vec![Instant::now(); client.sessions.len()], Duration::ZERO);
        let mut over = None;
        while over.is_none_or(|over: Instant| over.elapsed() < Duration::from_secs(2)) {
            if over.is_none() && upgrade.try_wait().unwrap().is_some() {
                over = Some(Instant::now());
            }
            let before: Vec<_> = client.sessions.iter().map(|counted| counted.next).collect();
            client.look();
            for ((counted, before), last) in client.sessions.iter().zip(before).zip(&mut last) {
                if counted.next != before {
                    pause = pause.max(last.elapsed());
                    *last = Instant::now();
                }
            }
            assert!(began.elapsed() < PATIENCE);
        }
        assert!(upgrade.wait().unwrap().success());
        client.look_until_further(100);
        println!("upgrade: the longest pause of 20 sessions was {pause:?}; away {:?}", client.away);
    }
    client.stop_counting();
}

/// For each step, the unit that it waits for and the units that may be killed meanwhile. The unit
/// that it waits for is stopped, so that the step stays where it is.
const STEPS: &[(Step, &str, &[&str])] = &[
    (Step::SignIn, "tere-auth.service", &["tere-auth.service", "tere-front.service"]),
    (Step::Answer, "tere-auth.service", &["tere-auth.service", "tere-front.service"]),
    (
        Step::Answer,
        "tere-broker.service",
        &["tere-broker.service", "tere-auth.service", "tere-front.service"],
    ),
    (Step::Open, "tere-broker.service", &["tere-broker.service", "tere-front.service"]),
    (
        Step::Open,
        "systemd-machined.service",
        &["systemd-machined.service", "tere-broker.service", "tere-front.service", "tere-session@*.service"],
    ),
    (
        Step::Open,
        "tere-session@*.service",
        &["tere-session@*.service", "tere-broker.service", "tere-front.service"],
    ),
    (Step::Attach, "tere-broker.service", &["tere-broker.service", "tere-front.service"]),
    (
        Step::Attach,
        "tere-session@*.service",
        &["tere-session@*.service", "tere-broker.service", "tere-front.service"],
    ),
];

/// A question of a page.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Asks for a challenge.
    SignIn,
    /// Answers the challenge.
    Answer,
    Open,
    Attach,
}

impl Step {
    /// Does everything before the step, and returns the step itself.
    fn prepare<'step>(
        self,
        page: &'step mut Page,
        passkey: &mut SoftAuthenticator,
        session: &'step SessionId,
    ) -> Box<dyn FnOnce() + Send + 'step> {
        match self {
            Self::SignIn => Box::new(|| drop(page.ask_to_sign_in())),
            Self::Answer => {
                let options = page.ask_to_sign_in();
                let credential = passkey.sign_in(&options);
                Box::new(move || drop(page.answer(&credential)))
            }
            Self::Open => {
                page.sign_in(passkey);
                Box::new(|| drop(page.open(1, "dev@web1")))
            }
            Self::Attach => {
                page.sign_in(passkey);
                Box::new(|| drop(page.attach(1, session)))
            }
        }
    }
}

/// Kills `victim` while a step waits for a unit that is stopped. Returns whether the step did wait:
/// it does not if the stop came at a moment when it did not need the unit, as when no worker that
/// waits has reported to the broker yet, so that another is started.
fn kill_at(host: &Host, unit: &'static str, victim: &str, step: Box<dyn FnOnce() + Send + '_>) -> bool {
    let stopped = StoppedUnit::new(host, unit);
    std::thread::scope(|scope| {
        // If the wait fails, the unit goes on before the scope waits for the step.
        let stopped = stopped;
        let asked = scope.spawn(step);
        let waits = eventually(&format!("something waits for {unit}"), PATIENCE, || {
            // In this order: a step that has ended was perhaps waited for a moment ago.
            let is_over = asked.is_finished();
            if stopped.is_waited_for() { Some(true) } else { is_over.then_some(false) }
        });
        if waits {
            host.run(&["systemctl", "kill", "-s", "KILL", victim]);
        }
        drop(stopped);
        // The question was answered or cut off. Both are fine, as long as it does not keep waiting.
        drop(asked.join());
        waits
    })
}

#[test]
fn whoever_dies_at_whichever_step_of_opening_and_attaching_nothing_stays_behind() {
    let host = empty_host();
    let passkey = enrolled(&host, "alice");
    let mut first = holder(&host, "alice");
    let mut shell = first.open("dev@web1").unwrap();
    shell.type_in("mark=$((6*7)); echo set $mark\r");
    shell.expect("set 42");
    for _ in 0..runs() {
        for (step, stopped, killed) in STEPS {
            for victim in *killed {
                println!("{step:?} waits for {stopped}, and {victim} is killed");
                eventually("the step waits", PATIENCE, || {
                    works(&host);
                    // A unit that is just ending can be neither stopped nor killed.
                    nothing_stray(&host, &shell.session);
                    let mut page = Page::over(host.connect_to_front());
                    let mut passkey = passkey.lock().unwrap_or_else(PoisonError::into_inner);
                    let step = step.prepare(&mut page, &mut passkey, &shell.session);
                    kill_at(&host, stopped, victim, step).then_some(())
                });
                works(&host);
                // The view ends with its principal channel.
                let (_alice, mut again) = eventually("the session is there", PATIENCE, || {
                    let mut alice = holder(&host, "alice");
                    alice.attach(&shell.session).ok().map(|again| (alice, again))
                });
                again.type_in("echo still $mark\r");
                again.expect("still 42");
                nothing_stray(&host, &shell.session);
            }
        }
    }
}

/// Waits until every unit belongs to a session with a record or to a waiting worker, and every
/// shell in the machine to a session.
fn nothing_stray(host: &Host, kept: &SessionId) {
    let count = |line: &str| host.sh(line).parse::<usize>().unwrap();
    eventually("nothing is orphan", PATIENCE, || {
        let records = count("ls /run/tere-broker | grep -c json || true");
        let shells = count("systemctl -M web1 list-units --plain --no-legend 'container-shell@*' | wc -l");
        (host.session_units().len() == 2 * records + POOL_UNITS && shells == records).then_some(())
    });
    // A session that was opened for a person who was cut off belongs to that person and is in their
    // list. It is ended here.
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    let Answer::AllSessions(sessions) = operator.ask(Ask::AllSessions { after: None }).0 else { panic!() };
    for other in sessions.into_iter().filter(|other| other.id != *kept) {
        operator.ask(Ask::End { session: other.id });
    }
}
