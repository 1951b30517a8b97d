//! Clients type while processes are killed, for a long time. At the end, every screen is the same
//! as the session's. `TERE_SOAK_SECONDS` is the duration; half a minute if unset.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::faults::{empty_host, enrolled};
use crate::host::Host;
use crate::parts::client::Client;
use crate::parts::page::Page;
use crate::parts::rng::Rng;
use crate::parts::shell::PATIENCE;
use crate::stories::holder;

/// Number of clients, each with a session of its own.
const CLIENTS: usize = 10;

/// Time from one kill to the next.
const BETWEEN: Duration = Duration::from_secs(2);

/// Longest time between two lines that a client types.
const TYPING: Duration = Duration::from_millis(300);

/// A viewer that is sent nothing for this long has everything.
const STILL: Duration = Duration::from_millis(50);

const SERVICES: [&str; 4] = ["tere-front", "tere-auth", "tere-broker", "tere-session@*"];

/// Waits until the client sees the same as a new viewer.
fn sees_what_is_there(host: &Host, client: &mut Client<'_>) {
    let mut alice = holder(host, "alice");
    let mut other = alice.attach(&client.sessions[0].session).unwrap();
    other.type_in("echo so' 'far\r");
    other.expect("so far\r\n");
    other.refresh();
    let deadline = Instant::now() + PATIENCE;
    loop {
        client.look();
        while other.step(STILL).is_ok() {}
        let (seen, there) = (client.text(), other.screen.text());
        if seen == there {
            return;
        }
        assert!(Instant::now() < deadline, "a screen is wrong:\n{seen}\nis to be\n{there}");
    }
}

#[test]
fn every_screen_is_right_after_a_long_time_of_trouble() {
    let seconds = std::env::var("TERE_SOAK_SECONDS").map_or(30, |seconds| seconds.parse().unwrap());
    let host = empty_host();
    let connect = || Page::over(host.connect_to_front());
    let passkey = enrolled(&host, "alice");
    let mut chance = Rng::of_this_run();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::new(&connect, &passkey)).collect();
    for client in &mut clients {
        client.open_quietly();
    }
    let (stop, typed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut kills = 0;
    std::thread::scope(|scope| {
        for client in &mut clients {
            let (stop, typed, mut chance) = (&stop, &typed, chance.split());
            scope.spawn(move || {
                let mut number = 0;
                while stop.load(Ordering::Acquire) == 0 {
                    let next = Instant::now() + TYPING.mul_f64(chance.fraction());
                    while Instant::now() < next {
                        client.look();
                    }
                    // While disconnected, the page reports that it drops input.
                    number += 1;
                    if client
                        .try_type(&format!("echo line {number} \u{4f60}\u{597d} $((number+={number}))\r"))
                    {
                        typed.fetch_add(1, Ordering::AcqRel);
                    }
                }
            });
        }
        let over = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < over {
            let service = SERVICES[chance.below(SERVICES.len())];
            // The service may just be restarting.
            host.try_run(&["systemctl", "kill", "-s", "KILL", &format!("{service}.service")]);
            kills += 1;
            std::thread::park_timeout(BETWEEN);
        }
        stop.store(1, Ordering::Release);
    });
    println!("{kills} kills, {} lines typed", typed.load(Ordering::Acquire));
    for client in &mut clients {
        sees_what_is_there(&host, client);
    }
    assert!(typed.load(Ordering::Acquire) > CLIENTS, "hardly anything was typed");
}
