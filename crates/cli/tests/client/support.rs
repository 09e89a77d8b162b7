//! A proxy with a management API as a process, and commands run against it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// No step of these tests takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy; ends with the test. alice@example.org is at new, all others at old; neither server exists.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    /// The address of the API.
    pub(crate) address: SocketAddr,
    /// The address of the IMAP listener.
    pub(crate) imap: SocketAddr,
    /// The SHA-256 of the API's certificate.
    pub(crate) pin: String,
    /// Later log lines: a full pipe would stop the proxy.
    _lines: Receiver<String>,
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

// === impl Proxy ===

impl Proxy {
    pub(crate) fn start() -> Self {
        Self::start_before(1)
    }

    /// Starts a proxy whose destinations both have IMAP on this port of 127.0.0.1.
    pub(crate) fn start_before(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mapping"), "alice@example.org\tnew\n").expect("a file");
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("a file");
        let config = folder.path().join("pointsman.toml");
        std::fs::write(&config, configuration("127.0.0.1:0", port)).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["run".as_ref(), config.as_os_str()])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let (output, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("its standard error"));
        // Keeps reading after the receiver is dropped.
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| {
                let _ = output.send(line);
            });
        });
        let pin = value(&logged(&lines, "management API: self-signed"), "sha256=");
        let (imap, address) = addresses(&lines);
        let imap = imap.parse().expect("an address in the log");
        logged(&lines, "ready");
        let address: SocketAddr = address.parse().expect("an address in the log");
        // The API's port is known only now: clients use this file.
        std::fs::write(folder.path().join("client.toml"), configuration(&address.to_string(), port))
            .expect("a file");
        Self { child, folder, address, imap, pin, _lines: lines }
    }

    /// Runs a command that finds the API by --url.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Does the same as [`Proxy::run`], with `input` on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let (url, token) = (format!("https://{}", self.address), self.path("token"));
        let reach: [&OsStr; 6] = [
            "--url".as_ref(),
            url.as_ref(),
            "--token-file".as_ref(),
            token.as_ref(),
            "--pin".as_ref(),
            self.pin.as_ref(),
        ];
        let arguments = arguments.iter().map(OsStr::new).chain(reach);
        pointsman(&arguments.collect::<Vec<_>>(), self.folder.path(), input)
    }

    /// Runs a command without adding arguments.
    pub(crate) fn run_bare(&self, arguments: &[&str]) -> Outcome {
        pointsman(&arguments.iter().map(OsStr::new).collect::<Vec<_>>(), self.folder.path(), "")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Outcome ===

impl Outcome {
    /// Returns the output of a command that must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }
}

/// Runs the program in `folder`, with an environment of its own.
pub(crate) fn pointsman(arguments: &[&OsStr], folder: &Path, input: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("POINTSMAN_CONFIG")
        .env_remove("PROXY_CONFIG")
        .env_remove("SUDO_USER")
        .env("USER", "operator")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A command that reads nothing may have closed it.
    let _ = child.stdin.take().expect("its standard input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome {
        code: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn configuration(api: &str, port: u16) -> String {
    let one = |name: &str| {
        format!(
            "[destination.{name}]\nhost = \"127.0.0.1\"\nproxy_protocol = false\nallow_plaintext_auth = true\n\
             protocol.imap = {{ port = {port}, tls = \"plain\" }}\n"
        )
    };
    format!(
        "[server]\nstate_dir = \"state\"\n\
         [listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n[capabilities.imap]\nallow_plain_auth_without_tls = true\n{}{}\
         [routing]\ndefault_destination = \"old\"\n\
         [mapping]\nsource = \"file\"\n[mapping.file]\npath = \"mapping\"\n\
         [admin]\nbind = \"{api}\"\nbearer_token_file = \"token\"\nlockout_threshold = 3\n",
        one("old"),
        one("new"),
    )
}

/// Returns the addresses of IMAP and the API, which are logged in any order.
fn addresses(lines: &Receiver<String>) -> (String, String) {
    let mut imap = None;
    let mut api = None;
    loop {
        let line = logged(lines, "listening");
        let place = if line.contains("management API") { &mut api } else { &mut imap };
        *place = Some(value(&line, "address="));
        if let (Some(imap), Some(api)) = (&imap, &api) {
            return (imap.clone(), api.clone());
        }
    }
}

/// Waits for a log line that contains `word`.
fn logged(lines: &Receiver<String>, word: &str) -> String {
    let mut seen = Vec::new();
    loop {
        let line =
            lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {word:?} in {seen:#?}"));
        if line.contains(word) {
            return line;
        }
        seen.push(line);
    }
}

/// Returns the value of a field in a log line.
fn value(line: &str, field: &str) -> String {
    let rest = line.split(field).nth(1).unwrap_or_else(|| panic!("no {field} in {line}"));
    rest.split_whitespace().next().expect("a value").trim_matches('"').to_owned()
}
