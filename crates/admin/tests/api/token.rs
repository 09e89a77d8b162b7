//! The token, the lockout, and a flood of guesses.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Api, TOKEN, TestRequest, TestResponse};

const WRONG: &str = "ffffffffffffffffffffffffffffffff";

fn wrong(line: &str, from: u8) -> TestRequest<'_> {
    TestRequest { token: Some(WRONG), from, ..TestRequest::new(line) }
}

#[tokio::test]
async fn every_call_needs_the_token() {
    let api = Api::start().await;
    for line in [
        "GET /stats",
        "GET /nowhere",
        "PATCH /stats",
        "GET /metrics",
        "GET /openapi.json",
        "POST /config/reload",
    ] {
        let answer = api.send(TestRequest::new(line)).await;
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), Some("bearer realm=\"pointsman\""), "{line}");
        assert_eq!(answer.header("connection"), Some("close"), "a client that guesses has to connect again");
    }
    let answer = api.send(wrong("PUT /mappings?identifier=bob&destination=new", 1)).await;
    answer.problem(401);
    assert!(!answer.body.contains(WRONG));
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n");
    assert_eq!(api.call("GET /stats").await.status, 200);
}

/// After three wrong tokens, the threshold in this test, only the health calls are answered.
#[tokio::test]
async fn wrong_tokens_lock_only_their_own_address() {
    let api = Api::start().await;
    for _ in 0..3 {
        api.send(wrong("GET /stats", 2)).await.problem(401);
    }
    for request in [wrong("GET /stats", 2), TestRequest { from: 2, ..TestRequest::with_token("GET /stats") }]
    {
        let answer = api.send(request).await;
        answer.problem(429);
        let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((290..=301).contains(&seconds), "{seconds}");
    }
    for path in ["GET /healthz", "GET /readyz"] {
        assert_eq!(
            api.send(TestRequest { from: 2, ..TestRequest::new(path) }).await.status,
            200,
            "never locked"
        );
    }
    assert_eq!(api.send(TestRequest { from: 3, ..TestRequest::with_token("GET /stats") }).await.status, 200);
}

/// A script without a token must not lock out an operator at the same address.
#[tokio::test]
async fn a_missing_token_is_not_a_guess() {
    let api = Api::start().await;
    for _ in 0..10 {
        api.send(TestRequest::new("GET /stats")).await.problem(401);
    }
    assert_eq!(api.call("GET /stats").await.status, 200);
}

/// A thousand guesses, as fast as the API allows, each on a connection of its own and many at once. Few of them are
/// answered, however fast they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_is_limited() {
    /// The limit of connections of one network, and how long a slot stays taken; see `server`.
    const PER_NETWORK: u32 = 32;
    const PENALTY: Duration = Duration::from_secs(1);
    let api = std::sync::Arc::new(Api::start().await);
    let began = Instant::now();
    let mut guesses = tokio::task::JoinSet::new();
    let flood = std::sync::Arc::new(tokio::sync::Semaphore::new(500));
    for _ in 0..1_000 {
        let api = std::sync::Arc::clone(&api);
        let place = std::sync::Arc::clone(&flood).acquire_owned().await.expect("never closed");
        guesses.spawn(async move {
            let _place = place;
            guess(&api).await
        });
    }
    let mut heard = 0;
    while let Some(answered) = guesses.join_next().await {
        heard += u32::from(answered.expect("no panic"));
    }
    let rounds = 1 + u32::try_from(began.elapsed().as_millis() / PENALTY.as_millis()).expect("few");
    assert!(heard > 0, "the first are answered");
    assert!(heard <= PER_NETWORK * rounds, "{heard} guesses were heard in {:?}", began.elapsed());
    assert_eq!(api.call("GET /stats").await.status, 200, "another address is served at once");
}

/// Returns whether a guess was answered.
async fn guess(api: &Api) -> bool {
    let Ok(mut stream) = api.connect(9).await else {
        return false;
    };
    let request = wrong("GET /stats", 9).text("");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    !answer.is_empty()
}

#[tokio::test]
async fn a_guess_ends_its_connection() {
    let api = Api::start().await;
    let mut stream = api.connect(4).await.expect("a connection");
    let both = wrong("GET /stats", 4).text("") + &TestRequest::with_token("GET /stats").text("");
    stream.write_all(both.as_bytes()).await.expect("it is read");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    TestResponse::of(&answer).problem(401);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
}

/// Every action is recorded with its requester, address and result, and no record contains the token.
#[tokio::test]
async fn actions_are_recorded() {
    let api = Api::start().await;
    let request = TestRequest {
        headers: "From: jane@example.org\r\n",
        ..TestRequest::with_token("PUT /mappings?identifier=Bob&destination=new")
    };
    api.send(request).await.json();
    api.call("PUT /mappings?identifier=bob&destination=nowhere").await.problem(400);
    api.call("DELETE /mappings?identifier=bob").await.json();
    api.call("POST /connections/kick?destination=old&client=192.0.2.0/24").await.json();
    api.call("POST /connections/delay?identifier=bob&seconds=500").await.json();
    api.call("POST /mappings/reload").await.json();
    api.call("POST /cache/invalidate").await.json();
    api.call("POST /destinations/reset?destination=old").await.json();
    api.call("POST /config/reload").await.problem(422);
    let page: api::audit::AuditPage =
        serde_json::from_value(api.call("GET /audit?limit=8").await.json()).expect("a page");
    let older = format!("GET /audit?from={}", page.next.expect("one more"));
    let older: api::audit::AuditPage = serde_json::from_value(api.call(&older).await.json()).expect("a page");
    let all: Vec<_> = page.records.iter().chain(&older.records).rev().collect();
    let said: Vec<_> = all
        .iter()
        .map(|record| {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            format!(
                "{} {} {} {} {}",
                record.act,
                record.subject,
                text(&record.before),
                text(&record.after),
                record.result
            )
        })
        .collect();
    assert_eq!(
        said[..8],
        [
            "mapping.set bob old new ok",
            "mapping.set bob new nowhere 400",
            "mapping.remove bob new old ok",
            "connections.kick destination=old client=192.0.2.0/24 - 0 kicked ok",
            "connections.delay bob - 120 seconds ok",
            "mapping.reload  - - ok",
            "cache.invalidate all - - ok",
            "destination.reset old - - ok",
        ]
    );
    assert!(said[8].starts_with("config.reload ") && said[8].ends_with(" 422"), "{}", said[8]);
    assert_eq!((all[0].who.as_str(), all[0].name.as_deref()), ("token", Some("jane@example.org")));
    assert!(all.iter().all(|record| record.from.as_deref() == Some("127.0.0.1")));
    let file = std::fs::read_to_string(api.folder.path().join(admin::audit::FILE)).expect("a log");
    assert!(!file.contains(TOKEN));
    assert_eq!(file.lines().count(), 9);
}
