//! What a session would find at a backend, up to the point where a credential would be sent.
//!
//! A probe uses the same dialling, PROXY header, TLS and protocol machines as a session, so that its findings are
//! what a client would experience. What must never happen here: a credential is sent, a wait has no end, or the
//! health by which logins are judged changes.

mod announced;

use std::net::{Ipv4Addr, SocketAddr};

use connection::{Connection, Next};
use credentials::attempt::ClientInfo;
use mail_proto::inbox::Inbox;
use mail_proto::step::{BackendEvent, Machine, Replay, ReplayContext, Step};
use plan::{Forwarding, Leg, TlsMode};
use tls::{Stream, TlsError, TlsInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use upstream::{Backend, ClientIdentity};

pub use announced::{announced, mechanisms};

/// What was found at one host of a leg. Fields are empty for steps that were not reached.
#[derive(Debug, Default)]
pub struct Findings {
    /// What the TLS handshake negotiated, where the leg uses TLS.
    pub tls: Option<TlsInfo>,
    /// The leaf certificate that the backend presented, in DER.
    pub certificate: Option<Vec<u8>>,
    /// What the backend sent since the connection, or since TLS was established: greeting and capabilities; for HTTP
    /// the status line. At most [`MAX_RECEIVED`] bytes.
    pub received: Vec<u8>,
    /// The first line that it sent.
    pub greeting: Vec<u8>,
    /// Whether it accepted XCLIENT or ID; true where neither is configured.
    pub introduced: bool,
    /// Why the probe ended early.
    pub failure: Option<Failure>,
}

/// Why a probe ended early.
#[derive(Debug)]
pub enum Failure {
    /// The TLS handshake failed.
    Tls(TlsError),
    /// Anything else failed.
    Fault(Fault),
}

/// The client that a probe connects for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeClient {
    /// The proxy itself: a PROXY header is `LOCAL`, so no ban of a client affects the probe.
    Proxy,
    /// A client on this host, connected over TLS or not: the backend is told what it is told of a real one.
    OnThisHost {
        /// Whether it uses TLS.
        tls: bool,
    },
}

/// How many bytes of what a backend sends are kept.
pub const MAX_RECEIVED: usize = 16 * 1024;
/// What is requested over HTTP: it shows no account's data, and every server answers it.
const PATH: &str = "/.well-known/jmap";

/// One probe under way.
struct Probe<'a> {
    backend: &'a Backend,
    protocol: Protocol,
    host: &'a str,
    hostname: &'a str,
    client: ProbeClient,
    deadline: Instant,
    findings: Findings,
}

/// A replay that keeps what the backend sends.
struct Recorder {
    replay: Box<dyn Replay>,
    received: Vec<u8>,
}

/// What an HTTP/2 client begins with, and settings that change none (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of the frame that a server begins with.
const SETTINGS: u8 = 4;

/// Connects to `host` for `client` the way a session would, and returns what was found until `deadline`. `hostname` is
/// our own name.
pub async fn probe(
    backend: &Backend,
    protocol: Protocol,
    host: &str,
    hostname: &str,
    client: ProbeClient,
    deadline: Instant,
) -> Findings {
    let mut probe =
        Probe { backend, protocol, host, hostname, client, deadline, findings: Findings::default() };
    let result = timeout_at(deadline, Box::pin(probe.run())).await;
    probe.findings.failure = match result {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(Fault::TimedOut.into()),
    };
    probe.findings
}

// === impl Probe ===

impl Probe<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let leg = self.backend.leg(self.protocol)?;
        let (tcp, _) = self.backend.dial(self.host, leg, self.deadline).await?;
        let local = tcp.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let tls = (self.client == ProbeClient::OnThisHost { tls: true }).then(client_tls);
        let client = ClientIdentity { client: local, local, tls, session: "probe".to_owned(), ttl: 1 };
        let mut stream = match self.client {
            ProbeClient::Proxy => self.backend.announce_own(tcp, leg).await?,
            ProbeClient::OnThisHost { .. } => self.backend.announce(tcp, leg, &client).await?,
        };
        let starttls = leg.tls == TlsMode::StartTls && self.protocol != Protocol::Http;
        if leg.tls != TlsMode::Plain && !starttls {
            stream = self.handshake(stream).await?;
        }
        let uses_xclient = leg.forwarding == Forwarding::Xclient;
        self.findings.introduced = !uses_xclient;
        match self.protocol {
            Protocol::Http => self.query_http(stream, leg).await,
            Protocol::Smtp | Protocol::Lmtp if !uses_xclient => self.read_greeting(&mut stream, b"220").await,
            _ => {
                let context = ReplayContext {
                    starttls,
                    forward: uses_xclient.then(|| mail_leg::forward(&client)),
                    client_info: ClientInfo::default(),
                    hostname: self.hostname.to_owned(),
                };
                let replay = mail_leg::replay(self.protocol, context).ok_or(Fault::NoMechanism)?;
                self.converse(stream, replay).await
            }
        }
    }

    async fn handshake(&mut self, stream: Stream) -> Result<Stream, Failure> {
        let connector = self.backend.connector(self.protocol).ok_or(Fault::Tls)?;
        let stream = stream.connect(connector, self.host).await.map_err(Failure::Tls)?;
        self.findings.tls = stream.tls_info();
        self.findings.certificate = stream.peer_certificate().map(|der| der.to_vec());
        Ok(stream)
    }

    /// Speaks the protocol up to the credential.
    async fn converse(&mut self, stream: Stream, replay: Box<dyn Replay>) -> Result<(), Failure> {
        let mut connection = Connection::new(stream, mail_leg::MAX_RESPONSE);
        let mut recorder = Recorder { replay, received: Vec::new() };
        loop {
            let next = connection.next(&mut recorder).await;
            if self.findings.greeting.is_empty() {
                let first_line = recorder.received.split_inclusive(|&byte| byte == b'\n').next();
                self.findings.greeting = first_line.unwrap_or_default().to_vec();
            }
            self.findings.received.clone_from(&recorder.received);
            match next.map_err(|broken| mail_leg::fault(&broken))? {
                Next::Event(BackendEvent::Ready { introduced }) => {
                    self.findings.introduced = introduced;
                    return Ok(());
                }
                Next::StartTls => {
                    let stream = self.handshake(connection.stream).await?;
                    connection = Connection::new(stream, mail_leg::MAX_RESPONSE);
                    // What was received in the clear does not count (RFC 9051 section 6.2.1).
                    recorder.received.clear();
                    let first = recorder.secured();
                    connection.write(&first).await.map_err(|_| Fault::Closed)?;
                }
                Next::Event(BackendEvent::Broken(fault)) => return Err(fault.into()),
                Next::Event(_) | Next::Close => return Err(Fault::Protocol.into()),
            }
        }
    }

    /// Requests a status over HTTP/1.1, or reads the settings with which an HTTP/2 server has to begin.
    async fn query_http(&mut self, mut stream: Stream, leg: Leg) -> Result<(), Failure> {
        if stream.tls_info().is_some_and(|info| info.alpn.as_deref() == Some(b"h2")) {
            return self.query_h2(stream).await;
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        let request =
            format!("OPTIONS {PATH} HTTP/1.1\r\nHost: {host}:{}\r\nConnection: close\r\n\r\n", leg.port);
        stream.write_all(request.as_bytes()).await.map_err(|_| Fault::Closed)?;
        stream.flush().await.map_err(|_| Fault::Closed)?;
        self.read_greeting(&mut stream, b"HTTP/1.").await
    }

    async fn query_h2(&mut self, mut stream: Stream) -> Result<(), Failure> {
        stream.write_all(PREFACE).await.map_err(|_| Fault::Closed)?;
        stream.flush().await.map_err(|_| Fault::Closed)?;
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.map_err(|_| Fault::Closed)?;
        self.findings.greeting = b"HTTP/2".to_vec();
        if frame[3] == SETTINGS { Ok(()) } else { Err(Fault::Protocol.into()) }
    }

    async fn read_greeting(&mut self, stream: &mut Stream, expected: &[u8]) -> Result<(), Failure> {
        self.findings.received = read_line(stream).await?;
        self.findings.greeting.clone_from(&self.findings.received);
        if self.findings.received.starts_with(expected) { Ok(()) } else { Err(Fault::Greeting.into()) }
    }
}

// === impl Recorder ===

impl Machine for Recorder {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        let before = inbox.unread().to_vec();
        let step = self.replay.feed(inbox);
        let consumed = before.len().saturating_sub(inbox.unread().len());
        let room = MAX_RECEIVED - self.received.len();
        self.received.extend_from_slice(&before[..consumed.min(room)]);
        step
    }

    fn secured(&mut self) -> Vec<u8> {
        self.replay.secured()
    }
}

// === impl Failure ===

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Returns what most clients' handshakes negotiate.
fn client_tls() -> TlsInfo {
    TlsInfo {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        sni: None,
        alpn: None,
        resumed: false,
    }
}

/// Reads one line of at most a kilobyte.
async fn read_line(stream: &mut Stream) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    while line.len() < 1024 && !line.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) => return Err(Fault::Closed),
        }
    }
    Ok(line)
}
