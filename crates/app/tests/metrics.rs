//! The page of metrics as the whole program gives it.

use std::path::Path;

use app::App;

const CONFIGURATION: &str = r#"
[server]
hostname = "mail.example.org"
[listener.imaps]
protocol = "imap"
bind = ["127.0.0.1:0"]
tls = "implicit"
[listener.smtp]
protocol = "smtp"
bind = ["127.0.0.1:0"]
tls = "plain"
[destination.old]
host = "old.example.org"
protocol.imap = { port = 993, tls = "implicit" }
protocol.smtp = { port = 25, tls = "plain" }
[destination.new]
host = "new.example.org"
protocol.imap = { port = 993, tls = "implicit" }
[routing]
default_destination = "old"
smtp_passthrough_destination = "old"
[mapping]
source = "file"
file = { path = "mapping", watch = false }
"#;

async fn app(folder: &Path) -> App {
    std::fs::write(folder.join("mapping"), "bob@example.org new\n").expect("mapping");
    let config = folder.join("pointsman.toml");
    std::fs::write(&config, CONFIGURATION).expect("configuration");
    let loaded = config::load(&config).unwrap_or_else(|report| panic!("{report}"));
    App::new(loaded.plan, None).await.unwrap_or_else(|error| panic!("{error}"))
}

fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn the_rooms_are_read_at_each_scrape() {
    let folder = tempfile::tempdir().expect("folder");
    let app = app(folder.path()).await;
    let router = std::sync::Arc::clone(app.router());
    for account in ["alice@example.org", "bob@example.org", "bob@example.org"] {
        router.resolve(account).await;
    }
    std::fs::write(folder.path().join("pointsman.toml"), "[server]\nhostnam = 1\n").expect("configuration");
    app.reload().await.expect_err("a configuration that is none");
    std::fs::write(folder.path().join("pointsman.toml"), CONFIGURATION).expect("configuration");
    app.reload().await.unwrap_or_else(|error| panic!("{error}"));
    let page = app.metrics();
    for (series, expected) in [
        (r#"pointsman_destination_up{destination="old",protocol="imap"}"#, Some(1.0)),
        (r#"pointsman_destination_up{destination="old",protocol="smtp"}"#, Some(1.0)),
        (r#"pointsman_destination_up{destination="new",protocol="smtp"}"#, None),
        (r#"pointsman_sessions{listener="smtp",protocol="smtp",destination="old"}"#, Some(0.0)),
        ("pointsman_cache_hits_total", Some(1.0)),
        ("pointsman_cache_misses_total", Some(2.0)),
        ("pointsman_cache_entries", Some(2.0)),
        (r#"pointsman_mapping_entries{destination="old"}"#, Some(0.0)),
        (r#"pointsman_mapping_entries{destination="new"}"#, Some(1.0)),
        ("pointsman_store_lookup_seconds_count", Some(2.0)),
        ("pointsman_store_errors_total", Some(0.0)),
        ("pointsman_accounts", Some(0.0)),
        (r#"pointsman_reloads_total{result="done"}"#, Some(1.0)),
        (r#"pointsman_reloads_total{result="refused"}"#, Some(1.0)),
    ] {
        assert_eq!(value(&page, series), expected, "{series} in\n{page}");
    }
    let started = value(&page, "pointsman_start_timestamp_seconds").expect("a time");
    assert!(value(&page, "pointsman_last_reload_success_timestamp_seconds").expect("a time") >= started);
    assert!(value(&page, "pointsman_resident_memory_bytes").expect("a size") > 1e6);
    assert!(value(&page, "pointsman_open_descriptors").expect("a number") > 3.0);
}
