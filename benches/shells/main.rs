//! Compares programs that carry a shell, in one run: a plain PTY as the limit, tere through its
//! page's WebSocket, and ttyd, ssh and tmux where they are installed. `tests/bench` boots the host
//! and runs this in the host's network.
//!
//! Nothing is asserted: every figure is the median of [`ROUNDS`] rounds, and only the comparison
//! between the carriers counts.

// A panic is how a bench fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // rooms of one program

#[path = "../../tests/parts/mod.rs"]
mod parts;

mod carriers;
mod connection;
mod figures;
mod link;
mod processes;

use std::panic::AssertUnwindSafe;

use carriers::Carrier;
use figures::Figures;

/// Number of rounds. Each measures every carrier once.
const ROUNDS: usize = 3;

fn main() {
    let only = std::env::var("TERE_BENCH_ONLY").ok();
    let mut carriers: Vec<Box<dyn Carrier>> = Vec::new();
    for (name, start) in carriers::ALL {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|one| one == name)) {
            continue;
        }
        match start() {
            Ok(carrier) => carriers.push(carrier),
            Err(why) => println!("{name} is left out: {why}"),
        }
    }
    let mut measured: Vec<Vec<Figures>> = carriers.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        for (carrier, rounds) in carriers.iter().zip(&mut measured) {
            println!("round {round} of {ROUNDS}: {}", carrier.name());
            // A carrier that hangs loses the round but does not prevent the table.
            match std::panic::catch_unwind(AssertUnwindSafe(|| figures::measure(&**carrier))) {
                Ok(figures) => rounds.push(figures),
                Err(_) => println!("round {round} of {ROUNDS}: {} is left out", carrier.name()),
            }
        }
    }
    let names: Vec<&str> = carriers.iter().map(|carrier| carrier.name()).collect();
    println!("\n{}", figures::table(&names, &measured));
}
