//! The table of all metrics. The page, its documentation and the tests of the dashboard walk it.
//!
//! Names end in their unit, counters in `_total`, as Prometheus' conventions have it; `promtool check metrics`
//! agrees.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, from the start of the process or from when its name came into the configuration.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets; `_bucket`, `_sum` and `_count` are behind its name.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// A row for each metric: a constant by which the page names it, and [`ALL`].
macro_rules! catalogue {
    ($($constant:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order of the page.
        pub const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

catalogue! {
    BUILD_INFO = "pointsman_build_info" Gauge ["version"]
        "Always 1; the label tells the version";
    START_TIME = "pointsman_start_timestamp_seconds" Gauge []
        "When the process started, in Unix time";

    ACCEPTED = "pointsman_connections_accepted_total" Counter ["listener", "protocol"]
        "Connections that were given a place";
    REFUSED = "pointsman_connections_refused_total" Counter ["listener", "protocol", "reason"]
        "Connections that ended before a login by the proxy's own decision";
    CONNECTIONS = "pointsman_connections" Gauge ["listener", "protocol", "state"]
        "Connections now: before the login (login), or bridged to a backend (session)";

    LOGINS = "pointsman_logins_total" Counter ["protocol", "mechanism", "destination", "result"]
        "Logins that came to an end; the destination is empty where none was chosen yet";
    LOGIN_SECONDS = "pointsman_login_seconds" Histogram ["listener", "protocol", "step"]
        "How long accepted logins took, by step, and altogether (total)";
    LOGINS_UNDER_WAY = "pointsman_logins_under_way" Gauge []
        "Logins under way now, those that wait for a move included";
    ACCOUNTS = "pointsman_accounts" Gauge []
        "Accounts with a session or a login under way";

    SESSIONS = "pointsman_sessions" Gauge ["listener", "protocol", "destination"]
        "Sessions that are bridged now";
    SESSIONS_ENDED = "pointsman_sessions_ended_total" Counter ["listener", "protocol", "destination", "why"]
        "Sessions that ended, by who or what ended them";
    BYTES = "pointsman_bytes_total" Counter ["listener", "protocol", "destination", "direction"]
        "Bytes that the bridges have delivered, as they pass (direction: to_backend, to_client)";

    CONNECT_SECONDS = "pointsman_backend_connect_seconds" Histogram ["destination", "protocol"]
        "Resolving a backend's name and connecting to it";
    TLS_SECONDS = "pointsman_backend_tls_seconds" Histogram ["destination", "protocol"]
        "TLS handshakes with a backend";
    GREETING_SECONDS = "pointsman_backend_greeting_seconds" Histogram ["destination", "protocol"]
        "From connected to ready for a credential, without TLS";
    AUTH_SECONDS = "pointsman_backend_auth_seconds" Histogram ["destination", "protocol"]
        "From the credential to the backend's verdict, a client's own part in an exchange included";
    FAULTS = "pointsman_backend_faults_total" Counter ["destination", "protocol", "fault"]
        "Logins and pass-throughs that a destination could not be used for";
    UP = "pointsman_destination_up" Gauge ["destination", "protocol"]
        "1, or 0 while the leg is marked down";
    FAILURES = "pointsman_destination_consecutive_failures" Gauge ["destination", "protocol"]
        "Failures in a row of the leg";

    CACHE_HITS = "pointsman_cache_hits_total" Counter []
        "Mapping lookups that were answered from memory";
    CACHE_MISSES = "pointsman_cache_misses_total" Counter []
        "Mapping lookups that had to wait for the store";
    CACHE_ENTRIES = "pointsman_cache_entries" Gauge []
        "Answers of the store that are in memory";
    MAPPED = "pointsman_mapping_entries" Gauge ["destination"]
        "Entries of a mapping file: how far the migration is";
    STORE_SECONDS = "pointsman_store_lookup_seconds" Histogram []
        "Lookups in the mapping store, failed ones included";
    STORE_ERRORS = "pointsman_store_errors_total" Counter []
        "Lookups in the mapping store that failed";
    STORE_DOWN = "pointsman_routed_without_store_total" Counter []
        "Logins routed by an old answer or to the default, since the store could not be asked";
    UNDECLARED = "pointsman_routed_undeclared_total" Counter []
        "Logins routed to the default, since the store named no declared destination";

    TOKENS = "pointsman_opaque_tokens_total" Counter []
        "Opaque tokens whose account was looked up";
    TOKENS_REMEMBERED = "pointsman_opaque_tokens_remembered_total" Counter []
        "Opaque tokens whose account was known from before";
    TOKEN_ERRORS = "pointsman_opaque_token_errors_total" Counter []
        "Questions for a token's account that nobody could answer";

    CERTIFICATE_EXPIRY = "pointsman_tls_certificate_expiry_timestamp_seconds" Gauge ["certificate"]
        "When the certificate that clients are shown ends, in Unix time";
    RELOADS = "pointsman_reloads_total" Counter ["result"]
        "Reloads of the configuration (result: done, refused)";
    LAST_RELOAD = "pointsman_last_reload_success_timestamp_seconds" Gauge []
        "When the configuration in force was read, in Unix time";
    LOG_LINES_DROPPED = "pointsman_log_lines_dropped_total" Counter []
        "Log lines that were dropped because standard error was not read, or could not be written";
    MEMORY = "pointsman_resident_memory_bytes" Gauge []
        "Resident memory of the process";
    DESCRIPTORS = "pointsman_open_descriptors" Gauge []
        "Open file descriptors of the process";
    MAX_DESCRIPTORS = "pointsman_max_descriptors" Gauge []
        "How many it may have";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in ALL {
            let Metric { name, kind, labels, help } = metric;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("pointsman_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds") && !name.contains("timestamp"), *kind == Kind::Histogram);
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}: {help}");
            for label in *labels {
                assert!(!["account", "user", "client", "peer", "address", "le"].contains(label), "{name}");
            }
        }
    }
}
