//! Every configuration key, in one table. The schema, the reference page and the tests are generated from it,
//! so a key must never be read that is missing here.

use Kind::{Boolean, Duration, Integer, Secret, Size, Text, TextOrTexts, Texts, Word};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The full path; `*` stands for a name that the operator chooses, `[]` for each table of a list.
    pub path: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// The default, as it is written in the file; empty = none, or the key is required.
    pub default: &'static str,
    /// The description for the reference page and the schema: one sentence, ending in "required." if the key is.
    pub doc: &'static str,
}

/// The type of a key's value.
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
    key("server.hostname", Text, "", "Host name in greetings and in the client data sent to backends; unset = the address that the client connected to."),
    key("server.shutdown_grace", Duration, "30s", "How long open sessions may go on after SIGINT or SIGTERM."),
    key("server.bridge_idle", Duration, "1800s", "A logged-in session is closed after this time without a byte in either direction."),
    key("server.backend_timeout", Duration, "10s", "Time limit for connecting to a backend, up to the credential, retries included."),
    key("server.backend_auth_timeout", Duration, "60s", "Time limit for a backend's verdict on a credential; servers delay the verdict after failed logins."),
    key("server.backend_connect_retries", Integer(0, 100), "1", "Extra attempts after a retryable connection failure."),
    key("server.dns_cache_ttl", Duration, "", "Accepted for compatibility with newer files and not used: host names are resolved at each connection."),
    key("server.host_down_threshold", Integer(0, 1_000_000), "5", "Consecutive failures after which a destination is marked down: at once if connecting fails, otherwise if a check under the proxy's own address fails too; 0 = no circuit breaker."),
    key("server.host_down_min_clients", Integer(0, 64), "2", "Failures after connecting lead to a check only if they affect at least this many client networks (an IPv4 address, an IPv6 /64); 0 = any number."),
    key("server.host_down_cooldown", Duration, "30s", "How long a destination stays down before it is checked again under the proxy's own address."),
    key("server.proxy_ttl", Integer(1, 255), "7", "Initial hop limit for forwarded client data; each proxy lowers it by one, which stops loops."),
    key("server.log_level", Text, "info", "Log level or tracing filter; the environment variable RUST_LOG overrides it."),
    key("server.log_format", Word(&["text", "json"]), "text", "Format of log lines: readable text, or one JSON object per line."),
    key("server.log_timestamps", Boolean, "", "Whether log lines contain the time; unset = unless standard error is the systemd journal, which records the time itself."),
    key("server.log_identifiers", Word(&["full", "hash"]), "full", "Whether logs show account names in full or as a keyed hash."),
    key("server.state_dir", Text, "/var/lib/pointsman", "Folder for the journal of moves, the audit log and the self-signed certificate of the management API; created with mode 0700."),
    key("tls.certificate.*.cert", Text, "", "PEM file with the certificate chain, leaf first; required."),
    key("tls.certificate.*.key", Text, "", "PEM file with the private key of the leaf certificate; required."),
    key("tls.certificate.*.subjects", Texts, "", "Host names for which this certificate is chosen; unset = the certificate's SANs, or its CN if it has none."),
    key("tls.certificate.*.default", Boolean, "false", "Use this certificate when no host name matches."),
    key("tls.protocols.min_version", Word(&["1.2", "1.3"]), "1.2", "Oldest TLS version that clients may use."),
    key("tls.protocols.ignore_client_order", Boolean, "false", "Use the proxy's order of cipher suites instead of the client's."),
    key("tls.protocols.disable_cipher_suites", Texts, "[]", "Cipher suites to disable, by their IANA names."),
    key("listener.*.protocol", PROTOCOLS, "", "Protocol that clients speak; required."),
    key("listener.*.bind", TextOrTexts, "", "One or more IP addresses with ports to listen on; `[::]` serves IPv4 too, unless its port is bound for IPv4; required."),
    key("listener.*.tls", TLS, "", "How client connections are encrypted; required."),
    key("listener.*.proxy_protocol", Word(&["off", "optional", "required"]), "off", "Whether a PROXY v1 or v2 header is accepted from the networks in proxy_trusted."),
    key("listener.*.proxy_trusted", Texts, "[]", "Networks of load balancers that may send a PROXY header."),
    key("listener.*.max_connections", Integer(1, 10_000_000), "8192", "Maximum number of open connections; further ones are refused."),
    key("listener.*.max_connections_per_ip", Integer(0, 10_000_000), "256", "Maximum number of open connections per client address (/64 for IPv6), as a trusted peer has reported it; 0 = no limit."),
    key("listener.*.max_connections_per_front", Integer(0, 10_000_000), "4096", "Maximum number of open connections of one peer in proxy_trusted or trusted_fronts that has not reported the client yet; after that the connection counts for the client. 0 = no limit."),
    key("listener.*.preauth_timeout", Duration, "30s", "Time limit from accepting a connection to a successful login; sending bytes slowly does not extend it. A login that has begun in time may take `server.backend_timeout` and `server.backend_auth_timeout` longer."),
    key("listener.*.max_auth_attempts", Integer(1, 1000), "3", "Number of failed logins after which the connection is closed."),
    key("listener.*.trusted_fronts", Texts, "[]", "Networks of webmail servers and other front ends that are trusted to report the real client address."),
    key("listener.*.forwarded", Word(&["off", "trust"]), "off", "HTTP: `trust` keeps and extends Forwarded headers from clients, `off` removes them."),
    key("destination.*.host", TextOrTexts, "", "Host name or IP address of the server; a list is tried in order; required."),
    key("destination.*.tls_server_name", Text, "", "Server name for SNI and certificate verification; unset = the host."),
    key("destination.*.tls_allow_invalid_certs", Boolean, "false", "Accept any certificate without verification."),
    key("destination.*.tls_pinned_cert_sha256", TextOrTexts, "", "SHA-256 of the only leaf certificate that is accepted; use a list during a rotation."),
    key("destination.*.tls_ca", Text, "", "PEM file with private root certificates, used instead of the platform's."),
    key("destination.*.tls_client_cert", Text, "", "PEM file with the client certificate chain, for servers that require one."),
    key("destination.*.tls_client_key", Text, "", "PEM file with the private key of the client certificate."),
    key("destination.*.forwarding", FORWARDING, "", "How the client address is passed to the backend; unset = as proxy_protocol says."),
    key("destination.*.proxy_protocol", Boolean, "true", "Used if forwarding is unset: true = proxy, false = none."),
    key("destination.*.proxy_tlvs", Boolean, "true", "Add TLVs to the PROXY header."),
    key("destination.*.forwarded", Boolean, "false", "HTTP: add Forwarded and X-Forwarded-For headers."),
    key("destination.*.allow_plaintext_auth", Boolean, "false", "Allow credentials to be sent to the backend without TLS."),
    key("destination.*.hide_auth_errors", Boolean, "false", "Replace the backend's error text for a failed login by a generic one."),
    key("destination.*.login_domain_separator", Text, "", "String that the server accepts in login names in place of the @, such as `%`; unset = none. A login as alice%example.org is looked up as alice@example.org, whichever destination has the account."),
    key("destination.*.source_ips", Texts, "[]", "Local IP addresses to connect from, used in turn."),
    key("destination.*.health_interval", Text, "off", "Time between active health checks, or `off`. Accepted but not implemented yet: a server is checked only when connections of clients to it fail."),
    key("destination.*.protocol.*.port", Integer(1, 65535), "", "TCP port of the server; required."),
    key("destination.*.protocol.*.tls", TLS, "", "How the connection to the backend is encrypted; required."),
    key("destination.*.protocol.*.forwarding", FORWARDING, "", "Overrides `forwarding` of the destination for this protocol."),
    key("destination.*.protocol.http.version", Word(&["1.1", "2"]), "1.1", "HTTP version spoken to the backend."),
    key("routing.default_destination", Text, "", "Destination of every account that has no entry in the mapping; required."),
    key("routing.smtp_passthrough_destination", Text, "", "Destination of all connections to SMTP and LMTP listeners."),
    key("routing.master_user_separators", Texts, "[\"%\"]", "Separators between the mailbox and the master user in a login name; they must differ from every login_domain_separator."),
    key("mapping.source", Word(&["file", "redis", "sql"]), "", "Which store holds the mapping; required."),
    key("mapping.normalize", Word(&["none", "lowercase"]), "none", "How identifiers are normalized before they are looked up."),
    key("mapping.default_domain", Text, "", "Domain of logins without one: `alice` is looked up as alice@DOMAIN, as a server that completes names does. Entries are written with the domain; a name that an HTTP route extracts from a query, a header or a body is not completed. Unset = logins are looked up as they are."),
    key("mapping.positive_ttl", Duration, "600s", "How long the cache keeps a found entry."),
    key("mapping.negative_ttl", Duration, "30s", "How long the cache remembers that an identifier has no entry."),
    key("mapping.cache_max_entries", Integer(0, 1_000_000_000), "1000000", "Maximum number of entries in the cache."),
    key("mapping.lookup_timeout", Duration, "5s", "Time limit for one lookup."),
    key("mapping.domains", Boolean, "false", "Let an entry such as @example.org apply to a whole domain."),
    key("mapping.file.path", Text, "", "Path of the mapping file; required."),
    key("mapping.file.watch", Boolean, "true", "Reload the mapping file when it changes."),
    key("mapping.redis.url", Secret, "", "URL of the Redis server; required."),
    key("mapping.redis.key_prefix", Text, "route:", "Prefix of each identifier's key in Redis."),
    key("mapping.redis.pool_size", Integer(1, 1024), "16", "Maximum number of connections to the store."),
    key("mapping.redis.channel", Text, "pointsman", "Redis channel for change events."),
    key("mapping.sql.url", Secret, "", "URL of the database; required."),
    key("mapping.sql.query", Text, "", "SQL query that returns the destination of an identifier; required."),
    key("mapping.sql.upsert_query", Text, "", "SQL statement that writes an entry; without it the store is read-only."),
    key("mapping.sql.delete_query", Text, "", "SQL statement that removes an entry."),
    key("mapping.sql.list_query", Text, "", "SQL query that lists the entries."),
    key("mapping.sql.count_query", Text, "", "SQL query that counts the entries. Accepted for compatibility with newer files and not used: the proxy does not count the entries of a database."),
    key("mapping.sql.pool_size", Integer(1, 1024), "16", "Maximum number of connections to the store."),
    key("mapping.sql.channel", Text, "pointsman", "PostgreSQL channel for change events."),
    key("capabilities.*.sasl", Texts, "[\"PLAIN\", \"LOGIN\", \"OAUTHBEARER\", \"XOAUTH2\"]", "SASL mechanisms offered to clients, before the backend is known."),
    key("capabilities.*.allow_plain_auth_without_tls", Boolean, "false", "Offer and accept passwords without TLS."),
    key("capabilities.*.banner", Text, "", "Text of the greeting; unset = a text that suits the protocol."),
    key("capabilities.*.learn", Boolean, "true", "Query every host of every destination at start, after a reload and every ten minutes, and advertise the capabilities that all of them have. A list in this section wins; the log then warns of what a host lacks."),
    key("capabilities.imap.advertise", Texts, "", "IMAP capabilities to advertise before the login; unset = what all hosts have, or `IMAP4rev1 SASL-IR ID` until all have answered and with `learn = false`."),
    key("capabilities.submission.ehlo", Texts, "", "EHLO keywords to advertise; unset = what all hosts have, or `PIPELINING 8BITMIME SIZE` until all have answered and with `learn = false`."),
    key("capabilities.managesieve.sieve", Texts, "", "Sieve extensions to advertise; unset = what all hosts have, or `fileinto` until all have answered and with `learn = false`."),
    key("capabilities.managesieve.implementation", Text, "Pointsman", "Value of the IMPLEMENTATION capability."),
    key("oauth.jwt_username_claim", Text, "email", "JWT claim that holds the account name; other common claims are tried after it."),
    key("oauth.resolve.with", Texts, "[]", "Methods to find the account of an opaque token, tried in order: jmap, introspection, userinfo."),
    key("oauth.resolve.destination", Text, "", "Destination whose JMAP session resource is queried; unset = the default destination."),
    key("oauth.resolve.url", Text, "", "URL of the introspection or userinfo endpoint."),
    key("oauth.resolve.client_id", Text, "", "Client identifier for introspection."),
    key("oauth.resolve.client_secret", Secret, "", "Client secret for introspection."),
    key("oauth.resolve.ttl", Duration, "300s", "How long the account of a token is cached."),
    key("oauth.resolve.negative_ttl", Duration, "30s", "How long it is cached that a token has no account."),
    key("oauth.resolve.timeout", Duration, "3s", "Time limit for one query."),
    key("http.body_extract_cap", Size, "64KiB", "Maximum part of a request body that is buffered to find the account in it."),
    key("http.max_head_size", Size, "64KiB", "Maximum size of the head of a client request (request line and headers)."),
    key("http.relay_idle", Duration, "1800s", "A relayed request is ended after this time without a byte."),
    key("http.keepalive_timeout", Duration, "60s", "An idle connection is closed after this time without a new request."),
    key("http.max_keepalive_requests", Integer(0, 1_000_000_000), "1000", "Maximum number of requests on one connection; 0 = no limit."),
    key("http.route[].match", Text, "", "Glob that the path must match; the first matching route applies; required."),
    key("http.route[].destination", Text, "", "Send all requests of this route to this destination."),
    key("http.route[].fallback", Text, "default", "Destination of requests that name no account."),
    key("http.route[].authenticates", Boolean, "", "Count a 2xx to a request with credentials on this route as a login; only if the backend never sends one for wrong credentials. Default: below /jmap, /.well-known/jmap, /dav, /caldav and /carddav."),
    key("http.route[].extract.from", Word(&["authorization", "query", "header", "body"]), "", "Part of the request that names the account."),
    key("http.route[].extract.param", Text, "", "Name of the query parameter, for from = \"query\"."),
    key("http.route[].extract.header", Text, "", "Name of the header, for from = \"header\"."),
    key("http.route[].extract.regex", Text, "", "Regular expression on the body, for from = \"body\"; its first capture group, form-decoded, is the account."),
    key("admin.bind", TextOrTexts, "", "One or more IP addresses with ports on which the management API listens; required."),
    key("admin.tls", Word(&["implicit"]), "implicit", "Encryption of the management API; `implicit` is the only accepted value."),
    key("admin.bearer_token_file", Text, "", "File that holds the bearer token."),
    key("admin.bearer_token", Secret, "", "The bearer token itself; bearer_token_file takes precedence."),
    key("admin.min_token_len", Integer(1, 4096), "32", "Minimum length of the token in bytes."),
    key("admin.lockout_threshold", Integer(1, 1_000_000), "5", "Number of wrong tokens after which a client address is locked out."),
    key("admin.lockout_duration", Duration, "300s", "How long a client address stays locked out."),
    key("admin.certificate", Text, "", "Name of a [tls.certificate.NAME]; unset = a self-signed certificate, stored in state_dir."),
    key("admin.metrics_public", Boolean, "false", "Serve metrics without a token."),
    key("admin.config_write", Boolean, "false", "Accepted for compatibility with newer files; not implemented yet."),
    key("limits.auth_delay_max", Duration, "15s", "Longest delay before a failed login is answered; it grows from the third failure of an account and from the ninth of a client address, and one failure is forgotten every 30 s; 0s = no delay."),
    key("limits.logins_in_flight_per_account", Integer(0, 1_000_000), "8", "Maximum number of logins in progress per account and client network (an IPv4 address or an IPv6 /64); further logins wait; 0 = no limit."),
    key("limits.connections_per_account", Integer(0, 1_000_000), "0", "Maximum number of sessions per account; 0 = no limit."),
    key("limits.handshakes_per_core", Integer(1, 1_000_000), "256", "Maximum number of TLS handshakes that compute or are ready to, per CPU core; one client network may have a quarter of them. A handshake that waits for its client does not count."),
    key("moves.journal", Text, "", "SQLite file for the journal of moves; unset = a file in state_dir."),
    key("moves.hold", Duration, "60s", "Longest time that logins of an account are held during its move."),
    key("moves.grace", Duration, "10s", "Time that a submission or an upload in progress has to finish."),
    key("moves.sync", Text, "", "Default command that copies a mailbox."),
    key("moves.verify", Text, "", "Default command that verifies the copy."),
    key("moves.commands_from_api", Word(&["off", "loopback", "any"]), "loopback", "Whose requests to the management API, and so whose `pointsman move`, may name sync and verify commands: nobody's, those from this host, or all. The commands run as the user of the proxy, and whoever may name them needs the token only."),
    key("moves.parallel", Integer(1, 64), "4", "Maximum number of moves in progress."),
    key("moves.max_rounds", Integer(1, 10), "3", "How often the sync command of a move runs at most. It runs again when the source has changed meanwhile, which is found out when `moves.compare` names the source."),
    key("moves.compare.*.master_user", Text, "", "Master user with which the proxy logs in at that destination to compare mailboxes; unset = the account itself."),
    key("moves.compare.*.separator", Text, "", "Characters between account and master user, as in `alice@example.org*master`; unset = SASL PLAIN carries both names."),
    key("moves.compare.*.password", Secret, "", "Password for that login."),
    key("cluster.node", Text, "", "Name of this node; unset = the host name."),
];
