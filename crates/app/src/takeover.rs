//! Hands the listening sockets over to the process that replaces this one.
//!
//! The process that serves listens on a Unix socket in its state folder. A new process (`run --takeover`) connects,
//! receives the listening sockets, and reports when it accepts connections from them; until then both can accept, so no
//! connection is refused. Then the old one drains. The connection stays open until the old process has ended: only then
//! may the new one move accounts, since it does not see the sessions of the old one.
//!
//! What must never happen here: a new process that does not start takes a socket away from the old one, or another user
//! receives a socket.

use std::fs::{self, Permissions};
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use listen::{BoundListener, InheritError, Inherited};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The name of the Unix socket in the state folder.
const SOCKET: &str = "takeover.sock";
/// What the new process sends when it accepts connections.
const READY: &[u8] = b"ready\n";
/// How long the new process waits for the sockets.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the old process waits until the new one accepts connections: it has a mapping to load.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Most descriptors in one message (`SCM_MAX_FD` of the kernel).
const MAX_SOCKETS: usize = 253;

/// The offer of the listening sockets to a new process.
pub(crate) struct Offer {
    path: PathBuf,
    listener: UnixListener,
    /// Weak: a socket is closed when its accept loop ends.
    sockets: Vec<Weak<BoundListener>>,
}

/// What a new process has received from the old one.
pub(crate) struct Taken {
    /// The listening sockets.
    pub(crate) sockets: Inherited,
    /// The old process.
    pub(crate) previous: Previous,
}

/// The process that is replaced, as the new one sees it.
pub(crate) struct Previous(StdUnixStream);

/// The process that has taken over. It is told that this one has ended when this is dropped.
pub(crate) struct Successor {
    _connection: UnixStream,
}

/// Why the sockets of a running process could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The connection to the running process failed.
    #[error("--takeover: the running proxy did not pass its sockets over {}: {error}", path.display())]
    Failed {
        /// The Unix socket.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// What the running process has passed cannot be used.
    #[error("--takeover: {0}")]
    Unusable(#[from] InheritError),
}

/// Asks the process that serves from the state folder `folder` for its sockets. Returns `None` if there is none.
///
/// # Errors
/// When there is one, and it does not pass its sockets. It goes on serving.
pub(crate) fn request(folder: &Path) -> Result<Option<Taken>, TakeoverError> {
    let path = folder.join(SOCKET);
    let stream = match StdUnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(TakeoverError::Failed { path, error }),
    };
    let descriptors = match receive(&stream) {
        Ok(descriptors) => descriptors,
        Err(error) => return Err(TakeoverError::Failed { path, error }),
    };
    Ok(Some(Taken { sockets: Inherited::from_descriptors(descriptors)?, previous: Previous(stream) }))
}

/// Receives the sockets: one message, whose text is their number.
fn receive(stream: &StdUnixStream) -> io::Result<Vec<OwnedFd>> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut text = [0; 16];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    let announced =
        std::str::from_utf8(&text[..received.bytes]).ok().and_then(|text| text.trim_end().parse().ok());
    if announced != Some(descriptors.len()) {
        let found = format!(
            "received {} sockets and the text {:?}, expected their number; the proxy may be draining",
            descriptors.len(),
            text[..received.bytes].escape_ascii().to_string()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, found));
    }
    Ok(descriptors)
}

// === impl Previous ===

impl Previous {
    /// Reports to the old process that this one accepts connections. It drains from now on.
    ///
    /// # Errors
    /// When the old process has ended meanwhile.
    pub(crate) fn report_ready(&self) -> io::Result<()> {
        (&self.0).write_all(READY)
    }

    /// Resolves when the old process has ended.
    pub(crate) async fn ended(self) -> io::Result<()> {
        self.0.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(self.0)?;
        // It sends nothing more, so what comes is the end.
        let _: usize = stream.read(&mut [0; 1]).await?;
        Ok(())
    }
}

// === impl Offer ===

impl Offer {
    /// Opens the Unix socket in the state folder `folder`. Call it when the listeners are bound: a process that cannot
    /// bind them must not take the place of the one that has.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub(crate) fn open(folder: &Path, sockets: Vec<Weak<BoundListener>>) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { path, listener, sockets })
    }

    /// Resolves when a new process accepts the connections. The caller keeps what it returns until this process ends.
    pub(crate) async fn handed_over(&self) -> Successor {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "a takeover request could not be accepted");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            match self.hand_over(stream).await {
                Ok(stream) => return Successor { _connection: stream },
                Err(error) => tracing::error!(%error, "takeover failed: this process goes on serving"),
            }
        }
    }

    async fn hand_over(&self, mut stream: UnixStream) -> io::Result<UnixStream> {
        let peer = socket_peercred(&stream)?;
        if peer.uid != geteuid() && !peer.uid.is_root() {
            let found =
                format!("user {} asks for the sockets, expected {}", peer.uid.as_raw(), geteuid().as_raw());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, found));
        }
        let sockets: Vec<Arc<BoundListener>> = self.sockets.iter().filter_map(Weak::upgrade).collect();
        if sockets.len() > MAX_SOCKETS {
            let found =
                format!("there are {} listening sockets, at most {MAX_SOCKETS} can be passed", sockets.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, found));
        }
        let process = peer.pid.as_raw_nonzero();
        tracing::info!(
            process,
            sockets = sockets.len(),
            "another process takes over: passing it the listening sockets"
        );
        let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|socket| socket.as_fd()).collect();
        stream.async_io(Interest::WRITABLE, || send(&stream, &descriptors)).await?;
        let mut answer = [0; READY.len()];
        match timeout(START_TIMEOUT, stream.read_exact(&mut answer)).await {
            Ok(Ok(_)) if answer == READY => Ok(stream),
            Ok(Ok(_)) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the new process did not report that it is ready",
            )),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(io::Error::new(error.kind(), "the new process ended before it was ready: see its log"))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the new process was not ready within 120 s"))
            }
        }
    }
}

/// Sends the sockets: one message, whose text is their number.
fn send(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(descriptors.len()))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("the sockets do not fit in a message"));
    }
    let text = format!("{}\n", descriptors.len());
    sendmsg(stream, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
