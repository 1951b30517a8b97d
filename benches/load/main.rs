//! Attacks servers that listen for people, in one run: tere, and sshd and cockpit-ws beside it.
//! `tests/load` boots the host and runs this in a network outside of it. Debian has no ttyd.
//!
//! One live session of tere counts meanwhile. The run fails if it loses a byte, if nobody can sign
//! in to tere, or if one of the bounds in [`verdict`] is not kept. All other figures are printed.
//! The attacker and the servers share the processors of the machine.

// A panic is how a bench fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // rooms of one program

#[path = "../../tests/parts/mod.rs"]
mod parts;

mod attacks;
#[path = "../shells/connection.rs"]
#[allow(dead_code)] // it also knows connections that are not attacked
mod connection;
mod figures;
#[path = "../machines/host.rs"]
mod host;
mod network;
#[path = "../shells/processes.rs"]
#[allow(dead_code)] // it also measures processes that are started by a bench
mod processes;
mod servers;
mod verdict;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attacks::Attack;
use figures::Row;
use network::Sources;
use parts::client::Client;
use servers::{Server, Setup};

fn main() -> ExitCode {
    let only = std::env::var("TERE_LOAD_ONLY").ok();
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    println!("{}", network::machine_load());
    only_own_panics();
    let setup = Setup::start();
    let passkey = Mutex::new(setup.alice.clone());
    let connect = || setup.page(network::LIVE);
    let mut live = Client::new(&connect, &passkey);
    live.count("live");
    let (lines, stop) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut rows = Vec::new();
    std::thread::scope(|scope| {
        let live = std::thread::Builder::new().name(LIVE.to_owned()).spawn_scoped(scope, || {
            live.look_for_long(&lines, &stop);
            assert!(live.away.is_empty(), "the live session was cut off: {:?}", live.away);
            live.stop_counting();
            live.sessions[0].next - 1
        });
        let live = live.unwrap();
        // Whatever happens to the rest, the thread must end.
        let stop_live = Stop(&stop);
        for server in Server::ALL.into_iter().filter(|server| is_wanted(server.name())) {
            setup.begin(server);
            rows.push(figures::measure(&setup, server, None));
            for attack in Attack::ALL.into_iter().filter(|attack| attack.is_for(server)) {
                for sources in Sources::ALL {
                    rows.push(figures::measure(&setup, server, Some((attack, sources))));
                    println!("{}", rows.last().map(Row::line).unwrap_or_default());
                }
            }
            setup.end(server);
        }
        drop(stop_live);
        let counted = live.join().expect("the live session is complete");
        println!("the live session printed {counted} lines, and lost none");
    });
    println!("\n{}\n{}", figures::table(&rows), network::machine_load());
    verdict::of(&rows)
}

/// The name of the thread of the live session.
const LIVE: &str = "live";

/// Prints no panics of attackers and of people: these are counted.
fn only_own_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if matches!(std::thread::current().name(), Some("main" | LIVE)) {
            print(panic);
        }
    }));
}

/// Ends the live session on drop: after a panic, the scope must not wait for it for ever.
struct Stop<'a>(&'a AtomicUsize);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Release);
    }
}
