//! The table of all metrics. The page, its documentation and the tests of the dashboard are checked against it.
//!
//! Names end in their unit, counters in `_total`, as the conventions of Prometheus require; `promtool check metrics`
//! agrees.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, from the start of the process or from when its name came into the configuration.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets; `_bucket`, `_sum` and `_count` follow its name.
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
    /// Its help text.
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
        "Always 1; the label is the version";
    START_TIME = "pointsman_start_timestamp_seconds" Gauge []
        "When the process started, in Unix time";

    ACCEPTED = "pointsman_connections_accepted_total" Counter ["listener", "protocol"]
        "Connections that were accepted within the limits";
    REFUSED = "pointsman_connections_refused_total" Counter ["listener", "protocol", "reason"]
        "Connections that the proxy ended before a login";
    CONNECTIONS = "pointsman_connections" Gauge ["listener", "protocol", "state"]
        "Open connections: before the login (login), or bridged to a backend (session)";

    LOGINS = "pointsman_logins_total" Counter ["protocol", "mechanism", "destination", "result"]
        "Finished logins; the destination is empty if none was chosen";
    LOGIN_SECONDS = "pointsman_login_seconds" Histogram ["listener", "protocol", "step"]
        "Duration of accepted logins, by step and in total (total)";
    LOGINS_UNDER_WAY = "pointsman_logins_under_way" Gauge []
        "Logins in progress, including those that wait for a move";
    ACCOUNTS = "pointsman_accounts" Gauge []
        "Accounts with a session or a login in progress";

    SESSIONS = "pointsman_sessions" Gauge ["listener", "protocol", "destination"]
        "Open sessions";
    SESSIONS_ENDED = "pointsman_sessions_ended_total" Counter ["listener", "protocol", "destination", "why"]
        "Ended sessions, by reason";
    BYTES = "pointsman_bytes_total" Counter ["listener", "protocol", "destination", "direction"]
        "Bytes delivered (direction: to_backend, to_client)";

    CONNECT_SECONDS = "pointsman_backend_connect_seconds" Histogram ["destination", "protocol"]
        "Duration of resolving the name of a backend and connecting to it";
    TLS_SECONDS = "pointsman_backend_tls_seconds" Histogram ["destination", "protocol"]
        "Duration of TLS handshakes with a backend";
    GREETING_SECONDS = "pointsman_backend_greeting_seconds" Histogram ["destination", "protocol"]
        "Time from the connection to readiness for a credential, without TLS";
    AUTH_SECONDS = "pointsman_backend_auth_seconds" Histogram ["destination", "protocol"]
        "Time from the credential to the response of the backend, including the part of the client in an exchange";
    FAULTS = "pointsman_backend_faults_total" Counter ["destination", "protocol", "fault"]
        "Logins and pass-throughs for which a destination could not be used";
    UP = "pointsman_destination_up" Gauge ["destination", "protocol"]
        "1, or 0 while the leg is marked down";
    FAILURES = "pointsman_destination_consecutive_failures" Gauge ["destination", "protocol"]
        "Consecutive failures of the leg";

    CACHE_HITS = "pointsman_cache_hits_total" Counter []
        "Mapping lookups answered from the cache";
    CACHE_MISSES = "pointsman_cache_misses_total" Counter []
        "Mapping lookups sent to the store";
    CACHE_ENTRIES = "pointsman_cache_entries" Gauge []
        "Cached answers of the store";
    MAPPED = "pointsman_mapping_entries" Gauge ["destination"]
        "Entries of the mapping file, which show the progress of the migration";
    STORE_SECONDS = "pointsman_store_lookup_seconds" Histogram []
        "Duration of lookups in the mapping store, including failed ones";
    STORE_ERRORS = "pointsman_store_errors_total" Counter []
        "Failed lookups in the mapping store";
    STORE_DOWN = "pointsman_routed_without_store_total" Counter []
        "Logins routed by an expired answer or to the default destination because the store did not answer";
    UNDECLARED = "pointsman_routed_undeclared_total" Counter []
        "Logins routed to the default destination because the store named a destination that is not declared";

    MOVES_UNFINISHED = "pointsman_moves_unfinished" Gauge ["step"]
        "Moves that have not ended";
    MOVES = "pointsman_moves_total" Counter ["outcome"]
        "Moves that have ended";
    MOVES_HELD = "pointsman_move_held_seconds_total" Counter []
        "Time for which moves have held the logins of their accounts";
    MOVES_WAITED = "pointsman_move_logins_waited_total" Counter []
        "Logins that waited for the end of a move";
    MOVES_WAITING = "pointsman_move_logins_waiting" Gauge []
        "Logins that wait for the end of a move";

    TOKENS = "pointsman_opaque_tokens_total" Counter []
        "Lookups of the account of an opaque token";
    TOKENS_REMEMBERED = "pointsman_opaque_tokens_remembered_total" Counter []
        "Lookups of opaque tokens answered from the cache";
    TOKEN_ERRORS = "pointsman_opaque_token_errors_total" Counter []
        "Failed lookups of opaque tokens";

    CERTIFICATE_EXPIRY = "pointsman_tls_certificate_expiry_timestamp_seconds" Gauge ["certificate"]
        "When the certificate for clients expires, in Unix time";
    RELOADS = "pointsman_reloads_total" Counter ["result"]
        "Reloads of the configuration (result: done, refused)";
    LAST_RELOAD = "pointsman_last_reload_success_timestamp_seconds" Gauge []
        "When the configuration in force was loaded, in Unix time";
    LOG_LINES_DROPPED = "pointsman_log_lines_dropped_total" Counter []
        "Log lines that were dropped because standard error was not read, or could not be written";
    MEMORY = "pointsman_resident_memory_bytes" Gauge []
        "Resident memory of the process";
    DESCRIPTORS = "pointsman_open_descriptors" Gauge []
        "Open file descriptors of the process";
    MAX_DESCRIPTORS = "pointsman_max_descriptors" Gauge []
        "Limit of open file descriptors";
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
