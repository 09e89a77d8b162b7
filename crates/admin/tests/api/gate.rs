//! The token, the lockout, and what a flood of guesses comes to.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, Api, Ask, TOKEN};

const WRONG: &str = "ffffffffffffffffffffffffffffffff";

fn wrong(line: &str, from: u8) -> Ask<'_> {
    Ask { token: Some(WRONG), from, ..Ask::new(line) }
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let api = Api::start().await;
    for line in [
        "GET /stats",
        "GET /nowhere",
        "PATCH /stats",
        "GET /metrics",
        "GET /openapi.json",
        "POST /config/reload",
    ] {
        let answer = api.send(Ask::new(line)).await;
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), Some("bearer realm=\"pointsman\""), "{line}");
        assert_eq!(answer.header("connection"), Some("close"), "whoever guesses has to come again");
    }
    let answer = api.send(wrong("PUT /mappings?identifier=bob&destination=new", 1)).await;
    answer.problem(401);
    assert!(!answer.body.contains(WRONG));
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n");
    assert_eq!(api.ask("GET /stats").await.status, 200);
}

/// Three wrong tokens, as the test's configuration has it; then nothing helps but health.
#[tokio::test]
async fn wrong_tokens_lock_their_address_and_no_other() {
    let api = Api::start().await;
    for _ in 0..3 {
        api.send(wrong("GET /stats", 2)).await.problem(401);
    }
    for ask in [wrong("GET /stats", 2), Ask { from: 2, ..Ask::with_token("GET /stats") }] {
        let answer = api.send(ask).await;
        answer.problem(429);
        let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((290..=301).contains(&seconds), "{seconds}");
    }
    for path in ["GET /healthz", "GET /readyz"] {
        assert_eq!(api.send(Ask { from: 2, ..Ask::new(path) }).await.status, 200, "never locked");
    }
    assert_eq!(api.send(Ask { from: 3, ..Ask::with_token("GET /stats") }).await.status, 200);
}

/// A script that has no token yet must not lock out the operator who comes from the same address.
#[tokio::test]
async fn a_missing_token_is_no_guess() {
    let api = Api::start().await;
    for _ in 0..10 {
        api.send(Ask::new("GET /stats")).await.problem(401);
    }
    assert_eq!(api.ask("GET /stats").await.status, 200);
}

/// A thousand guesses are made as fast as the API lets one: each in a connection of its own, many at once.
/// What they cost is bounded by how few of them get through the door, whatever the guesser's speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_is_turned_away_at_the_door() {
    /// Connections of one network, and how long a place stays taken: `door`'s numbers.
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
    assert_eq!(api.ask("GET /stats").await.status, 200, "another address is served at once");
}

/// Whether a guess was answered.
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
    let both = wrong("GET /stats", 4).text("") + &Ask::with_token("GET /stats").text("");
    stream.write_all(both.as_bytes()).await.expect("it is read");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    Answer::of(&answer).problem(401);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
}

/// Every act is on record with who, from where and what came of it, and no record holds the token.
#[tokio::test]
async fn acts_are_recorded() {
    let api = Api::start().await;
    let ask = Ask {
        headers: "From: jane@example.org\r\n",
        ..Ask::with_token("PUT /mappings?identifier=Bob&destination=new")
    };
    api.send(ask).await.json();
    api.ask("PUT /mappings?identifier=bob&destination=nowhere").await.problem(400);
    api.ask("DELETE /mappings?identifier=bob").await.json();
    api.ask("POST /connections/kick?destination=old&client=192.0.2.0/24").await.json();
    api.ask("POST /connections/delay?identifier=bob&seconds=500").await.json();
    api.ask("POST /mappings/reload").await.json();
    api.ask("POST /cache/invalidate").await.json();
    api.ask("POST /destinations/reset?destination=old").await.json();
    api.ask("POST /config/reload").await.problem(422);
    let page: api::audit::Page =
        serde_json::from_value(api.ask("GET /audit?limit=8").await.json()).expect("a page");
    let older = format!("GET /audit?from={}", page.next.expect("one more"));
    let older: api::audit::Page = serde_json::from_value(api.ask(&older).await.json()).expect("a page");
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
