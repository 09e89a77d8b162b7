//! The dashboard, the alerts and the manual name only metrics, labels and label values that the program writes.

use std::collections::BTreeSet;

use observe::metrics::catalogue::{ALL, Kind, Metric};
use regex::Regex;
use types::fault::Fault;
use types::outcome::{ConnectionRefusal, LoginResult, ReloadResult, SessionEnd};

const DASHBOARD: &str = include_str!("../../../contrib/grafana/pointsman.json");
const ALERTS: &str = include_str!("../../../contrib/prometheus/alerts.yml");
const MANUAL: &str = include_str!("../../../docs/observability.md");

/// The metric that a series belongs to.
fn metric(series: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| {
        let suffix = series.strip_prefix(metric.name);
        suffix == Some("")
            || metric.kind == Kind::Histogram && matches!(suffix, Some("_bucket" | "_sum" | "_count"))
    })
}

fn named(text: &str) -> BTreeSet<&str> {
    let name = Regex::new(r"\bpointsman_[a-z_]+").expect("an expression");
    name.find_iter(text).map(|found| found.as_str()).collect()
}

/// The expressions of the dashboard and the alerts.
fn expressions() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let mut found = Vec::new();
    let mut pending = vec![&dashboard];
    while let Some(value) = pending.pop() {
        if let Some(expression) = value.get("expr").and_then(serde_json::Value::as_str) {
            found.push(expression.to_owned());
        }
        pending.extend(value.as_array().into_iter().flatten());
        pending.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
    }
    let rules = ALERTS.split("expr:").skip(1);
    found.extend(rules.map(|rule| rule.split("labels:").next().unwrap_or_default().to_owned()));
    found
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_exists_and_each_is_used() {
    let mut used = BTreeSet::new();
    for series in named(DASHBOARD).into_iter().chain(named(ALERTS)) {
        let metric = metric(series).unwrap_or_else(|| panic!("{series} is no metric"));
        used.insert(metric.name);
    }
    let unused: Vec<_> = ALL.iter().map(|metric| metric.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "neither shown nor watched: {unused:?}");
}

#[test]
fn every_label_of_an_expression_is_one_of_its_metrics() {
    let matcher = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*""#).expect("an expression");
    let by = Regex::new(r"\bby \(([a-z_, ]+)\)").expect("an expression");
    let all = expressions();
    assert!(all.len() > 30, "only {} expressions were found", all.len());
    for expression in all {
        let metrics: Vec<_> = named(&expression).into_iter().filter_map(metric).collect();
        assert!(!metrics.is_empty(), "{expression}");
        let matched = matcher.captures_iter(&expression).map(|found| found[1].to_owned());
        let grouped = by
            .captures_iter(&expression)
            .flat_map(|found| found[1].split(", ").map(str::to_owned).collect::<Vec<_>>());
        for label in matched.chain(grouped) {
            let known = metrics.iter().all(|metric| metric.labels.contains(&&*label))
                // Prometheus' own.
                || label == "instance"
                || label == "le" && metrics.iter().all(|metric| metric.kind == Kind::Histogram);
            assert!(known, "{label} in {expression}");
        }
    }
}

/// An alert whose label value does not exist never fires.
#[test]
fn every_value_of_an_expression_is_one_that_the_program_writes() {
    let matcher =
        Regex::new(r#"\b(result|reason|why|fault)\s*(?:=~|!~|!=|=)\s*"([^"]*)""#).expect("an expression");
    let mut checked = 0;
    for expression in expressions() {
        let metrics: Vec<_> = named(&expression).into_iter().filter_map(metric).collect();
        for found in matcher.captures_iter(&expression) {
            let is_of_reloads = metrics.iter().any(|metric| metric.name == "pointsman_reloads_total");
            let known = values(&found[1], is_of_reloads);
            let pattern = Regex::new(&format!("^(?:{})$", &found[2])).expect("an expression");
            assert!(
                known.iter().any(|value| pattern.is_match(value)),
                "no {} is {:?}: {expression}",
                &found[1],
                &found[2]
            );
            checked += 1;
        }
    }
    assert!(checked >= 4, "only {checked} values were found");
}

/// Returns the values that `label` can have.
fn values(label: &str, is_of_reloads: bool) -> Vec<&'static str> {
    match label {
        "result" if is_of_reloads => ReloadResult::ALL.map(ReloadResult::label).to_vec(),
        "result" => LoginResult::labels().collect(),
        "reason" => ConnectionRefusal::ALL.map(ConnectionRefusal::label).to_vec(),
        "why" => SessionEnd::ALL.map(SessionEnd::label).to_vec(),
        "fault" => Fault::ALL.map(Fault::label).to_vec(),
        _ => panic!("the values of the label {label} are not known here"),
    }
}

#[test]
fn the_manual_lists_every_metric() {
    let mut table = String::new();
    for Metric { name, kind, labels, help } in ALL {
        let kind = format!("{kind:?}").to_lowercase();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        table.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    assert!(MANUAL.contains(&table), "the table in docs/observability.md should be:\n\n{table}");
    for series in named(MANUAL) {
        assert!(metric(series).is_some(), "{series} is not a metric");
    }
}
