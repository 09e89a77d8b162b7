//! The counters that `top` reads from the metrics page. Their growth between two readings is a rate.

use std::collections::BTreeMap;

/// The counters of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counters {
    /// Logins by result.
    pub(super) logins: BTreeMap<String, f64>,
    /// Bytes by destination.
    pub(super) traffic: BTreeMap<String, Traffic>,
}

/// Bytes of all sessions at a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Traffic {
    pub(super) to_backend: f64,
    pub(super) to_client: f64,
}

// === impl Counters ===

impl Counters {
    /// Reads a page in Prometheus' text format. Other metrics are ignored.
    pub(super) fn of(page: &str) -> Self {
        let mut counters = Self::default();
        for line in page.lines() {
            let Some((name, labels, value)) = sample(line) else { continue };
            match name {
                "pointsman_logins_total" => {
                    if let Some(result) = label(labels, "result") {
                        *counters.logins.entry(result.to_owned()).or_default() += value;
                    }
                }
                "pointsman_bytes_total" => {
                    let destination = label(labels, "destination").unwrap_or_default().to_owned();
                    match label(labels, "direction") {
                        Some("to_backend") => {
                            counters.traffic.entry(destination).or_default().to_backend += value;
                        }
                        Some("to_client") => {
                            counters.traffic.entry(destination).or_default().to_client += value;
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        counters
    }
}

/// Splits a line with labels into name, labels and value.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, after_name) = line.split_once('{')?;
    let (labels, value) = after_name.rsplit_once('}')?;
    Some((name, labels, value.split_whitespace().next()?.parse().ok()?))
}

/// Returns the value of a label. The labels read here are names from the configuration and fixed words, so no value
/// contains a character that the format escapes.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut remaining = labels;
    loop {
        let (found, quoted) = remaining.split_once("=\"")?;
        let (value, next) = quoted.split_once('"')?;
        if found == name {
            return Some(value);
        }
        remaining = next.strip_prefix(',').unwrap_or(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_a_page() {
        let page = r#"# TYPE pointsman_logins counter
pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="new",result="accepted"} 4
pointsman_logins_total{protocol="pop3",mechanism="PLAIN",destination="old",result="accepted"} 3.0
pointsman_logins_total{protocol="imap",mechanism="PLAIN",destination="",result="rejected"} 1
pointsman_bytes_total{listener="imap",protocol="imap",destination="old",direction="to_client"} 100
pointsman_bytes_total{listener="pop3",protocol="pop3",destination="old",direction="to_client"} 11
pointsman_bytes_total{listener="imap",protocol="imap",destination="old",direction="to_backend"} 7
pointsman_bytes_total{listener="imap",protocol="imap",destination="old",direction="sideways"} 7
pointsman_bytes_total{broken
pointsman_accounts 9
# EOF
"#;
        let counters = Counters::of(page);
        let logins: Vec<_> = counters.logins.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(logins, [("accepted", 7.0), ("rejected", 1.0)]);
        assert_eq!(counters.traffic["old"], Traffic { to_backend: 7.0, to_client: 111.0 });
        assert_eq!(counters.traffic.len(), 1);
    }
}
