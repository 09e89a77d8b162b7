//! Guesses over HTTP: each counts, whether the client waits for its answer or not; and what counts as a login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::h2_server;
use crate::support::{Backend, Proxy, SOON, Setup, Wire};

/// Clients are not on the loopback network, whose failed logins are not counted.
const BALANCED: &str = "proxy_protocol = \"required\"\nproxy_trusted = [\"127.0.0.0/8\"]\n";
const SETUP: Setup<'static> = Setup { leg: "tls = \"plain\"", tls: "plain", listener: BALANCED, routes: "" };

const ACCEPTED: &str =
    "pointsman_logins_total{protocol=\"http\",mechanism=\"basic\",destination=\"old\",result=\"accepted\"}";
const REJECTED: &str =
    "pointsman_logins_total{protocol=\"http\",mechanism=\"basic\",destination=\"old\",result=\"rejected\"}";

async fn connect(proxy: &Proxy, client: &str) -> Wire {
    let mut wire = Wire::of(TcpStream::connect(proxy.door).await.expect("a connection"));
    wire.say(format!("PROXY TCP4 {client} 192.0.2.100 4711 443\r\n")).await;
    wire
}

fn head(method: &str, path: &str, user: &str, password: &str) -> String {
    let basic = STANDARD.encode(format!("{user}:{password}"));
    format!("{method} {path} HTTP/1.1\r\nHost: mail.example.org\r\nAuthorization: Basic {basic}\r\n\r\n")
}

/// Answers 401, 5 ms after each request, and counts them.
async fn refuse_all(backend: Backend, count: Arc<AtomicUsize>) {
    loop {
        let mut wire = backend.accept().await;
        let count = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                if wire.next("\r\n\r\n").await.is_none() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
                wire.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
    }
}

/// The right password would be answered at once, so the client takes silence for a wrong one, hangs up and goes on: this
/// reached 195 guesses a second.
#[tokio::test]
async fn hanging_up_makes_guessing_no_faster() {
    const ATTACK: Duration = Duration::from_secs(3);
    let backend = Backend::open().await;
    let proxy = Arc::new(Proxy::with(backend.address(), &SETUP).await);
    let count = Arc::new(AtomicUsize::new(0));
    tokio::spawn(refuse_all(backend, Arc::clone(&count)));
    let until = Instant::now() + ATTACK;
    let mut workers = Vec::new();
    for worker in 0..20 {
        let proxy = Arc::clone(&proxy);
        workers.push(tokio::spawn(async move {
            let mut sent = 0;
            while Instant::now() < until {
                sent += 1;
                let mut client = connect(&proxy, "192.0.2.7").await;
                client.say(head("GET", "/jmap/session", "victim", &format!("{worker}-{sent}"))).await;
                let _ = timeout(Duration::from_millis(50), client.until("\r\n\r\n")).await;
            }
            sent
        }));
    }
    let mut sent = 0;
    for worker in workers {
        sent += worker.await.expect("a worker");
    }
    assert!(sent > 195, "{sent}");
    // Eight places; two answers without a delay, one after 1 s and one after 2 s free a place in that time.
    let tried = count.load(Ordering::Relaxed);
    assert!(tried <= 8 + 4, "{tried} guesses reached the backend");
    // A client of another network does not wait for a place.
    let mut owner = connect(&proxy, "198.51.100.1").await;
    owner.say(head("GET", "/jmap/session", "victim", "right")).await;
    let reached = async {
        while count.load(Ordering::Relaxed) == tried {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, reached).await.expect("the owner waits");
}

#[tokio::test]
async fn a_guess_whose_client_is_gone_counts_when_the_backend_refuses_it() {
    for tls in ["plain", "implicit"] {
        let backend = Backend::open().await;
        let proxy = Proxy::start(backend.address(), "tls = \"plain\"", tls).await;
        let mut heard = if tls == "plain" {
            let mut client = proxy.client().await;
            client.say(head("GET", "/", "victim", "guess")).await;
            let heard = backend.accept().await;
            client.reset();
            heard
        } else {
            let mut requests = h2_server::client(proxy.door).await;
            let basic = format!("Basic {}", STANDARD.encode("victim:guess"));
            let request = Request::get("https://mail.example.org/").header("authorization", basic);
            let (_, mut stream) =
                requests.send_request(request.body(()).expect("a request"), true).expect("send");
            let heard = backend.accept().await;
            stream.send_reset(h2::Reason::CANCEL);
            // The reset has arrived when the next request does.
            let next = Request::get("https://mail.example.org/").body(()).expect("a request");
            let _response = requests.send_request(next, true).expect("send");
            backend.accept().await;
            heard
        };
        heard.until("\r\n\r\n").await;
        heard.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
        let counted = async {
            while proxy.value(REJECTED) != Some(1.0) {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, counted).await.unwrap_or_else(|_| panic!("{tls}: the guess was not counted"));
    }
}

/// A backend that never answers must not make guesses free.
#[tokio::test]
async fn a_guess_without_a_verdict_keeps_its_place() {
    let backend = Backend::open().await;
    let limits = "[limits]\nlogins_in_flight_per_account = 1\n";
    let proxy = Proxy::with(backend.address(), &Setup { routes: limits, ..SETUP }).await;
    let mut client = connect(&proxy, "192.0.2.7").await;
    client.say(head("GET", "/", "victim", "first")).await;
    let mut heard = backend.accept().await;
    heard.until("\r\n\r\n").await;
    client.reset();
    let mut second = connect(&proxy, "192.0.2.7").await;
    second.say(head("GET", "/", "victim", "second")).await;
    assert!(timeout(Duration::from_millis(300), backend.0.accept()).await.is_err(), "it was sent");
    heard.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    backend.accept().await.until("\r\n\r\n").await;
}

/// The answer of a page that everybody gets says nothing about the credential.
#[tokio::test]
async fn a_login_is_a_success_of_a_route_that_authenticates() {
    const ALL: &str = "[[http.route]]\nmatch = \"/**\"\nextract = { from = \"authorization\" }\n";
    for (keys, method, path, status, expected) in [
        ("", "GET", "/page", "200 OK", None),
        ("", "GET", "/jmapx", "200 OK", None),
        ("", "GET", "/jmap/session", "200 OK", Some(1.0)),
        ("", "GET", "/x/../jmap/session", "200 OK", Some(1.0)),
        ("", "PROPFIND", "/dav", "207 Multi-Status", Some(1.0)),
        ("", "OPTIONS", "/dav/", "200 OK", None),
        ("", "GET", "/jmap/session", "302 Found", None),
        ("", "GET", "/jmap/session", "404 Not Found", None),
        ("authenticates = true\n", "GET", "/page", "200 OK", Some(1.0)),
        ("authenticates = false\n", "GET", "/jmap/session", "200 OK", None),
    ] {
        let backend = Backend::open().await;
        let routes = format!("{ALL}{keys}");
        let proxy = Proxy::with(backend.address(), &Setup { routes: &routes, ..SETUP }).await;
        let mut client = connect(&proxy, "192.0.2.7").await;
        client.say(head(method, path, "victim", "wrong")).await;
        let mut heard = backend.accept().await;
        heard.until("\r\n\r\n").await;
        heard.say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        client.until("\r\n\r\n").await;
        // It is counted before the next request is read.
        client.say(head("OPTIONS", "/", "victim", "wrong")).await;
        heard.until("\r\n\r\n").await;
        assert_eq!(proxy.value(ACCEPTED), expected, "{keys:?} {method} {path} {status}");
    }
}
