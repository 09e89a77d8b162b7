//! Where an endpoint is: the little of RFC 3986 that an HTTP client needs.

/// An `http` or `https` URL in its parts. Never printed: it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as they go into `Host`.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
}

// === impl Url ===

impl Url {
    /// `None` for what is no such URL, or has a user name in it.
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
        let is_fit = |text: &str| text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
        if authority.contains('@') || !is_fit(authority) || !is_fit(&target) {
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
        let port = port.map_or(Some(default), |port| port.parse().ok())?;
        let host = host.to_owned();
        let authority = authority.to_owned();
        (!host.is_empty()).then_some(Self { https, host, port, authority, target })
    }
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
