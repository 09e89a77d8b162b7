//! The API over real sockets and TLS, in front of a fake program.

use futures_core::future::BoxFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admin::{AppHandle, Audit, Reload, ReloadError, Server};
use cluster::Bus;
use control::Control;
use listen::Binder;
use mapping::{FileStore, Router, RouterControl, Rules, Settings};
use moves::{Moves, Parts};
use observe::Accounts;
use plan::{Name, Plan};
use runtime::{ActivePlan, CurrentPlan, TlsMaterial};
use sessions::{Limits, Registry};
use tls::{Acceptor, Certificates, Connector, PlatformRoots, Stream, Tickets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::Backends;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// No step of these tests takes longer, unless it fails.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A served API; ends with the test.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) app_handle: Arc<FakeApp>,
    pub(crate) folder: tempfile::TempDir,
    connector: Connector,
    ending: CancellationToken,
}

/// The program that the API manages.
pub(crate) struct FakeApp {
    plan: Arc<ActivePlan>,
    registry: Registry,
    router: Arc<Router>,
    control: Control,
    moves: Moves,
    acceptor: Acceptor,
    pub(crate) is_draining: AtomicBool,
    /// The result of the next reload.
    pub(crate) reload: Mutex<Option<Result<Reload, ReloadError>>>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct TestRequest<'a> {
    pub(crate) line: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: &'a str,
    pub(crate) body: &'a str,
    /// Last byte of the client's address in 127.0.0.0/8.
    pub(crate) from: u8,
}

// === impl Api ===

impl Api {
    /// Starts the API with alice on `new` and every other account on `old`.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same, with `mapping` in the section `[mapping]`.
    pub(crate) async fn start_with(mapping: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mapping"), "# moved\nalice@example.org\tnew\n").expect("a file");
        let plan = Arc::new(plan(&folder, mapping));
        let active = Arc::new(active(&plan));
        let (router, router_control) = router(&plan, &folder);
        let (registry, registry_control) = Registry::new(Limits::default());
        let control = Control::new(router_control, registry_control, Bus::new("test").0);
        let own = Certificates::self_signed(&["localhost".to_owned()]).expect("a certificate");
        let tickets = Tickets::new().expect("randomness");
        let acceptor = Acceptor::new(&plan.tls, &own, &tickets, &[b"http/1.1"]).expect("TLS");
        let router = Arc::new(router);
        let parts = Parts {
            control: control.clone(),
            router: Arc::clone(&router),
            registry: registry.clone(),
            current: CurrentPlan::new(Arc::clone(&active)),
        };
        let moves = Moves::open(&folder.path().join("moves.sqlite"), parts).await.expect("a journal");
        let app_handle = Arc::new(FakeApp {
            plan: active,
            registry,
            router,
            control,
            moves,
            acceptor,
            is_draining: AtomicBool::new(false),
            reload: Mutex::new(None),
        });
        let audit = Audit::open(folder.path(), &Arc::new(Accounts::Full)).expect("a log");
        let admin = plan.admin.as_ref().expect("[admin]");
        let server =
            Server::bind(admin, &mut Binder::default(), app_handle.clone(), audit).expect("an address");
        let address = server.addresses()[0];
        let ending = CancellationToken::new();
        server.serve(&TaskTracker::new(), &ending);
        let destination = plan.destination("old").expect("declared");
        let connector = Connector::new(destination, &PlatformRoots::default(), &[]).expect("TLS");
        Self { address, app_handle, folder, connector, ending }
    }

    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.app_handle.router
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.app_handle.registry
    }

    /// Sends a request with the token.
    pub(crate) async fn call(&self, line: &str) -> TestResponse {
        self.send(TestRequest::with_token(line)).await
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn send(&self, request: TestRequest<'_>) -> TestResponse {
        let mut stream = self.connect(request.from).await.expect("a connection");
        stream.write_all(request.text("Connection: close\r\n").as_bytes()).await.expect("it is read");
        let mut answer = Vec::new();
        // A close without close_notify also ends the response.
        let _ = timeout(TIME_LIMIT, stream.read_to_end(&mut answer)).await.expect("an answer in time");
        TestResponse::of(&String::from_utf8(answer).expect("text"))
    }

    /// Connects from `127.0.0.FROM`.
    pub(crate) async fn connect(&self, from: u8) -> std::io::Result<Stream> {
        let tcp = self.connect_plain(from).await?;
        let connected =
            timeout(TIME_LIMIT, Stream::plain(tcp, Vec::new()).connect(&self.connector, "localhost"));
        connected.await.expect("a handshake in time").map_err(std::io::Error::other)
    }

    pub(crate) async fn connect_plain(&self, from: u8) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, from), 0)))?;
        timeout(TIME_LIMIT, socket.connect(self.address)).await.expect("accepted in time")
    }

    pub(crate) fn mapping(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mapping")).expect("a file")
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// The address of the mail clients in these tests.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A program with `old` (the default) and `new`, whose certificates are not verified.
fn plan(folder: &tempfile::TempDir, mapping: &str) -> Plan {
    let one = |name: &str| {
        format!(
            "[destination.{name}]\nhost = \"{name}.example.org\"\ntls_allow_invalid_certs = true\n\
             protocol.imap = {{ port = 993, tls = \"implicit\" }}\n"
        )
    };
    let text = format!(
        "[listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:993\"]\ntls = \"implicit\"\n{}{}\
         [routing]\ndefault_destination = \"old\"\n\
         [mapping]\nsource = \"file\"\nnormalize = \"lowercase\"\n{mapping}\n\
         [mapping.file]\npath = \"mapping\"\n\
         [admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"{TOKEN}\"\nlockout_threshold = 3\n",
        one("old"),
        one("new"),
    );
    let loaded = config::parse(&folder.path().join("pointsman.toml"), text);
    let mut plan = loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).plan;
    if let Some(admin) = &mut plan.admin {
        admin.bind = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    }
    plan
}

fn router(plan: &Plan, folder: &tempfile::TempDir) -> (Router, RouterControl) {
    let store = FileStore::open(folder.path().join("mapping"), Rules::of(plan)).expect("a mapping");
    Router::new(Arc::new(store), Settings::of(plan), 1_000)
}

fn active(plan: &Arc<Plan>) -> ActivePlan {
    let material = TlsMaterial {
        tickets: Arc::new(Tickets::new().expect("randomness")),
        roots: PlatformRoots::default(),
    };
    let certificates = Certificates::self_signed(&[]).expect("a certificate");
    ActivePlan::new(Arc::clone(plan), &certificates, &material, None)
        .expect("a plan that can be put in force")
}

// === impl FakeApp ===

impl FakeApp {
    pub(crate) fn backends(&self) -> &Backends {
        &self.plan.backends
    }
}

impl AppHandle for FakeApp {
    fn control(&self) -> Control {
        self.control.clone()
    }

    fn plan(&self) -> Arc<ActivePlan> {
        Arc::clone(&self.plan)
    }

    fn registry(&self) -> Registry {
        self.registry.clone()
    }

    fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }

    fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    fn listeners(&self) -> Vec<(Name, usize)> {
        vec![(Name::from("imap"), 7)]
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reload, ReloadError>> {
        let next = self.reload.lock().expect("no panic under it").take();
        Box::pin(async { next.unwrap_or_else(|| Err(ReloadError::Other("nothing was prepared".to_owned()))) })
    }

    fn moves(&self) -> Option<Moves> {
        Some(self.moves.clone())
    }

    fn metrics(&self) -> Option<(&'static str, String)> {
        Some(("text/plain; version=0.0.4", "pointsman_build_info 1\n".to_owned()))
    }
}

// === impl TestRequest ===

impl<'a> TestRequest<'a> {
    /// `line` is a method and a target.
    pub(crate) const fn new(line: &'a str) -> Self {
        Self { line, token: None, headers: "", body: "", from: 1 }
    }

    pub(crate) const fn with_token(line: &'a str) -> Self {
        Self { token: Some(TOKEN), ..Self::new(line) }
    }

    pub(crate) fn text(&self, more: &str) -> String {
        let Self { line, token, headers, body, .. } = self;
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{token}{headers}{more}{length}\r\n{body}")
    }
}

// === impl TestResponse ===

impl TestResponse {
    pub(crate) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let head = head.to_ascii_lowercase();
        let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }

    /// Returns the body of a successful call.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Returns the problem, which must have this status.
    pub(crate) fn problem(&self, status: u16) -> api::Problem {
        let media = Some(api::problem::MEDIA_TYPE);
        assert_eq!((self.status, self.header("content-type")), (status, media), "{self:?}");
        let problem: api::Problem = serde_json::from_str(&self.body).expect("a problem");
        assert_eq!(problem.status, status, "{problem:?}");
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        problem
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    whole
}
