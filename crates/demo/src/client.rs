//! A client's connection: lines, octets and responses, each with a time limit and a bound.
//!
//! What a client sends may hold a password, so it is only ever in memory that is wiped.

use std::io;
use std::time::Duration;

use mail_proto::inbox::Inbox;
use mail_proto::line::{LineFinder, LineSearch};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use types::secret::Secret;

/// One client's connection.
pub(crate) struct Client<S> {
    stream: S,
    inbox: Inbox,
    lines: LineFinder,
    /// How long a client may be silent.
    pub(crate) idle_limit: Duration,
    /// First word of the line that announces the end of the connection: `* BYE` or `-ERR`.
    goodbye: &'static str,
}

/// Failed logins after which a connection is closed.
pub(crate) const MAX_FAILURES: u8 = 5;
/// Longest line in bytes, literals not counted: room for long sets of message numbers.
pub(crate) const MAX_LINE: usize = 16 * 1024;
/// Silence after a login (RFC 3501 section 5.4: at least 30 minutes).
pub(crate) const LOGGED_IN_LIMIT: Duration = Duration::from_secs(31 * 60);
/// Silence before a login, and the time a single write may take.
const SHORT_LIMIT: Duration = Duration::from_secs(60);

// === impl Client ===

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S, goodbye: &'static str) -> Self {
        let inbox = Inbox::new(MAX_LINE + 2);
        Self { stream, inbox, lines: LineFinder::new(), idle_limit: SHORT_LIMIT, goodbye }
    }

    /// The next line, without its end. Cancel safe.
    pub(crate) async fn line(&mut self) -> io::Result<Secret> {
        loop {
            match self.lines.find(self.inbox.unread(), MAX_LINE) {
                LineSearch::NeedMore => self.fill().await?,
                LineSearch::TooLong => return Err(self.close("the line is too long").await),
                LineSearch::Found(line) => {
                    let text = Secret::copy_of(&self.inbox.unread()[..line.text]);
                    self.inbox.consume(line.whole);
                    return Ok(text);
                }
            }
        }
    }

    /// Appends the next `count` octets. The caller bounds `count`.
    pub(crate) async fn octets(&mut self, mut count: usize, to: &mut Secret) -> io::Result<()> {
        while count > 0 {
            let taken = self.inbox.unread().len().min(count);
            to.extend(&self.inbox.unread()[..taken]);
            self.inbox.consume(taken);
            count -= taken;
            if count > 0 {
                self.fill().await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(SHORT_LIMIT, self.stream.write_all(bytes)).await?
    }

    /// Ends the connection after what was sent.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Tells the client why the connection ends, if it still listens, and ends it. The caller returns the error.
    pub(crate) async fn close(&mut self, reason: &str) -> io::Error {
        let line = format!("{} {reason}\r\n", self.goodbye);
        let _ = self.send(line.as_bytes()).await;
        let _ = self.end().await;
        io::ErrorKind::ConnectionAborted.into()
    }

    async fn fill(&mut self) -> io::Result<()> {
        let Ok(read) = timeout(self.idle_limit, self.stream.read(self.inbox.spare())).await else {
            return Err(self.close("the client was silent for too long").await);
        };
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            received => {
                self.inbox.filled(received);
                Ok(())
            }
        }
    }
}
