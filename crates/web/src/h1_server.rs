//! Serves an HTTP/1 client's connection: one request after the other.

use std::time::Duration;

use http_proto::{BadHead, ChunkDecoder, RequestHead, Version, parse_request};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::after::After;
use crate::client::H1Client;
use crate::connection::HttpConnection;
use crate::half::{ReadHalf, WriteHalf, split};
use crate::local_reply::LocalReply;
use crate::memory::{self, Claim};
use crate::reader::{NoHead, Reader};
use crate::{request, tunnel};

/// How long the bytes of a client are read and discarded after its last response (RFC 9112 section 9.6): closing a
/// socket with unread bytes resets the connection, and the client may lose the response.
const LINGER: Duration = Duration::from_secs(30);
/// How long the client may be silent meanwhile.
const LINGER_SILENT: Duration = Duration::from_secs(2);
/// Bytes that are discarded at once.
const DISCARD_STEP: usize = 16 * 1024;
/// How long sending the response to a head that is late or malformed may take.
const FINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a connection to its end. The first head has until `deadline`.
pub(crate) async fn serve(
    mut connection: HttpConnection,
    stream: Stream,
    deadline: Instant,
    draining: CancellationToken,
) {
    let http = &connection.plan.plan.http;
    let max_head = http.max_head_size;
    let max_requests = http.max_keepalive_requests;
    let keepalive = http.keepalive_timeout;
    let (reader, mut writer) = split(stream);
    let mut reader = Reader::new(reader);
    let mut count = 0;
    loop {
        count += 1;
        let patience = if count == 1 { deadline } else { Instant::now() + keepalive };
        let is_there = tokio::select! {
            is_there = timeout_at(patience, reader.wait()) => is_there,
            () = draining.cancelled() => break,
        };
        if !matches!(is_there, Ok(true)) {
            break;
        }
        let until = if count == 1 { deadline } else { Instant::now() + connection.listener.preauth_timeout };
        let head = match timeout_at(until, reader.head(max_head)).await {
            Ok(Ok(head)) => parse_request(&head),
            Ok(Err(NoHead::TooLarge)) => Err(BadHead::TooLarge),
            Ok(Err(NoHead::Closed | NoHead::Broken(_))) => break,
            Err(_) => {
                refuse_late(&connection, &mut writer).await;
                break;
            }
        };
        let head = match head {
            Ok(head) => head,
            Err(bad) => {
                reject(&connection, &mut writer, bad).await;
                break;
            }
        };
        connection.renew();
        let last = count >= max_requests || !head.keeps_alive || draining.is_cancelled();
        let mut client = H1Client::new(&mut writer, head.version, last);
        let Some(memory) = claim(&connection, &head, &mut client).await else { break };
        let mut body = reader.body(head.framing, ChunkDecoder::for_requests());
        match Box::pin(request::serve(&connection, memory, head, &mut body, &mut client, last)).await {
            After::InStep if client.is_finished() && !client.closes => {}
            After::InStep | After::OutOfStep => break,
            After::Tunnel(opened) => {
                let (reader, rest) = reader.into_parts();
                let Some(stream) = reader.unsplit(writer) else { return };
                return tunnel::bridge_h1(&connection, stream, rest, *opened).await;
            }
        }
    }
    // Whatever comes of it: the connection is closed.
    let _ = timeout(LINGER, close(reader, writer)).await;
}

/// Claims the memory of a request, and refuses the request where that fails.
async fn claim(
    connection: &HttpConnection,
    head: &RequestHead,
    client: &mut H1Client<'_, WriteHalf>,
) -> Option<Claim> {
    match connection.memory.claim(memory::head_size(head)) {
        Ok(claim) => Some(claim),
        Err(full) => {
            connection.log_full(full);
            let _ = timeout(FINAL_REPLY_TIMEOUT, LocalReply::BUSY.give(client, b"", true)).await;
            None
        }
    }
}

/// Refuses a head that is not whole in time.
async fn refuse_late(connection: &HttpConnection, writer: &mut WriteHalf) {
    let answer = LocalReply::LATE_HEAD;
    connection.log_refusal(answer.detail);
    let mut client = H1Client::new(writer, Version::Http11, true);
    let _ = timeout(FINAL_REPLY_TIMEOUT, answer.give(&mut client, b"", true)).await;
}

/// Refuses a head.
async fn reject(connection: &HttpConnection, writer: &mut WriteHalf, bad: BadHead) {
    let mut client = H1Client::new(writer, Version::Http11, true);
    request::reject(connection, &bad, &mut client).await;
}

async fn close(reader: Reader<ReadHalf>, mut writer: WriteHalf) {
    if writer.shutdown().await.is_err() {
        return;
    }
    let (mut reader, _) = reader.into_parts();
    let mut discarded = Vec::with_capacity(DISCARD_STEP);
    while matches!(timeout(LINGER_SILENT, reader.read_buf(&mut discarded)).await, Ok(Ok(read)) if read > 0) {
        discarded.clear();
    }
}
