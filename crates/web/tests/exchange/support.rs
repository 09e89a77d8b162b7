//! A proxy with one destination, and the two ends of it in the test's hands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use app::App;
use listen::{Accepted, ConnectionLimiter};
use socket2::SockRef;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Bound of every wait of a test for something that must happen, in the time of the machine.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(20);

/// A proxy whose every request goes to one backend.
pub(crate) struct Proxy {
    pub(crate) app: Arc<App>,
    pub(crate) door: SocketAddr,
    _folder: TempDir,
}

/// One side's socket, read up to the bytes that the test expects.
pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

/// Keys of a proxy's configuration.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Of the leg of the destination.
    pub(crate) leg: &'a str,
    /// The `tls` of the listener.
    pub(crate) tls: &'a str,
    /// More keys of the listener.
    pub(crate) listener: &'a str,
    /// More of `[http]`, before the route for everything.
    pub(crate) routes: &'a str,
}

// === impl Proxy ===

impl Proxy {
    /// Starts a proxy. `leg`: keys of the destination's leg; `tls`: of the listener.
    pub(crate) async fn start(backend: SocketAddr, leg: &str, tls: &str) -> Self {
        Self::with(backend, &Setup { leg, tls, listener: "", routes: "" }).await
    }

    /// Starts a proxy with more keys of its own.
    pub(crate) async fn with(backend: SocketAddr, setup: &Setup<'_>) -> Self {
        let Setup { leg, tls, listener, routes } = setup;
        let folder = tempfile::tempdir().expect("folder");
        let text = format!(
            "[server]\nhostname = \"mail.example.org\"\nbackend_connect_retries = 0\n\
             [listener.web]\nprotocol = \"http\"\nbind = [\"127.0.0.1:0\"]\ntls = \"{tls}\"\n{listener}\
             [destination.old]\nhost = \"{}\"\nproxy_protocol = false\ntls_allow_invalid_certs = true\n\
             allow_plaintext_auth = true\n\
             [destination.old.protocol.http]\nport = {}\n{leg}\n\
             [routing]\ndefault_destination = \"old\"\n\
             {routes}[[http.route]]\nmatch = \"/**\"\nextract = {{ from = \"authorization\" }}\n\
             [mapping]\nsource = \"file\"\nfile = {{ path = \"mapping\", watch = false }}\n",
            backend.ip(),
            backend.port()
        );
        std::fs::write(folder.path().join("mapping"), "").expect("mapping");
        let path = folder.path().join("pointsman.toml");
        std::fs::write(&path, text).expect("configuration");
        let loaded = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
        let app = Arc::new(App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let door = listener.local_addr().expect("an address");
        tokio::spawn(serve(Arc::clone(&app), listener, door));
        Self { app, door, _folder: folder }
    }

    pub(crate) async fn client(&self) -> Wire {
        Wire::of(TcpStream::connect(self.door).await.expect("a connection"))
    }

    /// A counter or gauge of the page of metrics.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let page = self.app.metrics();
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

async fn serve(app: Arc<App>, listener: TcpListener, local: SocketAddr) {
    let places = ConnectionLimiter::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let service = app.web();
        let plan = Arc::clone(&app.plan().plan.listeners[0]);
        let permit = places.take(peer.ip(), plan.max_connections, 0);
        let accepted = Accepted { stream, peer, local, permit, reserved_fd: None };
        tokio::spawn(service.clone().serve(plan, accepted, CancellationToken::new()));
    }
}

// === impl Wire ===

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn of(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn say(&mut self, words: impl AsRef<[u8]>) {
        self.stream.write_all(words.as_ref()).await.expect("write");
    }

    /// What comes up to `end` and with it. Nothing behind it is lost.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        match timeout(SOON, self.next(end)).await {
            Ok(Some(said)) => said,
            Ok(None) => panic!("closed behind {:?}", String::from_utf8_lossy(&self.unread)),
            Err(_) => panic!("no {end:?} came"),
        }
    }

    /// Waits for as long as it takes, and returns what comes up to `end` and with it; `None` if the peer closes.
    pub(crate) async fn next(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|it| it == end.as_bytes()) {
                let said: Vec<u8> = self.unread.drain(..at + end.len()).collect();
                return Some(String::from_utf8_lossy(&said).into_owned());
            }
            if self.stream.read_buf(&mut self.unread).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Waits for the peer's end, and says how long that took; in order or by a reset.
    pub(crate) async fn closed(&mut self) -> std::time::Duration {
        let began = Instant::now();
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) => {}
            Ok(_) => panic!("{:?} came", String::from_utf8_lossy(&self.unread)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        began.elapsed()
    }

    /// Closes the way to the peer, and goes on reading.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("shutdown");
    }
}

impl Wire {
    /// Closes both ways at once, as a client does that is killed.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    }
}

/// A backend that the test plays.
pub(crate) struct Backend(pub(crate) TcpListener);

// === impl Backend ===

impl Backend {
    pub(crate) async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a socket"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// The next connection of the proxy's.
    pub(crate) async fn accept(&self) -> Wire {
        let (stream, _) = timeout(SOON, self.0.accept()).await.expect("nobody came").expect("a connection");
        Wire::of(stream)
    }
}
