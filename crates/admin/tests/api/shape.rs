//! The properties of every response, and the description compared with the responses.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::published::session;
use crate::support::{Api, TOKEN, TestRequest, TestResponse};

#[tokio::test]
async fn unknown_paths_and_wrong_methods() {
    let api = Api::start().await;
    for path in [
        "/nowhere",
        "/dashboard/",
        "/dashboard/nothing.js",
        "/api/v1/dashboard",
        "/stats/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/api/v1/stats",
        "//stats",
    ] {
        api.call(&format!("GET {path}")).await.problem(404);
    }
    for (line, allow) in [
        ("POST /stats", "get,head"),
        ("GET /config/reload", "post"),
        ("PATCH /mappings", "get,head,put,delete"),
        ("OPTIONS /api/v1/connections/kick", "post"),
        ("BREW /stats", "get,head"),
    ] {
        let answer = api.call(line).await;
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some(allow), "{line}");
    }
    api.send(TestRequest::new("POST /healthz")).await.problem(405);
    api.call("GET /stats?colour=blue").await.problem(400);
}

#[tokio::test]
async fn every_response_has_its_headers() {
    let api = Api::start().await;
    for request in [
        TestRequest::new("GET /healthz"),
        TestRequest::new("GET /stats"),
        TestRequest::with_token("GET /stats"),
        TestRequest::with_token("GET /x"),
    ] {
        let answer = api.send(request).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", request.line);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", request.line);
    }
}

/// The files contain no secret and need no token; every call that they make does.
#[tokio::test]
async fn the_dashboard_and_its_files() {
    let api = Api::start().await;
    let root = api.send(TestRequest::new("GET /")).await;
    assert_eq!((root.status, root.header("location")), (303, Some("/dashboard")));
    let page = api.send(TestRequest::new("GET /dashboard")).await;
    let is_reference = |attribute: &&str| attribute.starts_with("/dashboard/");
    let mut named: BTreeSet<String> = page.body.split('"').filter(is_reference).map(str::to_owned).collect();
    let mut seen = BTreeSet::from(["/dashboard".to_owned()]);
    while let Some(path) = named.pop_first() {
        let answer = api.send(TestRequest::new(&format!("GET {path}"))).await;
        assert_eq!(answer.status, 200, "{path}");
        for (header, part) in [
            ("content-security-policy", "default-src 'none'; script-src 'self'"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert!(answer.header(header).is_some_and(|value| value.contains(part)), "{path}: {header}");
        }
        // What a script imports is served too.
        let imports = answer.body.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
        seen.insert(path);
        named.extend(imports.map(|name| format!("/dashboard/{name}")).filter(|name| !seen.contains(name)));
    }
    assert!(seen.len() >= 9, "{seen:?}");
    assert!(
        !page.body.contains("<script>") && !page.body.contains("style="),
        "its policy allows nothing inline"
    );
}

#[tokio::test]
async fn metrics_are_text() {
    let api = Api::start().await;
    let answer = api.call("GET /metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4")));
    assert_eq!(answer.body, "pointsman_build_info 1\n");
}

/// Pages, export, and import of an export.
#[tokio::test]
async fn an_export_can_be_imported() {
    let api = Api::start().await;
    let mut lines: Vec<String> = (0..25_000).map(|n| format!("user{n}@example.org\tnew\n")).collect();
    let body = lines.concat();
    let import = TestRequest {
        headers: "Content-Type: text/tab-separated-values\r\n",
        body: &body,
        ..TestRequest::with_token("POST /mappings/import")
    };
    let dry = TestRequest { line: "POST /mappings/import?dry_run=true", ..import };
    let told = |changed, dry_run| json!({"entries": 25_000, "changed": changed, "dry_run": dry_run});
    assert_eq!(api.send(dry).await.json(), told(25_000, true));
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n", "a dry run changes nothing");
    assert_eq!(api.send(import).await.json(), told(25_000, false));
    let record = &api.call("GET /audit?limit=1").await.json()["records"][0];
    assert_eq!((&record["subject"], &record["after"]), (&json!("25000 entries"), &json!("25000 changed")));
    assert_eq!(api.send(dry).await.json(), told(0, true));

    let export = TestRequest {
        headers: "Accept: text/tab-separated-values\r\n",
        ..TestRequest::with_token("GET /mappings")
    };
    let answer = api.send(export).await;
    assert_eq!(answer.header("content-type"), Some("text/tab-separated-values"));
    lines.insert(0, "alice@example.org\tnew\n".to_owned());
    assert_eq!(answer.body, lines.concat());

    let mut target = "GET /mappings?limit=10000".to_owned();
    let mut seen = 0;
    loop {
        let page: api::mapping::MappingPage =
            serde_json::from_value(api.call(&target).await.json()).expect("a page");
        seen += page.mappings.len();
        let Some(next) = page.next else { break };
        target = format!("GET /mappings?limit=10000&from={next}");
    }
    assert_eq!(seen, 25_001);
}

#[tokio::test]
async fn an_import_with_a_wrong_line_imports_nothing() {
    let api = Api::start().await;
    let import = TestRequest {
        body: "bob new\ncarol nowhere\ndave\nbob old\n",
        ..TestRequest::with_token("POST /mappings/import")
    };
    let problem = api.send(import).await.problem(422);
    assert_eq!(problem.problems.iter().map(|remark| remark.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(api.mapping(), "# moved\nalice@example.org\tnew\n");
    api.send(TestRequest { line: "POST /mappings/import?dry_run=yes", ..import }).await.problem(400);
}

/// A stream of events sends the current state first, then the changes.
#[tokio::test]
async fn events_report_changes() {
    let api = Api::start().await;
    let mut stream = api.connect(1).await.expect("a connection");
    stream.write_all(TestRequest::with_token("GET /events").text("").as_bytes()).await.expect("it is read");
    let mut heard = String::new();
    let mut until = async |word: &str| {
        while !heard.contains(word) {
            let mut piece = [0; 4096];
            let read = timeout(Duration::from_secs(30), stream.read(&mut piece)).await.expect("in time");
            heard.push_str(str::from_utf8(&piece[..read.expect("a stream")]).expect("text"));
        }
    };
    until("event: sessions\ndata: {\"sessions\":{\"sessions\":0,").await;
    let ticket = session(&api, "alice@example.org", "new");
    until("\"sessions\":1,\"logins\":0,\"by_protocol\":{\"imap\":1},\"by_destination\":{\"new\":1}").await;
    drop(ticket);
    assert!(heard.to_ascii_lowercase().contains("content-type: text/event-stream"), "{heard}");
}

#[tokio::test]
async fn the_number_of_event_streams_is_bounded() {
    let api = Api::start().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut stream = api.connect(1).await.expect("a connection");
        stream
            .write_all(TestRequest::with_token("GET /events").text("").as_bytes())
            .await
            .expect("it is read");
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        open.push(stream);
    }
    api.call("GET /events").await.problem(503);
    // A reader who leaves makes room at once: whoever loads the dashboard anew is not told to close something.
    drop(open.pop());
    let made_room = async {
        while api.call("HEAD /events").await.status == 503 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), made_room)
        .await
        .expect("a place, before the stream has anything to tell");
}

async fn description(api: &Api) -> Value {
    api.call("GET /openapi.json").await.json()
}

/// Every described call exists, and every call is described: path by path, method by method.
#[tokio::test]
async fn the_description_has_every_call() {
    let api = Api::start().await;
    let described: BTreeSet<(String, String)> = operations(&description(&api).await)
        .into_iter()
        .map(|(path, method, _)| (path, method.to_ascii_uppercase()))
        .collect();
    let mut answering = BTreeSet::new();
    for path in described.iter().map(|(path, _)| path) {
        let answer = api.call(&format!("BREW {path}")).await;
        let allowed = answer.header("allow").unwrap_or_else(|| panic!("{path}: {answer:?}"));
        for method in allowed.split(',').filter(|method| *method != "head") {
            answering.insert((path.clone(), method.to_ascii_uppercase()));
        }
    }
    assert_eq!(described, answering);
    assert_eq!(described.len(), 28, "the table of routes has as many rows");
}

/// The statuses, media types and members of the responses are as described.
#[tokio::test]
async fn responses_are_as_described() {
    let api = Api::start().await;
    let document = description(&api).await;
    let _session = session(&api, "carol@example.org", "old");
    api.call("PUT /mappings?identifier=zoe&destination=new").await.json();
    for (path, method, operation) in operations(&document) {
        if path == "/events" {
            continue;
        }
        let query = example(&operation);
        for (query, token) in [(&*query, Some(TOKEN)), ("", Some(TOKEN)), ("?x=y", Some(TOKEN)), ("", None)] {
            let line = format!("{} {path}{query}", method.to_ascii_uppercase());
            let answer = api.send(TestRequest { token, ..TestRequest::new(&line) }).await;
            check(&document, &operation, &line, &answer);
        }
    }
}

/// Returns a query made of the examples of the parameters.
fn example(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let given = parameters.iter().filter_map(|parameter| {
        let value = parameter.get("example")?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{}={value}", parameter["name"].as_str()?))
    });
    format!("?{}", given.collect::<Vec<_>>().join("&"))
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| {
        let item = item.as_object().expect("a path item").clone();
        let path = path.clone();
        item.into_iter().map(move |(method, operation)| (path.clone(), method, operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

fn check(document: &Value, operation: &Value, line: &str, answer: &TestResponse) {
    let responses = operation["responses"].as_object().expect("responses");
    let response = responses.get(&answer.status.to_string()).unwrap_or_else(|| panic!("{line}: {answer:?}"));
    let content = resolved(document, response)["content"].as_object().expect("content").clone();
    let media = answer.header("content-type").expect("a media type");
    let described = content.get(media).unwrap_or_else(|| panic!("{line}: {media} is not described"));
    if media.ends_with("json") && !line.starts_with("GET /openapi.json") {
        let value: Value = serde_json::from_str(&answer.body).expect("JSON");
        fits(document, &described["schema"], &value, line);
    }
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap_or_else(|| panic!("{place}")),
        None => value,
    }
}

/// Validates a value, with the part of JSON Schema that the description uses.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolved(document, schema);
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let is_one = |choice: &&Value| {
            let required = resolved(document, choice)["required"].as_array().cloned().unwrap_or_default();
            required.iter().all(|name| value.get(name.as_str().unwrap_or_default()).is_some())
        };
        let choice =
            choices.iter().find(is_one).unwrap_or_else(|| panic!("{place}: {value} is none of them"));
        return fits(document, choice, value, place);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        other => panic!("{place}: no type in {other} {schema}"),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) if types.contains(&"number") => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(types.contains(&found), "{place}: {value} is {found}, expected {types:?}");
    match value {
        Value::Array(items) => items.iter().for_each(|item| fits(document, &schema["items"], item, place)),
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(members.contains_key(name), "{place}: {name} is missing");
            }
            for (name, member) in members {
                let place = format!("{place}.{name}");
                match schema["properties"].get(name) {
                    Some(property) => fits(document, property, member, &place),
                    None => fits(document, &schema["additionalProperties"], member, &place),
                }
            }
        }
        _ => {}
    }
}

/// Any target and any body get a response that is described, and never a 500.
#[test]
fn any_request_gets_a_described_response() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let api = runtime.block_on(Api::start());
    let paths = prop::sample::select(vec![
        "/stats",
        "/destinations",
        "/destinations/reset",
        "/mappings",
        "/mappings/import",
        "/mappings/reload",
        "/cache/invalidate",
        "/connections",
        "/connections/kick",
        "/connections/delay",
        "/audit",
        "/readyz",
        "/x",
    ]);
    let methods = prop::sample::select(vec!["GET", "PUT", "POST", "DELETE", "HEAD"]);
    let query = "(\\?((identifier|destination|client|protocol|seconds|limit|from|dry_run|x)=[A-Za-z0-9%*@./:_~+-]{0,12}&?){0,3})?";
    let body = prop::sample::select(vec![
        "",
        "{}",
        "[",
        "{\"identifier\":\"a\"}",
        "{\"seconds\":1e300}",
        "a new\n",
        "\u{0}",
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tested = runner.run(&(methods, paths, query, body), |(method, path, query, body)| {
        let line = format!("{method} {path}{query}");
        let answer = runtime.block_on(api.send(TestRequest { body, ..TestRequest::with_token(&line) }));
        prop_assert!((200..500).contains(&answer.status) || answer.status == 501, "{} {:?}", line, answer);
        if answer.status >= 400 && method != "HEAD" {
            answer.problem(answer.status);
        }
        Ok(())
    });
    tested.expect("every request has a proper answer");
}
