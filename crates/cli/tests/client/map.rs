//! `pointsman map`.

use serde_json::json;

use crate::support::Proxy;

#[test]
fn an_account_is_moved_and_moved_back() {
    let proxy = Proxy::start();
    let mapping = || std::fs::read_to_string(proxy.path("mapping")).expect("a file");
    assert_eq!(
        proxy.run(&["map", "get", "bob@example.org"]).ok(),
        "ACCOUNT          DESTINATION  REASON\nbob@example.org  old          no entry: default destination\n"
    );
    assert_eq!(
        proxy.run(&["map", "set", "bob@example.org", "new"]).ok(),
        "bob@example.org is now at new (before: old)\n\
         sessions that are open stay at old; end them: pointsman sessions kick --user bob@example.org\n"
    );
    assert!(mapping().contains("bob@example.org\tnew\n"), "{}", mapping());
    let master = proxy.run(&["map", "get", "bob@example.org%master", "--json"]).json();
    assert_eq!((&master["normalized"], &master["destination"]), (&json!("bob@example.org"), &json!("new")));
    assert_eq!(
        proxy.run(&["map", "set", "bob@example.org", "new"]).ok(),
        "bob@example.org was already at new\n"
    );
    let found = proxy.run(&["map", "get", "bob@example.org", "--json"]).json();
    assert_eq!((&found["destination"], &found["why"]), (&json!("new"), &json!("entry")));
    assert_eq!(
        proxy.run(&["map", "rm", "bob@example.org"]).ok(),
        "entry removed: bob@example.org is now at old\n"
    );
    assert!(!mapping().contains("bob"), "{}", mapping());
    let again = proxy.run(&["map", "rm", "bob@example.org"]);
    assert_eq!((again.code, again.out.as_str()), (1, "no entry to remove: bob@example.org is at old\n"));
}

#[test]
fn a_refusal_of_the_proxy_exits_1() {
    let proxy = Proxy::start();
    let refused = proxy.run(&["map", "set", "bob@example.org", "nwe"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    assert!(refused.err.starts_with("pointsman: ") && refused.err.contains("nwe"), "{}", refused.err);
    let refused = proxy.run(&["map", "set", "bob@example.org", "nwe", "--json"]);
    let problem: serde_json::Value = serde_json::from_str(&refused.out).expect("JSON");
    assert_eq!((refused.code, &problem["status"]), (1, &json!(400)), "{}", refused.err);
}

#[test]
fn an_export_can_be_imported() {
    let proxy = Proxy::start();
    let many: String = (0..12_000).map(|i| format!("user{i}@example.org\tnew\n")).collect();
    let output = proxy.run_with(&["map", "import", "--dry-run", "-"], &many).ok();
    assert_eq!(output, "dry run: 12000 entries read, 12000 would change; nothing was changed\n");
    assert_eq!(proxy.run(&["map", "export"]).ok(), "alice@example.org\tnew\n");
    let output = proxy.run_with(&["map", "import", "-"], &many).ok();
    assert_eq!(output, "12000 entries imported, 12000 changed\n");
    proxy.run(&["map", "export", "--out", "all.tsv"]).ok();
    let exported = std::fs::read_to_string(proxy.path("all.tsv")).expect("a file");
    assert_eq!(exported.lines().count(), 12_001);
    assert_eq!(exported, proxy.run(&["map", "export"]).ok());
    let output = proxy.run(&["map", "import", "all.tsv", "--json"]).json();
    assert_eq!(output, json!({"entries": 12_001, "changed": 0, "dry_run": false}));
    // More than one page of the API.
    let listed = proxy.run(&["map", "list", "--limit", "20000", "--json"]).json();
    assert_eq!(listed["mappings"].as_array().map(Vec::len), Some(12_001));
    let some = proxy.run(&["map", "list", "--limit", "2"]);
    assert_eq!(some.out.lines().count(), 3, "{some:?}");
    assert!(some.err.contains("more entries exist"), "{some:?}");
}

#[test]
fn an_import_with_an_error_names_its_line_and_changes_nothing() {
    let proxy = Proxy::start();
    let output = proxy.run_with(&["map", "import", "-"], "bob@example.org\tnew\ncarol@example.org\tnwe\n");
    assert_eq!((output.code, output.out.as_str()), (1, ""), "{output:?}");
    assert!(output.err.contains("body:2: "), "{}", output.err);
    assert_eq!(proxy.run(&["map", "export"]).ok(), "alice@example.org\tnew\n");
}

#[test]
fn an_export_that_cannot_be_written_names_the_file() {
    let proxy = Proxy::start();
    let output = proxy.run(&["map", "export", "--out", "no/such/folder/all.tsv"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.err.contains("no/such/folder/all.tsv"), "{}", output.err);
}

#[test]
fn the_mapping_is_reloaded() {
    let proxy = Proxy::start();
    assert_eq!(proxy.run(&["map", "reload"]).ok(), "mapping reloaded: 1 entry\n");
    std::fs::write(proxy.path("mapping"), "alice@example.org\tnwe\n").expect("a file");
    let output = proxy.run(&["map", "reload"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.err.contains(":1: "), "{}", output.err);
}
