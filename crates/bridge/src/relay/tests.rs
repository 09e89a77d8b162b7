use std::future::pending;
use std::mem::size_of_val;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::fast_path::CopyOnly;
use crate::{run, run_tcp};

const LIMITS: Limits = Limits::with_idle(Duration::from_secs(1800));

/// The size of a waiting session, without its streams.
#[tokio::test]
async fn a_waiting_session_is_small() {
    let (mut client, mut backend) = duplex(1);
    let size = size_of_val(&run(
        &mut client,
        &mut backend,
        Opening::default(),
        LIMITS,
        (),
        pending::<EndRequest<'_, ()>>(),
    ));
    assert!(size <= 800, "{size} bytes");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (one, other) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
    let mut one = one.unwrap();
    let mut other = other.unwrap().0;
    let size = size_of_val(&run_tcp(
        &mut one,
        &mut other,
        Opening::default(),
        LIMITS,
        (),
        pending::<EndRequest<'_, ()>>(),
    ));
    assert!(size <= 960, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_session_keeps_nothing() {
    let (mut client, mut at_client) = duplex(100);
    let (mut backend, mut at_backend) = duplex(100);
    let mut relay: Relay<'_, '_, _, _, CopyOnly, (), ()> = Relay {
        client: &mut at_client,
        backend: &mut at_backend,
        to_backend: Flow::new(vec![b'o'; 150]),
        to_client: Flow::new(Vec::with_capacity(5000)),
        watch: (),
        limits: LIMITS,
        last_byte: Instant::now(),
        closing: None,
        ending: None,
        is_opening_refused: false,
    };
    let mut end = pin!(pending());
    let mut timer = pin!(sleep_until(relay.deadline()));
    backend.write_all(&[b'x'; 100]).await.unwrap();
    let mut poll_relay = |cx: &mut Context<'_>| {
        assert!(relay.poll(cx, end.as_mut(), timer.as_mut()).is_pending());
        Poll::Ready((relay.to_backend.kept(), relay.to_client.kept()))
    };
    // Half of the opening is pending; accepted bytes use no memory.
    assert_eq!(poll_fn(&mut poll_relay).await, (150, 0));
    backend.write_all(&[b'x'; 100]).await.unwrap();
    client.read_exact(&mut [0; 40]).await.unwrap();
    // The client accepted forty of the next hundred bytes: sixty are kept.
    assert_eq!(poll_fn(&mut poll_relay).await, (150, 60));
    client.read_exact(&mut [0; 100]).await.unwrap();
    backend.read_exact(&mut [0; 100]).await.unwrap();
    assert_eq!(poll_fn(&mut poll_relay).await, (0, 0));
    client.read_exact(&mut [0; 60]).await.unwrap();
    backend.read_exact(&mut [0; 50]).await.unwrap();
}
