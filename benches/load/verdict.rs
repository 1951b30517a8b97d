//! The bounds that tere has to keep under every attack.

use std::process::ExitCode;

use crate::figures::Row;
use crate::network::machine_load;
use crate::servers::Server;

/// How long 99 of 100 people wait at most until they are signed in, seconds.
const SIGN_IN: f64 = 2.0;

/// How much more memory tere has at the end than before the first attack, MiB.
const KEPT: f64 = 8.0;

/// Says which bounds are kept. A failure names the load of the machine, which may be the cause.
pub fn of(rows: &[Row]) -> ExitCode {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.server == Server::Tere).collect();
    let Some((first, last)) = rows.first().zip(rows.last()) else { return ExitCode::SUCCESS };
    let slowest = rows.iter().map(|row| row.wait(99)).fold(0.0, f64::max);
    let (failures, people) =
        rows.iter().fold((0, 0), |(failures, people), row| (failures + row.failures, people + row.people));
    let kept = last.after - first.before;
    let verdicts = [
        (
            format!("in each attack somebody signs in to tere ({failures} of {people} did not)"),
            rows.iter().all(|row| row.failures < row.people),
        ),
        (format!("p99 of a sign-in is {slowest:.2} s, at most {SIGN_IN} s"), slowest <= SIGN_IN),
        (format!("tere keeps {kept:.1} MiB of memory, at most {KEPT} MiB"), kept <= KEPT),
    ];
    for (bound, holds) in &verdicts {
        println!("{}: {bound}", if *holds { "kept" } else { "NOT KEPT" });
    }
    if verdicts.iter().all(|(_, holds)| *holds) {
        return ExitCode::SUCCESS;
    }
    println!("with {}", machine_load());
    ExitCode::FAILURE
}
