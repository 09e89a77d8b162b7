//! One direction of a session: read, write, keep what the sink does not accept, shut down.
//!
//! It must never read while bytes wait to be written. That slows down a sender whose receiver is slow, and limits the
//! bytes kept to those of one read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fast_path::{Drained, FastPath, FastPathState, Filled, FlowError};
use crate::pending_bytes::PendingBytes;
use crate::scratch;

/// Most rounds of one poll; then the other direction and the worker's other sessions are polled.
const ROUNDS: usize = 8;

/// One direction.
#[derive(Debug)]
pub(crate) struct Flow<K> {
    stage: FlowStage,
    pending: PendingBytes,
    /// The sink may hold bytes in a buffer of its own, as a TLS stream does.
    unflushed: bool,
    delivered: u64,
    fast_path: K,
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowStage {
    /// More bytes.
    Open,
    /// Nothing more to read: the source has ended, and the sink is to be shut down.
    Ended,
    /// Nothing: the sink has been shut down.
    Done,
}

/// Sees the bytes of a direction as they pass, and decides whether more may be read.
pub(crate) trait Inspector {
    /// Returns whether the source may be read.
    fn may_read(&self) -> bool;
    /// Receives the bytes that have just been read. Returns whether they may be written.
    fn inspect(&mut self, bytes: &[u8]) -> bool;
    /// Returns how many of the next bytes need not be inspected.
    fn unseen(&self) -> u64;
    /// Records bytes that were moved without being inspected.
    fn skip(&mut self, count: u64);
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    More,
    Wait,
}

// === impl Flow ===

impl<K: FastPathState> Flow<K> {
    /// Returns a direction that writes `opening` before anything else.
    pub(crate) fn new(opening: Vec<u8>) -> Self {
        Self {
            stage: FlowStage::Open,
            pending: PendingBytes::new(opening),
            unflushed: false,
            delivered: 0,
            fast_path: K::default(),
        }
    }

    /// Returns the number of bytes that the sink has accepted.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Returns what the direction waits for.
    pub(crate) fn stage(&self) -> FlowStage {
        self.stage
    }

    /// Returns whether the sink has accepted and flushed every byte that was read.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.fast_path.buffered() == 0 && !self.unflushed
    }

    /// Moves what can be moved now; `cx` is woken when there may be more.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        inspector: &mut impl Inspector,
    ) -> Result<(), FlowError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: FastPath<R, W>,
    {
        for _ in 0..ROUNDS {
            if self.round(cx, from, to, inspector)? == Progress::Wait {
                return Ok(());
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn round<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        inspector: &mut impl Inspector,
    ) -> Result<Progress, FlowError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: FastPath<R, W>,
    {
        if self.poll_pending(cx, to)?.is_pending() {
            return Ok(Progress::Wait);
        }
        match self.stage {
            FlowStage::Open if self.fast_path.is_active() => self.fast_step(cx, from, to, inspector),
            FlowStage::Open if inspector.may_read() => self.copy(cx, from, to, inspector),
            FlowStage::Open => self.flush(cx, to),
            FlowStage::Ended => self.shut_down(cx, to),
            FlowStage::Done => Ok(Progress::Wait),
        }
    }

    /// Reads once and writes on.
    fn copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        inspector: &mut impl Inspector,
    ) -> Result<Progress, FlowError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: FastPath<R, W>,
    {
        scratch::with(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(from).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.flush(cx, to),
                Poll::Ready(Err(error)) => return self.source_failed(cx, to, &error),
                Poll::Ready(Ok(())) => {}
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                self.stage = FlowStage::Ended;
                return Ok(Progress::More);
            }
            if !inspector.inspect(bytes) {
                return Err(FlowError::Refused);
            }
            let written = self.write(cx, to, bytes)?;
            self.pending = PendingBytes::new(bytes[written..].to_vec());
            if buffer.remaining() == 0 {
                self.fast_path.start();
            }
            Ok(Progress::More)
        })
    }

    /// One step of the fast path: drains what it holds, or else fills it.
    fn fast_step<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        inspector: &mut impl Inspector,
    ) -> Result<Progress, FlowError>
    where
        K: FastPath<R, W>,
    {
        if self.fast_path.buffered() > 0 {
            match self.fast_path.poll_drain(cx, to) {
                Poll::Pending => return Ok(Progress::Wait),
                Poll::Ready(drained) => match drained? {
                    Drained::Bytes(count) => self.delivered += count,
                    Drained::Rescued(bytes) => self.pending = PendingBytes::new(bytes),
                },
            }
            return Ok(Progress::More);
        }
        let allowance = if inspector.may_read() { inspector.unseen() } else { 0 };
        match self.fast_path.fill(cx, from, allowance)? {
            Filled::Bytes(count) => inspector.skip(count),
            Filled::SourceEnded => self.stage = FlowStage::Ended,
            Filled::Finished => {}
        }
        Ok(Progress::More)
    }

    /// Writes the pending bytes.
    fn poll_pending<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<Poll<()>, FlowError> {
        if self.pending.is_empty() {
            return Ok(Poll::Ready(()));
        }
        // Taken out and put back, so that a failure drops it: nothing may be written after a gap.
        let mut pending = std::mem::take(&mut self.pending);
        let written = self.write(cx, to, pending.bytes())?;
        pending.advance(written);
        if pending.is_empty() {
            return Ok(Poll::Ready(()));
        }
        self.pending = pending;
        Ok(Poll::Pending)
    }

    /// Writes until the sink accepts no more, and returns how many bytes it accepted.
    fn write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        bytes: &[u8],
    ) -> Result<usize, FlowError> {
        let mut written = 0;
        while written < bytes.len() {
            match Pin::new(&mut *to).poll_write(cx, &bytes[written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(FlowError::Write(io::ErrorKind::WriteZero)),
                Poll::Ready(Ok(count)) => {
                    written += count;
                    self.delivered += count as u64;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(FlowError::Write(error.kind())),
            }
        }
        Ok(written)
    }

    /// Flushes the sink when there is nothing to read: bytes left in its buffer would keep both peers waiting for ever.
    fn flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<Progress, FlowError> {
        if self.unflushed {
            match Pin::new(to).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(FlowError::Write(error.kind())),
            }
        }
        Ok(Progress::Wait)
    }

    fn shut_down<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<Progress, FlowError> {
        match Pin::new(to).poll_shutdown(cx) {
            Poll::Pending => return Ok(Progress::Wait),
            Poll::Ready(Ok(())) => {}
            // The sink is disconnected already: there is nothing to shut down.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {}
            Poll::Ready(Err(error)) => return Err(FlowError::Write(error.kind())),
        }
        self.unflushed = false;
        self.stage = FlowStage::Done;
        Ok(Progress::Wait)
    }

    fn source_failed<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        error: &io::Error,
    ) -> Result<Progress, FlowError> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(Progress::More),
            // A TLS peer that left without close_notify.
            io::ErrorKind::UnexpectedEof => {
                self.stage = FlowStage::Ended;
                Ok(Progress::More)
            }
            kind => {
                // Best effort: the read error is reported, whether the last bytes go out or not.
                let _ = Pin::new(to).poll_flush(cx);
                Err(FlowError::Read(kind))
            }
        }
    }
}

#[cfg(test)]
impl<K: FastPathState> Flow<K> {
    /// Returns a direction that uses `fast_path`.
    pub(crate) fn with_fast_path(fast_path: K) -> Self {
        Self { fast_path, ..Self::new(Vec::new()) }
    }

    /// Returns the fast path.
    pub(crate) fn fast_path(&self) -> &K {
        &self.fast_path
    }

    /// Returns the memory held for pending bytes, in bytes.
    pub(crate) fn kept(&self) -> usize {
        self.pending.capacity()
    }
}
