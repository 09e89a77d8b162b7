//! A connection from accept to the version that is spoken on it.

use std::sync::Arc;

use config::plan::{Listener, TlsMode};
use listen::Accepted;
use observe::SessionId;
use tls::Stream;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use wire::http::{Framing, write_response};

use crate::answer::Answer;
use crate::service::{Service, Visit};

/// Serves one connection of `listener` to its end. `draining` is cancelled when the proxy begins to drain.
pub async fn serve(
    service: Arc<Service>,
    listener: Arc<Listener>,
    accepted: Accepted,
    draining: CancellationToken,
) {
    let id = SessionId::new();
    let span = tracing::info_span!(
        "session",
        %id,
        listener = %listener.name,
        protocol = %listener.protocol,
        peer = %accepted.peer
    );
    Box::pin(course(service, listener, id, accepted, draining)).instrument(span).await;
}

/// Says that there is no room, without waiting for anything: on an encrypted connection there is nothing to
/// say, since a handshake is the very work that there is no room for.
pub fn turn_away(listener: &Listener, accepted: &Accepted) {
    tracing::warn!(listener = %listener.name, peer = %accepted.peer, reason = ?accepted.place, "turned away");
    if listener.tls == TlsMode::Implicit {
        return;
    }
    let (mut head, body) = Answer::BUSY.parts();
    head.fields.push(&b"Connection"[..], &b"close"[..]);
    let mut words = Vec::new();
    write_response(&mut words, &head, Framing::Length(body.len() as u64));
    words.extend_from_slice(&body);
    // A fresh socket takes it at once; one that does not is closed without it.
    let _ = accepted.stream.try_write(&words);
}

async fn course(
    service: Arc<Service>,
    listener: Arc<Listener>,
    id: SessionId,
    accepted: Accepted,
    draining: CancellationToken,
) {
    let Accepted { mut stream, peer, local, place } = accepted;
    let deadline = Instant::now() + listener.preauth_timeout;
    let _presence = service.context.meters.listener(&listener.name).enter();
    if drive::socket::tune(&stream).is_err() {
        return;
    }
    let origin = match timeout_at(deadline, listen::origin(&mut stream, &listener, peer, local)).await {
        Ok(Ok(origin)) => origin,
        Ok(Err(reason)) => return tracing::warn!(%reason, "refused: PROXY header"),
        Err(_) => return tracing::warn!("refused: no PROXY header within preauth_timeout"),
    };
    let ends = (origin.client, origin.local);
    let mut stream = Stream::plain(stream, origin.rest);
    if listener.tls != TlsMode::Plain {
        // The semaphore is never closed; should it be, going on without a permit harms nobody.
        let permit = service.context.live.handshakes.acquire().await;
        stream = match timeout_at(deadline, stream.accept(&service.acceptor)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "no TLS session with the client"),
            Err(_) => return tracing::debug!("no TLS session with the client within preauth_timeout"),
        };
        drop(permit);
    }
    let tls = stream.tls_info();
    let is_many = tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"));
    let visit = Visit::new(service, listener, id, ends, tls);
    if is_many {
        Box::pin(visit.serve_many(stream, deadline, draining)).await;
    } else {
        Box::pin(visit.serve_one(stream, deadline, draining)).await;
    }
    drop(place);
}
