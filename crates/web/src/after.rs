//! What follows an exchange on the client's connection, and responses of our own.

use plan::Name;
use sessions::SessionTicket;

use crate::backend_end::BackendEnd;
use crate::body::Source;
use crate::client::Client;
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

/// Gives a response of our own.
pub(crate) async fn give<S: Source, C: Client>(
    reply: LocalReply,
    method: &[u8],
    source: &S,
    client: &mut C,
    last: bool,
) -> After {
    // The rest of a body that is not read would be taken for the next request.
    let last = last || !source.is_finished();
    match reply.give(client, method, last).await {
        Ok(()) if source.is_finished() => After::InStep,
        _ => After::OutOfStep,
    }
}
