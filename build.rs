//! Gives the programs their build id (a hash of the sources, the same in all six), and the front
//! the table of the page's files, which are embedded in it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    let mut files = BTreeSet::new();
    collect(Path::new("src"), &mut files);
    files.insert("Cargo.lock".into());
    let mut hasher = DefaultHasher::new();
    for file in &files {
        hasher.write(file.as_os_str().as_encoded_bytes());
        hasher.write(&std::fs::read(file).unwrap_or_default());
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=TERE_BUILD={:016x}", hasher.finish());

    println!("cargo::rerun-if-changed=web/dist");
    if !Path::new("web/dist/index.html").exists() {
        println!("cargo::error=the page is not built: run web/build first (it needs npm)");
    }
    if let Err(error) = embed(Path::new("web/dist")) {
        println!("cargo::error=the page cannot be embedded: {error}");
    }
}

/// Writes the table that `src/front/files.rs` includes: the name of each file, its bytes, and the
/// bytes of its compressed forms, which web/bundle.mjs made with brotli (`.br`) and gzip (`.gz`).
fn embed(dist: &Path) -> std::io::Result<()> {
    let mut files = BTreeSet::new();
    collect(dist, &mut files);
    let mut table = String::from("&[\n");
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        if file.extension().is_some_and(|extension| extension == "br" || extension == "gz") {
            continue;
        }
        let name = file.strip_prefix(dist).unwrap_or(file);
        let whole = std::fs::canonicalize(file)?;
        let compressed = |extension: &str| {
            let mut path = whole.clone().into_os_string();
            path.push(extension);
            if Path::new(&path).exists() {
                format!("Some(include_bytes!({path:?}))")
            } else {
                "None".to_owned()
            }
        };
        let (brotli, gzip) = (compressed(".br"), compressed(".gz"));
        table += &format!("    ({name:?}, include_bytes!({whole:?}), {brotli}, {gzip}),\n");
    }
    table += "]\n";
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    std::fs::write(Path::new(&out).join("page_files.rs"), table)
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path);
        }
    }
}
