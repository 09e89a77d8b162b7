//! A bound on HTTP/2 frames that carry no part of a request: pings, settings, priorities, resets and empty frames, which
//! cost a client little and us a response each.
//!
//! Frames are counted as their bytes arrive, before the library sees them. The connection of a client that exceeds its
//! budget is closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A connection whose incoming frames are counted.
pub(crate) struct Metered<S> {
    stream: S,
    meter: Meter,
}

/// Counts frames that carry no part of a request.
pub(crate) struct Meter {
    /// Bytes of the connection preface that have not arrived.
    preface: usize,
    head: [u8; HEAD],
    /// Bytes of `head` that have arrived.
    filled: usize,
    /// Bytes of the current frame's payload that have not arrived.
    payload: usize,
    budget: u32,
    since: Instant,
}

/// RFC 9113 section 3.4 and 4.1.
const PREFACE: usize = 24;
const HEAD: usize = 9;

/// How many such frames a client may send at once, and how many more each second. A busy client updates windows and
/// pings a few dozen times a second.
const BUDGET: u32 = 2000;
const PER_SECOND: u32 = 500;

// === impl Meter ===

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self { preface: PREFACE, head: [0; HEAD], filled: 0, payload: 0, budget: BUDGET, since: now }
    }

    /// Counts the frames in `bytes`. Returns `false` when the budget is exceeded.
    pub(crate) fn count(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let skipped = self.preface.min(bytes.len());
        self.preface -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD {
                self.filled = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if is_overhead(kind, flags, self.payload) && !self.spend(now) {
                    return false;
                }
            }
        }
        true
    }

    fn spend(&mut self, now: Instant) -> bool {
        if self.budget == 0 {
            let seconds = u32::try_from(now.duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
            self.budget = seconds.saturating_mul(PER_SECOND).min(BUDGET);
            self.since = now;
        }
        let has_some = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        has_some
    }
}

/// Returns whether a frame carries no part of a request (RFC 9113 section 6).
fn is_overhead(kind: u8, flags: u8, length: usize) -> bool {
    const END_STREAM: u8 = 0x1;
    match kind {
        // DATA without data, CONTINUATION without fields.
        0x0 => length == 0 && flags & END_STREAM == 0,
        0x9 => length < 16,
        // PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, and unknown types.
        0x2..=0x4 | 0x6 | 0x8 => true,
        0x1 => false,
        _ => true,
    }
}

// === impl Metered ===

impl<S> Metered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, meter: Meter::new(Instant::now()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        if matches!(polled, Poll::Ready(Ok(())))
            && !self.meter.count(&into.filled()[before..], Instant::now())
        {
            tracing::warn!(
                "connection closed: the client floods it with HTTP/2 frames that carry no request"
            );
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a flood of HTTP/2 frames")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a frame").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD + payload, 0);
        frame
    }

    #[test]
    fn a_flood_of_pings_exceeds_the_budget_and_time_restores_it() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        assert!(meter.count(&[0; PREFACE], now));
        let ping = frame(6, 8);
        for _ in 0..BUDGET {
            assert!(meter.count(&ping, now));
        }
        assert!(!meter.count(&ping, now));
        assert!(meter.count(&ping, now + Duration::from_secs(1)));
    }

    #[test]
    fn bodies_and_requests_are_free_however_they_are_split() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.count(&[0; PREFACE], now);
        let stream = [frame(0, 300), frame(1, 40)].concat().repeat(20);
        for _ in 0..200 {
            for piece in stream.chunks(7) {
                assert!(meter.count(piece, now));
            }
        }
    }
}
