//! The recordings in `tests/corpus`, with the terminal of the page as the far end: xterm.js without a
//! window, in Node. What our terminal says in a snapshot is what xterm.js has made of the same bytes
//! by itself; and xterm.js that is given a snapshot in the middle and the rest after it ends up
//! where it would have without. The same holds for random streams. Where the two differ for a
//! reason is listed in `tests/corpus/differences.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a panic is how a test fails
#![allow(clippy::needless_pass_by_value)] // a message is said once

#[path = "corpus/streams.rs"]
mod streams;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use streams::{Random, stream};
use tere::names::TermSize;
use tere::terminal::Terminal;

/// Places at which each recording is cut.
const CUTS: u64 = 50;

/// Random streams of a seed, columns and rows of their terminals, and how many of those that differ
/// are shown with only what they need to differ.
const STREAMS: u64 = 1000;
const RANDOM_SIZES: [(u16, u16); 6] = [(12, 6), (12, 6), (2, 3), (7, 2), (20, 2), (80, 24)];
const SHRUNK: usize = 4;

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|byte| u8::try_from(byte).unwrap()).collect()
}

fn size_of(event: &Value) -> Option<TermSize> {
    let number = |name: &str| u16::try_from(event[name].as_u64()?).ok();
    Some(TermSize::new(number("cols")?, number("rows")?).unwrap())
}

/// Plays events, and gives the terminal.
fn play(events: &[Value]) -> Terminal {
    let mut terminal = Terminal::new(TermSize::DEFAULT);
    for event in events {
        match size_of(event) {
            Some(size) => terminal.resize(size),
            None => terminal.print(&bytes_of(event["bytes"].as_str().unwrap())),
        }
    }
    terminal
}

/// The events before and behind the byte `at` of all that is printed.
fn cut(events: &[Value], mut at: usize) -> (Vec<Value>, Vec<Value>) {
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for event in events {
        let Some(bytes) = event["bytes"].as_str().map(bytes_of) else {
            if at > 0 {
                before.push(event.clone())
            } else {
                behind.push(event.clone())
            }
            continue;
        };
        let (now, later) = bytes.split_at(at.min(bytes.len()));
        at -= now.len();
        if !now.is_empty() {
            before.push(json!({ "bytes": latin1(now) }));
        }
        if !later.is_empty() {
            behind.push(json!({ "bytes": latin1(later) }));
        }
    }
    (before, behind)
}

fn restored(terminal: &Terminal, rest: Vec<Value>) -> Vec<Value> {
    let size = json!({ "cols": terminal.size().cols(), "rows": terminal.size().rows() });
    [size, json!({ "bytes": latin1(&terminal.snapshot()) })].into_iter().chain(rest).collect()
}

/// What the page makes of xterm.js, as Node reads it.
fn emulation(top: &Path, out: &Path) -> PathBuf {
    let bundle = out.join("emulation.mjs");
    let made = Command::new("npx")
        .args([
            "--no-install",
            "esbuild",
            "--bundle",
            "--format=esm",
            "--log-level=error",
            "src/emulation.ts",
        ])
        .arg(format!("--outfile={}", bundle.display()))
        .current_dir(top.join("web"))
        .status();
    assert!(made.unwrap().success(), "the page's packages are not installed: run web/packages");
    bundle
}

/// xterm.js in Node.
struct FarEnd {
    top: &'static Path,
    folder: tempfile::TempDir,
    emulation: PathBuf,
}

impl FarEnd {
    fn new() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().unwrap();
        let emulation = emulation(top, folder.path());
        Self { top, folder, emulation }
    }

    /// Has xterm.js compare what it makes of each case with what it makes of its streams. Returns
    /// what it says, with a line for each stream that differs, and whether none does.
    fn compare(&self, cases: &[Value]) -> (String, bool) {
        let path = self.folder.path().join("cases.json");
        let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let compared = Command::new("node")
            .arg(self.top.join("tests/corpus/headless.mjs"))
            .arg(path)
            .arg(&self.emulation)
            .current_dir(self.top.join("web"))
            .output()
            .unwrap();
        let mut said = String::from_utf8_lossy(&compared.stdout).into_owned();
        write!(said, "{}", String::from_utf8_lossy(&compared.stderr)).unwrap();
        (said, compared.status.success())
    }

    /// The streams that differ, by their number, and in what.
    fn differing(&self, streams: &[RandomStream]) -> Vec<(usize, String)> {
        let cases: Vec<Value> = streams
            .iter()
            .enumerate()
            .map(|(number, stream)| stream.case(&format!("random-{number}")))
            .collect();
        let (said, _) = self.compare(&cases);
        let mut differing: Vec<(usize, String)> = Vec::new();
        for line in said.lines() {
            match line.strip_prefix("random-").and_then(|rest| rest.split_once(',')) {
                Some((number, what)) => differing.push((number.parse().unwrap(), what.to_owned())),
                None if line.starts_with("  ") => {
                    if let Some((_, what)) = differing.last_mut() {
                        write!(what, "\n{line}").unwrap();
                    }
                }
                None => assert!(line.ends_with("failed"), "{said}"),
            }
        }
        assert!(said.contains("streams compared"), "{said}");
        // One difference of a stream is enough.
        differing.dedup_by_key(|(number, _)| *number);
        differing
    }

    /// The same stream with as few parts as still differ, and in what.
    fn shrunk(&self, stream: &RandomStream) -> (RandomStream, String) {
        let (mut stream, mut what) = (stream.clone(), String::new());
        loop {
            let mut smaller: Vec<RandomStream> =
                (0..stream.parts.len()).map(|gone| stream.without(gone)).collect();
            if stream.cut.is_some() {
                smaller.push(RandomStream { cut: None, ..stream.clone() });
            }
            match self.differing(&smaller).into_iter().next() {
                Some((number, said)) => (stream, what) = (smaller[number].clone(), said),
                None => return (stream, what),
            }
        }
    }
}

/// Random output, in parts.
#[derive(Clone)]
struct RandomStream {
    parts: Vec<Vec<u8>>,
    size: (u16, u16),
    /// Where a snapshot is made, modulo the length, besides the one at the end.
    cut: Option<usize>,
}

impl RandomStream {
    fn new(random: &mut Random) -> Self {
        let size = RANDOM_SIZES[random.below(RANDOM_SIZES.len())];
        Self { parts: stream(random), size, cut: Some(random.below(10_000)) }
    }

    fn without(&self, gone: usize) -> Self {
        let mut smaller = self.clone();
        smaller.parts.remove(gone);
        smaller
    }

    fn case(&self, name: &str) -> Value {
        let bytes = self.parts.concat();
        let size = json!({ "cols": self.size.0, "rows": self.size.1 });
        let events = vec![size.clone(), json!({ "bytes": latin1(&bytes) })];
        let mut streams = vec![restored(&play(&events), Vec::new())];
        if let Some(cut) = self.cut {
            let (before, behind) = bytes.split_at(cut % (bytes.len() + 1));
            let begun = play(&[size, json!({ "bytes": latin1(before) })]);
            streams.push(restored(&begun, vec![json!({ "bytes": latin1(behind) })]));
        }
        json!({ "name": name, "whole": events, "streams": streams })
    }
}

#[test]
fn xterm_js_sees_what_our_terminal_sees_and_goes_on_from_its_snapshots() {
    let far = FarEnd::new();
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(far.top.join("tests/corpus")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rec") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let length: usize =
            events.iter().filter_map(|event| Some(event["bytes"].as_str()?.chars().count())).sum();
        let (first, rest) = events.split_first().unwrap();
        let mut streams = vec![restored(&play(&events), Vec::new())];
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..CUTS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = usize::try_from(random % (length as u64 + 1)).unwrap();
            let (mut before, behind) = cut(rest, at);
            before.insert(0, first.clone());
            streams.push(restored(&play(&before), behind));
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        cases.push(json!({ "name": name, "whole": events, "streams": streams }));
    }
    assert!(cases.len() >= 40, "{} recordings", cases.len());
    let (said, is_same) = far.compare(&cases);
    assert!(is_same, "{said}");
}

#[test]
fn what_is_listed_as_a_difference_is_one() {
    let far = FarEnd::new();
    let text = std::fs::read_to_string(far.top.join("tests/corpus/differences.json")).unwrap();
    let listed: Vec<Value> = serde_json::from_str(&text).unwrap();
    let bytes = |one: &Value| one["bytes"].as_str().unwrap().as_bytes().to_vec();
    let size = |one: &Value| serde_json::from_value(one["size"].clone()).unwrap_or(RANDOM_SIZES[0]);
    let streams: Vec<RandomStream> = listed
        .iter()
        .map(|one| RandomStream { parts: vec![bytes(one)], size: size(one), cut: None })
        .collect();
    let differing: Vec<usize> = far.differing(&streams).into_iter().map(|(number, _)| number).collect();
    let same: Vec<&Value> =
        (0..listed.len()).filter(|at| !differing.contains(at)).map(|at| &listed[at]).collect();
    assert!(same.is_empty(), "listed in differences.json, and do not differ any more: {same:?}");
}

/// The seed is in the message of a failure, and this variable repeats it.
const SEED: &str = "TERE_STREAMS_SEED";
/// How many streams of each seed are compared.
const COUNT: &str = "TERE_STREAMS";

#[test]
fn xterm_js_sees_what_our_terminal_sees_in_random_streams() {
    let far = FarEnd::new();
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let count = number(COUNT).unwrap_or(STREAMS);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seeds = number(SEED).map_or_else(|| vec![1, now], |seed| vec![seed]);
    for seed in seeds {
        let mut random = Random::new(seed);
        let streams: Vec<RandomStream> = (0..count).map(|_| RandomStream::new(&mut random)).collect();
        let differing = far.differing(&streams);
        let mut said = format!("{SEED}={seed}: {} of {count} streams differ", differing.len());
        for (number, _) in differing.iter().take(SHRUNK) {
            let (stream, what) = far.shrunk(&streams[*number]);
            let parts: Vec<String> =
                stream.parts.iter().map(|part| part.escape_ascii().to_string()).collect();
            write!(said, "\n\nstream {number} at {:?}: {parts:?}\n{what}", stream.size).unwrap();
        }
        assert!(differing.is_empty(), "{said}");
    }
}
