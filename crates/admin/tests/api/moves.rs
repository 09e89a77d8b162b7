//! Moves over the API, from the request to the record in the audit log.

use serde_json::{Value, json};

use crate::support::{Api, TestRequest, TestResponse};

async fn post(api: &Api, path: &str, body: &Value) -> TestResponse {
    let line = format!("POST {path}");
    let body = body.to_string();
    let request = TestRequest {
        headers: "Content-Type: application/json\r\n",
        body: &body,
        ..TestRequest::with_token(&line)
    };
    api.send(request).await
}

/// Returns the body, whatever the status.
fn value(response: &TestResponse) -> Value {
    serde_json::from_str(&response.body).expect("JSON")
}

/// Reads a move until it has ended.
async fn ended(api: &Api, id: &Value) -> Value {
    loop {
        let record = api.call(&format!("GET /moves/{id}")).await.json();
        if record.get("outcome").is_some() {
            return record;
        }
    }
}

#[tokio::test]
async fn a_move_and_its_rollback() {
    let api = Api::start().await;
    let accepted =
        post(&api, "/moves", &json!({"to": "new", "accounts": ["Bob@example.org"], "sync": "echo copied"}))
            .await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = &value(&accepted)["moves"][0];
    let record = ended(&api, id).await;
    assert_eq!(record["outcome"], "done", "{record}");
    assert_eq!(record["accounts"], json!(["bob@example.org"]));
    assert_eq!((&record["from"], &record["to"]), (&json!("old"), &json!("new")));
    assert_eq!(record["output"], "copied\n");
    assert!(api.mapping().contains("bob@example.org\tnew\n"), "{}", api.mapping());

    let refused = post(&api, &format!("/moves/{id}/rollback"), &json!({})).await;
    refused.problem(422);
    assert!(refused.body.contains("would stay behind"), "{}", refused.body);
    let accepted = post(&api, &format!("/moves/{id}/rollback"), &json!({"leave_behind": true})).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let back = ended(&api, &value(&accepted)["moves"][0]).await;
    assert_eq!((&back["outcome"], &back["rollback_of"]), (&json!("done"), id));
    assert!(api.mapping().contains("bob@example.org\told\n"), "{}", api.mapping());

    let list = api.call("GET /moves?identifier=bob@example.org").await.json();
    assert_eq!(list["moves"].as_array().map(Vec::len), Some(2));
    assert!(list["moves"][0].get("output").is_none(), "outputs are in GET /moves/ID only");
    let audit = api.call("GET /audit").await.body;
    assert!(audit.contains("moves.start") && audit.contains("moves.rollback"), "{audit}");
}

#[tokio::test]
async fn a_batch_is_checked_as_a_whole() {
    let api = Api::start().await;
    let batch = json!({"to": "new", "batch": "monday", "groups": [["bob@example.org", "bob"], ["alice@example.org"], []]});
    let refused = post(&api, "/moves", &batch).await;
    refused.problem(422);
    let problems = value(&refused)["problems"].clone();
    assert_eq!((&problems[0]["line"], &problems[0]["key"]), (&json!(2), &json!("alice@example.org")));
    assert_eq!(problems[1]["line"], 3);
    assert_eq!(api.call("GET /moves").await.json()["moves"], json!([]));

    let good = json!({"to": "new", "batch": "monday", "groups": [["bob@example.org", "bob"], ["carol@example.org"]]});
    let mut dry = good.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(post(&api, "/moves", &dry).await.status, 200);
    assert_eq!(api.call("GET /moves").await.json()["moves"], json!([]));
    assert_eq!(post(&api, "/moves", &good).await.status, 202);
    let state = loop {
        let state = api.call("GET /moves/batches/monday").await.json();
        if state["queued"] == 0 && state["running"] == 0 {
            break state;
        }
    };
    assert_eq!((&state["done"], &state["not_done"]), (&json!(2), &json!(0)), "{state}");
    post(&api, "/moves", &good).await.problem(409);
}

#[tokio::test]
async fn requests_with_mistakes_start_nothing() {
    let api = Api::start().await;
    for (path, body, status) in [
        ("/moves", json!({}), 400),
        ("/moves", json!({"to": "new"}), 422),
        ("/moves", json!({"to": "nowhere", "accounts": ["bob@example.org"]}), 422),
        ("/moves", json!({"to": "new", "accounts": ["bob@example.org"], "hold": 0}), 400),
        ("/moves", json!({"to": "new", "accounts": ["bob@example.org"], "colour": "blue"}), 400),
        ("/moves", json!({"to": "new", "accounts": "bob@example.org"}), 400),
        ("/moves", json!({"to": "new", "groups": [["bob@example.org"]]}), 400),
        ("/moves", json!({"to": "new", "groups": [["bob@example.org"]], "batch": "a/b"}), 400),
        (
            "/moves",
            json!({"to": "new", "groups": [["bob@example.org"]], "accounts": ["x"], "batch": "a"}),
            400,
        ),
        ("/moves?to=new", json!({"to": "new", "accounts": ["bob@example.org"]}), 400),
        ("/moves/7/rollback", json!({}), 404),
        ("/moves/seven/rollback", json!({}), 404),
        ("/moves/batches/none/pause", json!({}), 404),
    ] {
        post(&api, path, &body).await.problem(status);
    }
    api.call("DELETE /moves/7").await.problem(404);
    assert_eq!(api.call("GET /moves").await.json()["moves"], json!([]));
}

#[tokio::test]
async fn a_cancelled_move_changes_nothing() {
    let api = Api::start().await;
    let before = api.mapping();
    let new = json!({"to": "new", "accounts": ["bob@example.org"], "sync": "sleep 1000"});
    let id = value(&post(&api, "/moves", &new).await)["moves"][0].clone();
    let record = api.call(&format!("DELETE /moves/{id}")).await.json();
    assert_eq!(record["outcome"], "cancelled");
    assert_eq!(api.mapping(), before);
    api.call(&format!("DELETE /moves/{id}")).await.problem(409);
}
