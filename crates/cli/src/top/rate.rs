//! Rates: the growth of counters per second.

/// Returns the growth per second from `before` to `now`, if both were read.
///
/// A counter that went back belongs to a proxy that has been restarted: it has no rate, rather than a negative one.
pub(super) fn rate(now: f64, before: Option<f64>, seconds: Option<f64>) -> Option<f64> {
    let growth = now - before?;
    let seconds = seconds?;
    (seconds > 0.0 && growth >= 0.0).then(|| growth / seconds)
}

/// Returns a rate with one decimal, or "-".
pub(super) fn rate_text(rate: Option<f64>) -> String {
    match rate {
        Some(rate) => format!("{rate:.1}"),
        None => "-".to_owned(),
    }
}

/// Returns bytes per second in at most nine characters, or "-".
pub(super) fn bytes_text(rate: Option<f64>) -> String {
    let Some(mut rate) = rate else { return "-".to_owned() };
    if rate < 1000.0 {
        return format!("{rate:.0} B");
    }
    for unit in ["KiB", "MiB"] {
        rate /= 1024.0;
        if rate < 1000.0 {
            return format!("{rate:.1} {unit}");
        }
    }
    format!("{:.1} GiB", rate / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_few_characters() {
        for (rate, text) in [
            (None, "-"),
            (Some(0.0), "0 B"),
            (Some(999.0), "999 B"),
            (Some(1000.0), "1.0 KiB"),
            (Some(1024.0 * 999.9), "999.9 KiB"),
            (Some(1024.0 * 1024.0 * 5.0), "5.0 MiB"),
            (Some(1024.0 * 1024.0 * 1024.0 * 5.0), "5.0 GiB"),
        ] {
            assert_eq!(bytes_text(rate), text);
        }
    }
}
