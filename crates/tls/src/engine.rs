//! The TLS engine: rustls without buffers of its own, for both sides.
//!
//! It exists so that the stream is the same for both sides. Records are processed as soon as they are complete, so what
//! is left of the input is always an incomplete record or an incomplete handshake message. The engine remembers where
//! such a message begins: it must always be given what it has left over, and be given no more after an error.

use std::io;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

/// One side of a TLS connection.
pub(crate) trait Engine: Unpin {
    /// The engine's own data about its side.
    type Data;

    /// Whether this is the server's side.
    const IS_SERVER: bool;

    /// Returns what was negotiated.
    fn common(&self) -> &CommonState;

    /// Makes one step.
    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

/// What [`receive`] did with its input.
pub(crate) struct Received {
    /// The bytes at the front of the input that are not needed any more.
    pub(crate) consumed: usize,
    /// Whether the peer has closed its side: the rest of the input is to be ignored (RFC 8446 section 6.1).
    pub(crate) is_closed: bool,
}

/// Processes every complete record of `incoming`. Passes application data to `plaintext`, record by record, and appends
/// what the engine answers to `outgoing`.
///
/// # Errors
/// The engine's. The connection is over then; call [`drain`] for the alert.
pub(crate) fn receive<E: Engine>(
    engine: &mut E,
    incoming: &mut [u8],
    outgoing: &mut Vec<u8>,
    mut plaintext: impl FnMut(&[u8]),
) -> Result<Received, rustls::Error> {
    let mut consumed = 0;
    loop {
        let UnbufferedStatus { mut discard, state, .. } = engine.step(&mut incoming[consumed..]);
        let mut is_closed = false;
        let is_done = match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plaintext(record.payload);
                }
                false
            }
            ConnectionState::EncodeTlsData(data) => {
                encode(data, outgoing)?;
                false
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                false
            }
            ConnectionState::PeerClosed | ConnectionState::Closed => {
                is_closed = true;
                true
            }
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => true,
            // Early data, which is never enabled.
            _ => return Err(unexpected()),
        };
        consumed += discard;
        if is_done {
            return Ok(Received { consumed, is_closed });
        }
    }
}

/// Appends to `outgoing` what the engine has still to send after an error: its alert.
pub(crate) fn drain<E: Engine>(engine: &mut E, outgoing: &mut Vec<u8>) {
    // Only a step that has something to send looks at no input.
    while engine.common().wants_write() {
        let Ok(ConnectionState::EncodeTlsData(data)) = engine.step(&mut []).state else { return };
        if encode(data, outgoing).is_err() {
            return;
        }
    }
}

/// Encrypts `plaintext` into `outgoing`, in as few records as possible, and returns the length of the ciphertext.
/// `incoming` is what [`receive`] has left over.
///
/// # Errors
/// When the handshake is not complete, when `outgoing` is too short, or when the keys are exhausted (TLS 1.2 only).
pub(crate) fn encrypt<E: Engine>(
    engine: &mut E,
    incoming: &mut [u8],
    plaintext: &[u8],
    outgoing: &mut [u8],
) -> io::Result<usize> {
    write(engine, incoming, |mut traffic| traffic.encrypt(plaintext, outgoing))
}

/// Encrypts `close_notify` into `outgoing` and returns its length. `incoming` is what [`receive`] has left over.
///
/// # Errors
/// As [`encrypt`].
pub(crate) fn close<E: Engine>(
    engine: &mut E,
    incoming: &mut [u8],
    outgoing: &mut [u8],
) -> io::Result<usize> {
    write(engine, incoming, |mut traffic| traffic.queue_close_notify(outgoing))
}

/// Calls `work` when the engine can send. [`receive`] has drained the engine, so it can at once.
fn write<E: Engine>(
    engine: &mut E,
    incoming: &mut [u8],
    work: impl FnOnce(WriteTraffic<'_, E::Data>) -> Result<usize, EncryptError>,
) -> io::Result<usize> {
    match engine.step(incoming).state {
        Ok(ConnectionState::WriteTraffic(traffic)) => work(traffic).map_err(io::Error::other),
        Ok(_) => Err(io::Error::other(unexpected())),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let start = outgoing.len();
    // The length is known only from a failed attempt.
    match data.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(error)) => outgoing.resize(start + error.required_size, 0),
        Err(EncodeError::AlreadyEncoded) => return Err(unexpected()),
    }
    let written = data.encode(&mut outgoing[start..]).map_err(|_| unexpected())?;
    outgoing.truncate(start + written);
    Ok(())
}

fn unexpected() -> rustls::Error {
    rustls::Error::General("unexpected state of the TLS engine".to_owned())
}

// === impl Engine for rustls ===

impl Engine for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const IS_SERVER: bool = true;

    fn common(&self) -> &CommonState {
        self
    }

    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Engine for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const IS_SERVER: bool = false;

    fn common(&self) -> &CommonState {
        self
    }

    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}
