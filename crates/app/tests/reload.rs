//! A reload while clients are in the middle of something: nobody is lost, and nobody ends on a destination that is gone.
//!
//! The backends are the tests' own hands, so that each reload falls between two steps of a login.

use std::sync::Arc;
use std::time::Duration;

use app::App;
use listen::{Accepted, ConnectionLimiter};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

type Stream = BufReader<TcpStream>;

/// What a step may take; none waits for a clock.
const PATIENCE: Duration = Duration::from_secs(10);
const LISTENERS: &str = "[server]\nhostname = \"mail.example.org\"\nbackend_connect_retries = 0\n\
    [listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n\
    [listener.smtp]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n\
    [listener.web]\nprotocol = \"http\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n\
    [capabilities.imap]\nallow_plain_auth_without_tls = true\n\
    sasl = [\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\"]\n\
    [mapping]\nsource = \"file\"\nfile = { path = \"mapping\", watch = false }\n";

const GET: &str = "GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n";

/// A program that begins with the destination `old`, and two servers that wait for it.
struct AppHandle {
    folder: tempfile::TempDir,
    app: Arc<App>,
    old: TcpListener,
    new: TcpListener,
}

// === impl AppHandle ===

impl AppHandle {
    async fn new() -> Self {
        let [old, new] = [server().await, server().await];
        let folder = tempfile::tempdir().expect("folder");
        write(&folder, &plan(&[("old", &old)], "old"), "bob@example.org old\n");
        let loaded = config::load(&folder.path().join("pointsman.toml")).unwrap_or_else(|it| panic!("{it}"));
        let app = App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}"));
        Self { folder, app: Arc::new(app), old, new }
    }

    /// Has `new` in the permit of `old`, in the mapping too.
    async fn replace_old(&self) {
        self.reload(&plan(&[("new", &self.new)], "new"), "bob@example.org new\n").await;
    }

    async fn reload(&self, text: &str, mapping: &str) {
        write(&self.folder, text, mapping);
        self.app.reload().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A client of a listener, which nothing was said to yet.
    async fn client(&self, listener: usize) -> Stream {
        let door = server().await;
        let address = door.local_addr().expect("address");
        let client = TcpStream::connect(address).await.expect("connect");
        let (stream, peer) = door.accept().await.expect("accept");
        let listener = Arc::clone(&self.app.plan().plan.listeners[listener]);
        let permit = ConnectionLimiter::new().take(peer.ip(), 8, 8);
        let accepted = Accepted { stream, peer, local: address, permit, reserved_fd: None };
        if listener.protocol == types::protocol::Protocol::Http {
            let service = self.app.web().clone();
            tokio::spawn(service.serve(listener, accepted, CancellationToken::new()));
        } else {
            let service = self.app.mail().clone();
            tokio::spawn(service.serve(listener, accepted, std::future::pending()));
        }
        BufReader::new(client)
    }

    async fn imap(&self) -> Stream {
        let mut client = self.client(0).await;
        hears(&mut client, "* OK").await;
        client
    }
}

async fn server() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("bind")
}

fn plan(destinations: &[(&str, &TcpListener)], default: &str) -> String {
    let mut text = LISTENERS.to_owned();
    for (name, server) in destinations {
        let port = server.local_addr().expect("address").port();
        text += &format!(
            "[destination.{name}]\nhost = \"127.0.0.1\"\nforwarding = \"none\"\nallow_plaintext_auth = true\n\
             protocol.imap = {{ port = {port}, tls = \"plain\" }}\n\
             protocol.smtp = {{ port = {port}, tls = \"plain\", forwarding = \"xclient\" }}\n\
             protocol.http = {{ port = {port}, tls = \"plain\" }}\n"
        );
    }
    text + &format!(
        "[routing]\ndefault_destination = \"{default}\"\nsmtp_passthrough_destination = \"{default}\"\n\
         [[http.route]]\nmatch = \"/form\"\nextract = {{ from = \"body\", regex = \"^user=([a-z]+)\" }}\n\
         [[http.route]]\nmatch = \"/**\"\ndestination = \"{default}\"\n"
    )
}

fn write(folder: &tempfile::TempDir, text: &str, mapping: &str) {
    std::fs::write(folder.path().join("mapping"), mapping).expect("mapping");
    std::fs::write(folder.path().join("pointsman.toml"), text).expect("configuration");
}

/// The next connection of the program's.
async fn called(server: &TcpListener) -> Stream {
    BufReader::new(timeout(PATIENCE, server.accept()).await.expect("nobody calls").expect("accept").0)
}

/// A call that is answered as IMAP, up to the credential, which is left to the test's verdict.
async fn asked(server: &TcpListener) -> Stream {
    let mut call = called(server).await;
    says(&mut call, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=SCRAM-SHA-256] hello\r\n").await;
    hears(&mut call, "P1 AUTHENTICATE").await;
    call
}

/// SMTP up to the greeting behind XCLIENT, which is the one that the client gets.
async fn presented(call: &mut Stream, name: &str) {
    says(call, "220 hello\r\n").await;
    hears(call, "EHLO").await;
    says(call, "250-hello\r\n250 XCLIENT ADDR PORT\r\n").await;
    hears(call, "XCLIENT").await;
    says(call, &format!("220 {name}\r\n")).await;
}

async fn says(stream: &mut Stream, words: &str) {
    stream.write_all(words.as_bytes()).await.expect("write");
}

async fn hears(stream: &mut Stream, beginning: &str) -> String {
    let mut line = String::new();
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("a line in time").expect("a line");
    assert!(line.starts_with(beginning), "{line:?} in permit of {beginning:?}");
    line
}

async fn is_left(stream: &mut Stream) {
    let left = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("it is left in time");
    assert!(left.is_ok_and(|read| read == 0), "the connection goes on");
}

/// A request, as its backend has it, with a body that is whole.
async fn request(call: &mut Stream, length: usize) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let read = timeout(PATIENCE, call.read_line(&mut text)).await.expect("a line in time");
        assert!(read.expect("a line") > 0, "{text}");
    }
    let mut body = vec![0; length];
    timeout(PATIENCE, call.read_exact(&mut body)).await.expect("a body in time").expect("a body");
    text + &String::from_utf8(body).expect("text")
}

async fn answers(call: &mut Stream, client: &mut Stream) {
    says(call, "HTTP/1.1 204 Fine\r\n\r\n").await;
    assert!(request(client, 0).await.starts_with("HTTP/1.1 204"), "the answer comes through");
}

#[tokio::test]
async fn a_client_at_the_prompt_logs_in_by_what_is_in_force() {
    let app_handle = AppHandle::new().await;
    for account in ["alice@example.org", "bob@example.org"] {
        let mut client = app_handle.imap().await;
        app_handle.replace_old().await;
        says(&mut client, &format!("a LOGIN {account} x\r\n")).await;
        let mut call = asked(&app_handle.new).await;
        says(&mut call, "P1 OK [CAPABILITY IMAP4rev1] in\r\n").await;
        hears(&mut client, "a OK").await;
        app_handle.reload(&plan(&[("old", &app_handle.old)], "old"), "bob@example.org old\n").await;
    }
}

#[tokio::test]
async fn a_login_under_way_does_not_end_where_it_leads_no_longer() {
    let app_handle = AppHandle::new().await;
    let old = &app_handle.old;
    let new = &app_handle.new;
    let both = [("old", old), ("new", new)];
    for (name, text, mapping) in [
        ("gone", plan(&[("new", new)], "new"), "bob@example.org new\n"),
        ("another default", plan(&both, "new"), ""),
        ("another entry", plan(&both, "old"), "bob@example.org new\n"),
        ("another permit", plan(&[("old", new)], "old"), "bob@example.org old\n"),
        ("as it was", plan(&[("old", old)], "old"), "bob@example.org old\n"),
    ] {
        app_handle.reload(&plan(&[("old", &app_handle.old)], "old"), "bob@example.org old\n").await;
        let mut client = app_handle.imap().await;
        says(&mut client, "a LOGIN bob@example.org x\r\n").await;
        let mut call = asked(&app_handle.old).await;
        app_handle.reload(&text, mapping).await;
        says(&mut call, "P1 OK [CAPABILITY IMAP4rev1] in\r\n").await;
        if name != "as it was" {
            is_left(&mut call).await;
            call = asked(&app_handle.new).await;
            says(&mut call, "P1 OK [CAPABILITY IMAP4rev1] in\r\n").await;
        }
        hears(&mut client, "a OK").await;
        says(&mut client, "b NOOP\r\n").await;
        hears(&mut call, "b NOOP").await;
    }
}

/// A client takes part in its exchange, so that it cannot be had a second time: where nothing has moved there must be
/// no second time.
#[tokio::test]
async fn a_reload_that_moves_nobody_costs_no_login_that_cannot_be_replayed() {
    let app_handle = AppHandle::new().await;
    for (user, moves) in [("alice@example.org", false), ("bob@example.org", true)] {
        let mut client = app_handle.imap().await;
        // n,,n=USER,r=nonce
        let first = ["biwsbj1hbGljZUBleGFtcGxlLm9yZyxyPW5vbmNl", "biwsbj1ib2JAZXhhbXBsZS5vcmcscj1ub25jZQ=="];
        let first = first[usize::from(user.starts_with("bob"))];
        says(&mut client, &format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n")).await;
        let mut call = asked(&app_handle.old).await;
        says(&mut call, "+ cj1ub25jZQ==\r\n").await;
        hears(&mut client, "+ ").await;
        let mapping = if moves { "bob@example.org new\n" } else { "bob@example.org old\n" };
        app_handle.reload(&plan(&[("old", &app_handle.old), ("new", &app_handle.new)], "old"), mapping).await;
        says(&mut client, "Yz1iaXdz\r\n").await;
        hears(&mut call, "Yz1iaXdz").await;
        says(&mut call, "P1 OK [CAPABILITY IMAP4rev1] in\r\n").await;
        hears(&mut client, if moves { "a NO [UNAVAILABLE]" } else { "a OK" }).await;
    }
}

#[tokio::test]
async fn what_passes_through_goes_where_it_leads_now() {
    let app_handle = AppHandle::new().await;
    let mut client = app_handle.client(1).await;
    let mut call = called(&app_handle.old).await;
    app_handle.replace_old().await;
    presented(&mut call, "old").await;
    is_left(&mut call).await;
    presented(&mut called(&app_handle.new).await, "new").await;
    hears(&mut client, "220 new").await;
}

#[tokio::test]
async fn each_request_of_a_connection_goes_by_what_is_in_force() {
    let app_handle = AppHandle::new().await;
    let mut client = app_handle.client(2).await;
    for server in [&app_handle.old, &app_handle.new] {
        says(&mut client, GET).await;
        let mut call = called(server).await;
        request(&mut call, 0).await;
        answers(&mut call, &mut client).await;
        app_handle.replace_old().await;
    }
}

#[tokio::test]
async fn a_rule_that_came_is_seen_by_connections_that_were_there() {
    let app_handle = AppHandle::new().await;
    let whole = plan(&[("old", &app_handle.old)], "old");
    app_handle.reload(&whole.replace("\"/**\"", "\"/other/**\""), "").await;
    let mut client = app_handle.client(2).await;
    says(&mut client, GET).await;
    let refused = request(&mut client, 0).await;
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    let length = refused.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.and_then(|it| it.parse().ok()).expect("a length")];
    client.read_exact(&mut body).await.expect("a body");
    app_handle.reload(&whole, "").await;
    says(&mut client, GET).await;
    let mut call = called(&app_handle.old).await;
    request(&mut call, 0).await;
    answers(&mut call, &mut client).await;
}

#[tokio::test]
async fn a_request_under_way_is_decided_again_with_the_body_that_was_read() {
    let app_handle = AppHandle::new().await;
    let both = plan(&[("old", &app_handle.old), ("new", &app_handle.new)], "old");
    let by_body = "extract = { from = \"body\", regex = \"^user=([a-z]+)\" }";
    let pinned = both.replace(by_body, "destination = \"new\"");
    for (text, mapping) in [(&both, "bob new\n"), (&pinned, "bob old\n")] {
        app_handle.reload(&plan(&[("old", &app_handle.old)], "old"), "bob old\n").await;
        let mut client = app_handle.client(2).await;
        let head = "POST /form HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 8\r\n\r\n";
        says(&mut client, &format!("{head}user=")).await;
        // Its beginning has been read when the second one is answered: both are served by one thread.
        let mut other = app_handle.client(2).await;
        says(&mut other, GET).await;
        let mut call = called(&app_handle.old).await;
        request(&mut call, 0).await;
        answers(&mut call, &mut other).await;
        app_handle.reload(text, mapping).await;
        says(&mut client, "bob").await;
        let mut call = called(&app_handle.new).await;
        assert!(request(&mut call, 8).await.ends_with("\r\n\r\nuser=bob"));
        answers(&mut call, &mut client).await;
    }
}
