//! The circuit breaker, with a backend that bans clients by the address in the PROXY header.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::App;
use listen::{Binder, ConnectionLimiter};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An IMAP server that expects a PROXY header.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    /// Whether it closes every connection, those of the proxy itself too.
    is_broken: Arc<AtomicBool>,
}

/// The network whose clients the server has banned.
const BANNED: &str = "2001:db8:bad:";

// === impl Server ===

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let server = Self { address: listener.local_addr().expect("address"), is_broken: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(BufReader::new(stream), accepting.clone()));
            }
        });
        server
    }
}

async fn serve(mut stream: BufReader<TcpStream>, server: Server) -> std::io::Result<()> {
    let mut header = vec![0; 16];
    stream.read_exact(&mut header).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    header.resize(16 + length, 0);
    stream.read_exact(&mut header[16..]).await?;
    let is_banned = match proxy_protocol::parse(&header) {
        proxy_protocol::Parsed::Header { header: proxy_protocol::Header::Local, .. } => false,
        proxy_protocol::Parsed::Header { header: proxy_protocol::Header::Proxy { source, .. }, .. } => {
            source.ip().to_string().starts_with(BANNED)
        }
        other => panic!("{other:?}"),
    };
    if is_banned || server.is_broken.load(Ordering::SeqCst) {
        return Ok(());
    }
    stream.write_all(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n").await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let tag = line.split(' ').next().unwrap_or_default();
    stream.write_all(format!("{tag} OK [CAPABILITY IMAP4rev1] in\r\n").as_bytes()).await?;
    while stream.read_line(&mut line).await? > 0 {}
    Ok(())
}

/// Starts a program in front of `server`, and returns it with the address of its listener.
async fn start(folder: &Path, server: &Server) -> (Arc<App>, SocketAddr) {
    let text = format!(
        "[server]\nhostname = \"mail.example.org\"\nbackend_connect_retries = 0\nhost_down_threshold = 3\n\
         host_down_min_clients = 2\nhost_down_cooldown = \"1s\"\nbackend_timeout = \"5s\"\n\
         [listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:0\"]\ntls = \"plain\"\n\
         proxy_protocol = \"required\"\nproxy_trusted = [\"127.0.0.1\"]\n\
         [destination.old]\nhost = \"127.0.0.1\"\nallow_plaintext_auth = true\n\
         protocol.imap = {{ port = {}, tls = \"plain\" }}\n\
         [routing]\ndefault_destination = \"old\"\n\
         [capabilities.imap]\nallow_plain_auth_without_tls = true\n\
         [mapping]\nsource = \"file\"\nfile = {{ path = \"mapping\", watch = false }}\n",
        server.address.port()
    );
    std::fs::write(folder.join("mapping"), "").expect("mapping");
    std::fs::write(folder.join("pointsman.toml"), text).expect("configuration");
    let loaded = config::load(&folder.join("pointsman.toml")).unwrap_or_else(|report| panic!("{report}"));
    let app = Arc::new(App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}")));
    let listener = Arc::clone(&app.plan().plan.listeners[0]);
    let bound = Binder::default().bind(&listener).expect("bound").remove(0);
    let address = bound.address;
    let serving = Arc::clone(&app);
    tokio::spawn(async move {
        let limiter = ConnectionLimiter::new();
        loop {
            let accepted = bound.accept(&listener, &limiter).await;
            let service = serving.mail().clone();
            tokio::spawn(service.serve(Arc::clone(&listener), accepted, std::future::pending()));
        }
    });
    (app, address)
}

/// Logs in as a client at `client`, and returns the answer.
async fn log_in(proxy: SocketAddr, client: IpAddr) -> String {
    let mut stream = BufReader::new(TcpStream::connect(proxy).await.expect("connect"));
    let family = if client.is_ipv6() { "TCP6" } else { "TCP4" };
    let own = if client.is_ipv6() { "2001:db8::1" } else { "198.51.100.1" };
    let header = format!("PROXY {family} {client} {own} 4711 143\r\na LOGIN alice@example.org secret\r\n");
    stream.write_all(header.as_bytes()).await.expect("write");
    let mut line = String::new();
    while !line.starts_with("a ") {
        line.clear();
        assert_ne!(stream.read_line(&mut line).await.expect("a line"), 0, "closed without an answer");
    }
    line
}

fn banned(network: u16, host: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0xbad, network, 0, 0, 0, host])
}

fn rightful(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Waits until the leg is up, or down.
async fn until_up(app: &App, is_up: bool) {
    let series = "pointsman_destination_up{destination=\"old\",protocol=\"imap\"}";
    let expected = format!("{series} {}.0", u8::from(is_up));
    for _ in 0..2000 {
        if app.metrics().lines().any(|line| line == expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("expected {expected}:\n{}", app.metrics());
}

/// Two banned addresses of one /64, and then of two, refused none of 148 rightful logins.
#[tokio::test]
async fn banned_clients_take_no_destination_down() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start().await;
    let (app, proxy) = start(folder.path(), &server).await;
    let mut accepted = 0;
    for number in 0..148_u8 {
        // One network for the first half, two for the second.
        let network = u16::from(number >= 74 && number % 2 == 0);
        let answer = log_in(proxy, banned(network, u16::from(number % 2))).await;
        assert!(answer.starts_with("a NO [UNAVAILABLE]"), "{answer}");
        if log_in(proxy, rightful(0)).await.starts_with("a OK") {
            accepted += 1;
        }
    }
    assert_eq!(accepted, 148, "rightful logins that were accepted");

    // Without a success in between, the streak grows until the proxy checks the server itself.
    for number in 0..30 {
        let answer = log_in(proxy, banned(number % 2, number)).await;
        assert!(answer.starts_with("a NO [UNAVAILABLE]"), "{answer}");
    }
    assert!(log_in(proxy, rightful(1)).await.starts_with("a OK"));
    until_up(&app, true).await;
}

/// A server that fails for everybody is marked down, and comes back without a client's connection.
#[tokio::test]
async fn a_broken_server_is_marked_down_and_checked_again() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start().await;
    let (app, proxy) = start(folder.path(), &server).await;
    server.is_broken.store(true, Ordering::SeqCst);
    for number in 0..3 {
        assert!(log_in(proxy, rightful(number)).await.starts_with("a NO [UNAVAILABLE]"));
    }
    until_up(&app, false).await;
    server.is_broken.store(false, Ordering::SeqCst);
    until_up(&app, true).await;
    assert!(log_in(proxy, rightful(9)).await.starts_with("a OK"));
}
