//! What a session would meet at a backend, up to the point where a credential would be sent.
//!
//! The same dialling, PROXY header, TLS and replay as for a session, so that the findings are those that a client
//! would suffer from. What must never happen here: a credential sent, a wait without an end, an influence on the
//! health that logins are judged by.

use std::net::{Ipv4Addr, SocketAddr};

use connection::{Connection, Next};
use credentials::attempt::ClientInfo;
use mail_proto::inbox::Inbox;
use mail_proto::step::{BackendEvent, Forward, Machine, Replay, ReplayContext, Step};
use plan::{Forwarding, Leg as LegPlan, TlsMode};
use tls::{Stream, TlsError, TlsInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;

use crate::leg::{ClientIdentity, fault};
use crate::{Backend, replay};

/// What was found at one host of a leg. What is absent was not reached.
#[derive(Debug, Default)]
pub struct Found {
    /// The agreement, where the leg has TLS.
    pub tls: Option<TlsInfo>,
    /// The leaf that was shown, in DER.
    pub certificate: Option<Vec<u8>>,
    /// What the backend said since the connection, or since TLS stands: greeting and capabilities; for HTTP the
    /// status line. At most [`MAX_HEARD`] bytes.
    pub heard: Vec<u8>,
    /// The first line that it said.
    pub greeting: Vec<u8>,
    /// Whether it took XCLIENT or ID; true where neither is configured.
    pub introduced: bool,
    /// Why it went no further.
    pub failure: Option<Failure>,
}

/// Why a probe ended early.
#[derive(Debug)]
pub enum Failure {
    /// TLS, in words.
    Tls(TlsError),
    /// Anything else.
    Fault(Fault),
}

/// Bytes of a backend's words that are kept.
pub const MAX_HEARD: usize = 16 * 1024;
/// Longest response of a backend.
const INBOX: usize = 64 * 1024;
/// What a backend is asked over HTTP: no account's data, and every server has an answer.
const PATH: &str = "/.well-known/jmap";

/// A replay whose backend's words are kept.
struct Recorder {
    replay: Box<dyn Replay>,
    heard: Vec<u8>,
}

/// What an HTTP/2 client begins with, and settings that change none (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of the frame that a server begins with.
const SETTINGS: u8 = 4;

// === impl Backend ===

impl Backend {
    /// Goes the way of a session at `host` until `deadline`. `hostname` is our own name.
    pub async fn probe(&self, protocol: Protocol, host: &str, hostname: &str, deadline: Instant) -> Found {
        let mut found = Found::default();
        let went = Box::pin(self.look(protocol, host, hostname, deadline, &mut found));
        let failure = match timeout_at(deadline, went).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Fault::TimedOut.into()),
        };
        found.failure = failure;
        found
    }

    async fn look(
        &self,
        protocol: Protocol,
        host: &str,
        hostname: &str,
        deadline: Instant,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let plan = *self.destination().leg(protocol).ok_or(Fault::NoMechanism)?;
        let (tcp, _) = self.dial(host, plan, deadline).await?;
        let local = tcp.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        // A client on this host: nothing that a backend could hold against anybody.
        let client_identity =
            ClientIdentity { client: local, local, tls: None, session: "probe".to_owned(), ttl: 1 };
        let mut stream = self.announce(tcp, plan, &client_identity).await?;
        let starttls = plan.tls == TlsMode::StartTls && protocol != Protocol::Http;
        if plan.tls != TlsMode::Plain && !starttls {
            stream = self.handshake(stream, protocol, host, found).await?;
        }
        let forward = (plan.forwarding == Forwarding::Xclient).then(|| Forward {
            client: client_identity.client,
            local: client_identity.local,
            session: client_identity.session.clone(),
            ttl: client_identity.ttl,
            encrypted: false,
        });
        let context = |forward| ReplayContext {
            starttls,
            forward,
            client_info: ClientInfo::default(),
            hostname: hostname.to_owned(),
        };
        found.introduced = forward.is_none();
        match protocol {
            Protocol::Http => ask(stream, plan, host, found).await,
            Protocol::Smtp | Protocol::Lmtp if forward.is_none() => {
                found.heard = line(&mut stream).await?;
                found.greeting.clone_from(&found.heard);
                if found.heard.starts_with(b"220") { Ok(()) } else { Err(Fault::Greeting.into()) }
            }
            Protocol::Smtp | Protocol::Lmtp => {
                let replay = Box::new(mail_proto::passthrough::Replay::new(protocol, context(forward)));
                self.converse(stream, (protocol, host), replay, found).await
            }
            _ => {
                let replay = replay(protocol, context(forward)).ok_or(Fault::NoMechanism)?;
                self.converse(stream, (protocol, host), replay, found).await
            }
        }
    }

    async fn handshake(
        &self,
        stream: Stream,
        protocol: Protocol,
        host: &str,
        found: &mut Found,
    ) -> Result<Stream, Failure> {
        let connector = self.connectors[protocol.index()].as_ref().ok_or(Fault::Tls)?;
        let stream = stream.connect(connector, host).await.map_err(Failure::Tls)?;
        found.tls = stream.tls_info();
        found.certificate = stream.peer_certificate().map(|der| der.to_vec());
        Ok(stream)
    }

    /// The first words of a session, up to the credential.
    async fn converse(
        &self,
        stream: Stream,
        (protocol, host): (Protocol, &str),
        replay: Box<dyn Replay>,
        found: &mut Found,
    ) -> Result<(), Failure> {
        let mut connection = Connection::new(stream, INBOX);
        let mut recorder = Recorder { replay, heard: Vec::new() };
        loop {
            let next = connection.next(&mut recorder).await;
            if found.greeting.is_empty() {
                found.greeting =
                    recorder.heard.split_inclusive(|&b| b == b'\n').next().unwrap_or_default().to_vec();
            }
            found.heard.clone_from(&recorder.heard);
            match next.map_err(|broken| fault(&broken))? {
                Next::Event(BackendEvent::Ready { introduced }) => {
                    found.introduced = introduced;
                    return Ok(());
                }
                Next::StartTls => {
                    let stream = self.handshake(connection.stream, protocol, host, found).await?;
                    connection = Connection::new(stream, INBOX);
                    // What was said in the clear does not count (RFC 9051 section 6.2.1).
                    recorder.heard.clear();
                    let first = recorder.secured();
                    connection.write(&first).await.map_err(|_| Fault::Closed)?;
                }
                Next::Event(BackendEvent::Broken(fault)) => return Err(fault.into()),
                Next::Event(_) | Next::Close => return Err(Fault::Protocol.into()),
            }
        }
    }
}

// === impl Recorder ===

impl Machine for Recorder {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        let before = inbox.unread().to_vec();
        let step = self.replay.feed(inbox);
        let consumed = before.len().saturating_sub(inbox.unread().len());
        let room = MAX_HEARD - self.heard.len();
        self.heard.extend_from_slice(&before[..consumed.min(room)]);
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

/// Asks for a status over HTTP/1.1, or for the settings with which an HTTP/2 server has to begin.
async fn ask(mut stream: Stream, plan: LegPlan, host: &str, found: &mut Found) -> Result<(), Failure> {
    if stream.tls_info().is_some_and(|info| info.alpn.as_deref() == Some(b"h2")) {
        stream.write_all(PREFACE).await.map_err(|_| Fault::Closed)?;
        stream.flush().await.map_err(|_| Fault::Closed)?;
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.map_err(|_| Fault::Closed)?;
        found.greeting = b"HTTP/2".to_vec();
        return if frame[3] == SETTINGS { Ok(()) } else { Err(Fault::Protocol.into()) };
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let request =
        format!("OPTIONS {PATH} HTTP/1.1\r\nHost: {host}:{}\r\nConnection: close\r\n\r\n", plan.port);
    stream.write_all(request.as_bytes()).await.map_err(|_| Fault::Closed)?;
    stream.flush().await.map_err(|_| Fault::Closed)?;
    found.heard = line(&mut stream).await?;
    found.greeting.clone_from(&found.heard);
    if found.heard.starts_with(b"HTTP/1.") { Ok(()) } else { Err(Fault::Greeting.into()) }
}

/// One line, of no more than a kilobyte.
async fn line(stream: &mut Stream) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    while line.len() < 1024 && !line.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) => return Err(Fault::Closed),
        }
    }
    Ok(line)
}
