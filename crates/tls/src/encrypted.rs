//! A connection inside TLS: records between a socket and the engine.
//!
//! A mail proxy mostly holds sessions that wait, so a stream must hold no buffer while it waits. Records are received
//! and encrypted in the worker's buffers; only an incomplete record, and what the socket or the reader does not accept,
//! is kept, and freed as soon as it was used. What must never happen here: a byte is lost or sent twice, the engine is
//! used after an error, or a poll for reading takes the place of the task that waits for writing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{CommonState, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::engine::{self, Engine};
use crate::leftover::Leftover;
use crate::scratch::{self, MAX_GATHERED, MAX_KEPT, MAX_PLAINTEXT, MAX_READ, MAX_RECORD, MAX_UNSENT};
use crate::selection::note_requested;

/// A socket and its engine.
pub(crate) struct Encrypted<E> {
    tcp: TcpStream,
    engine: E,
    /// An incomplete record or handshake message; at most [`MAX_KEPT`].
    incoming: Vec<u8>,
    /// What was decrypted and did not fit into the reader's buffer; at most one read. `None` when it is empty.
    plaintext: Option<Box<Leftover>>,
    /// Records that were not sent; at most [`MAX_UNSENT`] and those of one write.
    unsent: Leftover,
    /// The socket has refused `unsent`: nothing may be encrypted until it is sent.
    is_blocked: bool,
    reading: Reading,
    /// `close_notify` was encrypted: nothing may be written any more.
    is_shut_down: bool,
    /// On the server's side, the host name that the client has requested (RFC 6066 section 3).
    sni: Option<Box<str>>,
}

/// Whether there may be more to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// The peer has sent `close_notify`.
    Closed,
    /// The engine or the connection has failed.
    Failed,
}

/// The longest record of an alert: 2 bytes and what the suites of TLS 1.2 add.
const MAX_CLOSE_NOTIFY: usize = 64;

// === impl Encrypted ===

impl<E: Engine> Encrypted<E> {
    /// Performs the handshake. `prefix` was already read from `tcp`.
    ///
    /// # Errors
    /// The socket's; the engine's, as an [`io::ErrorKind::InvalidData`] that holds a [`rustls::Error`].
    pub(crate) async fn handshake(tcp: TcpStream, engine: E, mut prefix: Vec<u8>) -> io::Result<Self> {
        let mut stream = Self {
            tcp,
            engine,
            incoming: Vec::new(),
            plaintext: None,
            unsent: Leftover::default(),
            is_blocked: false,
            reading: Reading::Open,
            is_shut_down: false,
            sni: None,
        };
        stream.process(&mut prefix, &mut ReadBuf::new(&mut []))?;
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// Returns what was negotiated.
    pub(crate) fn common(&self) -> &CommonState {
        self.engine.common()
    }

    /// Returns the host name that the client has requested, on the server's side.
    pub(crate) fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// Returns the socket. Never read or write through it.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Returns whether decrypted bytes wait for a reader.
    pub(crate) fn has_plaintext(&self) -> bool {
        self.plaintext.is_some()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let common = self.engine.common();
            let is_complete = !common.is_handshaking();
            // Session tickets, which the client does not wait for: they are sent with the first response.
            let may_wait = is_complete
                && E::IS_SERVER
                && common.protocol_version() == Some(ProtocolVersion::TLSv1_3)
                && self.unsent.rest().len() <= MAX_UNSENT;
            if !may_wait {
                ready!(self.poll_send(cx))?;
            }
            if is_complete {
                return Poll::Ready(Ok(()));
            }
            if self.reading == Reading::Closed {
                return Poll::Ready(Err(closed()));
            }
            ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Reads once from the socket and processes what has arrived. Plaintext that does not fit into `buf` is kept.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        scratch::received(|received| {
            let kept = self.incoming.len();
            let length = match read_length(buf.remaining()).checked_sub(kept) {
                // A long handshake message.
                None | Some(0) => MAX_RECORD,
                Some(length) => length,
            };
            let mut part = ReadBuf::new(&mut received[kept..kept + length]);
            if let Err(error) = ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut part)) {
                self.reading = Reading::Failed;
                return Poll::Ready(Err(error));
            }
            let count = part.filled().len();
            if count == 0 {
                self.reading = Reading::Failed;
                return Poll::Ready(Err(closed()));
            }
            received[..kept].copy_from_slice(&self.incoming);
            Poll::Ready(self.process(&mut received[..kept + count], buf))
        })
    }

    /// Processes `received`, keeps what is incomplete, and wipes it.
    fn process(&mut self, received: &mut [u8], buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut overflow = Vec::new();
        let mut answers = Vec::new();
        let result = note_requested(&mut self.sni, || {
            engine::receive(&mut self.engine, received, &mut answers, |plaintext| {
                let (now, later) = plaintext.split_at(buf.remaining().min(plaintext.len()));
                buf.put_slice(now);
                overflow.extend_from_slice(later);
            })
        });
        self.unsent.append(&answers);
        if !overflow.is_empty() {
            self.plaintext.get_or_insert_default().append(&overflow);
            overflow.fill(0);
        }
        let result = match result {
            Ok(done) if done.is_closed => {
                self.reading = Reading::Closed;
                self.incoming = Vec::new();
                Ok(())
            }
            Ok(done) => self.keep(&received[done.consumed..]),
            Err(error) => Err(self.fail(error)),
        };
        received.fill(0);
        result
    }

    /// Keeps the incomplete rest of what was received.
    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        if rest.len() > MAX_KEPT {
            let error = rustls::Error::General("a handshake message is longer than 64 KiB".to_owned());
            return Err(self.fail(error));
        }
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Ends the connection after an error of the engine, and sends its alert if the socket accepts it at once.
    fn fail(&mut self, error: rustls::Error) -> io::Error {
        self.reading = Reading::Failed;
        self.is_shut_down = true;
        self.incoming = Vec::new();
        let mut alert = Vec::new();
        engine::drain(&mut self.engine, &mut alert);
        self.unsent.append(&alert);
        // Not polled: this may be the task that reads, and another may wait for the socket to accept bytes.
        if let Ok(sent) = self.tcp.try_write(self.unsent.rest()) {
            self.unsent.advance(sent);
        }
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    /// Sends what was encrypted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = send(&mut self.tcp, cx, self.unsent.rest())?;
        self.unsent.advance(sent);
        self.is_blocked = !self.unsent.is_empty();
        if self.is_blocked {
            return Poll::Pending;
        }
        self.unsent = Leftover::default();
        Poll::Ready(Ok(()))
    }

    /// Encrypts `plaintext` after what was not sent yet, and sends both as far as the socket accepts them.
    fn encrypt(&mut self, cx: &mut Context<'_>, plaintext: &[u8]) -> io::Result<()> {
        scratch::to_send(|records| {
            let earlier = self.unsent.rest().len();
            records[..earlier].copy_from_slice(self.unsent.rest());
            let unused = &mut records[earlier..];
            let new = engine::encrypt(&mut self.engine, &mut self.incoming, plaintext, unused)?;
            let records = &records[..earlier + new];
            let sent = send(&mut self.tcp, cx, records)?;
            self.unsent = Leftover::new(records[sent..].to_vec());
            self.is_blocked = sent < records.len();
            Ok(())
        })
    }
}

/// Sends `records` and returns how many bytes the socket has accepted. When it accepts no more, `cx` is woken later.
fn send(tcp: &mut TcpStream, cx: &mut Context<'_>, records: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < records.len() {
        match Pin::new(&mut *tcp).poll_write(cx, &records[sent..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => sent += count,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(sent)
}

/// The end of the connection where TLS has not ended, or has not begun.
fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

/// Returns how much to read for a reader with room for `room` bytes of plaintext. A record is always read whole.
fn read_length(room: usize) -> usize {
    (room + 2 * 32).clamp(MAX_RECORD, MAX_READ)
}

impl<E: Engine> AsyncRead for Encrypted<E> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            if let Some(plaintext) = &mut this.plaintext {
                plaintext.read_into(buf);
                if plaintext.is_empty() {
                    this.plaintext = None;
                }
                return Poll::Ready(Ok(()));
            }
            if buf.remaining() == 0 || buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match this.reading {
                Reading::Open => ready!(this.poll_receive(cx, buf))?,
                Reading::Closed => return Poll::Ready(Ok(())),
                Reading::Failed => return Poll::Ready(Err(closed())),
            }
        }
    }
}

impl<E: Engine> AsyncWrite for Encrypted<E> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_shut_down {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.is_blocked || this.unsent.rest().len() > MAX_UNSENT {
            ready!(this.poll_send(cx))?;
        }
        let buf = &buf[..buf.len().min(MAX_PLAINTEXT)];
        Poll::Ready(this.encrypt(cx, buf).map(|()| buf.len()))
    }

    /// Encrypts short slices as one record.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty())
            && first.len() >= MAX_GATHERED
        {
            return self.poll_write(cx, first);
        }
        scratch::gathered(|gathered| {
            let mut length = 0;
            for slice in slices {
                let count = slice.len().min(gathered.len() - length);
                gathered[length..length + count].copy_from_slice(&slice[..count]);
                length += count;
            }
            let written = self.poll_write(cx, &gathered[..length]);
            gathered[..length].fill(0);
            written
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut_down {
            this.is_shut_down = true;
            let mut close_notify = [0; MAX_CLOSE_NOTIFY];
            let length = engine::close(&mut this.engine, &mut this.incoming, &mut close_notify)?;
            this.unsent.append(&close_notify[..length]);
        }
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.tcp).poll_shutdown(cx)) {
            // The peer has reset the connection: there is nothing to shut down.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

#[cfg(test)]
mod tests;
