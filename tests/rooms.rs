//! The structure of the sources: walls between the rooms of `src`, no circle of files, `unsafe` in
//! one room, and documents that name files which exist.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms that belong to one program.
const PROGRAMS: [&str; 6] = ["auth", "broker", "cli", "front", "machine", "session"];

/// Most lines in the room of `unsafe`, tests included.
const SYS_LINES_MAX: usize = 800;

/// Documents whose paths are checked.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/design.md",
    "docs/host.md",
    "docs/machines.md",
    "docs/proxy.md",
    "docs/threat-model.md",
];

/// A source file of the package.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    /// Its module path: `broker::opening`; that of a `mod.rs` is its folder's.
    module: Vec<String>,
    /// Its code, without comments and without its inline tests.
    code: String,
    /// Everything in it.
    text: String,
}

impl Source {
    fn read(path: PathBuf, root: &Path) -> Self {
        let relative = path.strip_prefix(root).unwrap().with_extension("");
        let mut module: Vec<_> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.last().unwrap() == "mod" {
            module.pop();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = code_of(&text);
        Self { path, module, code, text }
    }

    fn room(&self) -> &str {
        &self.module[0]
    }

    fn is_test(&self) -> bool {
        self.module.iter().any(|part| part == "tests")
    }

    /// The absolute module paths that this file names: in `use`, with groups unfolded, and anywhere
    /// else behind `crate::`, `self::` and `super::`.
    fn named_paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut rest = self.code.as_str();
        while let Some((at, start)) = next_path(rest) {
            // `use child::Thing` names a child of this module without `self`.
            let (tree, length) = path_tree(&rest[at..]);
            for path in tree {
                found.push(self.absolute(&path, start));
            }
            rest = &rest[at + length.max(1)..];
        }
        found
    }

    fn absolute(&self, path: &[String], start: Start) -> Vec<String> {
        let mut module = match (start, path.first().map(String::as_str)) {
            (_, Some("crate")) => Vec::new(),
            (_, Some("super" | "self")) | (Start::Use, _) => self.module.clone(),
            (Start::Path, _) => return Vec::new(),
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(module.pop()),
                other => module.push(other.to_owned()),
            }
        }
        module
    }
}

/// How a path begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// Behind `use`.
    Use,
    /// With `crate::`, `self::` or `super::` elsewhere.
    Path,
}

/// The code of a file: no comments, nothing from its inline tests on.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// Where the next path of the code begins.
fn next_path(code: &str) -> Option<(usize, Start)> {
    let words =
        [("use ", Start::Use), ("crate::", Start::Path), ("super::", Start::Path), ("self::", Start::Path)];
    let found = words.into_iter().filter_map(|(word, start)| {
        let at = code.match_indices(word).map(|(at, _)| at).find(|at| {
            let before = code[..*at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })?;
        Some((at, at + if matches!(start, Start::Use) { word.len() } else { 0 }, start))
    });
    found.min_by_key(|(at, ..)| *at).map(|(_, begin, start)| (begin, start))
}

/// The paths of a tree such as `crate::{a::B, c}`, and the length of its text.
fn path_tree(text: &str) -> (Vec<Vec<String>>, usize) {
    let mut paths = Vec::new();
    let mut prefix = Vec::new();
    let mut word = String::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let c = char::from(bytes[at]);
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            at += 1;
        } else if text[at..].starts_with("::") {
            prefix.push(std::mem::take(&mut word));
            at += 2;
        } else if c == '{' && word.is_empty() && !prefix.is_empty() {
            at += 1;
            loop {
                at += text[at..].len() - text[at..].trim_start().len();
                if at >= bytes.len() || bytes[at] == b'}' {
                    at += 1;
                    break;
                }
                if bytes[at] == b',' {
                    at += 1;
                    continue;
                }
                let (inner, length) = path_tree(&text[at..]);
                for path in inner {
                    paths.push(prefix.iter().cloned().chain(path).collect());
                }
                // `Thing as Other` and `*`: what comes before the next comma or brace is not a path.
                at += length;
                while at < bytes.len() && !matches!(bytes[at], b',' | b'}') {
                    at += 1;
                }
            }
            return (paths, at);
        } else {
            break;
        }
    }
    prefix.push(word);
    prefix.retain(|part| !part.is_empty());
    paths.push(prefix);
    (paths, at)
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let root = top().join("src");
    let mut found = Vec::new();
    files(&root, "rs", &mut found);
    assert!(found.len() > 50, "these are not all the sources");
    found.sort();
    found.into_iter().map(|path| Source::read(path, &root)).collect()
}

#[test]
fn no_room_imports_the_room_of_another_program() {
    for source in sources() {
        let room = source.room();
        if room == "bin" || room == "lib" {
            continue;
        }
        for path in source.named_paths() {
            let Some(named) = path.first() else { continue };
            let is_another = PROGRAMS.contains(&named.as_str()) && named != room;
            assert!(!is_another, "{} imports the room {named}: {}", source.path.display(), path.join("::"));
        }
    }
}

#[test]
fn a_grouped_import_is_seen_through_the_wall() {
    let source = Source {
        path: PathBuf::new(),
        module: vec!["broker".into(), "opening".into()],
        code: code_of(
            "use crate::{auth, names::{AccountName, session::SessionId as Id}};\nuse super::pool;\nfn f() { crate::cli::run() }\n",
        ),
        text: String::new(),
    };
    let paths: Vec<_> = source.named_paths().into_iter().map(|path| path.join("::")).collect();
    assert_eq!(
        paths,
        ["auth", "names::AccountName", "names::session::SessionId", "broker::pool", "cli::run"]
    );
}

/// Which files each file uses. A file may use what its own folder's `mod.rs` defines, which declares
/// it: that is no circle.
fn uses(sources: &[Source]) -> BTreeMap<&[String], BTreeSet<&[String]>> {
    let modules: BTreeSet<&[String]> = sources.iter().map(|source| source.module.as_slice()).collect();
    let mut uses = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let mut used = BTreeSet::new();
        for path in source.named_paths() {
            let file = (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]));
            used.extend(file.filter(|file| !source.module.starts_with(file)));
        }
        uses.insert(source.module.as_slice(), used);
    }
    uses
}

/// The files that can be reached from `start` by what each uses.
fn reach<'a>(
    uses: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
    start: &'a [String],
) -> BTreeSet<&'a [String]> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(file) = next.pop() {
        next.extend(uses.get(file).into_iter().flatten().filter(|used| reached.insert(**used)));
    }
    reached
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources();
    let uses = uses(&sources);
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 200, "imports are not read");
    let reached: BTreeMap<_, _> = uses.keys().map(|file| (*file, reach(&uses, file))).collect();
    let in_circle = |file: &&&[String]| reached[**file].contains(**file);
    let mut circles = BTreeSet::new();
    for file in uses.keys().filter(in_circle) {
        let others =
            reached[file].iter().filter(|other| reached.get(**other).is_some_and(|its| its.contains(file)));
        circles.insert(others.map(|module| module.join("::")).collect::<Vec<_>>());
    }
    assert!(circles.is_empty(), "files that import each other in a circle: {circles:#?}");
}

#[test]
fn unsafe_is_in_one_small_room() {
    let mut lines = 0;
    for source in sources() {
        if source.room() == "sys" {
            lines += source.text.lines().count();
            continue;
        }
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert!(
                !line.contains("unsafe {") && !line.contains("allow(unsafe"),
                "{}: {line}",
                source.path.display()
            );
        }
    }
    assert!(lines <= SYS_LINES_MAX, "src/sys has {lines} lines");
}

#[test]
fn documents_name_files_that_exist() {
    const FOLDERS: [&str; 8] =
        ["src/", "web/", "tests/", "systemd/", "polkit/", "mkosi/", "docs/", "machines/"];
    let mut checked = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(top().join(document)).unwrap();
        // Every second part stands between backticks.
        for named in text.split('`').skip(1).step_by(2) {
            let path = named.split_whitespace().next().unwrap_or_default();
            if !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            // A build's results are named too; they come and go.
            if path.starts_with("web/dist") || path.contains(['*', '{']) {
                continue;
            }
            assert!(top().join(path).exists(), "{document} names {path}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked > 30, "paths are not read");
}

/// The flows that docs/design.md tells as walks through files.
const WALKS: [&str; 4] = ["A key", "Printed bytes", "An opening", "A worker is killed"];

#[test]
fn each_walk_of_the_design_names_its_files() {
    let text = std::fs::read_to_string(top().join("docs/design.md")).unwrap();
    for walk in WALKS {
        let heading = format!("### {walk}\n");
        let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("no walk {walk:?}"));
        let told = rest.split("\n##").next().unwrap();
        let files = told.split('`').skip(1).step_by(2).filter(|named| named.starts_with("src/"));
        assert!(files.count() >= 4, "the walk {walk:?} names no files");
    }
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let text = std::fs::read_to_string(top().join("docs/threat-model.md")).unwrap();
    let named = text.split('`').skip(1).step_by(2);
    let tests: BTreeSet<_> = named.filter(|named| named.matches('_').count() >= 2).collect();
    assert!(tests.len() >= 150, "the names of tests are not read");
    let mut paths = Vec::new();
    files(&top().join("src"), "rs", &mut paths);
    files(&top().join("tests"), "rs", &mut paths);
    let code: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for test in tests {
        assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}
