//! The walls between the rooms of `src`: a program's room never imports another program's, shared
//! rooms import no program's, and `unsafe` lives in one room.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

/// Rooms that belong to one program.
const PROGRAMS: [&str; 5] = ["auth", "broker", "cli", "front", "session"];

/// Most lines in the room of `unsafe`, tests among them.
const SYS_LINES_MAX: usize = 600;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Each source file: its room, its path and its text. The file of the crate itself has no room.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 50, "these are not all the sources");
    let room = |path: &Path| {
        let first = path.strip_prefix(&source).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    files
        .into_iter()
        .map(|path| (room(&path), path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn no_room_imports_a_programs_room_but_that_program() {
    for (room, path, text) in rooms() {
        if room == "bin" || room == "lib" {
            continue;
        }
        for program in PROGRAMS.iter().filter(|program| **program != room) {
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let import = format!("crate::{program}");
                let imports = line.match_indices(&import).any(|(at, _)| {
                    // `crate::session::` and `crate::session;`, but not `crate::sessions`.
                    !line[at + import.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
                });
                assert!(!imports, "{} imports the room {program}: {line}", path.display());
            }
        }
    }
}

#[test]
fn unsafe_is_in_one_small_room() {
    let mut lines = 0;
    for (room, path, text) in rooms() {
        if room == "sys" {
            lines += text.lines().count();
            continue;
        }
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert!(
                !line.contains("unsafe {") && !line.contains("allow(unsafe"),
                "{}: {line}",
                path.display()
            );
        }
    }
    assert!(lines <= SYS_LINES_MAX, "src/sys has {lines} lines");
}
