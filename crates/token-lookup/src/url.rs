//! Splits an endpoint's URL into its parts, as far as an HTTP client needs RFC 3986.

/// The parts of an `http` or `https` URL. Must not be logged: the query may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The host and port for the `Host` field.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
}

// === impl Url ===

impl Url {
    /// Parses a URL. Returns `None` if it is not an HTTP URL, or contains a user name.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (https, rest) = match url.split_once("://")? {
            (scheme, rest) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            (scheme, rest) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        if authority.contains('@') || !is_printable_ascii(authority) || !is_printable_ascii(&target) {
            return None;
        }
        let default = if https { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => default,
        };
        if host.is_empty() {
            return None;
        }
        Some(Self { https, host: host.to_owned(), port, authority: authority.to_owned(), target })
    }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        for (url, expected) in [
            ("https://id.example.org/introspect?x=1", Some((true, "id.example.org", 443, "/introspect?x=1"))),
            ("http://127.0.0.1:8080", Some((false, "127.0.0.1", 8080, "/"))),
            ("HTTPS://[2001:db8::1]:8443/a#b", Some((true, "2001:db8::1", 8443, "/a"))),
            ("https://id.example.org?x=1", Some((true, "id.example.org", 443, "/?x=1"))),
            ("https://user:password@id.example.org/", None),
            ("https://id.example.org:99999/", None),
            ("https://id.example.org/a b", None),
            ("https:///a", None),
            ("ftp://id.example.org/", None),
            ("/introspect", None),
        ] {
            let parsed = Url::parse(url);
            let parts = parsed.as_ref().map(|url| (url.https, &*url.host, url.port, &*url.target));
            assert_eq!(parts, expected, "{url}");
        }
    }
}
