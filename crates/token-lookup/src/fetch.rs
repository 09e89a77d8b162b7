//! Sends one HTTP/1.1 request on its own connection and reads a bounded response.
//!
//! Queries are rare, because their answers are cached, so connections are not pooled.

use std::io;

use bytes::Bytes;
use http_proto::{
    ChunkDecoder, Decoded, Framing, RequestHead, ResponseHead, head_end, parse_response, write_request,
};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroize;

/// A complete response.
pub(crate) struct HttpResponse {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
}

/// The most bytes of a response's head, and of its body.
const MAX_PART: usize = 64 * 1024;
/// The most interim (1xx) responses before the final one.
const MAX_INTERIM: usize = 8;

/// Sends `head` and `body`, and reads the response. The caller sets the time limit.
pub(crate) async fn fetch(mut stream: Stream, head: &RequestHead, body: &[u8]) -> io::Result<HttpResponse> {
    let mut request = Vec::new();
    write_request(&mut request, head, Framing::Length(body.len() as u64));
    request.extend_from_slice(body);
    let sent = stream.write_all(&request).await;
    request.zeroize();
    sent?;
    stream.flush().await?;
    let mut unread = Vec::new();
    for _ in 0..=MAX_INTERIM {
        let response = read_head(&mut stream, &mut unread, &head.method).await?;
        if response.status >= 200 {
            let body = read_body(&mut stream, unread, response.framing).await?;
            return Ok(HttpResponse { head: response, body });
        }
    }
    Err(invalid("the server sent too many interim responses"))
}

async fn read_head(stream: &mut Stream, unread: &mut Vec<u8>, method: &[u8]) -> io::Result<ResponseHead> {
    loop {
        if let Some(end) = head_end(unread, 0) {
            let head: Bytes = unread.drain(..end).collect::<Vec<_>>().into();
            return parse_response(&head, method).map_err(|bad| invalid(bad.label()));
        }
        if unread.len() > MAX_PART {
            return Err(invalid("the response head is too large"));
        }
        if stream.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn read_body(stream: &mut Stream, mut unread: Vec<u8>, framing: Framing) -> io::Result<Vec<u8>> {
    let mut decoder = ChunkDecoder::for_responses();
    let mut body = Vec::new();
    loop {
        match framing {
            Framing::None => return Ok(body),
            Framing::Length(length) if length > MAX_PART as u64 => {
                return Err(invalid("the response body is too large"));
            }
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
        if body.len() + unread.len() > MAX_PART {
            return Err(invalid("the response body is too large"));
        }
        let read = match stream.read_buf(&mut unread).await {
            // The server closed the connection without a TLS close_notify.
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
