//! A client's connection: lines, octets and responses, each with a time limit and a bound.
//!
//! What a client sends may hold a password, so it is only ever in memory that is wiped. This is the one file
//! that knows how bytes are buffered.

use std::io;
use std::time::Duration;

use mail_proto::inbox::Inbox;
use mail_proto::line::{Found, Lines};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use types::secret::Secret;

/// What a server needs of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Client<S> {
    stream: S,
    inbox: Inbox,
    lines: Lines,
    idle_limit: Duration,
    /// First word of the line that announces the end of the connection: `* BYE` or `-ERR`.
    goodbye: &'static str,
}

/// Failed logins after which a connection is closed.
pub(crate) const MAX_FAILURES: u8 = 5;
/// Longest line in bytes, literals not counted: room for long sets of message numbers.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// Silence before a login.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// Silence after it (RFC 3501 section 5.4: at least 30 minutes).
const IDLE_LIMIT: Duration = Duration::from_secs(31 * 60);
/// Time for a client to take what is sent at once.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

// === impl Client ===

impl<S: Stream> Client<S> {
    pub(crate) fn new(stream: S, goodbye: &'static str) -> Self {
        let inbox = Inbox::new(MAX_LINE + 2);
        Self { stream, inbox, lines: Lines::new(), idle_limit: LOGIN_LIMIT, goodbye }
    }

    /// Allows the long silences of a client that has logged in.
    pub(crate) fn extend_idle_limit(&mut self) {
        self.idle_limit = IDLE_LIMIT;
    }

    /// The next line, without its end. Cancel safe.
    pub(crate) async fn line(&mut self) -> io::Result<Secret> {
        loop {
            match self.lines.find(self.inbox.unread(), MAX_LINE) {
                Found::NeedMore => self.fill().await?,
                Found::TooLong => return Err(self.close("the line is too long").await),
                Found::Line(line) => {
                    let text = Secret::copy_of(&self.inbox.unread()[..line.text]);
                    self.inbox.consume(line.whole);
                    return Ok(text);
                }
            }
        }
    }

    /// The next `count` octets. The caller bounds `count`.
    pub(crate) async fn octets(&mut self, count: usize) -> io::Result<Secret> {
        let mut octets = Secret::with_capacity(count);
        while octets.len() < count {
            let unread = self.inbox.unread();
            let taken = unread.len().min(count - octets.len());
            octets.extend(&unread[..taken]);
            self.inbox.consume(taken);
            if octets.len() < count {
                self.fill().await?;
            }
        }
        Ok(octets)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.stream.write_all(bytes)).await?
    }

    /// Ends the connection after what was sent.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Tells the client why the connection ends, and ends it. The error is for the caller to return.
    pub(crate) async fn close(&mut self, reason: &str) -> io::Error {
        let line = format!("{} {reason}\r\n", self.goodbye);
        // The connection ends whether or not the client still listens.
        let _ = self.send(line.as_bytes()).await;
        let _ = self.end().await;
        io::ErrorKind::ConnectionAborted.into()
    }

    async fn fill(&mut self) -> io::Result<()> {
        match timeout(self.idle_limit, self.stream.read(self.inbox.spare())).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(received)) => {
                self.inbox.filled(received);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(self.close("the client was silent for too long").await),
        }
    }
}
