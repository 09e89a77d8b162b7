//! What follows an exchange on the client's connection, and responses of our own.

use std::time::Duration;

use plan::Name;
use sessions::SessionTicket;
use tokio::time::timeout;

use crate::backend_end::BackendEnd;
use crate::body::Source;
use crate::client::Client;
use crate::connection::HttpConnection;
use crate::local_reply::LocalReply;

/// What follows an exchange on the client's connection.
pub(crate) enum After {
    /// The request was read and answered: another one may follow.
    InStep,
    /// Part of the request or of the response is missing: the connection can only be closed.
    OutOfStep,
    /// The connection becomes a tunnel.
    Tunnel(Box<Opened>),
}

/// A tunnel that both sides have agreed on.
pub(crate) struct Opened {
    pub(crate) end: BackendEnd,
    pub(crate) ticket: SessionTicket,
    pub(crate) destination: Name,
}

/// How long sending a response of our own may take.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives a response of our own.
pub(crate) async fn give<S: Source, C: Client>(
    connection: &HttpConnection,
    reply: LocalReply,
    method: &[u8],
    source: &S,
    client: &mut C,
    last: bool,
) -> After {
    // The rest of a body that is not read would be taken for the next request.
    let last = last || !source.is_finished();
    let patience = REPLY_TIMEOUT.min(connection.listener.preauth_timeout);
    match timeout(patience, reply.give(client, method, last)).await {
        Ok(Ok(())) if source.is_finished() => After::InStep,
        Ok(_) => After::OutOfStep,
        Err(_) => {
            // The client does not read: without a reset the stream would stay open.
            client.cut();
            After::OutOfStep
        }
    }
}
