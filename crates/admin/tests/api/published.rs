//! The published calls, with and without `/api/v1`.

use std::sync::atomic::Ordering;

use admin::{Reload, ReloadError};
use serde_json::json;
use types::protocol::Protocol;

use crate::support::{Api, CLIENT, TestRequest};

#[tokio::test]
async fn health_needs_no_token() {
    let api = Api::start().await;
    for path in ["/healthz", "/api/v1/healthz"] {
        let answer = api.send(TestRequest::new(&format!("GET {path}"))).await;
        assert_eq!((answer.status, &*answer.body), (200, "ok"));
    }
    assert_eq!(api.send(TestRequest::new("GET /readyz")).await.json(), json!({"status": "ready"}));
    api.app_handle.is_draining.store(true, Ordering::Relaxed);
    let problem = api.send(TestRequest::new("GET /readyz")).await.problem(503);
    assert!(problem.detail.starts_with("draining"), "{problem:?}");
    assert_eq!(api.send(TestRequest::new("GET /healthz")).await.status, 200, "it lives while it drains");
}

#[tokio::test]
async fn statistics() {
    let api = Api::start().await;
    let _session = session(&api, "alice@example.org", "new");
    api.call("GET /mappings?identifier=bob").await.json();
    api.call("GET /mappings?identifier=bob").await.json();
    for path in ["/stats", "/api/v1/stats"] {
        let stats = api.call(&format!("GET {path}")).await.json();
        let expected = json!({
            "cache_hits": 1, "cache_misses": 1, "hit_rate_pct": 50.0, "cache_entries": 1, "active_connections": 7,
            "sessions": 1, "logins": 0, "store_errors": 0, "draining": false, "by_listener": {"imap": 7},
            "mapped": {"new": 1, "old": 0},
            "by_protocol": {"imap": 1}, "by_destination": {"new": 1},
            "nodes": [{"node": "test", "this": true, "silent_seconds": 0}],
            "channel": {
                "state": "none", "reason": "it has not joined a channel yet", "received": 0, "sent": 0, "unsent": 0,
                "forged": 0, "missed": 0,
            },
            "uptime_seconds": stats["uptime_seconds"], "version": env!("CARGO_PKG_VERSION"),
        });
        assert_eq!(stats, expected);
    }
}

#[tokio::test]
async fn destinations_and_their_reset() {
    let api = Api::start().await;
    let list = api.call("GET /destinations").await.json();
    let leg = json!({
        "port": 993, "consecutive_failures": 0, "failure_sources": 0, "host_level_failure": false, "down": false,
        "last_error": null, "last_success": null, "latency_ms": null,
    });
    let one = |name: &str, is_default: bool| {
        json!({
            "destination": name, "consecutive_failures": 0, "failure_sources": 0, "host_level_failure": false,
            "down": false, "is_default": is_default, "sessions": 0, "protocols": {"imap": leg},
        })
    };
    assert_eq!(list, json!({"destinations": [one("new", false), one("old", true)]}));
    let reset = api.call("POST /destinations/reset?destination=old").await.json();
    assert_eq!(reset, json!({"destination": "old"}));
    let problem = api.call("POST /destinations/reset?destination=nowhere").await.problem(404);
    assert!(problem.detail.ends_with("expected one of: new, old"), "{problem:?}");
    api.call("POST /destinations/reset").await.problem(400);
    assert!(api.app_handle.backends().get("old").is_some());
}

#[tokio::test]
async fn a_mapping_is_read_written_and_removed() {
    let api = Api::start().await;
    let get = async |identifier| api.call(&format!("GET /mappings?identifier={identifier}")).await.json();
    let bob = |destination: &str, cached: bool, why: &str| {
        json!({
            "identifier": "Bob@Example.org", "normalized": "bob@example.org", "destination": destination,
            "routed_to_default": why == "default", "cached": cached, "why": why,
        })
    };
    assert_eq!(get("Bob@Example.org").await, bob("old", false, "default"));
    assert_eq!(get("Bob@Example.org").await, bob("old", true, "default"));
    let stored = api.call("PUT /mappings?identifier=Bob@Example.org&destination=new").await.json();
    let expected = json!({
        "identifier": "Bob@Example.org", "normalized": "bob@example.org", "destination": "new", "previous": "old",
        "changed": true,
    });
    assert_eq!(stored, expected);
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\nbob@example.org\tnew\n");
    assert_eq!(get("Bob@Example.org").await, bob("new", false, "entry"), "the cached answer is gone");
    let again = api.call("PUT /api/v1/mappings?identifier=bob%40example.org&destination=new").await.json();
    assert_eq!((&again["changed"], &again["previous"]), (&json!(false), &json!("new")));
    let removed = api.call("DELETE /mappings?identifier=bob@example.org").await.json();
    assert_eq!((&removed["removed"], &removed["destination"]), (&json!(true), &json!("old")));
    let removed = api.call("DELETE /mappings?identifier=bob@example.org").await.json();
    assert_eq!(removed["removed"], json!(false));
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n");
}

#[tokio::test]
async fn identifiers_may_come_in_a_json_body() {
    let api = Api::start().await;
    let request = TestRequest {
        headers: "Content-Type: application/json; charset=utf-8\r\n",
        body: r#"{"identifier": "bob@example.org", "destination": "new"}"#,
        ..TestRequest::with_token("PUT /mappings")
    };
    assert_eq!(api.send(request).await.json()["changed"], json!(true));
    let twice = TestRequest { line: "PUT /mappings?identifier=bob@example.org", ..request };
    api.send(twice).await.problem(400);
    let form = TestRequest { headers: "Content-Type: application/x-www-form-urlencoded\r\n", ..request };
    api.send(form).await.problem(415);
    let large = format!("{{\"identifier\": \"{}\"}}", "a".repeat(70_000));
    api.send(TestRequest { body: &large, ..request }).await.problem(413);
}

/// Accounts with a subaddress are written into a URL as they are.
#[tokio::test]
async fn a_plus_sign_in_a_query_is_literal() {
    let api = Api::start().await;
    for identifier in ["alice+tag@example.org", "alice%2Btag@example.org"] {
        let put = api.call(&format!("PUT /mappings?identifier={identifier}&destination=new")).await.json();
        assert_eq!(put["normalized"], "alice+tag@example.org");
        let got = api.call(&format!("GET /mappings?identifier={identifier}")).await.json();
        assert_eq!((&got["destination"], &got["why"]), (&json!("new"), &json!("entry")));
        let kicked = api.call(&format!("POST /connections/kick?identifier={identifier}")).await.json();
        assert_eq!(kicked["kicked"], 0);
        let removed = api.call(&format!("DELETE /mappings?identifier={identifier}")).await.json();
        assert_eq!(removed["removed"], true);
    }
}

#[tokio::test]
async fn invalid_changes_are_refused() {
    let api = Api::start().await;
    let long = format!("PUT /mappings?identifier={}&destination=new", "a".repeat(321));
    for line in [
        "PUT /mappings?identifier=bob&destination=nowhere",
        "PUT /mappings?identifier=bob",
        "PUT /mappings?destination=new",
        "PUT /mappings?identifier=&destination=new",
        "PUT /mappings?identifier=a%20&destination=new",
        "PUT /mappings?identifier=a%0Ab&destination=new",
        "PUT /mappings?identifier=a%00&destination=new",
        "PUT /mappings?identifier=%EF%BB%BFa&destination=new",
        "PUT /mappings?identifier=@example.org&destination=new",
        "PUT /mappings?identifier=bob&destination=new&destinaton=x",
        &long,
        "DELETE /mappings",
        "GET /mappings?identifier=a%20",
    ] {
        let problem = api.call(line).await.problem(400);
        assert!(problem.detail.len() > 20, "{problem:?}");
    }
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n");
    let domains = Api::start_with("domains = true").await;
    let stored = domains.call("PUT /mappings?identifier=@example.org&destination=new").await.json();
    assert_eq!(stored["changed"], json!(true));
    let bob = domains.call("GET /mappings?identifier=bob@example.org").await.json();
    assert_eq!((&bob["destination"], &bob["why"]), (&json!("new"), &json!("domain")));
}

#[tokio::test]
async fn a_mapping_file_is_read_again_only_if_it_is_valid() {
    let api = Api::start().await;
    let file = api.folder.path().join("mapping");
    std::fs::write(&file, "alice@example.org new\nbob nowhere\n").expect("a file");
    let problem = api.call("POST /mappings/reload").await.problem(422);
    assert_eq!(problem.problems.iter().map(|remark| remark.line).collect::<Vec<_>>(), [2]);
    assert!(problem.detail.contains("line 2 names the destination"), "{problem:?}");
    std::fs::write(&file, "bob new\n").expect("a file");
    let reloaded = api.call("POST /mappings/reload").await.json();
    assert_eq!(reloaded, json!({"entries": 1, "domains": 0}));
    assert_eq!(api.call("GET /mappings?identifier=bob").await.json()["destination"], json!("new"));
    assert_eq!(
        api.call("GET /mappings?identifier=alice@example.org").await.json()["destination"],
        json!("old")
    );
}

#[tokio::test]
async fn cached_answers_are_dropped() {
    let api = Api::start().await;
    let cached = async || api.call("GET /mappings?identifier=bob").await.json()["cached"].clone();
    assert_eq!([cached().await, cached().await], [json!(false), json!(true)]);
    assert_eq!(api.call("POST /cache/invalidate?identifier=BOB").await.json(), json!({"normalized": "bob"}));
    assert_eq!([cached().await, cached().await], [json!(false), json!(true)]);
    assert_eq!(api.call("POST /cache/invalidate").await.json(), json!({}));
    assert_eq!([cached().await, cached().await], [json!(false), json!(true)]);
}

#[tokio::test]
async fn a_reload_reports_every_problem_or_the_keys_that_need_a_restart() {
    let api = Api::start().await;
    let report = config::parse(
        &api.folder.path().join("broken.toml"),
        "[routing]\ndefault_destination = \"x\"\ncolour = 1\n".to_owned(),
    );
    let broken = report.expect_err("broken");
    let expected = broken.diagnostics.len();
    let refused = ReloadError::Config {
        path: broken.path.clone(),
        errors: broken.errors(),
        problems: serde_json::from_value(broken.to_json()).expect("the API's form of a diagnostic"),
    };
    *api.app_handle.reload.lock().expect("ours") = Some(Err(refused));
    let problem = api.call("POST /config/reload").await.problem(422);
    assert!(expected > 2);
    assert_eq!(problem.problems.len(), expected);
    assert!(problem.problems.iter().any(|remark| remark.key == "routing.colour" && remark.line == 3));

    let restart_required = vec!["server.threads".to_owned()];
    *api.app_handle.reload.lock().expect("ours") =
        Some(Ok(Reload { restart_required, warnings: Vec::new() }));
    let reloaded = api.call("POST /api/v1/config/reload").await.json();
    assert_eq!(reloaded["restart_required"], json!(["server.threads"]));
}

pub(crate) fn session(api: &Api, identifier: &str, destination: &str) -> sessions::SessionTicket {
    let login = api.registry().begin(identifier, Protocol::Imap, CLIENT).expect("room");
    login.confirm(destination.into()).expect("nothing has changed")
}
