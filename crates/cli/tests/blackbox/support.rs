//! A proxy as a process, a backend without protocol knowledge, and a client that reads lines.

mod talk;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(crate) use talk::{Client, play};

/// No step of these tests takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running proxy; ends with the test.
pub(crate) struct Proxy {
    child: Child,
    /// The address of its only listener.
    pub(crate) address: SocketAddr,
    lines: Receiver<String>,
    folder: tempfile::TempDir,
}

/// A backend that plays a script to each connection: `S: ` lines are sent, `S| ` raw; for each `C: ` line one is
/// received, whatever it contains, and reported to the test.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// What each connection received, in order.
    pub(crate) seen: Receiver<String>,
}

// === impl Proxy ===

impl Proxy {
    /// Starts one in front of `old` and `new`; bob@example.org is on new. `extra` goes into `[server]`,
    /// `destination` into both destinations, `listener` into the listener.
    pub(crate) fn start(old: SocketAddr, new: SocketAddr, options: &Options<'_>) -> Self {
        Self::start_as(old, new, options, "plain")
    }

    /// Does the same as [`Proxy::start`], with STARTTLS offered to clients.
    pub(crate) fn start_with_starttls(old: SocketAddr, new: SocketAddr, options: &Options<'_>) -> Self {
        Self::start_as(old, new, options, "starttls")
    }

    fn start_as(old: SocketAddr, new: SocketAddr, options: &Options<'_>, tls: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("mapping"), "bob@example.org new\n").expect("mapping");
        let config = folder.path().join("pointsman.toml");
        std::fs::write(&config, options.configuration(old, new, tls)).expect("configuration");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args(["run".as_ref(), config.as_os_str()])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let (client_info, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("its standard error"));
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| client_info.send(line))
        });
        let placeholder = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut proxy = Self { child, address: placeholder, lines, folder };
        let line = proxy.logged("listening");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        proxy.address = address.and_then(|text| text.parse().ok()).expect("an address in the log");
        proxy.logged("ready");
        proxy
    }

    /// Waits for a log line that contains `word`.
    pub(crate) fn logged(&self, word: &str) -> String {
        self.logged_before(word, None)
    }

    /// Does the same as [`Proxy::logged`]; no line before it may contain `unwanted`.
    pub(crate) fn logged_before(&self, word: &str, unwanted: Option<&str>) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {word:?}"));
            assert!(!unwanted.is_some_and(|unwanted| line.contains(unwanted)), "{line}");
            if line.contains(word) {
                return line;
            }
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Replaces the mapping file and waits until the proxy has read it.
    pub(crate) fn map(&self, text: &str) {
        std::fs::write(self.folder.path().join("mapping"), text).expect("mapping");
        self.logged("mapping file read");
    }

    pub(crate) fn mapping(&self) -> PathBuf {
        self.folder.path().join("mapping")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("pointsman.toml")
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for the process to end.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("its end").code()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a test changes about the proxy.
#[derive(Default, Clone)]
pub(crate) struct Options<'a> {
    /// The default is `imap`.
    pub(crate) protocol: Option<&'a str>,
    pub(crate) server: &'a str,
    pub(crate) listener: &'a str,
    pub(crate) destination: &'a str,
    /// The default is `plain`.
    pub(crate) backend_tls: Option<&'a str>,
    /// Whether the proxy asks the backends for their capabilities: connections that most scripts do not expect.
    pub(crate) learns: bool,
}

impl Options<'_> {
    fn configuration(&self, old: SocketAddr, new: SocketAddr, client_tls: &str) -> String {
        let Self { protocol, server, listener, destination, backend_tls, learns } = self;
        let protocol = protocol.unwrap_or("imap");
        let tls = backend_tls.unwrap_or("plain");
        let one = |name: &str, address: SocketAddr| {
            format!(
                "[destination.{name}]\nhost = \"{}\"\nproxy_protocol = false\nallow_plaintext_auth = true\n\
                 tls_server_name = \"{name}.example.org\"\n{destination}\n\
                 protocol.{protocol} = {{ port = {}, tls = \"{tls}\" }}\n",
                address.ip(),
                address.port()
            )
        };
        format!(
            "[server]\nlog_level = \"debug\"\n{server}\n\
             [listener.{protocol}]\nprotocol = \"{protocol}\"\nbind = [\"127.0.0.1:0\"]\ntls = \"{client_tls}\"\n{listener}\n\
             {}{}\
             [routing]\ndefault_destination = \"old\"\n\
             [capabilities.{protocol}]\nallow_plain_auth_without_tls = true\nlearn = {learns}\n\
             [mapping]\nsource = \"file\"\nfile = {{ path = \"mapping\" }}\n",
            one("old", old),
            one("new", new)
        )
    }
}

// === impl Backend ===

impl Backend {
    /// Plays `script` to every connection, one after the other.
    pub(crate) fn playing(script: &str) -> Self {
        let script = script.to_owned();
        Self::serving(move |stream, client_info| play(stream, &script, client_info))
    }

    /// Passes every connection to `serve`.
    pub(crate) fn serving(serve: impl Fn(TcpStream, &dyn Fn(String)) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let (client_info, seen) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &|line| drop(client_info.send(line)));
            }
        });
        Self { address, seen }
    }

    /// Returns an address where nothing listens.
    pub(crate) fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.local_addr().expect("address")
    }

    /// Returns everything that one connection received, for a script that ends with `WAIT`.
    pub(crate) fn saw_all(&self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.saw())).take_while(|line| line != "gone").collect()
    }

    /// Returns the next thing that a connection received.
    pub(crate) fn saw(&self) -> String {
        self.seen.recv_timeout(PATIENCE).expect("something is seen")
    }
}

/// Returns an IMAP server that accepts every login and shows its name.
pub(crate) const FRIENDLY: &str = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello
C: 
S: P1 OK [CAPABILITY IMAP4rev1] in
ECHO";
