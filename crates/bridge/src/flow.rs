//! One direction of a session: read, write on, keep what is left, shut down.
//!
//! Never reads while bytes wait to be written: that is what holds back a sender whose receiver is slow, and
//! what bounds the bytes kept to those of one read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::bulk::{Bulk, FastPath, Fault, Given, Taken};
use crate::pending::Pending;
use crate::scratch;

/// Rounds of one poll: then the other direction, and the worker's other sessions, have their turn.
const ROUNDS: usize = 8;

/// One direction.
#[derive(Debug)]
pub(crate) struct Flow<K> {
    stage: Stage,
    rest: Pending,
    /// The sink may hold bytes in a buffer of its own, as a TLS stream does.
    unflushed: bool,
    given: u64,
    bulk: K,
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// More bytes.
    Open,
    /// The source has ended; the sink is to be told.
    Ended,
    /// Nothing: the sink has been told.
    Done,
}

/// Looks at the bytes of a direction as they pass.
pub(crate) trait Tap {
    /// Whether the source may be read.
    fn is_open(&self) -> bool;
    /// Bytes that have just been read.
    fn see(&mut self, bytes: &[u8]);
    /// How many of the next bytes need not be seen.
    fn unseen(&self) -> u64;
    /// Passes over bytes that need not be seen.
    fn skip(&mut self, count: u64);
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    More,
    Wait,
}

// === impl Flow ===

impl<K: FastPath> Flow<K> {
    /// A direction that writes `opening` before anything else.
    pub(crate) fn new(opening: Vec<u8>) -> Self {
        Self {
            stage: Stage::Open,
            rest: Pending::new(opening),
            unflushed: false,
            given: 0,
            bulk: K::default(),
        }
    }

    /// Bytes that the sink has taken.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    /// What it waits for.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the sink has, and has sent, every byte that was read.
    pub(crate) fn is_settled(&self) -> bool {
        self.rest.is_empty() && self.bulk.inside() == 0 && !self.unflushed
    }

    /// Moves what can be moved now; `cx` is woken when there may be more.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        tap: &mut impl Tap,
    ) -> Result<(), Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: Bulk<R, W>,
    {
        for _ in 0..ROUNDS {
            if self.round(cx, from, to, tap)? == Round::Wait {
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
        tap: &mut impl Tap,
    ) -> Result<Round, Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: Bulk<R, W>,
    {
        if self.poll_rest(cx, to)?.is_pending() {
            return Ok(Round::Wait);
        }
        match self.stage {
            Stage::Open if self.bulk.is_under_way() => self.step(cx, from, to, tap),
            Stage::Open if tap.is_open() => self.copy(cx, from, to, tap),
            Stage::Open => self.flush(cx, to),
            Stage::Ended => self.shut_down(cx, to),
            Stage::Done => Ok(Round::Wait),
        }
    }

    /// Reads once and writes on.
    fn copy<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        tap: &mut impl Tap,
    ) -> Result<Round, Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
        K: Bulk<R, W>,
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
                self.stage = Stage::Ended;
                return Ok(Round::More);
            }
            tap.see(bytes);
            let written = self.write(cx, to, bytes)?;
            self.rest = Pending::new(bytes[written..].to_vec());
            if buffer.remaining() == 0 {
                self.bulk.begin();
            }
            Ok(Round::More)
        })
    }

    /// A step by the other way: gives what is inside, or else takes more.
    fn step<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        tap: &mut impl Tap,
    ) -> Result<Round, Fault>
    where
        K: Bulk<R, W>,
    {
        if self.bulk.inside() > 0 {
            match self.bulk.poll_give(cx, to) {
                Poll::Pending => return Ok(Round::Wait),
                Poll::Ready(given) => match given? {
                    Given::Bytes(count) => self.given += count,
                    Given::Rescued(bytes) => self.rest = Pending::new(bytes),
                },
            }
            return Ok(Round::More);
        }
        let allowance = if tap.is_open() { tap.unseen() } else { 0 };
        match self.bulk.take(cx, from, allowance)? {
            Taken::Bytes(count) => tap.skip(count),
            Taken::Ended => self.stage = Stage::Ended,
            Taken::Over => {}
        }
        Ok(Round::More)
    }

    /// Writes what was kept.
    fn poll_rest<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<Poll<()>, Fault> {
        if self.rest.is_empty() {
            return Ok(Poll::Ready(()));
        }
        // Taken out and put back, so that a failure drops it: nothing may be written behind a gap.
        let mut rest = std::mem::take(&mut self.rest);
        let written = self.write(cx, to, rest.bytes())?;
        rest.advance(written);
        if rest.is_empty() {
            return Ok(Poll::Ready(()));
        }
        self.rest = rest;
        Ok(Poll::Pending)
    }

    /// Writes until the sink takes no more, and tells how much it took.
    fn write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        bytes: &[u8],
    ) -> Result<usize, Fault> {
        let mut written = 0;
        while written < bytes.len() {
            match Pin::new(&mut *to).poll_write(cx, &bytes[written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(Fault::To(io::ErrorKind::WriteZero)),
                Poll::Ready(Ok(count)) => {
                    written += count;
                    self.given += count as u64;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(Fault::To(error.kind())),
            }
        }
        Ok(written)
    }

    /// Nothing more to read for now: what the sink buffers must go out, or both peers wait for ever.
    fn flush<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Result<Round, Fault> {
        if self.unflushed {
            match Pin::new(to).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(Fault::To(error.kind())),
            }
        }
        Ok(Round::Wait)
    }

    fn shut_down<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Result<Round, Fault> {
        match Pin::new(to).poll_shutdown(cx) {
            Poll::Pending => return Ok(Round::Wait),
            Poll::Ready(Ok(())) => {}
            // The sink has gone already: there is nobody left to tell.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {}
            Poll::Ready(Err(error)) => return Err(Fault::To(error.kind())),
        }
        self.unflushed = false;
        self.stage = Stage::Done;
        Ok(Round::Wait)
    }

    fn source_failed<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        error: &io::Error,
    ) -> Result<Round, Fault> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(Round::More),
            // A TLS peer that left without close_notify.
            io::ErrorKind::UnexpectedEof => {
                self.stage = Stage::Ended;
                Ok(Round::More)
            }
            kind => {
                // Its last words, if the sink takes them at once; the source's failure is the news.
                let _ = Pin::new(to).poll_flush(cx);
                Err(Fault::From(kind))
            }
        }
    }
}

#[cfg(test)]
impl<K: FastPath> Flow<K> {
    /// A direction with this other way.
    pub(crate) fn with_way(bulk: K) -> Self {
        Self { bulk, ..Self::new(Vec::new()) }
    }

    /// The other way.
    pub(crate) fn way(&self) -> &K {
        &self.bulk
    }

    /// Memory held for bytes that wait, in bytes.
    pub(crate) fn kept(&self) -> usize {
        self.rest.capacity()
    }
}
