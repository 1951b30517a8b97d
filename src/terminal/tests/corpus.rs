//! The recordings of real programs in `tests/corpus`, each cut at many places: a terminal that is
//! restored from a snapshot at the cut and then receives the rest equals one that was never cut.

use std::path::Path;

use serde::Deserialize;

use super::super::Terminal;
use super::{assert_same, size};

/// Number of cuts in each recording.
const CUTS: u64 = 50;

/// A line of a recording.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Event {
    /// Bytes, each as the character with its number.
    Bytes {
        bytes: String,
    },
    Size {
        cols: u16,
        rows: u16,
    },
}

/// A step of a recording. Each byte is a step of its own, so that a recording can be cut anywhere.
#[derive(Debug, Clone, Copy)]
enum Step {
    Byte(u8),
    Size(u16, u16),
}

fn recordings() -> Vec<(String, Vec<Step>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|one| one == "rec")).collect();
    paths.sort();
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let steps = text.lines().flat_map(|line| match serde_json::from_str(line).unwrap() {
            Event::Bytes { bytes } => {
                bytes.chars().map(|byte| Step::Byte(u8::try_from(byte).unwrap())).collect()
            }
            Event::Size { cols, rows } => vec![Step::Size(cols, rows)],
        });
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), steps.collect())
    };
    paths.iter().map(|path| read(path)).collect()
}

fn play(terminal: &mut Terminal, steps: &[Step]) {
    let mut bytes = Vec::new();
    for step in steps {
        match *step {
            Step::Byte(byte) => bytes.push(byte),
            Step::Size(cols, rows) => {
                terminal.print(&std::mem::take(&mut bytes));
                terminal.resize(size(cols, rows));
            }
        }
    }
    terminal.print(&bytes);
}

#[test]
fn a_program_that_is_cut_anywhere_goes_on_as_if_it_were_not() {
    let recordings = recordings();
    assert!(recordings.len() >= 40, "{} recordings", recordings.len());
    for (name, steps) in recordings {
        let mut whole = Terminal::new(size(80, 24));
        play(&mut whole, &steps);
        // Pseudo-random numbers that are the same in each run: xorshift, by George Marsaglia.
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..CUTS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = usize::try_from(random % (steps.len() as u64 + 1)).unwrap();
            let (before, behind) = steps.split_at(at);
            let mut cut = Terminal::new(size(80, 24));
            play(&mut cut, before);
            let mut again = Terminal::new(cut.size());
            again.print(&cut.snapshot());
            assert!(again.answers().is_empty(), "{name}: the snapshot made the terminal answer");
            assert_same(&cut, &again, &format!("{name}, at the cut {at}"));
            cut.answers();
            play(&mut again, behind);
            play(&mut cut, behind);
            assert_same(&whole, &again, &format!("{name}, cut at {at}"));
            assert_eq!(cut.answers(), again.answers(), "{name}, cut at {at}");
        }
    }
}
