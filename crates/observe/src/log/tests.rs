use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;

/// Keeps the lines of one subscriber.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns what `log` logs.
pub(crate) fn lines(
    level: &str,
    environment: Option<&str>,
    format: Format,
    log: impl Fn(&FilterHandle),
) -> String {
    let out = Lines::default();
    let writer = out.clone();
    let (handle, subscriber) = build(level, environment, format, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || log(&handle));
    out.text()
}

fn log_lines() {
    tracing::debug!(target: "hyper::proto", "library");
    tracing::debug!(target: "mail", "debug");
    tracing::info!(target: "mail", "info");
    tracing::warn!(target: "hyper::proto", "warning");
}

fn messages(lines: &str) -> Vec<&str> {
    lines.lines().map(|line| line.rsplit(' ').next().unwrap()).collect()
}

#[test]
fn levels_are_for_our_own_crates() {
    for (level, environment, expected) in [
        ("debug", None, &["debug", "info", "warning"][..]),
        ("info", None, &["info", "warning"]),
        ("warn", None, &["warning"]),
        ("error", None, &[]),
        ("off", None, &[]),
        ("hyper=debug", None, &["library", "warning"]),
        ("error", Some("debug"), &["library", "debug", "info", "warning"]),
    ] {
        let lines = lines(level, environment, Format::Text, |_| log_lines());
        assert_eq!(messages(&lines), expected, "{level} {environment:?}");
    }
}

#[test]
fn the_level_changes_while_it_runs() {
    let lines = lines("info", None, Format::Text, |handle| {
        log_lines();
        set_level(handle, "debug").unwrap();
        log_lines();
        assert!(set_level(handle, "debugg=yes=no").unwrap_err().contains("expected a level"));
        set_level(handle, "off").unwrap();
        log_lines();
    });
    assert_eq!(messages(&lines), ["info", "warning", "debug", "info", "warning"]);
}

#[test]
fn an_unreadable_level_is_reported_with_its_key() {
    for (level, environment, key) in [("a=b=c", None, "log_level"), ("info", Some("a=b=c"), "RUST_LOG")] {
        let error = build(level, environment, Format::Text, io::sink).map(|_| ()).unwrap_err();
        assert!(error.starts_with(&format!("{key} = \"a=b=c\" cannot be read")), "{error}");
    }
}

#[test]
fn json_is_one_object_a_line() {
    let lines = lines("info", None, Format::Json, |_| {
        tracing::info!(target: "mail", session = "x", "first\nline");
    });
    let value: serde_json::Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!(value["fields"]["message"], "first\nline");
    assert_eq!((value["fields"]["session"].as_str(), lines.lines().count()), (Some("x"), 1));
}

#[test]
fn the_list_of_crates_is_complete() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace('-', "_"))
        .filter(|name| name != "cli")
        .collect();
    crates.sort();
    assert_eq!(crates, CRATES);
}

/// The only test of this binary that sets the process's log.
#[test]
fn a_process_has_one_log() {
    init("off", Format::Text).unwrap();
    assert!(init("off", Format::Text).unwrap_err().contains("already"));
}
