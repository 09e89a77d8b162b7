//! A connection from accept to the version that is spoken on it.

use std::sync::Arc;

use http_proto::{Framing, write_response};
use listen::Accepted;
use mail::Current;
use observe::SessionId;
use plan::{Listener, TlsMode};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::answer::Answer;
use crate::service::{HttpConnection, Service};

/// Serves one connection of `listener` to its end. `draining` is cancelled when the proxy begins to drain.
pub async fn serve(
    current: Current<Service>,
    listener: Arc<Listener>,
    accepted: Accepted,
    draining: CancellationToken,
) {
    let id = SessionId::new();
    let span = mail::span(id, &listener, &accepted);
    Box::pin(course(current, listener, id, accepted, draining)).instrument(span).await;
}

/// Says that there is no room; see [`mail::turn_away`].
pub fn turn_away(service: &Service, listener: &Listener, accepted: &Accepted) {
    mail::turn_away_with(&service.context, listener, accepted, || {
        let (mut head, body) = Answer::BUSY.parts();
        head.fields.push(&b"Connection"[..], &b"close"[..]);
        let mut words = Vec::new();
        write_response(&mut words, &head, Framing::Length(body.len() as u64));
        words.extend_from_slice(&body);
        words
    });
}

async fn course(
    current: Current<Service>,
    listener: Arc<Listener>,
    id: SessionId,
    accepted: Accepted,
    draining: CancellationToken,
) {
    let service = current.now();
    let Accepted { stream, peer, local, permit, .. } = accepted;
    let deadline = Instant::now() + listener.preauth_timeout;
    let meter = Arc::clone(service.context.meters.listener(&listener.name));
    let connection_guard = meter.enter();
    let arriving = mail::arrive(&listener, &meter, stream, (peer, local), deadline);
    let Some((ends, mut stream)) = arriving.await else { return };
    if listener.tls != TlsMode::Plain {
        let shaking = Box::pin(mail::handshake(&service.context, &service.acceptor, stream));
        stream = match timeout_at(deadline, shaking).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(broken)) => {
                meter.refused("tls");
                return tracing::debug!(reason = %broken, "no TLS session with the client");
            }
            Err(_) => {
                meter.refused("tls");
                return tracing::debug!("no TLS session with the client within preauth_timeout");
            }
        };
    }
    let tls = stream.tls_info();
    let is_many = tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"));
    let visit = HttpConnection::new(current, listener, id, ends, tls);
    if is_many {
        Box::pin(visit.serve_h2(stream, deadline, draining)).await;
    } else {
        Box::pin(visit.serve_h1(stream, deadline, draining)).await;
    }
    drop((permit, connection_guard));
}
