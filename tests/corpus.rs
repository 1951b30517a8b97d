//! The recordings in `tests/corpus`, with the terminal of the page as the far end: xterm.js without a
//! window, in Node. What our terminal says in a snapshot is what xterm.js has made of the same bytes
//! by itself; and xterm.js that is given a snapshot in the middle and the rest after it ends up
//! where it would have without. What it may differ in is listed in `tests/corpus/differences.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a panic is how a test fails
#![allow(clippy::needless_pass_by_value)] // a message is said once

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tere::names::TermSize;
use tere::terminal::Terminal;

/// Places at which each recording is cut.
const CUTS: u64 = 50;

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

/// The page's widths, as Node reads them.
fn widths(top: &Path, out: &Path) -> PathBuf {
    let bundle = out.join("widths.mjs");
    let made = Command::new("npx")
        .args(["--no-install", "esbuild", "--bundle", "--format=esm", "--log-level=error", "src/widths.ts"])
        .arg(format!("--outfile={}", bundle.display()))
        .current_dir(top.join("web"))
        .status();
    assert!(made.unwrap().success(), "the page's packages are not installed: run web/packages");
    bundle
}

#[test]
fn xterm_js_sees_what_our_terminal_sees_and_goes_on_from_its_snapshots() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recordings");
    std::fs::create_dir(&out).unwrap();
    let mut recordings = 0;
    for entry in std::fs::read_dir(top.join("tests/corpus")).unwrap() {
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
        let bridge = json!({ "name": name, "whole": events, "streams": streams });
        std::fs::write(out.join(format!("{name}.json")), bridge.to_string()).unwrap();
        recordings += 1;
    }
    assert!(recordings >= 40, "{recordings} recordings");
    let compared = Command::new("node")
        .arg(top.join("tests/corpus/headless.mjs"))
        .arg(&out)
        .arg(widths(top, folder.path()))
        .current_dir(top.join("web"))
        .output()
        .unwrap();
    let mut said = String::from_utf8_lossy(&compared.stdout).into_owned();
    write!(said, "{}", String::from_utf8_lossy(&compared.stderr)).unwrap();
    assert!(compared.status.success(), "{said}");
}
