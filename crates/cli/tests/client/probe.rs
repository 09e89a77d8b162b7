//! `pointsman check --probe` against scripted backends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::support::{Outcome, pointsman};

/// Sends the greeting, answers each command with the next answer, and passes on the commands.
pub(crate) fn backend(
    greeting: &'static str,
    answers: &'static [&'static str],
) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = listener.local_addr().expect("an address");
    let (output, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            converse(&stream, greeting, answers, |line| drop(output.send(line.to_owned())));
        }
    });
    (address, seen)
}

fn converse(mut stream: &TcpStream, greeting: &str, answers: &[&str], output: impl Fn(&str)) {
    let mut lines = BufReader::new(stream);
    let mut answers = answers.iter();
    let mut line = String::new();
    if stream.write_all(greeting.as_bytes()).is_err() {
        return;
    }
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        output(line.trim_end());
        let tag = line.split(' ').next().unwrap_or_default();
        let Some(answer) = answers.next().map(|answer| answer.replace("TAG", tag)) else { return };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

fn probe(protocol: &str, address: SocketAddr, leg: &str, more: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mapping"), "").expect("a file");
    let text = format!(
        "[server]\nbackend_timeout = \"5s\"\n\
         [listener.one]\nprotocol = \"{protocol}\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n\
         [destination.old]\nhost = \"{}\"\nallow_plaintext_auth = true\n{leg}\n\
         protocol.{protocol} = {{ port = {}, tls = \"plain\" }}\n\
         [capabilities.imap]\nadvertise = [\"IMAP4rev1\"]\n[capabilities.submission]\nehlo = [\"CHUNKING\"]\n\
         [routing]\ndefault_destination = \"old\"\nsmtp_passthrough_destination = \"old\"\n\
         [mapping]\nsource = \"file\"\n[mapping.file]\npath = \"mapping\"\n",
        address.ip(),
        address.port()
    );
    std::fs::write(folder.path().join("pointsman.toml"), text).expect("a file");
    let arguments = ["check", "--probe"].iter().chain(more).map(OsStr::new).collect::<Vec<_>>();
    pointsman(&arguments, folder.path(), "")
}

fn row(outcome: &Outcome) -> Value {
    let output: Value =
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    output["probe"][0].clone()
}

const PLAIN: &str = "proxy_protocol = false\nforwarding = \"none\"";
const XCLIENT: &str = "proxy_protocol = false\nforwarding = \"xclient\"";

#[test]
fn every_backend_gets_its_verdict() {
    for (protocol, leg, greeting, answers, state, word) in [
        ("imap", PLAIN, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", &[][..], "ok", ""),
        ("imap", PLAIN, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n", &[], "failed", "no passwords"),
        ("imap", PLAIN, "* PREAUTH hi\r\n", &[], "failed", "PREAUTH"),
        ("imap", PLAIN, "220 smtp\r\n", &[], "failed", "greeting"),
        (
            "imap",
            XCLIENT,
            "* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN] hi\r\n",
            &["* ID NIL\r\nTAG OK\r\n"],
            "ok",
            "",
        ),
        (
            "imap",
            XCLIENT,
            "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n",
            &[],
            "warning",
            "trusted networks",
        ),
        ("submission", PLAIN, "220 hi\r\n", &["250-hi\r\n250 AUTH PLAIN\r\n"], "warning", "CHUNKING"),
        ("submission", PLAIN, "220 hi\r\n", &["250-hi\r\n250 SIZE\r\n"], "failed", "no passwords"),
        ("submission", PLAIN, "220 hi\r\n", &["250 hi\r\n"], "failed", "no passwords"),
        ("managesieve", PLAIN, "\"SASL\" \"PLAIN\"\r\nOK\r\n", &[], "ok", ""),
        ("pop3", PLAIN, "+OK hi\r\n", &["+OK\r\nSASL PLAIN\r\n.\r\n"], "ok", ""),
        ("smtp", PLAIN, "220 hi\r\n", &[], "ok", ""),
        ("smtp", PLAIN, "554 go away\r\n", &[], "failed", "greeting"),
    ] {
        let (address, seen) = backend(greeting, answers);
        let outcome = probe(protocol, address, leg, &["--json"]);
        let row = row(&outcome);
        assert_eq!(row["state"], state, "{protocol} {greeting}: {row:#}");
        assert_eq!(outcome.code, i32::from(state == "failed"), "{protocol} {greeting}");
        let words = format!("{}{}", row["problems"], row["remarks"]);
        assert!(words.contains(word), "{protocol} {greeting}: {words}");
        // No command could have carried a credential.
        for line in seen.try_iter() {
            let line = line.to_ascii_uppercase();
            let is_login = ["LOGIN ", "AUTH", "USER ", "PASS "].iter().any(|word| line.contains(word));
            assert!(!is_login, "{protocol} was sent {line}");
        }
    }
}

#[test]
fn an_unreachable_server_is_shown_in_a_table() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("an address");
    let outcome = probe("imap", address, PLAIN, &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.out.starts_with("DESTINATION  LEG   HOST"), "{outcome:?}");
    assert!(outcome.out.contains("the connection was refused"), "{outcome:?}");
}

#[test]
fn text_of_a_backend_moves_no_cursor() {
    let (address, _seen) = backend("* OK [CAPABILITY IMAP4rev1 AUTH=\x1b[2J] hi\r\n", &[]);
    let outcome = probe("imap", address, PLAIN, &[]);
    assert!(!outcome.out.contains('\x1b') && outcome.out.contains("\\u{1b}"), "{outcome:?}");
}
