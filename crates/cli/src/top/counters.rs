//! What `top` reads out of the metrics page: counters, whose growth between two looks is a rate.

use std::collections::BTreeMap;

/// The counters of one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counters {
    /// Logins by result.
    pub(super) logins: BTreeMap<String, f64>,
    /// Bytes by destination: to the backend, to the client.
    pub(super) bytes: BTreeMap<String, [f64; 2]>,
}

// === impl Counters ===

impl Counters {
    /// Out of a page in the text format of Prometheus. Lines of other metrics are passed over.
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
                    let index = match label(labels, "direction") {
                        Some("to_backend") => 0,
                        Some("to_client") => 1,
                        _ => continue,
                    };
                    let destination = label(labels, "destination").unwrap_or_default().to_owned();
                    counters.bytes.entry(destination).or_default()[index] += value;
                }
                _ => {}
            }
        }
        counters
    }
}

/// Name, labels and value of a line with labels.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    Some((name, labels, value.split_whitespace().next()?.parse().ok()?))
}

/// The value of a label. Ours are names of the configuration and the program's own words: none of them holds what
/// the format would have to escape.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (found, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if found == name {
            return Some(value);
        }
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_a_page() {
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
        assert_eq!(counters.bytes["old"], [7.0, 111.0]);
        assert_eq!(counters.bytes.len(), 1);
    }
}
