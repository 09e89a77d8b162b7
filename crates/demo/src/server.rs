//! The driver: accepts connections on the loopback address and moves bytes between a socket and a machine.
//!
//! Everything that waits has a bound: the number of connections, the time of silence, the time a write may
//! take. Dropping the [`Server`] ends every connection.

use std::future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_proto::inbox::Inbox;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::account::Account;
use crate::machine::{Machine, Turn};
use crate::store::Store;
use crate::{date, imap, pop3};

/// A mail server in memory, running until it is dropped.
#[derive(Debug)]
#[must_use = "a server that is dropped has ended"]
pub struct Server {
    name: String,
    endpoints: Endpoints,
    /// The accept loops, which own the connections.
    _tasks: JoinSet<()>,
}

/// Where a [`Server`] listens: loopback addresses, without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// IMAP.
    pub imap: SocketAddr,
    /// POP3.
    pub pop3: SocketAddr,
}

/// Connections of one protocol at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 64;
/// Silence before a login.
const LOGIN_PATIENCE: Duration = Duration::from_secs(60);
/// Silence after it (RFC 3501 section 5.4: at least 30 minutes).
const PATIENCE: Duration = Duration::from_secs(31 * 60);
/// Time for a client to take what is sent at once.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

// === impl Server ===

impl Server {
    /// Starts a server of that name ("old" or "new": its messages say so) on free ports, with a mailbox for
    /// each account. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound on 127.0.0.1.
    pub async fn start(name: &str, accounts: &[Account]) -> io::Result<Self> {
        let store = Arc::new(Store::new(name, accounts, date::now));
        let imap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let pop3 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoints = Endpoints { imap: imap.local_addr()?, pop3: pop3.local_addr()? };
        let mut tasks = JoinSet::new();
        let for_imap = Arc::clone(&store);
        tasks.spawn(accept(imap, imap::INBOX_LIMIT, move || imap::Connection::new(Arc::clone(&for_imap))));
        tasks.spawn(accept(pop3, pop3::INBOX_LIMIT, move || pop3::Connection::new(Arc::clone(&store))));
        Ok(Self { name: name.to_owned(), endpoints, _tasks: tasks })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it speaks IMAP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.endpoints.imap
    }

    /// Where it speaks what.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.endpoints
    }
}

async fn accept<M: Machine + 'static>(listener: TcpListener, inbox_limit: usize, machine: impl Fn() -> M) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // One too many: closed here, by dropping it.
                Ok(_) if connections.len() >= MAX_CONNECTIONS => {}
                Ok((stream, _)) => {
                    let machine = machine();
                    connections.spawn(async move {
                        // How a client's connection ends is of no interest to anybody here.
                        let _ = serve(stream, machine, inbox_limit).await;
                    });
                }
                // Out of descriptors, say: whoever ends a connection makes room.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end.
async fn serve(mut stream: TcpStream, mut machine: impl Machine, inbox_limit: usize) -> io::Result<()> {
    let mut inbox = Inbox::new(inbox_limit);
    let mut changes = None;
    let greeting = machine.greet();
    write(&mut stream, &greeting).await?;
    loop {
        match machine.feed(&mut inbox) {
            Turn::Write(bytes) => write(&mut stream, &bytes).await?,
            Turn::Close(bytes) => {
                write(&mut stream, &bytes).await?;
                return stream.shutdown().await;
            }
            Turn::NeedMore => {
                if let (Some(maildrop), None) = (machine.maildrop(), &changes) {
                    // Watched from before the next feed: no change falls between the two.
                    changes = Some(maildrop.watch());
                    continue;
                }
                let patience = if changes.is_some() { PATIENCE } else { LOGIN_PATIENCE };
                match timeout(patience, news(&mut stream, &mut inbox, &mut changes)).await {
                    Ok(Ok(News::Bytes | News::Change)) => {}
                    Ok(Ok(News::End)) => return Ok(()),
                    Ok(Err(error)) => return Err(error),
                    Err(_elapsed) => {
                        write(&mut stream, machine.too_slow()).await?;
                        return stream.shutdown().await;
                    }
                }
            }
        }
    }
}

enum News {
    Bytes,
    Change,
    End,
}

/// Waits for bytes or for a change of the maildrop. May be dropped at any time: both ways of waiting may.
async fn news(
    stream: &mut TcpStream,
    inbox: &mut Inbox,
    changes: &mut Option<watch::Receiver<u64>>,
) -> io::Result<News> {
    let changed = async {
        let is_changed = match changes {
            Some(changes) => changes.changed().await.is_ok(),
            None => false,
        };
        if !is_changed {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        read = stream.read(inbox.spare()) => match read? {
            0 => Ok(News::End),
            n => {
                inbox.filled(n);
                Ok(News::Bytes)
            }
        },
        () = changed => Ok(News::Change),
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_PATIENCE, stream.write_all(bytes)).await?
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncBufReadExt, BufReader, Lines};
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

    use super::*;

    struct Client {
        lines: Lines<BufReader<OwnedReadHalf>>,
        out: OwnedWriteHalf,
    }

    impl Client {
        async fn connect(to: SocketAddr) -> Self {
            let (read, out) = TcpStream::connect(to).await.unwrap().into_split();
            Self { lines: BufReader::new(read).lines(), out }
        }

        async fn say(&mut self, text: &str) {
            self.out.write_all(text.as_bytes()).await.unwrap();
        }

        async fn hear(&mut self) -> Option<String> {
            timeout(Duration::from_secs(20), self.lines.next_line()).await.unwrap().unwrap()
        }

        async fn hear_until(&mut self, prefix: &str) -> String {
            loop {
                let line = self.hear().await.unwrap();
                if line.starts_with(prefix) {
                    return line;
                }
            }
        }
    }

    #[tokio::test]
    async fn idling_clients_hear_of_new_mail() {
        let server = Server::start("old", &Account::cast()).await.unwrap();
        let mut idler = Client::connect(server.addr()).await;
        idler.say("a LOGIN alice@example.org alice-demo\r\nb SELECT INBOX\r\nc IDLE\r\n").await;
        idler.hear_until("+ idling").await;

        let mut other = Client::connect(server.addr()).await;
        other.say("a LOGIN alice@example.org alice-demo\r\nb APPEND INBOX {3+}\r\n\r\nx\r\n").await;
        other.hear_until("b OK [APPENDUID").await;

        assert_eq!(idler.hear().await.unwrap(), "* 3 EXISTS");
        assert_eq!(idler.hear().await.unwrap(), "* 0 RECENT");
        idler.say("DONE\r\n").await;
        assert_eq!(idler.hear().await.unwrap(), "c OK done");
    }

    #[tokio::test]
    async fn connections_are_bounded_and_end_with_the_server() {
        let server = Server::start("new", &Account::cast()).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut client = Client::connect(server.endpoints().pop3).await;
            assert_eq!(client.hear().await.unwrap(), "+OK the demo's server \"new\"");
            clients.push(client);
        }
        assert_eq!(Client::connect(server.endpoints().pop3).await.hear().await, None);
        // Another protocol has its own bound.
        assert!(Client::connect(server.addr()).await.hear().await.is_some());

        drop(server);
        for mut client in clients {
            assert_eq!(client.hear().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_clients_are_sent_away() {
        let server = Server::start("old", &Account::cast()).await.unwrap();
        let mut client = Client::connect(server.addr()).await;
        client.lines.next_line().await.unwrap().unwrap();
        let began = Instant::now();
        // Paused time runs ahead as soon as nothing else is to be done.
        let line = client.lines.next_line().await.unwrap().unwrap();
        assert_eq!(line, "* BYE nothing was said for too long");
        assert!(began.elapsed() < LOGIN_PATIENCE);
    }
}
