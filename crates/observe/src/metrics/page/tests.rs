use types::fault::Fault;
use types::outcome::{ConnectionRefusal, LoginResult, SessionEnd};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::catalogue::ALL;
use super::super::facts::{Cache, Leg, Moves, Process, Reloads, Store, Tokens};
use super::super::meters::Where;
use super::*;

const LISTENERS: [(&str, &str); 2] = [("imaps", "imap"), ("pop3s", "pop3")];
const LEGS: [(&str, &str); 3] = [("old", "imap"), ("old", "pop3"), ("new", "imap")];

fn named(names: &[(&str, &'static str)]) -> Vec<Where> {
    names.iter().map(|(name, protocol)| (Arc::from(*name), *protocol)).collect()
}

fn meters() -> Arc<Meters> {
    Arc::new(Meters::new(&named(&LISTENERS), &named(&LEGS), None))
}

fn facts() -> Facts {
    Facts {
        tokens: Tokens { asked: 9, remembered: 7, failed: 1 },
        version: "1.2.3",
        started: 1_700_000_000.0,
        accounts: 3,
        logins: 1,
        cache: Cache { hits: 5, misses: 2, entries: 7 },
        mapped: vec![("new".into(), 12)],
        store: Store {
            errors: 1,
            buckets: vec![(0.1, 3), (f64::INFINITY, 1)],
            seconds: 1.5,
            ..Store::default()
        },
        moves: Moves {
            unfinished: vec![("queued", 4), ("sync", 2)],
            ended: vec![("done", 8), ("failed", 1)],
            held_seconds: 12.5,
            logins_waited: 6,
            waiting_logins: 3,
        },
        legs: vec![Leg {
            destination: "new".into(),
            protocol: "imap",
            is_up: false,
            consecutive_failures: 4,
        }],
        certificates: vec![("mail".into(), 1_800_000_000)],
        reloads: Reloads { done: 1, refused: 0, last_success: 1_700_000_001.5 },
        log_lines_dropped: 13,
        process: Some(Process { resident_bytes: 4096, descriptors: 9, max_descriptors: Some(1024) }),
    }
}

/// Everything happens once.
fn busy(meters: &Arc<Meters>) {
    let listener = meters.listener("imaps");
    let mut connection_guard = listener.enter();
    let _waiting = listener.enter();
    listener.refused(ConnectionRefusal::ProxyHeader);
    listener.took(Step::Total, Duration::from_millis(7));
    let leg = meters.leg("imap", "new");
    leg.opened(Duration::from_millis(1), Some(Duration::from_millis(3)), Duration::from_millis(2));
    leg.authenticated(Duration::from_secs(2));
    leg.login("PLAIN", LoginResult::Accepted);
    leg.fault(Fault::Refused);
    meters.leg("imap", "").login("PLAIN", LoginResult::Busy);
    connection_guard.bridged();
    let session_guard = meters.route("imaps", "new").begin();
    session_guard.moved(10, 0);
    session_guard.moved(5, 1000);
    session_guard.ended(SessionEnd::ClientClosed);
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

#[test]
fn what_happened_is_on_the_page() {
    let meters = meters();
    busy(&meters);
    let text = render(&meters, facts());
    for (series, expected) in [
        (r#"pointsman_build_info{version="1.2.3"}"#, 1.0),
        (r#"pointsman_connections_accepted_total{listener="imaps",protocol="imap"}"#, 2.0),
        (r#"pointsman_connections_accepted_total{listener="pop3s",protocol="pop3"}"#, 0.0),
        (
            r#"pointsman_connections_refused_total{listener="imaps",protocol="imap",reason="proxy_header"}"#,
            1.0,
        ),
        (r#"pointsman_connections{listener="imaps",protocol="imap",state="login"}"#, 0.0),
        (
            r#"pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="new",result="accepted"}"#,
            1.0,
        ),
        (r#"pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="",result="busy"}"#, 1.0),
        (r#"pointsman_login_seconds_bucket{listener="imaps",protocol="imap",step="total",le="0.005"}"#, 0.0),
        (r#"pointsman_login_seconds_bucket{listener="imaps",protocol="imap",step="total",le="0.01"}"#, 1.0),
        (r#"pointsman_login_seconds_count{listener="imaps",protocol="imap",step="total"}"#, 1.0),
        (r#"pointsman_backend_auth_seconds_sum{destination="new",protocol="imap"}"#, 2.0),
        (r#"pointsman_backend_tls_seconds_count{destination="new",protocol="imap"}"#, 1.0),
        (r#"pointsman_backend_faults_total{destination="new",protocol="imap",fault="refused"}"#, 1.0),
        (
            r#"pointsman_bytes_total{listener="imaps",protocol="imap",destination="new",direction="to_backend"}"#,
            15.0,
        ),
        (
            r#"pointsman_bytes_total{listener="imaps",protocol="imap",destination="new",direction="to_client"}"#,
            1000.0,
        ),
        (
            r#"pointsman_sessions_ended_total{listener="imaps",protocol="imap",destination="new",why="client closed"}"#,
            1.0,
        ),
        (r#"pointsman_sessions{listener="pop3s",protocol="pop3",destination="old"}"#, 0.0),
        (r#"pointsman_destination_up{destination="new",protocol="imap"}"#, 0.0),
        (r#"pointsman_store_lookup_seconds_bucket{le="0.1"}"#, 3.0),
        (r#"pointsman_store_lookup_seconds_bucket{le="+Inf"}"#, 4.0),
        (r#"pointsman_store_lookup_seconds_sum"#, 1.5),
        (r#"pointsman_tls_certificate_expiry_timestamp_seconds{certificate="mail"}"#, 1_800_000_000.0),
        (r#"pointsman_reloads_total{result="done"}"#, 1.0),
        ("pointsman_log_lines_dropped_total", 13.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
}

#[test]
fn connections_and_sessions_go_down_again() {
    let meters = meters();
    let mut connection_guard = meters.listener("imaps").enter();
    let state = |state: &str| {
        format!("pointsman_connections{{listener=\"imaps\",protocol=\"imap\",state={state:?}}}")
    };
    let seen = |meters| {
        let text = render(meters, Facts::default());
        (value(&text, &state("login")), value(&text, &state("session")))
    };
    assert_eq!(seen(&meters), (Some(1.0), Some(0.0)));
    connection_guard.bridged();
    connection_guard.bridged();
    let session_guard = meters.route("imaps", "old").begin();
    assert_eq!(seen(&meters), (Some(0.0), Some(1.0)));
    drop((connection_guard, session_guard));
    assert_eq!(seen(&meters), (Some(0.0), Some(0.0)));
    assert_eq!(meters.route("imaps", "old").sessions.get(), 0);
}

/// What a scraper asks of the text. (Prometheus' own tool judges it in the laboratory.)
#[test]
fn the_text_is_well_formed_and_has_the_whole_catalogue() {
    let meters = meters();
    busy(&meters);
    let text = render(&meters, facts());
    let mut told = Vec::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            told.push(help.split(' ').next().expect("a name"));
        } else if !line.starts_with("# TYPE ") {
            let (series, number) = line.rsplit_once(' ').expect("a value");
            assert!(number.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series.to_owned()), "{series} is there twice");
            let name = series.split('{').next().expect("a name");
            let family = told.last().expect("a family");
            let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{name} in the family {family}"));
            assert!(["", "_bucket", "_sum", "_count"].contains(&suffix), "{name}");
        }
    }
    let catalogue: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(told, catalogue);
    let silent: Vec<_> =
        catalogue.iter().filter(|name| !seen.iter().any(|series| series.starts_with(*name))).collect();
    assert!(silent.is_empty(), "no series of {silent:?}");
}

#[test]
fn a_name_of_the_configuration_cannot_leave_its_quotes() {
    let meters = Arc::new(Meters::new(&named(&[("a\"} 1\nb\\", "imap")]), &[], None));
    let text = render(&meters, Facts::default());
    assert!(text.contains(r#"{listener="a\"} 1\nb\\",protocol="imap"} 0"#), "{text}");
}

/// However many clients come with whatever they bring, and however many plans have gone by: as many series as
/// the present plan and the program's own words make.
#[test]
fn series_are_bounded_by_the_configuration() {
    let mut meters = meters();
    let first = render(&meters, Facts::default()).lines().count();
    for round in 0..200 {
        let names = [(format!("listener-{round}"), "imap"), ("imaps".to_owned(), "imap")];
        let listeners: Vec<_> =
            names.iter().map(|(name, protocol)| (Arc::from(name.as_str()), *protocol)).collect();
        let legs = [(Arc::from(format!("destination-{round}")), "imap")];
        meters = Arc::new(Meters::new(&listeners, &legs, Some(&meters)));
        busy(&meters);
        // A session of an older plan, at a destination that is gone.
        meters.leg("imap", "old").login("PLAIN", LoginResult::Accepted);
        let _sitting = meters.route("imaps", "old").begin();
    }
    let text = render(&meters, Facts::default());
    assert!(text.lines().count() < 2 * first, "{} lines after {first}\n{text}", text.lines().count());
    assert!(!text.contains("destination=\"old\"") && !text.contains("listener-198"), "{text}");
}

#[test]
fn a_reload_goes_on_counting() {
    let before = meters();
    busy(&before);
    let waiting = before.listener("imaps").enter();
    // "new" stays, "old" goes, the listener "pop3s" is gone from the file: its socket stays.
    let after = Arc::new(Meters::new(
        &named(&[("imaps", "imap")]),
        &named(&[("new", "imap"), ("third", "imap")]),
        Some(&before),
    ));
    drop(waiting);
    let text = render(&after, Facts::default());
    let expected = BTreeMap::from([
        (r#"pointsman_connections{listener="imaps",protocol="imap",state="login"}"#, Some(0.0)),
        (r#"pointsman_connections_accepted_total{listener="imaps",protocol="imap"}"#, Some(3.0)),
        (r#"pointsman_connections_accepted_total{listener="pop3s",protocol="pop3"}"#, Some(0.0)),
        (
            r#"pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="new",result="accepted"}"#,
            Some(1.0),
        ),
        (
            r#"pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="",result="busy"}"#,
            Some(1.0),
        ),
        (
            r#"pointsman_bytes_total{listener="imaps",protocol="imap",destination="new",direction="to_backend"}"#,
            Some(15.0),
        ),
        (r#"pointsman_sessions{listener="imaps",protocol="imap",destination="third"}"#, Some(0.0)),
        (r#"pointsman_sessions{listener="imaps",protocol="imap",destination="old"}"#, None),
    ]);
    for (series, expected) in expected {
        assert_eq!(value(&text, series), expected, "{series} in\n{text}");
    }
}
