use std::future::poll_fn;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::flow::{Flow, Stage, Tap};

/// Sees nothing, and counts what it need not see.
struct Counting {
    seen: u64,
    skipped: u64,
    unseen: u64,
}

impl Tap for Counting {
    fn is_open(&self) -> bool {
        true
    }

    fn see(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
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

/// Sends `length` bytes through one direction whose calls are `calls`; they must arrive as they were.
async fn through(calls: Calls, unseen: u64, length: usize) -> Counting {
    let (mut sender, mut from) = pair().await;
    let (mut to, mut receiver) = pair().await;
    let mut flow = Flow::with_way(Spliced { calls, state: State::Resting });
    let mut tap = Counting { seen: 0, skipped: 0, unseen };
    let sent = pattern(length);
    let mut received = Vec::new();
    let sending = async {
        sender.write_all(&sent).await.unwrap();
        sender.shutdown().await.unwrap();
    };
    let moving = poll_fn(|cx| {
        flow.poll(cx, &mut from, &mut to, &mut tap).unwrap();
        if flow.stage() == Stage::Done { Poll::Ready(()) } else { Poll::Pending }
    });
    let (_, (), read) = tokio::join!(sending, moving, receiver.read_to_end(&mut received));
    assert_eq!(read.unwrap(), length);
    assert!(received == sent, "{length} bytes arrived, but not the same");
    assert_eq!((flow.given(), tap.seen + tap.skipped), (length as u64, length as u64));
    tap
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

/// Gives on all but seven bytes, and then fails with those inside.
fn all_but_seven(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    if length > 7 { call(from, to, length - 7) } else { invalid(from, to, length) }
}

const LENGTH: usize = 3_000_001;

#[tokio::test]
async fn bulk_takes_the_short_way() {
    let tap = through(Spliced::default().calls, u64::MAX, LENGTH).await;
    assert!(tap.skipped > 0, "nothing was spliced: {} bytes copied", tap.seen);
}

#[tokio::test]
async fn no_more_is_spliced_than_need_not_be_seen() {
    assert_eq!(through(Spliced::default().calls, 0, LENGTH).await.skipped, 0);
    let tap = through(Spliced::default().calls, 100_000, LENGTH).await;
    assert!(tap.skipped <= 100_000);
}

#[tokio::test]
async fn a_kernel_that_cannot_splice_loses_nothing() {
    for fails in [refused, invalid, not_permitted] {
        let tap = through(Calls { fill: fails, drain: call }, u64::MAX, LENGTH).await;
        assert_eq!(tap.skipped, 0);
        through(Calls { fill: call, drain: fails }, u64::MAX, LENGTH).await;
    }
    through(Calls { fill: call, drain: all_but_seven }, u64::MAX, LENGTH).await;
}

#[tokio::test]
async fn a_sink_that_is_gone_is_a_fault_of_the_sink() {
    fn broken(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    let (mut sender, mut from) = pair().await;
    let (mut to, _receiver) = pair().await;
    let mut flow =
        Flow::with_way(Spliced { calls: Calls { fill: call, drain: broken }, state: State::Resting });
    let mut tap = Counting { seen: 0, skipped: 0, unseen: u64::MAX };
    let sent = pattern(LENGTH);
    let fault =
        poll_fn(|cx| flow.poll(cx, &mut from, &mut to, &mut tap).err().map_or(Poll::Pending, Poll::Ready));
    let fault = tokio::select! {
        fault = fault => fault,
        _ = async { sender.write_all(&sent).await.unwrap(); std::future::pending::<()>().await } => unreachable!(),
    };
    assert_eq!(fault, Fault::To(io::ErrorKind::BrokenPipe));
}

#[tokio::test]
async fn a_waiting_direction_holds_no_pipe() {
    let (mut sender, mut from) = pair().await;
    let (mut to, mut receiver) = pair().await;
    let mut flow = Flow::<Spliced>::new(Vec::new());
    let mut tap = Counting { seen: 0, skipped: 0, unseen: u64::MAX };
    let sent = pattern(LENGTH);
    let mut received = vec![0; LENGTH];
    tokio::select! {
        _ = async { tokio::join!(sender.write_all(&sent), receiver.read_exact(&mut received)) } => {}
        () = poll_fn(|cx| {
            flow.poll(cx, &mut from, &mut to, &mut tap).unwrap();
            Poll::<()>::Pending
        }) => unreachable!(),
    }
    // One more poll, with nothing to read: what was lent has been given back.
    poll_fn(|cx| {
        flow.poll(cx, &mut from, &mut to, &mut tap).unwrap();
        Poll::Ready(())
    })
    .await;
    assert!(tap.skipped > 0 && received == sent);
    assert!(!flow.way().is_under_way());
    assert_eq!((flow.kept(), flow.way().inside()), (0, 0));
}
