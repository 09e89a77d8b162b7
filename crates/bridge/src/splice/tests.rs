use std::future::poll_fn;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::flow::{Flow, FlowStage, Inspector};

/// An inspector that counts the bytes that it does not inspect.
struct Counting {
    seen: u64,
    skipped: u64,
    unseen: u64,
}

impl Inspector for Counting {
    fn may_read(&self) -> bool {
        true
    }

    fn inspect(&mut self, bytes: &[u8]) -> bool {
        self.seen += bytes.len() as u64;
        true
    }

    fn unseen(&self) -> u64 {
        self.unseen
    }

    fn skip(&mut self, count: u64) {
        self.unseen -= count;
        self.skipped += count;
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at % 251).to_le_bytes()[0]).collect()
}

/// Sends `length` bytes through one direction that uses `calls`; they must arrive unchanged.
async fn through(calls: Calls, unseen: u64, length: usize) -> Counting {
    let (mut sender, mut from) = pair().await;
    let (mut to, mut receiver) = pair().await;
    let mut flow = Flow::with_fast_path(Spliced { calls, state: SpliceState::Idle });
    let mut inspector = Counting { seen: 0, skipped: 0, unseen };
    let sent = pattern(length);
    let mut received = Vec::new();
    let sending = async {
        sender.write_all(&sent).await.unwrap();
        sender.shutdown().await.unwrap();
    };
    let moving = poll_fn(|cx| {
        flow.poll(cx, &mut from, &mut to, &mut inspector).unwrap();
        if flow.stage() == FlowStage::Done { Poll::Ready(()) } else { Poll::Pending }
    });
    let (_, (), read) = tokio::join!(sending, moving, receiver.read_to_end(&mut received));
    assert_eq!(read.unwrap(), length);
    assert!(received == sent, "{length} bytes arrived, but not the same");
    assert_eq!((flow.delivered(), inspector.seen + inspector.skipped), (length as u64, length as u64));
    inspector
}

fn refused(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSYS.raw_os_error()))
}

fn invalid(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(rustix::io::Errno::INVAL.raw_os_error()))
}

fn not_permitted(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error()))
}

/// Moves all but seven bytes, then fails while the pipe holds those.
fn all_but_seven(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    if length > 7 { splice_call(from, to, length - 7) } else { invalid(from, to, length) }
}

const LENGTH: usize = 3_000_001;

#[tokio::test]
async fn bulk_is_spliced() {
    let inspector = through(Spliced::default().calls, u64::MAX, LENGTH).await;
    assert!(inspector.skipped > 0, "nothing was spliced: {} bytes copied", inspector.seen);
}

#[tokio::test]
async fn only_unseen_bytes_are_spliced() {
    assert_eq!(through(Spliced::default().calls, 0, LENGTH).await.skipped, 0);
    let inspector = through(Spliced::default().calls, 100_000, LENGTH).await;
    assert!(inspector.skipped <= 100_000);
}

#[tokio::test]
async fn a_kernel_that_cannot_splice_loses_nothing() {
    for fails in [refused, invalid, not_permitted] {
        let inspector = through(Calls { fill: fails, drain: splice_call }, u64::MAX, LENGTH).await;
        assert_eq!(inspector.skipped, 0);
        through(Calls { fill: splice_call, drain: fails }, u64::MAX, LENGTH).await;
    }
    through(Calls { fill: splice_call, drain: all_but_seven }, u64::MAX, LENGTH).await;
}

#[tokio::test]
async fn a_closed_sink_is_a_write_error() {
    fn broken(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    let (mut sender, mut from) = pair().await;
    let (mut to, _receiver) = pair().await;
    let mut flow = Flow::with_fast_path(Spliced {
        calls: Calls { fill: splice_call, drain: broken },
        state: SpliceState::Idle,
    });
    let mut inspector = Counting { seen: 0, skipped: 0, unseen: u64::MAX };
    let sent = pattern(LENGTH);
    let fault = poll_fn(|cx| {
        flow.poll(cx, &mut from, &mut to, &mut inspector).err().map_or(Poll::Pending, Poll::Ready)
    });
    let fault = tokio::select! {
        fault = fault => fault,
        _ = async { sender.write_all(&sent).await.unwrap(); std::future::pending::<()>().await } => unreachable!(),
    };
    assert_eq!(fault, FlowError::Write(io::ErrorKind::BrokenPipe));
}

#[tokio::test]
async fn a_waiting_direction_holds_no_pipe() {
    let (mut sender, mut from) = pair().await;
    let (mut to, mut receiver) = pair().await;
    let mut flow = Flow::<Spliced>::new(Vec::new());
    let mut inspector = Counting { seen: 0, skipped: 0, unseen: u64::MAX };
    let sent = pattern(LENGTH);
    let mut received = vec![0; LENGTH];
    tokio::select! {
        _ = async { tokio::join!(sender.write_all(&sent), receiver.read_exact(&mut received)) } => {}
        () = poll_fn(|cx| {
            flow.poll(cx, &mut from, &mut to, &mut inspector).unwrap();
            Poll::<()>::Pending
        }) => unreachable!(),
    }
    // After one more poll without data the pipe has returned to the pool.
    poll_fn(|cx| {
        flow.poll(cx, &mut from, &mut to, &mut inspector).unwrap();
        Poll::Ready(())
    })
    .await;
    assert!(inspector.skipped > 0 && received == sent);
    assert!(!flow.fast_path().is_active());
    assert_eq!((flow.kept(), flow.fast_path().buffered()), (0, 0));
}
