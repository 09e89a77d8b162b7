//! The published names, which runbooks read.

use serde_json::json;

use crate::action::Kicked;
use crate::mapping::Mapping;
use crate::status::{Destination, Stats};
use crate::{Diagnostic, Problem};

/// The members of the published responses.
#[test]
fn published_fields_are_there() {
    let has = |value: serde_json::Value, fields: &[&str]| {
        let missing: Vec<_> = fields.iter().filter(|field| value.get(field).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} missing in {value}");
    };
    let to_value = |value| serde_json::to_value(value).expect("plain data");
    has(
        to_value(Stats::default()),
        &["cache_hits", "cache_misses", "hit_rate_pct", "cache_entries", "active_connections"],
    );
    has(
        serde_json::to_value(Destination::default()).expect("plain data"),
        &["destination", "consecutive_failures", "failure_sources", "host_level_failure", "down"],
    );
    let mapping = Mapping {
        identifier: "A".to_owned(),
        normalized: "a".to_owned(),
        destination: "old".to_owned(),
        routed_to_default: true,
        cached: false,
        why: "default".to_owned(),
    };
    has(
        serde_json::to_value(mapping).expect("plain data"),
        &["identifier", "normalized", "destination", "routed_to_default", "cached"],
    );
    has(serde_json::to_value(Kicked::default()).expect("plain data"), &["kicked"]);
}

#[test]
fn problems_are_rfc_9457() {
    let problem = Problem {
        title: "Bad Request".to_owned(),
        detail: "identifier is missing".to_owned(),
        status: 400,
        problems: Vec::new(),
    };
    let expected = json!({"title": "Bad Request", "detail": "identifier is missing", "status": 400});
    assert_eq!(serde_json::to_value(&problem).expect("plain data"), expected);
    assert_eq!(serde_json::from_value::<Problem>(expected).expect("a problem"), problem);
}

/// Crate `admin` reads the configuration's report into this type.
#[test]
fn diagnostics_have_the_form_of_the_configuration_report() {
    let reported = json!({
        "severity": "error", "file": "pointsman.toml", "line": 3, "column": 1,
        "key": "routing.default_destination", "message": "found \"nwe\"", "help": "did you mean \"new\"?",
    });
    let diagnostic: Diagnostic = serde_json::from_value(reported.clone()).expect("a diagnostic");
    assert_eq!(serde_json::to_value(diagnostic).expect("plain data"), reported);
}
