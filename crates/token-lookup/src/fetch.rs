//! One HTTP/1.1 request to one server, on a connection of its own, and the whole answer, bounded.
//!
//! Questions are rare (their answers are remembered), so nothing is pooled here.

use std::io;

use bytes::Bytes;
use http_proto::{
    ChunkDecoder, Decoded, Framing, RequestHead, ResponseHead, head_end, parse_response, write_request,
};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroize;

/// An answer.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
}

/// Bytes of an answer, its head and its body each.
const MAX: usize = 64 * 1024;
/// Interim answers before the real one.
const MAX_INTERIM: usize = 8;

/// Sends `head` and `body`, and reads the answer. The caller bounds the time.
pub(crate) async fn fetch(mut stream: Stream, head: &RequestHead, body: &[u8]) -> io::Result<Answer> {
    let mut request = Vec::new();
    write_request(&mut request, head, Framing::Length(body.len() as u64));
    request.extend_from_slice(body);
    let sent = stream.write_all(&request).await;
    request.zeroize();
    sent?;
    stream.flush().await?;
    let mut unread = Vec::new();
    for _ in 0..=MAX_INTERIM {
        let answer = read_head(&mut stream, &mut unread, &head.method).await?;
        if answer.status >= 200 {
            let body = read_body(&mut stream, unread, answer.framing).await?;
            return Ok(Answer { head: answer, body });
        }
    }
    Err(invalid("too many interim answers"))
}

async fn read_head(stream: &mut Stream, unread: &mut Vec<u8>, method: &[u8]) -> io::Result<ResponseHead> {
    loop {
        if let Some(end) = head_end(unread, 0) {
            let head: Bytes = unread.drain(..end).collect::<Vec<_>>().into();
            return parse_response(&head, method).map_err(|bad| invalid(bad.label()));
        }
        if unread.len() > MAX {
            return Err(invalid("its head is too large"));
        }
        if stream.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn read_body(stream: &mut Stream, mut unread: Vec<u8>, framing: Framing) -> io::Result<Vec<u8>> {
    let mut decoder = ChunkDecoder::default();
    let mut body = Vec::new();
    loop {
        match framing {
            Framing::None => return Ok(body),
            Framing::Length(length) if length > MAX as u64 => return Err(invalid("its body is too large")),
            Framing::Length(length) => {
                if let Some(body) = usize::try_from(length).ok().and_then(|length| unread.get(..length)) {
                    return Ok(body.to_vec());
                }
            }
            Framing::Chunked => loop {
                match decoder.consume(&unread).map_err(|bad| invalid(bad.label()))? {
                    Decoded::Data { skip, len } => {
                        body.extend_from_slice(&unread[skip..skip + len]);
                        unread.drain(..skip + len);
                    }
                    Decoded::NeedMore { consumed } => {
                        unread.drain(..consumed);
                        break;
                    }
                    Decoded::Trailers { .. } => return Ok(body),
                }
            },
            Framing::UntilClose => {}
        }
        if body.len() + unread.len() > MAX {
            return Err(invalid("its body is too large"));
        }
        let read = match stream.read_buf(&mut unread).await {
            // TLS without a goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        if read == 0 {
            return match framing {
                Framing::UntilClose => Ok(unread),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
