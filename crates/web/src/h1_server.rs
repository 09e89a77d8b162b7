//! An HTTP/1 client's connection: one request after the other.

use std::time::Duration;

use http_proto::{BadHead, ChunkDecoder, Version, parse_request};
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::client::H1Client;
use crate::exchange::After;
use crate::half::{ReadHalf, WriteHalf, split};
use crate::local_reply::LocalReply;
use crate::reader::{NoHead, Reader};
use crate::service::HttpConnection;

/// How long a client whose connection is closed may go on sending, and how long be silent: a socket that is
/// closed over unread bytes resets the connection, and takes with it our last words, a 413 say.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_SILENT: Duration = Duration::from_secs(2);
const THROWN_AT_ONCE: usize = 16 * 1024;
/// How long an answer to a head that did not come, or not as one, may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl HttpConnection {
    /// Serves a connection to its end. The first head has until `deadline`.
    pub(crate) async fn serve_h1(mut self, stream: Stream, deadline: Instant, draining: CancellationToken) {
        let http = &self.plan.plan.http;
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
            let until = if count == 1 { deadline } else { Instant::now() + self.listener.preauth_timeout };
            let head = match timeout_at(until, reader.head(max_head)).await {
                Ok(Ok(head)) => parse_request(&head),
                Ok(Err(NoHead::TooLarge)) => Err(BadHead::TooLarge),
                Ok(Err(NoHead::Closed | NoHead::Broken(_))) => break,
                Err(_) => {
                    let mut client = H1Client::new(&mut writer, Version::Http11, true);
                    let answer = LocalReply::bad(408, "the request's head did not come in time");
                    let _ = timeout(LAST_WORDS, answer.give(&mut client, b"", true)).await;
                    break;
                }
            };
            let head = match head {
                Ok(head) => head,
                Err(bad) => {
                    self.reject_h1(&mut writer, bad).await;
                    break;
                }
            };
            self.renew();
            let last = count >= max_requests || !head.keeps_alive || draining.is_cancelled();
            let mut client = H1Client::new(&mut writer, head.version, last);
            let mut body = reader.body(head.framing, ChunkDecoder::for_requests());
            match Box::pin(self.serve(head, &mut body, &mut client, last)).await {
                After::InStep if client.is_finished() && !client.closes => {}
                After::InStep | After::OutOfStep => break,
                After::Tunnel(opened) => {
                    let (reader, rest) = reader.into_parts();
                    let Some(stream) = reader.unsplit(writer) else { return };
                    return self.tunnel_h1(stream, rest, *opened).await;
                }
            }
        }
        // Heard or not: the connection is closed.
        let _ = timeout(LINGER, close(reader, writer)).await;
    }

    /// Refuses a head; nothing behind it is in step.
    async fn reject_h1(&self, writer: &mut WriteHalf, bad: BadHead) {
        let mut client = H1Client::new(writer, Version::Http11, true);
        self.reject(&bad, &mut client).await;
    }
}

async fn close(reader: Reader<ReadHalf>, mut writer: WriteHalf) {
    if writer.shutdown().await.is_err() {
        return;
    }
    let (mut reader, _) = reader.into_parts();
    let mut thrown = Vec::with_capacity(THROWN_AT_ONCE);
    while matches!(timeout(LINGER_SILENT, reader.read_buf(&mut thrown)).await, Ok(Ok(read)) if read > 0) {
        thrown.clear();
    }
}
