use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
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

const TIME_ONLY: Prefix = Prefix { priority: false, timestamp: true };

/// Returns what `log` logs.
pub(crate) fn lines(
    level: &str,
    environment: Option<&str>,
    format: Format,
    log: impl Fn(&FilterHandle),
) -> String {
    lines_with(TIME_ONLY, level, environment, format, log)
}

fn lines_with(
    prefix: Prefix,
    level: &str,
    environment: Option<&str>,
    format: Format,
    log: impl Fn(&FilterHandle),
) -> String {
    let out = Lines::default();
    let writer = out.clone();
    let (handle, subscriber) = build(level, environment, format, prefix, move || writer.clone()).unwrap();
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
        let error = build(level, environment, Format::Text, TIME_ONLY, io::sink).map(|_| ()).unwrap_err();
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
fn the_journal_gets_priorities_and_no_time() {
    let log = |prefix, format| {
        lines_with(prefix, "trace", None, format, |_| {
            tracing::error!(target: "mail", "error");
            tracing::warn!(target: "mail", "warn");
            tracing::info!(target: "mail", "info");
            tracing::debug!(target: "mail", "debug");
            tracing::trace!(target: "mail", "trace");
        })
    };
    let journal = Prefix { priority: true, timestamp: false };
    let text = "<3>ERROR mail: error\n<4> WARN mail: warn\n<6> INFO mail: info\n\
                <7>DEBUG mail: debug\n<7>TRACE mail: trace\n";
    assert_eq!(log(journal, Format::Text), text);
    let json = log(journal, Format::Json);
    assert_eq!(
        json.lines().next(),
        Some(r#"<3>{"level":"ERROR","fields":{"message":"error"},"target":"mail"}"#)
    );
    for format in [Format::Text, Format::Json] {
        for timestamp in [false, true] {
            let lines = log(Prefix { priority: false, timestamp }, format);
            assert!(!lines.contains('<'), "{lines}");
            // "2026-11-28T…" in both forms.
            let dated = lines.lines().filter(|line| line.contains("-")).count();
            assert_eq!(dated, if timestamp { 5 } else { 0 }, "{lines}");
        }
    }
}

#[test]
fn only_the_stream_that_journal_stream_names_is_the_journal() {
    let (ours, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let metadata = File::from(OwnedFd::from(ours.try_clone().unwrap())).metadata().unwrap();
    let device = metadata.dev();
    let inode = metadata.ino();
    assert!(is_journal(&format!("{device}:{inode}"), &ours).unwrap());
    assert!(!is_journal(&format!("{device}:{inode}"), &other).unwrap());
    for value in
        ["", ":", "1", &format!("{device}"), &format!("{device}:{inode}x"), &format!("{inode}:{device}")]
    {
        assert!(!is_journal(value, &ours).unwrap(), "{value}");
    }
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
    init("off", Format::Text, None).unwrap();
    assert!(init("off", Format::Text, None).unwrap_err().contains("already"));
}
