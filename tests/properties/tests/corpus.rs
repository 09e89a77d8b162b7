//! Every property holds for the whole corpus, for beginnings of it, and for what once broke something; and every
//! property has what it needs to be fuzzed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use properties::{ALL, Property};

/// Says which input it was.
struct ClientEvent<'a> {
    path: &'a Path,
    length: usize,
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names() -> BTreeSet<String> {
    ALL.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// The files of a folder; none where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn stems(folder: &Path) -> BTreeSet<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files(folder).iter().map(stem).collect()
}

fn ask(property: Property, path: &Path, bytes: &[u8]) {
    let asked = ClientEvent { path, length: bytes.len() };
    property(bytes);
    drop(asked);
}

#[test]
fn the_corpus_and_its_beginnings() {
    for (name, property) in ALL {
        let seeds = files(&fuzz().join("corpus").join(name));
        assert!(!seeds.is_empty(), "fuzz/corpus/{name} is empty");
        for path in seeds {
            let bytes = fs::read(&path).expect("a file");
            assert!(bytes.len() <= 4096, "{} is no small seed", path.display());
            // Some fifty beginnings of each, and the whole.
            for length in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
                ask(property, &path, &bytes[..length]);
            }
            ask(property, &path, &bytes);
        }
    }
}

#[test]
fn what_once_broke_something() {
    for (name, property) in ALL {
        for path in files(&fuzz().join("regressions").join(name)) {
            ask(property, &path, &fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn every_property_is_fuzzed() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    let declared =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\""));
    assert_eq!(declared.map(str::to_owned).collect::<BTreeSet<_>>(), names());
    assert_eq!(stems(&fuzz().join("targets")), names());
    assert_eq!(stems(&fuzz().join("corpus")), names());
    assert!(stems(&fuzz().join("regressions")).is_subset(&names()));
    for name in names() {
        let target = fs::read_to_string(fuzz().join(format!("targets/{name}.rs"))).expect("a target");
        assert!(target.contains(&format!("properties::check(\"{name}\", data)")), "{name}");
    }
    // `imap_replay` shares the words of `imap`.
    let families = names().iter().map(|name| name.split('_').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(stems(&fuzz().join("dictionaries")), families);
}

impl Drop for ClientEvent<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("it was {} bytes of {}", self.length, self.path.display());
        }
    }
}
