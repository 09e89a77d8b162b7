//! What happens to clients is counted: real sockets, a backend that agrees and one that does not.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use app::App;
use listen::{Accepted, ConnectionLimiter};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n";

/// A backend that greets, answers the login with `verdict`, and says every further line back.
async fn backend(verdict: &'static str) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = door.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = door.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.write_all(GREETING.as_bytes()).await?;
                stream.read_line(&mut line).await?;
                stream.write_all(verdict.as_bytes()).await?;
                while stream.read_line(&mut line).await? > 0 {
                    stream.write_all(b"* OK heard\r\n").await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

/// A program whose destinations are `old` (says no), `new` (says yes) and `gone` (is not there).
async fn app(folder: &Path) -> Arc<App> {
    let old = backend("P1 NO [AUTHENTICATIONFAILED] Not you.\r\n").await;
    let new = backend("P1 OK [CAPABILITY IMAP4rev1] in\r\n").await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address");
    let destination = |(name, address): (&str, SocketAddr)| {
        format!(
            "[destination.{name}]\nhost = \"{}\"\nproxy_protocol = false\nallow_plaintext_auth = true\n\
             protocol.imap = {{ port = {}, tls = \"plain\" }}\n",
            address.ip(),
            address.port()
        )
    };
    let destinations: String = [("old", old), ("new", new), ("gone", gone)].map(destination).concat();
    let text = format!(
        "[server]\nhostname = \"mail.example.org\"\nbackend_connect_retries = 0\n\
         [listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\nmax_connections = 4\n\
         {destinations}\
         [routing]\ndefault_destination = \"old\"\n\
         [capabilities.imap]\nallow_plain_auth_without_tls = true\n\
         [mapping]\nsource = \"file\"\nfile = {{ path = \"mapping\", watch = false }}\n"
    );
    std::fs::write(folder.join("mapping"), "bob@example.org new\ncarol@example.org gone\n").expect("mapping");
    std::fs::write(folder.join("pointsman.toml"), text).expect("configuration");
    let loaded = config::load(&folder.join("pointsman.toml")).unwrap_or_else(|report| panic!("{report}"));
    Arc::new(App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}")))
}

/// Opens the door; `max_connections` of the plan are let in, one more is turned away.
async fn door(app: &Arc<App>) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = door.local_addr().expect("address");
    let app = Arc::clone(app);
    let places = ConnectionLimiter::new();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = door.accept().await {
            let plan = app.plan();
            let listener = Arc::clone(&plan.plan.listeners[0]);
            let permit = places.take(peer.ip(), listener.max_connections, 0);
            let accepted = Accepted { stream, peer, local: address, permit, reserved_fd: None };
            if accepted.permit.is_err() {
                mail::Service::turn_away(&plan, &listener, &accepted);
                continue;
            }
            tokio::spawn(app.mail().clone().serve(listener, accepted, std::future::pending()));
        }
    });
    address
}

async fn client(door: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(door).await.expect("connect"));
    line(&mut stream).await;
    stream
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a line");
    line
}

async fn says(stream: &mut BufReader<TcpStream>, words: &str) -> String {
    stream.write_all(words.as_bytes()).await.expect("write");
    line(stream).await
}

/// Waits for a session's own last act, which no client can see.
async fn settled(app: &App, series: &str, expected: f64) -> String {
    for _ in 0..2000 {
        let page = app.metrics();
        if value(&page, series) == Some(expected) {
            return page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{series} never was {expected}:\n{}", app.metrics());
}

fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn logins(destination: &str, result: &str) -> String {
    format!(
        "pointsman_logins_total{{protocol=\"imap\",mechanism=\"LOGIN\",destination=\"{destination}\",result=\"{result}\"}}"
    )
}

#[tokio::test]
async fn logins_sessions_and_bytes_are_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let app = app(folder.path()).await;
    let door = door(&app).await;
    let mut client = client(door).await;
    for (words, answer) in [
        ("a LOGIN alice@example.org x\r\n", "a NO [AUTHENTICATIONFAILED]"),
        ("b LOGIN carol@example.org x\r\n", "b NO [UNAVAILABLE]"),
        ("c LOGIN \" two words\" x\r\n", "c NO [AUTHENTICATIONFAILED]"),
        ("d LOGIN bob@example.org x\r\n", "d OK"),
        ("e NOOP\r\n", "* OK heard"),
    ] {
        let said = says(&mut client, words).await;
        assert!(said.starts_with(answer), "{said}");
    }
    let page = app.metrics();
    let route = |metric: &str, more: &str| {
        format!("{metric}{{listener=\"imap\",protocol=\"imap\",destination=\"new\"{more}}}")
    };
    for (series, expected) in [
        (logins("old", "rejected"), 1.0),
        (logins("gone", "unavailable"), 1.0),
        (logins("", "identifier_space"), 1.0),
        (logins("new", "accepted"), 1.0),
        (
            "pointsman_backend_faults_total{destination=\"gone\",protocol=\"imap\",fault=\"refused\"}".into(),
            1.0,
        ),
        ("pointsman_destination_consecutive_failures{destination=\"gone\",protocol=\"imap\"}".into(), 1.0),
        // A rejected login has had its answer too.
        ("pointsman_backend_auth_seconds_count{destination=\"old\",protocol=\"imap\"}".into(), 1.0),
        ("pointsman_backend_tls_seconds_count{destination=\"new\",protocol=\"imap\"}".into(), 0.0),
        ("pointsman_login_seconds_count{listener=\"imap\",protocol=\"imap\",step=\"total\"}".into(), 1.0),
        ("pointsman_connections{listener=\"imap\",protocol=\"imap\",state=\"session\"}".into(), 1.0),
        ("pointsman_connections{listener=\"imap\",protocol=\"imap\",state=\"login\"}".into(), 0.0),
        ("pointsman_accounts".into(), 1.0),
        (route("pointsman_sessions", ""), 1.0),
        // While it goes on, not at its end.
        (route("pointsman_bytes_total", ",direction=\"to_backend\""), 8.0),
    ] {
        assert_eq!(value(&page, &series), Some(expected), "{series} in\n{page}");
    }
    let traffic = Arc::clone(&app.registry().sessions()[0].traffic);
    assert_eq!(traffic.to_backend.load(std::sync::atomic::Ordering::Relaxed), 8);
    client.shutdown().await.expect("close");
    client.read_to_end(&mut Vec::new()).await.expect("the end");
    let ended = route("pointsman_sessions_ended_total", ",why=\"client closed\"");
    settled(&app, &ended, 1.0).await;
    settled(&app, &route("pointsman_sessions", ""), 0.0).await;
    settled(&app, "pointsman_connections{listener=\"imap\",protocol=\"imap\",state=\"session\"}", 0.0).await;
}

#[tokio::test]
async fn refusals_are_counted_by_their_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let app = app(folder.path()).await;
    let door = door(&app).await;
    let refused = |reason: &str| {
        format!(
            "pointsman_connections_refused_total{{listener=\"imap\",protocol=\"imap\",reason=\"{reason}\"}}"
        )
    };
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(client(door).await);
    }
    let mut fifth = client(door).await;
    assert_eq!(fifth.read_to_end(&mut Vec::new()).await.expect("the end"), 0);
    let page = settled(&app, &refused("max_connections"), 1.0).await;
    let state = "pointsman_connections{listener=\"imap\",protocol=\"imap\",state=\"login\"}";
    assert_eq!(value(&page, state), Some(4.0));
    let mut guesser = clients.pop().expect("one of them");
    for attempt in 0..app.plan().plan.listeners[0].max_auth_attempts {
        says(&mut guesser, &format!("g{attempt} LOGIN alice@example.org guess\r\n")).await;
    }
    settled(&app, &refused("max_auth_attempts"), 1.0).await;
}
