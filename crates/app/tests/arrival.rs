//! Clients that arrive: TLS handshakes beside strangers, and connections that are counted for the real client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use app::App;
use listen::{Binder, ConnectionLimiter};
use plan::{Destination, Verify};
use tls::{Connector, PlatformRoots, Stream};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a program with these `listeners` and `limits`, and returns the address of each listener.
async fn start(folder: &Path, listeners: &str, limits: &str) -> Vec<SocketAddr> {
    let text = format!(
        "[server]\nhostname = \"mail.example.org\"\n{listeners}\
         [destination.old]\nhost = \"127.0.0.1\"\nproxy_protocol = false\nallow_plaintext_auth = true\n\
         protocol.imap = {{ port = 9, tls = \"plain\" }}\n\
         [routing]\ndefault_destination = \"old\"\n\
         [capabilities.imap]\nallow_plain_auth_without_tls = true\n\
         [limits]\n{limits}\n\
         [mapping]\nsource = \"file\"\nfile = {{ path = \"mapping\", watch = false }}\n"
    );
    std::fs::write(folder.join("mapping"), "").expect("mapping");
    std::fs::write(folder.join("pointsman.toml"), text).expect("configuration");
    let loaded = config::load(&folder.join("pointsman.toml")).unwrap_or_else(|report| panic!("{report}"));
    let app = Arc::new(App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}")));
    let mut addresses = Vec::new();
    for listener in &app.plan().plan.listeners {
        let bound = Binder::default().bind(listener).expect("bound").remove(0);
        addresses.push(bound.address);
        tokio::spawn(serve(Arc::clone(&app), Arc::clone(listener), bound));
    }
    addresses
}

/// Serves a listener as the program does.
async fn serve(app: Arc<App>, listener: Arc<plan::Listener>, bound: listen::BoundListener) {
    let limiter = ConnectionLimiter::new();
    loop {
        let accepted = bound.accept(&listener, &limiter).await;
        if accepted.permit.is_err() {
            mail::Service::turn_away(&app.plan(), &listener, &accepted);
            continue;
        }
        tokio::spawn(app.mail().clone().serve(Arc::clone(&listener), accepted, std::future::pending()));
    }
}

fn imap(name: &str, settings: &str) -> String {
    format!("[listener.{name}]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:0\"]\n{settings}\n")
}

fn connector(alpn: &[&[u8]]) -> Connector {
    let destination = Destination::outside("proxy", "127.0.0.1", Verify::Nothing);
    Connector::new(&destination, &PlatformRoots::of(Vec::new()), alpn).expect("a connector")
}

async fn first_line(stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut line = String::new();
    let mut stream = BufReader::new(stream);
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("a line in time").expect("a line");
    line
}

/// Returns the first flight of a TLS client: a whole ClientHello.
async fn client_hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let client = TcpStream::connect(listener.local_addr().expect("address")).await.expect("connect");
    let (mut server, _) = listener.accept().await.expect("accept");
    let handshake =
        tokio::spawn(
            async move { Stream::plain(client, Vec::new()).connect(&connector(&[]), "127.0.0.1").await },
        );
    let mut bytes = vec![0; 4096];
    let length = server.read(&mut bytes).await.expect("a ClientHello");
    handshake.abort();
    bytes.truncate(length);
    bytes
}

/// 512 connections on two listeners that never send a byte, and 64 that stop after their ClientHello, all of them from
/// the client's own network: with one permit per core, the client's handshake on a third listener is immediate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_delay_no_handshake() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = "tls = \"implicit\"\nmax_connections_per_ip = 0";
    let listeners = [imap("a", settings), imap("b", settings), imap("c", settings)].concat();
    let addresses = start(folder.path(), &listeners, "handshakes_per_core = 1").await;
    let hello = client_hello().await;
    let mut strangers = Vec::new();
    for number in 0..576 {
        let mut stranger = TcpStream::connect(addresses[number % 2]).await.expect("connect");
        if number >= 512 {
            stranger.write_all(&hello).await.expect("write");
            // The server's flight has come: its handshake waits for ours.
            timeout(PATIENCE, stranger.read_u8()).await.expect("a flight in time").expect("a flight");
        }
        strangers.push(stranger);
    }
    let began = Instant::now();
    let client = TcpStream::connect(addresses[2]).await.expect("connect");
    let connector = connector(&[]);
    let handshake = Stream::plain(client, Vec::new()).connect(&connector, "127.0.0.1");
    let client = timeout(PATIENCE, handshake).await.expect("a handshake in time").expect("a handshake");
    assert!(first_line(client).await.starts_with("* OK "));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "a greeting after {took:?}, expected at once");
}

/// The ALPACA attack makes a browser talk to a mail server under the name of a web site that shares its certificate.
#[tokio::test]
async fn a_client_that_asks_for_another_protocol_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let addresses = start(folder.path(), &imap("a", "tls = \"implicit\""), "").await;
    for (offer, is_served) in [
        (&[][..], true),
        (&[&b"imap"[..]][..], true),
        (&[b"h2", b"imap"], true),
        (&[b"http/1.1"], false),
        (&[b"h2", b"http/1.1"], false),
        (&[b"pop3"], false),
    ] {
        let client = TcpStream::connect(addresses[0]).await.expect("connect");
        let handshake = Stream::plain(client, Vec::new()).connect(&connector(offer), "127.0.0.1").await;
        match handshake {
            Ok(stream) => {
                assert!(is_served, "served: {offer:?}");
                assert!(first_line(stream).await.starts_with("* OK "));
            }
            Err(error) => {
                assert!(!is_served && error.to_string().contains("no_application_protocol"), "{error}");
            }
        }
    }
}

/// Connects through a balancer that reports `client`, and returns the greeting and the connection.
async fn through_balancer(address: SocketAddr, client: IpAddr) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let header = format!("PROXY TCP4 {client} 198.51.100.1 4711 143\r\n");
    stream.write_all(header.as_bytes()).await.expect("write");
    (first_line(&mut stream).await, stream)
}

#[tokio::test]
async fn connections_through_a_balancer_are_counted_for_the_client() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = "tls = \"plain\"\nproxy_protocol = \"required\"\nproxy_trusted = [\"127.0.0.1\"]\n\
                    max_connections_per_ip = 2\nmax_connections_per_front = 4";
    let addresses = start(folder.path(), &imap("a", settings), "").await;
    let mut open = Vec::new();
    for client in 0..=255 {
        for _ in 0..2 {
            let (greeting, stream) =
                through_balancer(addresses[0], IpAddr::from([203, 0, 113, client])).await;
            assert!(greeting.starts_with("* OK "), "client {client}: {greeting}");
            open.push(stream);
        }
    }
    let (greeting, _) = through_balancer(addresses[0], IpAddr::from([203, 0, 113, 7])).await;
    assert_eq!(greeting, "* BYE [UNAVAILABLE] Too many connections, try again later\r\n");
    let (greeting, _) = through_balancer(addresses[0], IpAddr::from([198, 51, 100, 7])).await;
    assert!(greeting.starts_with("* OK "), "another client: {greeting}");

    // A balancer that reports nobody has a bound of its own.
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(addresses[0]).await.expect("connect"));
    }
    let refused = TcpStream::connect(addresses[0]).await.expect("connect");
    let greeting = first_line(refused).await;
    assert_eq!(greeting, "* BYE [UNAVAILABLE] Too many connections, try again later\r\n");
}

/// A webmail server reports its user with IMAP ID.
#[tokio::test]
async fn logins_through_a_webmail_server_are_counted_for_its_user() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = "tls = \"plain\"\ntrusted_fronts = [\"127.0.0.1\"]\nmax_connections_per_ip = 1";
    let addresses = start(folder.path(), &imap("a", settings), "").await;
    let mut open = Vec::new();
    for (client, expected) in [
        ("203.0.113.1", "a NO [UNAVAILABLE]"),
        ("203.0.113.2", "a NO [UNAVAILABLE]"),
        ("203.0.113.2", "* BYE [UNAVAILABLE] Too many connections"),
    ] {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bind");
        let mut stream = BufReader::new(socket.connect(addresses[0]).await.expect("connect"));
        let commands = format!(
            "i ID (\"x-originating-ip\" \"{client}\" \"x-originating-port\" \"4711\")\r\n\
             a LOGIN alice@example.org wrong\r\n"
        );
        stream.write_all(commands.as_bytes()).await.expect("write");
        let mut line = String::new();
        while !line.starts_with("a ") && !line.starts_with("* BYE") {
            line.clear();
            let read = timeout(PATIENCE, stream.read_line(&mut line)).await.expect("in time");
            assert_ne!(read.expect("a line"), 0, "closed without an answer");
        }
        assert!(line.starts_with(expected), "{client}: {line}");
        open.push(stream);
    }
}
