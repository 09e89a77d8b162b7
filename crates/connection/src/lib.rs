//! The one driver: moves bytes between a machine of `wire` and a stream, towards clients and backends alike.
//!
//! It exists once so that the rules of moving bytes are written once: write everything before waiting, never
//! hold more than the inbox's limit, never go from clear to encrypted with bytes left over. It knows no
//! protocol and has no time-outs: those are the pipeline's, around it.

use std::io;

use mail_proto::inbox::Inbox;
use mail_proto::step::{Machine, Step};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::secret::Secret;

/// A stream and what was received on it but not yet consumed.
#[derive(Debug)]
pub struct Connection {
    /// The connection.
    pub stream: Stream,
    /// Received, not yet consumed.
    pub inbox: Inbox,
}

/// What [`Connection::next`] stopped for.
#[derive(Debug)]
#[must_use]
pub enum Next<E> {
    /// The machine has something to decide. Everything it wanted written is written.
    Event(E),
    /// Do the TLS handshake on the stream, then tell the machine with `secured`.
    StartTls,
    /// The machine is through with this peer; its last words are written.
    Close,
}

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// Bytes stood behind STARTTLS, or behind the answer to it.
    #[error("bytes stood behind STARTTLS: somebody in between may have put them there")]
    Injected,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Bytes collected before they are written: one segment for a pipelined burst of small replies, and the
/// bound of what a peer that does not read makes us hold.
const WRITE_AT_ONCE: usize = 16 * 1024;

// === impl Connection ===

impl Connection {
    /// A conversation whose peer may have at most `limit` bytes waiting here.
    #[must_use]
    pub fn new(stream: Stream, limit: usize) -> Self {
        Self { stream, inbox: Inbox::new(limit) }
    }

    /// Feeds the machine until it has something to decide. Cancel-safe between reads: what was received is
    /// in the inbox.
    ///
    /// # Errors
    /// See [`Broken`].
    pub async fn next<M: Machine + ?Sized>(&mut self, machine: &mut M) -> Result<Next<M::Event>, Broken> {
        let mut out = Secret::default();
        loop {
            match machine.feed(&mut self.inbox) {
                Step::Write(bytes) => {
                    out.extend(bytes.expose());
                    if out.len() >= WRITE_AT_ONCE {
                        self.send(&std::mem::take(&mut out)).await?;
                    }
                }
                Step::NeedMore => {
                    self.send(&std::mem::take(&mut out)).await?;
                    self.receive().await?;
                }
                Step::StartTls(bytes) => {
                    // Before anything is written: a client that injected gets no answer at all.
                    if !self.inbox.unread().is_empty() {
                        self.inbox.clear();
                        return Err(Broken::Injected);
                    }
                    out.extend(bytes.expose());
                    self.send(&out).await?;
                    return Ok(Next::StartTls);
                }
                Step::Event(event) => {
                    self.send(&out).await?;
                    return Ok(Next::Event(event));
                }
                Step::Close(bytes) => {
                    out.extend(&bytes);
                    self.send(&out).await?;
                    return Ok(Next::Close);
                }
            }
        }
    }

    /// Carries out the one step that a caller got from a machine outside of [`Connection::next`].
    ///
    /// # Errors
    /// When the stream cannot be written to.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn send(&mut self, bytes: &Secret) -> io::Result<()> {
        self.write(bytes.expose()).await
    }

    async fn receive(&mut self) -> Result<(), Broken> {
        // A machine may not ask for more with a full inbox; one that does is treated as a closed peer.
        let spare = self.inbox.spare();
        if spare.is_empty() {
            return Err(Broken::Closed);
        }
        let n = self.stream.read(spare).await?;
        if n == 0 {
            return Err(Broken::Closed);
        }
        self.inbox.filled(n);
        // How much, never what.
        tracing::trace!(bytes = n, "received");
        Ok(())
    }
}
