//! Every key of the file, in one table: the schema, the reference page and the tests walk it.

use Kind::{Boolean, Duration, Integer, Secret, Size, Text, TextOrTexts, Texts, Word};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Full path; `*` stands for a name that the operator chooses, `[]` for each table of a list.
    pub path: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// What holds where it is not written, in the file's own words; empty = nothing, or required.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

/// What may be written for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string, `env:NAME` or `file:PATH`.
    Secret,
    /// A list of strings.
    Texts,
    /// A string or a list of strings.
    TextOrTexts,
    /// true or false.
    Boolean,
    /// An integer within these bounds.
    Integer(u64, u64),
    /// `"45s"`.
    Duration,
    /// An integer of bytes, or a string with a unit.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
}

const TLS: Kind = Word(&["implicit", "starttls", "plain"]);
const FORWARDING: Kind = Word(&["proxy", "xclient", "none"]);
const PROTOCOLS: Kind = Word(&["imap", "pop3", "managesieve", "submission", "smtp", "lmtp", "http"]);

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

/// Every key, in the order in which the reference lists them.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("server.threads", Integer(0, 1024), "0", "Worker threads; 0 = one per CPU."),
    key("server.hostname", Text, "", "Name in greetings and forwarded metadata; unset = the address that the client connected to."),
    key("server.shutdown_grace", Duration, "30s", "Drain time after SIGINT or SIGTERM."),
    key("server.bridge_idle", Duration, "1800s", "Idle limit of a bridged session."),
    key("server.backend_timeout", Duration, "10s", "Limit for connecting and authenticating to a backend, all retries included."),
    key("server.backend_connect_retries", Integer(0, 100), "1", "Extra attempts after a retryable connection failure."),
    key("server.host_down_threshold", Integer(0, 1_000_000), "5", "Consecutive failures that mark a destination down; 0 = no circuit breaker."),
    key("server.host_down_min_clients", Integer(0, 64), "2", "Distinct client addresses that a streak of post-connect failures must span to count; 0 = no such need."),
    key("server.host_down_cooldown", Duration, "30s", "How long a destination stays down before one connection may probe it."),
    key("server.proxy_ttl", Integer(1, 255), "7", "Initial forwarding TTL, one less at each hop."),
    key("server.log_level", Text, "info", "A tracing filter; the environment's RUST_LOG wins."),
    key("server.log_format", Word(&["text", "json"]), "text", "Log lines for people, or one JSON object a line."),
    key("server.log_identifiers", Word(&["full", "hash"]), "full", "Accounts in logs in full, or as a keyed hash."),
    key("server.state_dir", Text, "/var/lib/pointsman", "Folder of the journal of moves, of the audit log and of the management API's own certificate."),
    key("tls.certificate.*.cert", Text, "", "PEM chain, leaf first; required."),
    key("tls.certificate.*.key", Text, "", "PEM key of the leaf; required."),
    key("tls.certificate.*.subjects", Texts, "", "Host names that it is chosen for; unset = the certificate's SANs, else its CN."),
    key("tls.certificate.*.default", Boolean, "false", "Chosen when no name matches."),
    key("tls.protocols.min_version", Word(&["1.2", "1.3"]), "1.2", "Oldest TLS version that clients may use."),
    key("tls.protocols.ignore_client_order", Boolean, "false", "Prefer the server's order of cipher suites."),
    key("tls.protocols.disable_cipher_suites", Texts, "[]", "Standard names of cipher suites that are not used."),
    key("listener.*.protocol", PROTOCOLS, "", "What is spoken; required."),
    key("listener.*.bind", TextOrTexts, "", "Socket addresses, at least one; required."),
    key("listener.*.tls", TLS, "", "How clients encrypt; required."),
    key("listener.*.proxy_protocol", Word(&["off", "optional", "required"]), "off", "Accept a PROXY v1 or v2 header."),
    key("listener.*.proxy_trusted", Texts, "[]", "Networks that may send one."),
    key("listener.*.max_connections", Integer(1, 10_000_000), "8192", "Connections at once; further ones are turned away."),
    key("listener.*.max_connections_per_ip", Integer(0, 10_000_000), "256", "Connections at once of one address (/64 for IPv6); 0 = no limit."),
    key("listener.*.preauth_timeout", Duration, "30s", "From accept to authenticated; dripping bytes does not extend it."),
    key("listener.*.max_auth_attempts", Integer(1, 1000), "3", "Failed logins after which the connection is closed."),
    key("listener.*.trusted_fronts", Texts, "[]", "Networks of webmail and other fronts whose word on the real client counts."),
    key("listener.*.forwarded", Word(&["off", "trust"]), "off", "HTTP: keep and extend inbound Forwarded headers, or strip them."),
    key("destination.*.host", TextOrTexts, "", "Host name or IP address; a list is tried in order; required."),
    key("destination.*.tls_server_name", Text, "", "Name for SNI and verification; unset = the host."),
    key("destination.*.tls_allow_invalid_certs", Boolean, "false", "No verification at all."),
    key("destination.*.tls_pinned_cert_sha256", TextOrTexts, "", "SHA-256 of the one leaf certificate that is accepted; a list for rotation."),
    key("destination.*.tls_ca", Text, "", "PEM file of private roots used instead of the platform's."),
    key("destination.*.tls_client_cert", Text, "", "Our certificate, where the server asks for one."),
    key("destination.*.tls_client_key", Text, "", "Its key."),
    key("destination.*.forwarding", FORWARDING, "", "How the backend learns the client; unset = what proxy_protocol says."),
    key("destination.*.proxy_protocol", Boolean, "true", "Where forwarding is unset: true = proxy, false = none."),
    key("destination.*.proxy_tlvs", Boolean, "true", "Add TLVs to the PROXY header."),
    key("destination.*.forwarded", Boolean, "false", "HTTP: append Forwarded and X-Forwarded-For."),
    key("destination.*.allow_plaintext_auth", Boolean, "false", "Let credentials cross a plain leg."),
    key("destination.*.hide_auth_errors", Boolean, "false", "Replace the backend's words for a failed login."),
    key("destination.*.source_ips", Texts, "[]", "Local addresses to connect from, in turn."),
    key("destination.*.health_interval", Text, "off", "Time between active checks."),
    key("destination.*.protocol.*.port", Integer(1, 65535), "", "TCP port; required."),
    key("destination.*.protocol.*.tls", TLS, "", "How the leg is encrypted; required."),
    key("destination.*.protocol.*.forwarding", FORWARDING, "", "Overrides the destination's."),
    key("destination.*.protocol.http.version", Word(&["1.1", "2"]), "1.1", "HTTP version spoken to the backend."),
    key("routing.default_destination", Text, "", "Where every account is that has no entry; required."),
    key("routing.smtp_passthrough_destination", Text, "", "Where SMTP and LMTP listeners lead."),
    key("routing.master_user_separators", Texts, "[\"%\"]", "What separates a mailbox from a master user in a login."),
    key("mapping.source", Word(&["file", "redis", "sql"]), "", "Which store holds the mapping; required."),
    key("mapping.normalize", Word(&["none", "lowercase"]), "none", "How identifiers are folded before they are looked up."),
    key("mapping.positive_ttl", Duration, "600s", "How long a found answer is kept."),
    key("mapping.negative_ttl", Duration, "30s", "How long an absent answer is kept."),
    key("mapping.cache_max_entries", Integer(0, 1_000_000_000), "1000000", "Bound of the cache."),
    key("mapping.lookup_timeout", Duration, "5s", "Bound of one lookup."),
    key("mapping.domains", Boolean, "false", "Entries such as @example.org stand for whole domains."),
    key("mapping.file.path", Text, "", "The mapping file; required."),
    key("mapping.file.watch", Boolean, "true", "Pick up edits."),
    key("mapping.redis.url", Secret, "", "Redis URL; required."),
    key("mapping.redis.key_prefix", Text, "route:", "Before each identifier."),
    key("mapping.redis.pool_size", Integer(1, 1024), "16", "Connections."),
    key("mapping.redis.channel", Text, "pointsman", "Channel of change events."),
    key("mapping.sql.url", Secret, "", "Database URL; required."),
    key("mapping.sql.query", Text, "", "Finds the destination of an identifier; required."),
    key("mapping.sql.upsert_query", Text, "", "Writes an entry; without it the store is read-only."),
    key("mapping.sql.delete_query", Text, "", "Removes an entry."),
    key("mapping.sql.list_query", Text, "", "Lists entries."),
    key("mapping.sql.pool_size", Integer(1, 1024), "16", "Connections."),
    key("mapping.sql.channel", Text, "pointsman", "PostgreSQL channel of change events."),
    key("capabilities.*.sasl", Texts, "[\"PLAIN\", \"LOGIN\", \"OAUTHBEARER\", \"XOAUTH2\"]", "Mechanisms offered before the backend is known."),
    key("capabilities.*.allow_plain_auth_without_tls", Boolean, "false", "Offer and accept passwords without TLS."),
    key("capabilities.*.banner", Text, "", "Text of the greeting."),
    key("capabilities.*.learn", Boolean, "false", "Ask the destinations what they offer, and advertise what all of them do."),
    key("capabilities.imap.advertise", Texts, "", "IMAP capabilities."),
    key("capabilities.submission.ehlo", Texts, "", "EHLO keywords."),
    key("capabilities.managesieve.sieve", Texts, "", "Sieve extensions."),
    key("capabilities.managesieve.implementation", Text, "Pointsman", "The IMPLEMENTATION that is told."),
    key("oauth.jwt_username_claim", Text, "email", "Claim of a JWT that is tried first."),
    key("oauth.resolve.with", Texts, "[]", "Ways to ask whose an opaque token is: jmap, introspection, userinfo."),
    key("oauth.resolve.destination", Text, "", "Whose JMAP session resource is asked; unset = the default destination."),
    key("oauth.resolve.url", Text, "", "Introspection or userinfo endpoint."),
    key("oauth.resolve.client_id", Text, "", "For introspection."),
    key("oauth.resolve.client_secret", Secret, "", "For introspection."),
    key("oauth.resolve.ttl", Duration, "300s", "How long an answer is kept."),
    key("oauth.resolve.negative_ttl", Duration, "30s", "How long the lack of one is kept."),
    key("oauth.resolve.timeout", Duration, "3s", "Bound of one question."),
    key("http.body_extract_cap", Size, "64KiB", "Bytes of a body that are buffered to extract from it."),
    key("http.max_head_size", Size, "64KiB", "Bytes of a head."),
    key("http.relay_idle", Duration, "1800s", "Bound of silence in a relayed exchange."),
    key("http.keepalive_timeout", Duration, "60s", "Bound of silence between requests."),
    key("http.max_keepalive_requests", Integer(1, 1_000_000_000), "1000", "Requests on one connection."),
    key("http.route[].match", Text, "", "Glob on the path; first match wins; required."),
    key("http.route[].destination", Text, "", "Pins the path to a destination."),
    key("http.route[].fallback", Text, "default", "Where a request goes that shows no account."),
    key("http.route[].extract.from", Word(&["authorization", "query", "header", "body"]), "", "Where a request shows its account."),
    key("http.route[].extract.param", Text, "", "Query parameter."),
    key("http.route[].extract.header", Text, "", "Header."),
    key("http.route[].extract.regex", Text, "", "First capture group in the body, form-decoded."),
    key("admin.bind", TextOrTexts, "", "Where the management API listens; required."),
    key("admin.tls", Word(&["implicit"]), "implicit", "The only accepted value."),
    key("admin.bearer_token_file", Text, "", "File that holds the token."),
    key("admin.bearer_token", Secret, "", "The token itself."),
    key("admin.min_token_len", Integer(1, 4096), "32", "Shortest token that is accepted."),
    key("admin.lockout_threshold", Integer(1, 1_000_000), "5", "Failures that lock an address out."),
    key("admin.lockout_duration", Duration, "300s", "For how long."),
    key("admin.certificate", Text, "", "Name of a tls.certificate; unset = a self-signed one, kept in state_dir."),
    key("admin.metrics_public", Boolean, "false", "Metrics without a token."),
    key("admin.config_write", Boolean, "false", "Accepted for newer published files; not built yet."),
    key("limits.auth_delay_max", Duration, "15s", "Longest delay before the verdict of a failed login: it grows from the third failure of an account and the ninth of an address, and one is forgotten every 30 s; 0s = none."),
    key("limits.logins_in_flight_per_account", Integer(0, 1_000_000), "8", "Logins under way of one account; 0 = no limit."),
    key("limits.connections_per_account", Integer(0, 1_000_000), "0", "Sessions of one account; 0 = no limit."),
    key("limits.handshakes_per_core", Integer(1, 1_000_000), "256", "TLS handshakes under way."),
    key("moves.journal", Text, "", "SQLite file; unset = in state_dir."),
    key("moves.hold", Duration, "60s", "Longest hold."),
    key("moves.grace", Duration, "10s", "Time for a submission or an upload to finish."),
    key("moves.sync", Text, "", "Default command that copies."),
    key("moves.verify", Text, "", "Default command that verifies."),
    key("moves.parallel", Integer(1, 64), "4", "Moves at once."),
    key("moves.compare.*.master_user", Text, "", "Master user of that destination."),
    key("moves.compare.*.password", Secret, "", "Its password."),
    key("cluster.node", Text, "", "Name of this node; unset = the host's."),
];
