//! Accepts connections on the loopback address.
//!
//! The number of connections is bounded; their silences and what they hold are bounded in `client` and in the
//! protocols. Dropping the [`Server`] ends every connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::store::{self, Store};
use crate::{imap, pop3};

/// A mail server in memory, on loopback addresses and without encryption, running until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) imap: SocketAddr,
    pub(crate) pop3: SocketAddr,
    /// The accept loops, which own the connections.
    tasks: JoinSet<()>,
}

/// Connections of one protocol at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 64;

// === impl Server ===

impl Server {
    /// Starts a server of that name ("old" or "new": its messages say so) on free ports.
    pub(crate) async fn start(name: &str) -> io::Result<Self> {
        let store = Arc::new(Store::new(name, store::now()));
        let imap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let pop3 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut server = Self { imap: imap.local_addr()?, pop3: pop3.local_addr()?, tasks: JoinSet::new() };
        let imap_store = Arc::clone(&store);
        server.tasks.spawn(accept(imap, move |stream| imap::serve(stream, Arc::clone(&imap_store))));
        server.tasks.spawn(accept(pop3, move |stream| pop3::serve(stream, Arc::clone(&store))));
        Ok(server)
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // One too many: closed here, by dropping it.
                Ok(_) if connections.len() >= MAX_CONNECTIONS => {}
                Ok((stream, _)) => {
                    connections.spawn(serve(stream));
                }
                // Out of descriptors, perhaps: a connection that ends makes room.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            // How a client's connection ends concerns no one here.
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader, Lines};

    use super::*;

    async fn connect(to: SocketAddr) -> Lines<BufReader<TcpStream>> {
        BufReader::new(TcpStream::connect(to).await.unwrap()).lines()
    }

    #[tokio::test]
    async fn connections_are_bounded_and_end_with_the_server() {
        let server = Server::start("new").await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut client = connect(server.pop3).await;
            assert_eq!(client.next_line().await.unwrap().unwrap(), "+OK the demo's server \"new\"");
            clients.push(client);
        }
        assert_eq!(connect(server.pop3).await.next_line().await.unwrap(), None);
        // The other protocol has its own bound.
        assert!(connect(server.imap).await.next_line().await.unwrap().is_some());
        drop(server);
        for mut client in clients {
            assert_eq!(client.next_line().await.unwrap(), None);
        }
    }
}
