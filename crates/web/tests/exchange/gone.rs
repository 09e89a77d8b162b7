//! A client that goes away while its backend is silent: the backend's connection is given up soon, and what the
//! client had sent meanwhile is not lost where it stays.
//!
//! The clock is stopped where a wait is to run out: it then goes to the next bound whenever nothing happens.

use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, pause, resume, sleep, timeout};

use crate::h2_server;
use crate::support::{Backend, Proxy, SOON, Wire};

const PLAIN: &str = "tls = \"plain\"";
const GET: &str = "GET /wait HTTP/1.1\r\nHost: mail.example.org\r\n\r\n";

/// Less than any bound that these tests could meet in its place: 5 s for half-closed clients, and the brake's.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Whether the backend's connection ends before a bound would have ended it.
async fn at_once(heard: &mut Wire) -> bool {
    timeout(AT_ONCE, heard.closed()).await.is_ok()
}

/// A client that has asked, and the backend that has heard it and is silent.
async fn asked(request: &str) -> (Proxy, Backend, Wire, Wire) {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "plain").await;
    let mut client = proxy.client().await;
    client.say(request).await;
    let mut heard = backend.accept().await;
    heard.until("\r\n\r\n").await;
    (proxy, backend, client, heard)
}

#[tokio::test]
async fn a_client_that_resets_its_connection_is_gone_at_once() {
    let (_proxy, _backend, client, mut heard) = asked(GET).await;
    client.reset();
    assert!(at_once(&mut heard).await);
}

#[tokio::test]
async fn a_client_that_resets_it_inside_of_an_answer_is_gone_at_once() {
    let (_proxy, _backend, mut client, mut heard) = asked(GET).await;
    heard.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    client.until("hello").await;
    client.reset();
    assert!(at_once(&mut heard).await);
}

#[tokio::test]
async fn a_client_that_closes_its_side_is_waited_for_a_little() {
    let (_proxy, _backend, mut client, mut heard) = asked(GET).await;
    pause();
    client.half_close().await;
    let took = heard.closed().await;
    assert!(Duration::from_secs(4) < took && took < Duration::from_secs(10), "{took:?}");
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_closes_its_side_alone_is_answered() {
    let (_proxy, _backend, mut client, mut heard) = asked(GET).await;
    client.half_close().await;
    heard.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    client.until("hello\r\n").await;
    heard.say("5\r\nagain\r\n0\r\n\r\n").await;
    assert_eq!(client.until("0\r\n\r\n").await, "5\r\nagain\r\n0\r\n\r\n");
    client.closed().await;
}

/// It takes nothing for longer than it would be waited for: it is slow, and there.
#[tokio::test]
async fn a_client_that_closes_its_side_and_reads_slowly_gets_all_of_it() {
    // More than the sockets between the two ends hold.
    const BODY: usize = 32 * 1024 * 1024;
    let (_proxy, _backend, mut client, mut heard) = asked(GET).await;
    client.half_close().await;
    heard.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n")).await;
    client.until("\r\n\r\n").await;
    pause();
    // Cannot end well where the exchange is cut; what the client got is what counts.
    let answering = async { heard.stream.write_all(&vec![b'x'; BODY]).await.is_ok() };
    let reading = async {
        sleep(Duration::from_secs(60)).await;
        resume();
        let mut got = Vec::with_capacity(BODY);
        let mut whole = (&mut client.stream).take(BODY as u64);
        timeout(SOON, whole.read_to_end(&mut got)).await.expect("no end").expect("read")
    };
    assert_eq!(tokio::join!(reading, answering), (BODY, true));
}

#[tokio::test]
async fn what_a_client_sends_meanwhile_is_kept() {
    let (_proxy, _backend, mut client, mut heard) = asked(GET).await;
    // Far more than is read ahead; and the second part only when the first has had time to be read.
    let body = "x".repeat(100_000);
    let second =
        format!("POST /2 HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: {}\r\n\r\n", body.len());
    client.say(&second).await;
    let sending = async {
        client.say(&body).await;
        client.say("GET /3 HTTP/1.1\r\nHost: mail.example.org\r\n\r\n").await;
    };
    let answering = async {
        heard.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst").await;
        heard.until("\r\n\r\n").await;
        assert_eq!(heard.until(&body).await.len(), body.len());
        heard.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond").await;
        assert!(heard.until("\r\n\r\n").await.starts_with("GET /3 "));
        heard.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthird").await;
    };
    tokio::join!(sending, answering);
    for word in ["first", "second", "third"] {
        client.until(word).await;
    }
}

const NO: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
/// More guesses than it takes until their answers are held back.
const MANY: u32 = 20;

fn rejected(proxy: &Proxy) -> Option<f64> {
    proxy.value(
        "pointsman_logins_total{protocol=\"http\",mechanism=\"basic\",destination=\"old\",result=\"rejected\"}",
    )
}

/// Waits until the verdict on one more guess is in; it is counted before it is held back.
async fn judged(proxy: &Proxy, guesses: f64) {
    while rejected(proxy) != Some(guesses) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_guesser_that_does_not_wait_for_the_answer_is_gone_and_counted() {
    let guess = "GET / HTTP/1.1\r\nHost: mail.example.org\r\nAuthorization: Basic YUBiLmM6eA==\r\n\r\n";
    let (proxy, _backend, mut client, mut heard) = asked(guess).await;
    pause();
    for guesses in 1..MANY {
        let began = Instant::now();
        heard.say(NO).await;
        client.until("\r\n\r\n").await;
        client.say(guess).await;
        heard.until("\r\n\r\n").await;
        if began.elapsed() > 2 * AT_ONCE {
            heard.say(NO).await;
            judged(&proxy, f64::from(guesses + 1)).await;
            resume();
            client.reset();
            assert!(at_once(&mut heard).await);
            return;
        }
    }
    panic!("no answer was ever held back");
}

#[tokio::test]
async fn so_is_one_that_resets_its_stream() {
    let backend = Backend::open().await;
    let proxy = Proxy::start(backend.address(), PLAIN, "implicit").await;
    let mut requests = h2_server::client(proxy.door).await;
    let guess = || {
        let guess =
            Request::builder().uri("https://mail.example.org/").header("authorization", "Basic YUBiLmM6eA==");
        guess.body(()).expect("a request")
    };
    let (mut answer, _) = requests.send_request(guess(), true).expect("send");
    let mut heard = backend.accept().await;
    pause();
    for guesses in 1..MANY {
        let began = Instant::now();
        heard.until("\r\n\r\n").await;
        heard.say(NO).await;
        assert_eq!(answer.await.expect("an answer").status(), 401);
        let (next, mut stream) = requests.send_request(guess(), true).expect("send");
        if began.elapsed() > 2 * AT_ONCE {
            heard.until("\r\n\r\n").await;
            heard.say(NO).await;
            judged(&proxy, f64::from(guesses + 1)).await;
            resume();
            stream.send_reset(h2::Reason::CANCEL);
            assert!(at_once(&mut heard).await);
            return;
        }
        answer = next;
    }
    panic!("no answer was ever held back");
}
