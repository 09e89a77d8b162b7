//! Listing, kicking and delaying sessions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use sessions::{EndReason, SessionTicket};
use tokio::time::timeout;
use types::protocol::Protocol;

use crate::published::session;
use crate::support::{Api, CLIENT};

/// Ends a session when it is asked to, as a bridge does.
fn bridge(ticket: SessionTicket) -> tokio::task::JoinHandle<EndReason> {
    tokio::spawn(async move { ticket.ended().await })
}

fn accounts(listing: &Value) -> Vec<&str> {
    let listing = listing["connections"].as_array().expect("a list");
    listing.iter().map(|one| one["account"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn connections_are_listed_and_filtered() {
    let api = Api::start().await;
    let tickets = [("alice@example.org", "new"), ("bob@example.org", "old"), ("carol@example.net", "old")];
    let tickets = tickets.map(|(account, destination)| session(&api, account, destination));
    let passing = api.registry().begin_anonymous(Protocol::Smtp, "2001:db8::1".parse().expect("an address"));
    let passing = passing.confirm("old".into()).expect("nothing has changed");
    tickets[0].traffic().to_client.store(42, Ordering::Relaxed);
    let all = api.call("GET /connections").await.json();
    let first = json!({
        "id": tickets[0].id(), "account": "alice@example.org", "protocol": "imap", "client": "192.0.2.7",
        "destination": "new", "since": all["connections"][0]["since"], "bytes_to_backend": 0, "bytes_to_client": 42,
    });
    assert_eq!(all["connections"][0], first);
    for (query, expected) in [
        ("", &["alice@example.org", "bob@example.org", "carol@example.net", "-"][..]),
        ("?identifier=ALICE@example.org", &["alice@example.org"]),
        ("?identifier=*@Example.org", &["alice@example.org", "bob@example.org"]),
        ("?destination=old", &["bob@example.org", "carol@example.net", "-"]),
        ("?destination=old&identifier=*@example.org", &["bob@example.org"]),
        ("?client=192.0.2.7", &["alice@example.org", "bob@example.org", "carol@example.net"]),
        ("?client=192.0.2.0/29&destination=new", &["alice@example.org"]),
        ("?client=2001:db8::/64", &["-"]),
        ("?protocol=smtp", &["-"]),
        ("?identifier=nobody", &[]),
    ] {
        assert_eq!(
            accounts(&api.call(&format!("GET /connections{query}")).await.json()),
            expected,
            "{query}"
        );
    }
    let page = api.call("GET /connections?limit=3").await.json();
    assert_eq!((accounts(&page).len(), &page["next"]), (3, &json!(passing.id())));
    let page = api.call(&format!("GET /connections?from={}", page["next"])).await.json();
    assert_eq!((accounts(&page), page.get("next")), (vec!["-"], None));
    for query in [
        "?client=everybody",
        "?protocol=gopher",
        "?identifier=*",
        "?identifier=*example.org",
        "?identifier=*@*",
    ] {
        api.call(&format!("GET /connections{query}")).await.problem(400);
    }
}

/// An empty list would be misleading for a misspelt name; a removed destination may still have sessions.
#[tokio::test]
async fn an_unknown_destination_is_an_error() {
    let api = Api::start().await;
    let gone = bridge(session(&api, "alice@example.org", "gone"));
    for (destination, status) in [("gone", 200), ("new", 200), ("nwe", 404)] {
        for call in ["GET /connections", "POST /connections/kick"] {
            let answer = api.call(&format!("{call}?identifier=nobody&destination={destination}")).await;
            assert_eq!(answer.status, status, "{call} {destination}");
        }
    }
    let problem = api.call("POST /connections/kick?destination=nwe").await.problem(404);
    assert!(problem.detail.contains("nwe") && problem.detail.contains("old"), "{problem:?}");
    assert_eq!(api.call("POST /connections/kick?destination=gone").await.json()["kicked"], 1);
    assert_eq!(gone.await.expect("its end"), EndReason::Kick);
    api.call("POST /connections/kick?destination=gone").await.problem(404);
}

/// `@example.org` is the entry for a domain, and `*@example.org` are its accounts. One in place of the other would be a call
/// that succeeds and has no effect.
#[tokio::test]
async fn a_domain_is_not_an_account() {
    let api = Api::start().await;
    let _session = session(&api, "alice@example.org", "new");
    for call in [
        "GET /connections?identifier=@example.org",
        "POST /connections/kick?identifier=@Example.org",
        "POST /connections/kick?identifier=@example.org&destination=new",
    ] {
        let problem = api.call(call).await.problem(400);
        assert!(problem.detail.contains("*@example.org"), "{problem:?}");
    }
    api.call("POST /connections/delay?identifier=@example.org&seconds=5").await.problem(400);
    assert_eq!(api.registry().counts().sessions, 1);
}

#[tokio::test]
async fn a_kick_ends_the_sessions_that_match() {
    for (query, kicked, stay) in [
        ("identifier=Alice@example.org", 1, vec!["bob@example.org", "carol@example.net"]),
        ("identifier=*@example.org", 2, vec!["carol@example.net"]),
        ("destination=old", 2, vec!["alice@example.org"]),
        ("client=192.0.2.7", 3, vec![]),
        ("client=::ffff:192.0.2.0/120", 3, vec![]),
        ("identifier=*@example.org&destination=old", 1, vec!["alice@example.org", "carol@example.net"]),
        (
            "identifier=alice@example.org&destination=old",
            0,
            vec!["alice@example.org", "bob@example.org", "carol@example.net"],
        ),
        ("identifier=nobody", 0, vec!["alice@example.org", "bob@example.org", "carol@example.net"]),
    ] {
        let api = Api::start().await;
        for (account, destination) in
            [("alice@example.org", "new"), ("bob@example.org", "old"), ("carol@example.net", "old")]
        {
            drop(bridge(session(&api, account, destination)));
        }
        let answer = api.call(&format!("POST /connections/kick?{query}")).await.json();
        assert_eq!(answer, json!({"kicked": kicked, "logins": 0, "ending": 0}), "{query}");
        let left = api.call("GET /connections").await.json();
        assert_eq!(accounts(&left), stay, "{query}");
    }
}

/// A call without a condition must not end every session.
#[tokio::test]
async fn a_kick_needs_a_condition() {
    let api = Api::start().await;
    let _session = session(&api, "alice@example.org", "new");
    for query in
        ["", "?identifier=*", "?identifier=", "?account=alice@example.org", "?identifier=a&identifier=b"]
    {
        api.call(&format!("POST /connections/kick{query}")).await.problem(400);
    }
    assert_eq!(api.registry().counts().sessions, 1);
}

/// A delay makes new logins wait, is clamped, and is ended by zero.
#[tokio::test]
async fn a_delay_makes_new_logins_wait_until_it_is_ended() {
    let api = Api::start().await;
    let delay = async |seconds: &str| {
        api.call(&format!("POST /connections/delay?identifier=Bob&seconds={seconds}")).await
    };
    let answer = delay("999999999999999999999999999").await.json();
    assert_eq!(answer, json!({"identifier": "Bob", "normalized": "bob", "seconds": 120}));
    let mut login = api.registry().begin("bob", Protocol::Imap, CLIENT).expect("room");
    let waiting = tokio::spawn(async move { login.wait_admitted().await.map(|()| login) });
    api.call("PUT /mappings?identifier=bob&destination=new").await.json();
    assert!(!waiting.is_finished());
    assert_eq!(delay("-5").await.json()["seconds"], json!(0));
    let login = timeout(Duration::from_secs(30), waiting).await.expect("released").expect("no panic");
    let login = login.expect("not held");
    let destination = api.router().resolve("bob").await.destination;
    assert_eq!(&*destination, "new", "routed by what the mapping says then");
    drop(login);
    delay("soon").await.problem(400);
    api.call("POST /connections/delay?identifier=bob").await.problem(400);
}
