//! The measurements of one server under one attack, and their table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::attacks::Attack;
use crate::host::at;
use crate::network::{PATIENCE, Sources};
use crate::servers::{Server, Setup};

/// How long an attack lasts, and how long after it the memory is looked at.
const ATTACKED: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(10);

/// A person comes this often, unless the one before still waits.
const PERSON_EVERY: Duration = Duration::from_millis(250);

/// How often the memory is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What was measured.
#[derive(Debug)]
pub struct Row {
    pub server: Server,
    pub attack: Option<(Attack, Sources)>,
    /// Handshakes, sockets or frames of the attackers in a second. The server has answered the
    /// handshakes; frames may wait in its kernel.
    rate: f64,
    /// How long each person waited, sorted, in seconds. Whoever did not get in counts with all of
    /// the time that people wait.
    waits: Vec<f64>,
    pub people: usize,
    pub failures: usize,
    /// Processors that the server used.
    processors: f64,
    /// Memory, MiB.
    pub before: f64,
    peak: f64,
    pub after: f64,
}

impl Row {
    /// The time that so many percent of the people did not wait longer than, seconds.
    pub fn wait(&self, percent: usize) -> f64 {
        at(&self.waits, percent)
    }

    fn cells(&self) -> Vec<String> {
        let (attack, sources) =
            self.attack.map_or(("none", "-"), |(attack, sources)| (attack.name(), sources.name()));
        vec![
            attack.to_owned(),
            sources.to_owned(),
            self.server.name().to_owned(),
            format!("{:.0}", self.rate),
            format!("{:.0}", self.wait(50) * 1000.0),
            format!("{:.0}", self.wait(99) * 1000.0),
            format!("{} of {}", self.failures, self.people),
            format!("{:.2}", self.processors),
            format!("{:.1}", self.before),
            format!("{:.1}", self.peak),
            format!("{:.1}", self.after),
        ]
    }

    /// The row for people who wait for the table.
    pub fn line(&self) -> String {
        self.cells().join(" | ")
    }
}

/// Has people come to a server that is attacked, or not.
pub fn measure(setup: &Setup, server: Server, attack: Option<(Attack, Sources)>) -> Row {
    let (stop, before) = (AtomicBool::new(false), server.memory());
    let began = Instant::now();
    let mut row = Row {
        server,
        attack,
        rate: 0.0,
        waits: Vec::new(),
        people: 0,
        failures: 0,
        processors: 0.0,
        before,
        peak: before,
        after: 0.0,
    };
    std::thread::scope(|scope| {
        let attacker = attack.map(|(attack, sources)| {
            let stop = &stop;
            scope.spawn(move || attack.run(setup, server, sources, stop))
        });
        let looker = scope.spawn(|| {
            let (mut peak, mut seconds, mut used) = (before, server.seconds(), 0.0);
            while !stop.load(Ordering::Relaxed) {
                std::thread::park_timeout(LOOK_EVERY);
                peak = peak.max(server.memory());
                let now = server.seconds();
                used += now.iter().zip(&seconds).map(|(now, then)| (now - then).max(0.0)).sum::<f64>();
                seconds = now;
            }
            (peak, used)
        });
        let people = std::thread::Builder::new().name("people".to_owned());
        let (waits, reasons) =
            people.spawn_scoped(scope, || come(setup, server, began)).unwrap().join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let lasted = began.elapsed().as_secs_f64();
        (row.people, row.failures) = (waits.len(), reasons.len());
        row.waits = waits;
        if let Some(reason) = reasons.first() {
            println!(
                "{}: a person did not get in: {}",
                server.name(),
                reason.lines().next().unwrap_or_default()
            );
        }
        let (peak, used) = looker.join().unwrap();
        (row.peak, row.processors) = (peak, used / lasted);
        row.rate = attacker.map_or(0.0, |attacker| attacker.join().unwrap() as f64 / lasted);
    });
    // What is left after this time is the figure.
    std::thread::sleep(AFTER);
    row.after = server.memory();
    row
}

/// How long each person waits, sorted, and why those who do not get in do not.
fn come(setup: &Setup, server: Server, began: Instant) -> (Vec<f64>, Vec<String>) {
    let (mut waits, mut reasons) = (Vec::new(), Vec::new());
    while began.elapsed() < ATTACKED {
        let came = Instant::now();
        let visit = setup.visit(server);
        waits.push(if visit.is_ok() { came.elapsed() } else { PATIENCE }.as_secs_f64());
        reasons.extend(visit.err());
        // Somebody comes at this rate, whatever the one before had to wait.
        std::thread::sleep((came + PERSON_EVERY).saturating_duration_since(Instant::now()));
    }
    waits.sort_by(f64::total_cmp);
    (waits, reasons)
}

/// The table of all rows.
pub fn table(rows: &[Row]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
        "attack",
        "sources",
        "server",
        "attack, /s",
        "p50, ms",
        "p99, ms",
        "not let in",
        "processors",
        "memory before, MiB",
        "at its peak",
        "10 s after",
    ]);
    let attacks = std::iter::once(None).chain(Attack::ALL.map(Some));
    for attack in attacks {
        for row in rows.iter().filter(|row| row.attack.map(|(attack, _)| attack) == attack) {
            table.add_row(row.cells());
        }
    }
    table.to_string()
}
