//! Each rule as a row: what is changed about a good file, and what is said of it, and where.

use crate::support::{BASE, Folder, found};

/// What to replace, by what; then the place, the key and a part of the message.
type Rule = (&'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ERRORS: &[Rule] = &[
    // Undeclared destinations, anywhere.
    ("default_destination = \"old\"", "default_destination = \"odl\"", "17:23", "routing.default_destination", "expected a declared destination"),
    ("#passthrough", "smtp_passthrough_destination = \"nwe\"", "18:32", "routing.smtp_passthrough_destination", "expected a declared destination"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\ndestination = \"nowhere\"", "29:15", "http.route[0].destination", "expected a declared destination"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"authorization\" }\nfallback = \"nowhere\"", "30:12", "http.route[0].fallback", "expected a declared destination"),
    ("#oauth", "[oauth.resolve]\nwith = [\"jmap\"]\ndestination = \"nowhere\"", "28:15", "oauth.resolve.destination", "expected a declared destination"),
    ("#moves", "[moves.compare.nowhere]\npassword = \"env:PATH\"", "30:1", "moves.compare.nowhere", "expected a declared destination"),
    // Legs.
    ("protocol.imap = { port = 993, tls = \"implicit\" } #old", "protocol.pop3 = { port = 995, tls = \"implicit\" }", "6:12", "listener.imap.protocol", "has no leg for \"imap\""),
    ("tls = \"implicit\" } #old", "tls = \"plain\" }", "12:37", "destination.old.protocol.imap.tls", "in the clear"),
    ("#old", "\nprotocol.http = { port = 80, tls = \"plain\" }", "13:36", "destination.old.protocol.http.tls", "in the clear"),
    ("#old", "\nprotocol.http = { port = 80, tls = \"starttls\" }", "13:36", "destination.old.protocol.http.tls", "HTTP does not have"),
    ("#old", "\nprotocol.imaps = { port = 993, tls = \"implicit\" }", "13:10", "destination.old.protocol.imaps", "unknown key"),
    ("#old", "\nprotocol.pop3 = { tls = \"implicit\" }", "13:17", "destination.old.protocol.pop3.port", "missing"),
    ("#old", "\nprotocol.pop3 = { port = 995 }", "13:17", "destination.old.protocol.pop3.tls", "missing"),
    ("#old", "\nprotocol.pop3 = { port = 0, tls = \"implicit\" }", "13:26", "destination.old.protocol.pop3.port", "from 1 to 65535"),
    ("#old", "\nprotocol.pop3 = { port = 995, tls = \"implicit\", forwarding = \"haproxy\" }", "13:62", "destination.old.protocol.pop3.forwarding", "expected one of"),
    // Words of a closed set.
    ("protocol = \"imap\"\n", "protocol = \"sieve\"\n", "6:12", "listener.imap.protocol", "found \"sieve\", expected one of"),
    ("tls = \"implicit\"\n#imap", "tls = true", "8:7", "listener.imap.tls", "found true, expected one of \"implicit\", \"starttls\", \"plain\""),
    ("#mapping", "default_domain = \"@example.org\"", "21:18", "mapping.default_domain", "expected a domain"),
    // Pass-through.
    ("#listener", "[listener.mx]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"plain\"", "16:1", "routing.smtp_passthrough_destination", "the key is missing, and [listener.mx]"),
    ("#passthrough", "smtp_passthrough_destination = \"new\"\n[listener.mx]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"plain\"", "18:32", "routing.smtp_passthrough_destination", "has no leg for \"smtp\""),
    ("#passthrough", "smtp_passthrough_destination = \"new\"\n[listener.mx]\nprotocol = \"lmtp\"\nbind = [\"127.0.0.1:2424\"]\ntls = \"plain\"", "18:32", "routing.smtp_passthrough_destination", "has no leg for \"lmtp\""),
    ("#passthrough", "smtp_passthrough_destination = \"mx\"\n[destination.mx]\nhost = \"mx.example.org\"\nprotocol.smtp = { port = 25, tls = \"plain\" }\n[listener.mx]\nprotocol = \"smtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"starttls\"", "25:7", "listener.mx.tls", "expected \"plain\" or \"implicit\""),
    ("#passthrough", "smtp_passthrough_destination = \"mx\"\n[destination.mx]\nhost = \"mx.example.org\"\nprotocol.lmtp = { port = 24, tls = \"plain\" }\n[listener.mx]\nprotocol = \"lmtp\"\nbind = [\"127.0.0.1:2525\"]\ntls = \"starttls\"", "25:7", "listener.mx.tls", "expected \"plain\" or \"implicit\""),
    // Hosts and certificates of destinations.
    ("host = \"old.example.org\"", "host = \"192.0.2.1\"", "11:8", "destination.old.tls_server_name", "the key is missing"),
    ("host = \"old.example.org\"", "host = [\"old.example.org\", \"2001:db8::1\"]", "11:9", "destination.old.tls_server_name", "the key is missing"),
    ("host = \"old.example.org\"", "host = \"old.example.org:993\"", "11:8", "destination.old.host", "expected a host name"),
    ("host = \"old.example.org\"", "host = \"imaps://old.example.org\"", "11:8", "destination.old.host", "expected a host name"),
    ("host = \"old.example.org\"", "host = \"\"", "11:8", "destination.old.host", "expected a host name"),
    ("host = \"old.example.org\"", "host = []", "10:1", "destination.old.host", "missing"),
    ("host = \"old.example.org\"", "", "10:1", "destination.old.host", "missing"),
    ("#old", "\ntls_server_name = \"two words\"", "13:19", "destination.old.tls_server_name", "expected a host name"),
    ("#old", "\ntls_pinned_cert_sha256 = \"00:11\"", "13:26", "destination.old.tls_pinned_cert_sha256", "64 hexadecimal digits"),
    ("#old", "\ntls_pinned_cert_sha256 = [\"é0000000000000000000000000000000000000000000000000000000000000\"]", "13:27", "destination.old.tls_pinned_cert_sha256", "64 hexadecimal digits"),
    ("#old", "\ntls_ca = \"none.pem\"", "13:10", "destination.old.tls_ca", "cannot be read"),
    ("#old", "\ntls_ca = \"cert.pem\"\ntls_allow_invalid_certs = true", "10:1", "destination.old", "tls_ca is set, and so is"),
    ("#old", "\ntls_client_cert = \"cert.pem\"", "13:19", "destination.old.tls_client_cert", "belong together"),
    ("#old", "\ntls_client_cert = \"cert.pem\"\ntls_client_key = \"other-key.pem\"", "13:19", "destination.old.tls_client_cert", "does not match"),
    ("#old", "\nsource_ips = [\"192.0.2.1:80\"]", "13:15", "destination.old.source_ips", "expected an IP address"),
    ("#old", "\nhealth_interval = \"soon\"", "13:19", "destination.old.health_interval", "expected a duration"),
    ("#old", "\nhealth_interval = \"0s\"", "13:19", "destination.old.health_interval", "a duration of zero"),
    ("#old", "\nforwarding = \"haproxy\"", "13:14", "destination.old.forwarding", "expected one of"),
    ("[destination.new]", "[destination.default]", "13:1", "destination.default", "routes use for the default destination"),
    ("[destination.new]", "[destination.\"ne w\"]", "13:14", "destination.\"ne w\"", "expected a name"),
    // Listeners.
    ("#imap", "proxy_protocol = \"required\"", "9:18", "listener.imap.proxy_protocol", "proxy_trusted is empty"),
    ("#imap", "proxy_protocol = \"optional\"\nproxy_trusted = []", "9:18", "listener.imap.proxy_protocol", "proxy_trusted is empty"),
    ("#imap", "proxy_protocol = \"required\"\nproxy_trusted = [\"10.0.0.0/33\"]", "10:18", "listener.imap.proxy_trusted", "expected a network"),
    ("#imap", "trusted_fronts = [\"10.0.0.0/33\"]", "9:19", "listener.imap.trusted_fronts", "expected a network"),
    ("#imap", "proxy_protocol = true", "9:18", "listener.imap.proxy_protocol", "expected one of"),
    ("#listener", "[listener.two]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:10993\"]\ntls = \"implicit\"", "26:9", "listener.two.bind", "is already used by [listener.imap]"),
    ("#listener", "[listener.two]\nprotocol = \"imap\"\nbind = [\"0.0.0.0:10993\"]\ntls = \"implicit\"", "26:9", "listener.two.bind", "is already used by [listener.imap]"),
    ("bind = [\"127.0.0.1:10993\"]", "bind = [\"[::1]:10993\", \"[::1]:10993\"]", "7:24", "listener.imap.bind", "is already used by [listener.imap]"),
    ("host = \"old.example.org\"", "host = \"127.0.0.1\"\ntls_server_name = \"x\"\nprotocol.submission = { port = 10993, tls = \"implicit\" }", "13:45", "destination.old.protocol.submission.port", "a loop"),
    ("host = \"old.example.org\"", "host = \"localhost\"\nprotocol.submission = { port = 10993, tls = \"implicit\" }", "12:45", "destination.old.protocol.submission.port", "a loop"),
    ("host = \"old.example.org\"", "host = \"::ffff:127.0.0.1\"\ntls_server_name = \"x\"\nprotocol.submission = { port = 10993, tls = \"implicit\" }", "13:45", "destination.old.protocol.submission.port", "a loop"),
    ("host = \"old.example.org\"\nprotocol.imap = { port = 993, tls = \"implicit\" } #old", "host = \"localhost\"\nprotocol.imap = { port = 8443, tls = \"implicit\" }\n[admin]\nbind = \"127.0.0.1:8443\"\nbearer_token_file = \"token\"", "12:38", "destination.old.protocol.imap.port", "a loop"),
    ("[listener.imap]\nprotocol = \"imap\"\nbind = [\"127.0.0.1:10993\"]\ntls = \"implicit\"\n#imap", "[listener]", "5:1", "listener", "no listener"),
    ("bind = [\"127.0.0.1:10993\"]", "bind = []", "5:1", "listener.imap.bind", "missing"),
    ("bind = [\"127.0.0.1:10993\"]", "bind = [\"localhost:993\"]", "7:9", "listener.imap.bind", "expected an IP address and a port"),
    ("protocol = \"imap\"", "", "5:1", "listener.imap.protocol", "missing"),
    ("#imap", "preauth_timeout = \"30\"", "9:19", "listener.imap.preauth_timeout", "expected a duration"),
    ("#imap", "preauth_timeout = 30", "9:19", "listener.imap.preauth_timeout", "expected a duration"),
    ("#imap", "preauth_timeout = \"0s\"", "9:19", "listener.imap.preauth_timeout", "a duration of zero"),
    ("#imap", "max_connections = 0", "9:19", "listener.imap.max_connections", "from 1 to"),
    ("#imap", "max_auth_attempts = -1", "9:21", "listener.imap.max_auth_attempts", "from 1 to"),
    // The server, limits.
    ("#server", "threads = 5000", "4:11", "server.threads", "from 0 to 1024"),
    ("#server", "proxy_ttl = 256", "4:13", "server.proxy_ttl", "from 1 to 255"),
    ("#server", "log_format = \"xml\"", "4:14", "server.log_format", "expected one of"),
    ("#server", "log_level = \"inof\"", "4:13", "server.log_level", "expected a level or TARGET=LEVEL"),
    ("#server", "log_level = \"\"", "4:13", "server.log_level", "expected a level or TARGET=LEVEL"),
    ("#server", "log_level = \"info,mail\"", "4:13", "server.log_level", "expected a level or TARGET=LEVEL"),
    ("#server", "log_level = \"info, pointsman=debug\"", "4:13", "server.log_level", "which is not a filter"),
    ("#server", "log_level = \"a=b=c\"", "4:13", "server.log_level", "which is not a filter"),
    ("#server", "log_level = \"pointsman=loud\"", "4:13", "server.log_level", "which is not a filter"),
    ("#server", "backend_timeout = \"0ms\"", "4:19", "server.backend_timeout", "a duration of zero"),
    ("hostname = \"mail.example.org\"", "hostname = \"mail example\"", "3:12", "server.hostname", "expected a host name"),
    ("#limits", "[limits]\nhandshakes_per_core = 0", "30:23", "limits.handshakes_per_core", "from 1 to"),
    // Routing and mapping.
    ("default_destination = \"old\"", "", "16:1", "routing.default_destination", "missing"),
    ("#passthrough", "master_user_separators = [\"\"]", "18:27", "routing.master_user_separators", "expected a separator"),
    ("#old", "\nlogin_domain_separator = \"@\"", "13:26", "destination.old.login_domain_separator", "expected a separator other than"),
    ("#old", "\nlogin_domain_separator = \"\"", "13:26", "destination.old.login_domain_separator", "expected a separator other than"),
    ("#old", "\nlogin_domain_separator = \"%\"", "13:26", "destination.old.login_domain_separator", "routing.master_user_separators has \"%\""),
    ("source = \"file\"", "source = \"redis\"", "20:10", "mapping.source", "there is no [mapping.redis]"),
    ("source = \"file\"", "source = \"sql\"", "20:10", "mapping.source", "there is no [mapping.sql]"),
    ("source = \"file\"", "", "19:1", "mapping.source", "missing"),
    ("[mapping.file]\npath = \"mapping\"", "", "20:10", "mapping.source", "there is no [mapping.file]"),
    ("path = \"mapping\"", "watch = true", "22:1", "mapping.file.path", "missing"),
    ("#mapping", "normalize = \"upper\"", "21:13", "mapping.normalize", "expected one of"),
    ("#mapping", "lookup_timeout = \"0s\"", "21:18", "mapping.lookup_timeout", "a duration of zero"),
    ("#mapping", "redis = { url = \"http://h\" }", "21:17", "mapping.redis.url", "expected one that begins with redis://"),
    ("#mapping", "redis = { key_prefix = \"x\" }", "21:9", "mapping.redis.url", "missing"),
    ("#mapping", "sql = { url = \"env:POINTSMAN_NOT_SET\", query = \"q\" }", "21:15", "mapping.sql.url", "POINTSMAN_NOT_SET is not set"),
    ("#mapping", "sql = { url = \"file:none\", query = \"q\" }", "21:15", "mapping.sql.url", "cannot read"),
    ("#mapping", "sql = { url = \"\", query = \"q\" }", "21:15", "mapping.sql.url", "empty secret"),
    ("#mapping", "sql = { url = \"sqlite:routes\" }", "21:7", "mapping.sql.query", "missing"),
    // Certificates of listeners.
    ("#tls", "[tls.certificate.a]\ncert = \"none.pem\"\nkey = \"key.pem\"", "26:8", "tls.certificate.a.cert", "cannot be read"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"none.pem\"", "27:7", "tls.certificate.a.key", "cannot be read"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"file:other-key.pem\"", "27:7", "tls.certificate.a.key", "does not match"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"other-key.pem\"", "27:7", "tls.certificate.a.key", "does not match"),
    ("#tls", "[tls.certificate.a]\ncert = \"key.pem\"\nkey = \"key.pem\"", "26:8", "tls.certificate.a.cert", "holds no certificate"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"", "25:1", "tls.certificate.a.key", "missing"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = []", "28:12", "tls.certificate.a.subjects", "no client could request"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = [\"mail.example.org\", \"mail.example.org.\"]", "28:33", "tls.certificate.a.subjects", "expected a host name"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = [\"m*.example.org\"]", "28:13", "tls.certificate.a.subjects", "expected a host name"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = [\"https://mail.example.org\"]", "28:13", "tls.certificate.a.subjects", "expected a host name"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = [\"münchen.example\"]", "28:13", "tls.certificate.a.subjects", "expected a host name"),
    ("#tls", "[tls.certificate]\na = { cert = \"cert.pem\", key = \"key.pem\", default = true }\nb = { cert = \"cert.pem\", key = \"key.pem\", default = true }", "25:1", "tls.certificate", "found 2 defaults"),
    ("#tls", "[tls.protocols]\ndisable_cipher_suites = [\"TLS_NONE\"]", "26:26", "tls.protocols.disable_cipher_suites", "standard name"),
    ("#tls", "[tls.protocols]\nmin_version = \"1.3\"\ndisable_cipher_suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_AES_256_GCM_SHA384\", \"TLS_CHACHA20_POLY1305_SHA256\"]", "27:26", "tls.protocols.disable_cipher_suites", "every cipher suite"),
    ("#tls", "[tls.protocols]\nmin_version = \"1.1\"", "26:15", "tls.protocols.min_version", "expected one of"),
    // HTTP.
    ("#route", "[[http.route]]\nmatch = \"/[\"\ndestination = \"old\"", "28:9", "http.route[0].match", "not a valid glob"),
    ("#route", "[[http.route]]\nmatch = \"x\"\ndestination = \"old\"", "28:9", "http.route[0].match", "begins with /"),
    ("#route", "[[http.route]]\ndestination = \"old\"", "27:1", "http.route[0].match", "missing"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"body\", regex = \"(\" }", "29:36", "http.route[0].extract.regex", "not a valid regular expression"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"body\", regex = \"x\" }", "29:36", "http.route[0].extract.regex", "no capture group"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"body\", regex = \"((x{1000}){1000}){1000}\" }", "29:36", "http.route[0].extract.regex", "not a valid regular expression"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"body\" }", "29:11", "http.route[0].extract.regex", "missing"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"query\" }", "29:11", "http.route[0].extract.param", "missing"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"header\", header = \"X-A: b\" }", "29:39", "http.route[0].extract.header", "name of a header"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\nextract = { from = \"path\" }", "29:20", "http.route[0].extract.from", "expected one of"),
    ("#route", "[[http.route]]\nmatch = \"/x\"", "27:1", "http.route[0]", "neither destination nor extract"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\ndestination = \"old\"\nextract = { from = \"authorization\" }", "27:1", "http.route[0]", "both destination and extract"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\ndestination = \"old\"\nfallback = \"new\"", "30:12", "http.route[0].fallback", "cannot have a fallback"),
    ("#route", "[[http.route]]\nmatch = \"/x\"\ndestination = \"old\"\nauthenticates = true", "30:17", "http.route[0].authenticates", "does not read the account from Authorization"),
    ("#route", "[http]\nmax_head_size = \"64GB\"", "28:17", "http.max_head_size", "expected a size"),
    ("#route", "[http]\nmax_head_size = 10", "28:17", "http.max_head_size", "from 1024 to"),
    // Capabilities and tokens.
    ("#capabilities", "[capabilities.imap]\nsasl = [\"PLAIN\", \"PLAIN\"]", "29:18", "capabilities.imap.sasl", "twice"),
    ("#capabilities", "[capabilities.imap]\nsasl = []", "29:8", "capabilities.imap.sasl", "no client could log in"),
    ("#capabilities", "[capabilities.imap]\nsasl = [\"PLAN\"]", "29:9", "capabilities.imap.sasl", "expected a SASL mechanism"),
    ("#capabilities", "[capabilities.imap]\nbanner = \"two\\r\\nlines\"", "29:10", "capabilities.imap.banner", "a protocol line cannot contain"),
    ("#capabilities", "[capabilities.pop3]\nadvertise = [\"UIDL\"]", "29:1", "capabilities.pop3.advertise", "unknown key"),
    ("#oauth", "[oauth.resolve]\nwith = [\"jmapp\"]", "27:9", "oauth.resolve.with", "expected \"jmap\""),
    ("#oauth", "[oauth.resolve]\nwith = [\"userinfo\"]", "26:1", "oauth.resolve.url", "missing"),
    ("#oauth", "[oauth.resolve]\nurl = \"ldap://x\"", "27:7", "oauth.resolve.url", "begins with https://"),
    // Management.
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"short\"", "33:16", "admin.bearer_token", "a token of 5 bytes, expected at least 32"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"short-token\"", "33:21", "admin.bearer_token_file", "a token of 11 bytes in that file, expected at least 32"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"none\"", "33:21", "admin.bearer_token_file", "cannot read"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"", "31:1", "admin.bearer_token_file", "there is no token"),
    ("#admin", "[admin]\nbearer_token_file = \"token\"", "31:1", "admin.bind", "missing"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:10993\"\nbearer_token_file = \"token\"", "32:8", "admin.bind", "is already used by [listener.imap]"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\ntls = \"plain\"\nbearer_token_file = \"token\"", "33:7", "admin.tls", "expected \"implicit\""),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"token\"\ncertificate = \"a\"", "34:15", "admin.certificate", "expected the name of a [tls.certificate.NAME]"),
    // Keys and syntax.
    ("#imap", "preauth_timout = \"30s\"", "9:1", "listener.imap.preauth_timout", "unknown key"),
    ("#imap", "\"\\u001b[31m\" = 1", "9:1", "listener.imap.\"\\u{1b}[31m\"", "unknown key `\\u{1b}[31m`"),
    ("#admin", "[servr]", "31:2", "servr", "unknown key"),
    ("[routing]\n", "[routing]\n[routing]\n", "17:2", "syntax", "duplicate"),
    ("hostname = \"mail.example.org\"", "hostname = \"mail.example.org", "3:29", "syntax", "invalid basic string"),
];

/// Every rule says one thing, at the right place: there is no second error in its wake.
#[test]
fn each_error_stops_the_start() {
    let mut wrong = Vec::new();
    for (change, with, place, key, message) in ERRORS {
        let text = BASE.replacen(change, with, 1);
        assert_ne!(text, BASE, "{change:?} is in the base");
        let errors = found(&text, config::Severity::Error);
        let is_right = |(at, k, m): &(String, String, String)| at == place && k == key && m.contains(message);
        if errors.len() != 1 || !errors.iter().all(is_right) {
            wrong.push(format!("{change:?} → {with:?}: expected {place} {key}: {message}, got {errors:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the help says of mistakes that people make: change, replacement, and a part of the help.
#[rustfmt::skip]
const HELP: &[(&str, &str, &str)] = &[
    ("[routing]\n", "[routing]\n[routing]\n", "the first [routing] is in line 16"),
    ("hostname = \"mail.example.org\"", "hostname = mail.example.org", "put the value into double quotes"),
    ("hostname = \"mail.example.org\"", "hostname = \"mail.example.org", "a double quote is missing"),
    ("protocol = \"imap\"\n", "protocol = \"sieve\"\n", "did you mean \"managesieve\"?"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"short-token\"", "pointsman token new"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \".\"", "chown"),
];

#[test]
fn help_says_how_to_fix_it() {
    for (change, with, help) in HELP {
        let folder = Folder::new();
        let report =
            config::parse(&folder.path("c.toml"), BASE.replacen(change, with, 1)).expect_err("a mistake");
        let all: Vec<_> = report.diagnostics.iter().map(|one| &*one.help).collect();
        assert!(all.iter().any(|one| one.contains(help)), "{with:?}: {all:#?}");
    }
}

/// A destination with mailboxes needs a leg for every mail listener; one for pass-through does not.
#[test]
fn every_destination_with_mailboxes_has_the_legs_of_the_listeners() {
    let listener = "[listener.pop]\nprotocol = \"pop3\"\nbind = [\"127.0.0.1:110\"]\ntls = \"implicit\"";
    let text = BASE.replacen("#listener", listener, 1).replacen(
        "#old",
        "\nprotocol.pop3 = { port = 995, tls = \"implicit\" }",
        1,
    );
    let errors = found(&text, config::Severity::Error);
    let expected = "the destination has no leg for \"pop3\", and [listener.pop] needs it: accounts on \"new\" could not log in there";
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!((&*errors[0].0, &*errors[0].1, &*errors[0].2), ("14:1", "destination.new.protocol", expected));
    let passing = text.replacen(
        "protocol.imap = { port = 993, tls = \"implicit\" } #new",
        "protocol.smtp = { port = 25, tls = \"plain\" }",
        1,
    );
    assert_eq!(found(&passing, config::Severity::Error), []);
}

/// A listener for what is not implemented yet, whose other keys are judged all the same.
#[test]
fn a_mistake_in_an_http_listener_is_the_only_error() {
    let http = "[listener.web]\nprotocol = \"http\"\nbind = [\"127.0.0.1:10443\"]\ntls = \"implicit\"\npreauth_timeout = \"1\"";
    let leg = "protocol.imap = { port = 993, tls = \"implicit\" } #old";
    let text = BASE
        .replace(leg, &format!("{leg}\nprotocol.http = {{ port = 443, tls = \"implicit\" }}"))
        .replace("#listener", http);
    let errors = found(&text, config::Severity::Error);
    let keys: Vec<_> = errors.iter().map(|(_, key, _)| &**key).collect();
    assert_eq!(keys, ["listener.web.preauth_timeout"], "{errors:#?}");
}

/// An HTTP listener, and what the routes and the default destination must have for it.
#[test]
fn http_listeners_need_the_default_destination_unless_every_route_is_pinned() {
    let web = "[listener.web]\nprotocol = \"http\"\nbind = [\"127.0.0.1:10443\"]\ntls = \"implicit\"";
    let lacks = |routes: &str, tls: &str| {
        let text = BASE.replace("#listener", &web.replace("implicit", tls)).replace("#route", routes);
        let text = text.replace("#new", "\nprotocol.http = { port = 443, tls = \"implicit\" }");
        let errors = found(&text, config::Severity::Error);
        let mut said: Vec<_> = errors.into_iter().map(|(_, _, message)| message).collect();
        said.retain(|message| !message.contains("not implemented yet"));
        said.join("; ")
    };
    let pinned = "[[http.route]]\nmatch = \"/**\"\ndestination = \"new\"";
    let extracted = "[[http.route]]\nmatch = \"/**\"\nextract = { from = \"authorization\" }";
    let no_leg = "the default destination \"old\" has no leg for \"http\"";
    assert_eq!(lacks(pinned, "implicit"), "");
    assert_eq!(lacks(extracted, "implicit"), no_leg);
    assert_eq!(lacks("", "implicit"), no_leg);
    assert_eq!(lacks(pinned, "starttls"), "found \"starttls\", which HTTP does not have");
}

#[rustfmt::skip]
const WARNINGS: &[Rule] = &[
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"token\"\nbearer_token = \"0123456789abcdef0123456789abcdef\"", "33:21", "admin.bearer_token_file", "bearer_token is set too"),
    ("#server", "log_level = \"debug,mail=trace\"", "4:13", "server.log_level", "every library"),
    ("#tls", "[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nsubjects = [\"Imap.example.org\"]", "28:13", "tls.certificate.a.subjects", "is not valid for \"imap.example.org\""),
    ("#admin", "[admin]\nbind = \"0.0.0.0:1\"\nbearer_token_file = \"token\"", "32:8", "admin.bind", "on every address"),
    ("#old", "\nforwarding = \"xclient\"\nproxy_protocol = true", "14:18", "destination.old.proxy_protocol", "no PROXY header is sent"),
    ("#server", "dns_cache_ttl = \"60s\"", "4:17", "server.dns_cache_ttl", "accepted and not used"),
    ("#mapping", "sql = { url = \"sqlite:x\", query = \"q\", count_query = \"q\" }", "21:54", "mapping.sql.count_query", "accepted and not used"),
    ("#admin", "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token_file = \"token\"\n[admin.allow]\nx = 1", "34:1", "admin.allow", "accepted and not used"),
    ("hostname = \"mail.example.org\"\n", "hostname = \"imap.example.org\"\n[tls.certificate.a]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n", "3:12", "server.hostname", "no certificate is valid for \"imap.example.org\""),
    ("#tls", "[tls.certificate.a]\ncert = \"expired-cert.pem\"\nkey = \"expired-key.pem\"", "26:8", "tls.certificate.a.cert", "the certificate has expired"),
    ("#tls", "[tls.certificate.a]\ncert = \"soon-cert.pem\"\nkey = \"soon-key.pem\"", "26:8", "tls.certificate.a.cert", "the certificate expires in "),
    ("#old", "\ntls_allow_invalid_certs = true", "13:27", "destination.old.tls_allow_invalid_certs", "not verified"),
    ("#old", "\ntls_allow_invalid_certs = true\ntls_pinned_cert_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"", "13:27", "destination.old.tls_allow_invalid_certs", "does nothing"),
];

/// Worth a warning, and no more.
#[test]
fn warnings_do_not_stop_the_start() {
    for (change, with, place, key, message) in WARNINGS {
        let folder = Folder::new();
        let text = BASE.replacen(change, with, 1);
        let loaded = config::parse(&folder.path("c.toml"), text.clone());
        loaded.unwrap_or_else(|report| panic!("{change:?} → {with:?}: {report}"));
        let warnings = found(&text, config::Severity::Warning);
        let said = warnings.iter().find(|(at, k, m)| at == place && k == key && m.contains(message));
        assert!(said.is_some(), "{change:?} → {with:?}: {warnings:#?}");
    }
}

/// What the log takes is taken, and a level whichever way it is written.
#[test]
fn log_levels_that_are_good() {
    for (written, taken) in [
        ("info", "info"),
        ("DEBUG", "debug"),
        ("off", "off"),
        ("warn,pointsman=debug", "warn,pointsman=debug"),
        ("info,mail=trace", "info,mail=trace"),
        ("mail[session{id=x}]=trace", "mail[session{id=x}]=trace"),
    ] {
        let text = BASE.replacen("#server", &format!("log_level = \"{written}\""), 1);
        let folder = Folder::new();
        let loaded = config::parse(&folder.path("c.toml"), text).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(loaded.plan.server.log_level, taken);
        assert!(!loaded.warnings.to_string().contains("log_level"), "{written}");
    }
}
