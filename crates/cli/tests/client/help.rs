//! `pointsman token new`, `completions`, `man`, and the help texts.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::support::{Outcome, pointsman};

fn run(arguments: &[&str], folder: &Path) -> Outcome {
    pointsman(&arguments.iter().map(OsStr::new).collect::<Vec<_>>(), folder, "")
}

#[test]
fn tokens_are_random_and_readable_by_their_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_token = |text: &str| text.len() == 65 && text.trim_end().bytes().all(|b| b.is_ascii_hexdigit());
    let (one, other) =
        (run(&["token", "new"], folder.path()).ok(), run(&["token", "new"], folder.path()).ok());
    assert!(is_token(&one) && is_token(&other) && one != other, "{one}{other}");
    assert_eq!(run(&["token", "new", "--out", "admin.token"], folder.path()).ok(), "");
    let path = folder.path().join("admin.token");
    let written = std::fs::read_to_string(&path).expect("a file");
    assert!(is_token(&written), "{written}");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The token of a running proxy is not overwritten.
    let again = run(&["token", "new", "--out", "admin.token"], folder.path());
    assert_eq!((again.code, again.out.as_str()), (2, ""), "{again:?}");
    assert!(again.err.contains("remove it first"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), written);
}

/// `pointsman schema | head`.
#[test]
fn a_closed_pipe_is_not_an_error_message() {
    for arguments in [&["schema"][..], &["schema", "--reference"], &["man"], &["completions", "bash"]] {
        let (reader, output) = UnixStream::pair().expect("a pair");
        drop(reader);
        let ended = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(arguments)
            .stdout(OwnedFd::from(output))
            .output()
            .expect("it starts");
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(2), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn every_shell_has_completions() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = run(&["completions", shell], folder.path()).ok();
        assert!(text.contains("sessions") && text.contains("token-file"), "{shell}");
    }
    assert_eq!(run(&["completions", "csh"], folder.path()).code, 2);
}

#[test]
fn every_command_has_a_page_with_an_example_and_its_exit_status() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(run(&["man"], folder.path()).ok().contains(".TH pointsman 1"));
    run(&["man", "--out", "."], folder.path()).ok();
    let pages = std::fs::read_dir(folder.path()).expect("a folder");
    let names = pages.map(|page| page.expect("a page").file_name().into_string().expect("a name"));
    let pages: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("pointsman-")?.strip_suffix(".1")?.replace('-', " ")))
        .collect();
    // A group such as `map` does nothing by itself: its commands have the examples.
    let is_group = |name: &str| pages.iter().any(|other| other.starts_with(&format!("{name} ")));
    let commands: Vec<&String> = pages.iter().filter(|name| !is_group(name)).collect();
    assert!(commands.len() >= 19, "{commands:?}");
    for command in commands {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let help = run(&arguments, folder.path()).ok();
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.contains("Exit status"), "{command}: {help}");
        assert!(help.contains(&format!("  pointsman {command}")), "{command}: {help}");
    }
}
