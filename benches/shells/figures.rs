//! The measurements of each carrier, and their table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::ROUNDS;
use crate::carriers::Carrier;
use crate::connection::Connection;
use crate::processes;

/// Number of bytes printed at full speed.
const PRINTED: usize = 64 * 1024 * 1024;

/// The kinds of output: lines of plain text, and colours that change every cell or two.
const KINDS: [(&str, &str); 2] = [
    ("plain", "yes 'The quick brown fox jumps over the lazy dog, and runs away over the hills. 0123'"),
    (
        "dense",
        r"yes $(for i in $(seq 0 255); do printf '\033[38;5;%dm#\033[48;5;%dm%%\033[1mab\033[0m_' $i $((255-i)); done)",
    ),
];

/// Number of keys whose echo is timed, and number of keys before them that are not.
const KEYS: usize = 1000;
const WARM_UP: usize = 50;

/// Number of sessions that print endlessly beside the one that is typed in.
const FLOODS: usize = 8;

/// The speed of a link of 1 Mbit/s, in bytes per second, and how long it is flooded.
const SLOW: usize = 125_000;
const FLOODED: Duration = Duration::from_secs(3);

/// The ends of the first prompts, without the blank: carriers that send screens skip blanks by
/// moving the cursor.
const FIRST_PROMPTS: [&str; 2] = ["$", "#"];

/// The prompt of all shells, without a blank, for the same reason.
const PROMPT: &str = "bench>";

/// One figure of one round; `None` if it cannot be measured for the carrier.
type Figure = Option<f64>;

/// The figures of one round, in the order of [`ROWS`].
pub type Figures = [Figure; ROWS.len()];

/// The names of the figures, and the number of digits after the point.
const ROWS: [(&str, usize); 13] = [
    ("start to prompt, ms", 1),
    ("plain output, MB/s", 1),
    ("  of it delivered, %", 0),
    ("  processors, s per 100 MB", 2),
    ("dense output, MB/s", 1),
    ("  of it delivered, %", 0),
    ("  processors, s per 100 MB", 2),
    ("echo p50, ms", 2),
    ("echo p99, ms", 2),
    ("echo p50 beside eight floods, ms", 2),
    ("echo p99 beside eight floods, ms", 2),
    ("Ctrl-C to prompt at 1 Mbit/s, ms", 0),
    ("memory of an idle session, MiB", 2),
];

/// Takes all figures of a carrier once.
pub fn measure(carrier: &dyn Carrier) -> Figures {
    let began = Instant::now();
    let mut shell = carrier.open(None);
    shell.wait_for(&FIRST_PROMPTS);
    let start = began.elapsed().as_secs_f64() * 1000.0;
    prepare(&mut *shell);
    let [plain, dense] = KINDS.map(|(kind, text)| output(carrier, &mut *shell, kind, text));
    let quiet = echo(&mut *shell);
    let memory = processes::memory(&carrier.processes());
    let mut others: Vec<Box<dyn Connection>> = (0..FLOODS).map(|_| opened(carrier, None)).collect();
    let memory = (processes::memory(&carrier.processes()) - memory) / FLOODS as f64 / f64::from(1 << 20);
    let flooded = beside_floods(&mut *shell, &mut others);
    drop(others);
    drop(shell);
    let interrupt = interrupt(carrier);
    let has_processes = !carrier.processes().is_empty();
    let of_processes = |figure: f64| has_processes.then_some(figure);
    [
        Some(start),
        Some(plain.rate),
        Some(plain.delivered),
        of_processes(plain.seconds),
        Some(dense.rate),
        Some(dense.delivered),
        of_processes(dense.seconds),
        Some(quiet.0),
        Some(quiet.1),
        Some(flooded.0),
        Some(flooded.1),
        Some(interrupt),
        of_processes(memory),
    ]
}

/// Opens a shell and gives it the prompt [`PROMPT`].
fn opened(carrier: &dyn Carrier, rate: Option<usize>) -> Box<dyn Connection> {
    let mut shell = carrier.open(rate);
    shell.wait_for(&FIRST_PROMPTS);
    prepare(&mut *shell);
    shell
}

/// Starts the same shell with the same prompt for every carrier.
fn prepare(shell: &mut dyn Connection) {
    shell.send(b"exec bash --norc --noprofile -i\r");
    shell.wait_for(&["bash-"]);
    shell.send(b"PS1='ben''ch>'\r");
    shell.wait_for(&[PROMPT]);
}

struct Output {
    /// Megabytes per second.
    rate: f64,
    /// Percentage of the printed bytes that were received.
    delivered: f64,
    /// Processor seconds per 100 MB.
    seconds: f64,
}

fn output(carrier: &dyn Carrier, shell: &mut dyn Connection, kind: &str, text: &str) -> Output {
    let file = format!("/tmp/tere-bench-{kind}");
    shell.run(&format!("[ -e {file} ] || {text} | head -c {PRINTED} > {file}"));
    let servers = carrier.processes();
    let (before, began) = (processes::seconds(&servers), Instant::now());
    let came = shell.run(&format!("cat {file}"));
    let (took, seconds) = (began.elapsed().as_secs_f64(), processes::seconds(&servers) - before);
    shell.send(b"clear\r");
    shell.wait_for(&[PROMPT]);
    let megabytes = PRINTED as f64 / 1e6;
    Output {
        rate: megabytes / took,
        delivered: (came as f64 / PRINTED as f64 * 100.0).min(100.0),
        seconds: seconds / megabytes * 100.0,
    }
}

/// The median and the 99th percentile of the time until a key is echoed, in ms. The terminal echoes
/// it, so that no program takes part.
fn echo(shell: &mut dyn Connection) -> (f64, f64) {
    // Keys must be typed only once the terminal echoes: earlier ones are never echoed.
    shell.send(b"echo list''ens; cat >/dev/null\r");
    shell.wait_for(&["listens"]);
    let mut times = Vec::with_capacity(WARM_UP + KEYS);
    for _ in 0..WARM_UP + KEYS {
        let began = Instant::now();
        shell.send(b"#");
        shell.wait_for(&["#"]);
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    shell.send(b"\x03");
    shell.wait_for(&[PROMPT]);
    let mut times = times.split_off(WARM_UP);
    times.sort_by(f64::total_cmp);
    (times[KEYS / 2], times[KEYS * 99 / 100])
}

/// [`echo`], while the other sessions print endlessly.
fn beside_floods(shell: &mut dyn Connection, others: &mut [Box<dyn Connection>]) -> (f64, f64) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&over);
        for other in others {
            let over = &over;
            scope.spawn(move || {
                other.send(b"yes\r");
                let mut printed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    printed.clear();
                    other.receive(&mut printed, Duration::from_millis(100));
                }
            });
        }
        echo(shell)
    })
}

/// Stops the other sessions on drop: after a panic, the scope must not wait for them for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Time from Ctrl-C to the prompt, in ms, on a slow link on which a program prints endlessly.
fn interrupt(carrier: &dyn Carrier) -> f64 {
    let mut shell = opened(carrier, Some(SLOW));
    shell.send(b"yes\r");
    let (began, mut printed) = (Instant::now(), Vec::new());
    while began.elapsed() < FLOODED {
        printed.clear();
        shell.receive(&mut printed, FLOODED);
    }
    let pressed = Instant::now();
    shell.send(b"\x03");
    shell.wait_for(&[PROMPT]);
    pressed.elapsed().as_secs_f64() * 1000.0
}

/// The table of the medians, with a column for each carrier.
pub fn table(names: &[&str], measured: &[Vec<Figures>]) -> String {
    let mut table = comfy_table::Table::new();
    let head: Vec<String> = std::iter::once(format!("median of {ROUNDS}"))
        .chain(names.iter().map(|&name| name.to_owned()))
        .collect();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(head);
    for (row, (what, digits)) in ROWS.iter().enumerate() {
        let cells = measured.iter().map(|rounds| {
            let mut figures: Vec<f64> = rounds.iter().filter_map(|figures| figures[row]).collect();
            figures.sort_by(f64::total_cmp);
            figures
                .get(figures.len() / 2)
                .map_or_else(|| "-".to_owned(), |median| format!("{median:.digits$}"))
        });
        table.add_row(std::iter::once((*what).to_owned()).chain(cells));
    }
    table.to_string()
}
