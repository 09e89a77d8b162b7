//! Whom to ask, with which token, and how the server proves to be the one: from the configuration, or from
//! the command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use hyper::header::HeaderValue;
use plan::{ADMIN_CERTIFICATE, Destination, Name, Plan, Verify};
use tls::certificate::{Leaf, read_chain};
use tls::{Connector, PlatformRoots, TlsError};
use types::secret::Secret;

use super::failure::Failure;
use crate::arguments::Reach;
use crate::run::find;

/// One proxy's API.
pub(crate) struct Target {
    host: String,
    port: u16,
    authorization: HeaderValue,
    connector: Connector,
    /// Where the expected certificate is known from, for the one who has to compare.
    expected: &'static str,
}

/// What a missing pin means, in words.
const NO_PIN: &str = "[admin] names no certificate, and the one that the proxy makes for itself at its first start \
                      (admin.crt in its state folder) cannot be read here: start the proxy, or give the SHA-256 that \
                      it logged, with --pin";

// === impl Target ===

impl Target {
    /// What the arguments lead to.
    pub(crate) fn of(reach: &Reach) -> Result<Self, Failure> {
        let pin = reach.pin.as_deref().map(pin).transpose()?;
        match &reach.url {
            Some(url) => Self::of_url(url, reach.token_file.as_deref(), pin),
            None => Self::of_configuration(reach.config.as_deref(), pin),
        }
    }

    fn of_url(url: &str, token_file: Option<&Path>, pin: Option<[u8; 32]>) -> Result<Self, Failure> {
        let (host, port) = split(url)?;
        let path = token_file.ok_or_else(|| {
            Failure::Usage("--url needs --token-file: the file that holds the token".to_owned())
        })?;
        let token = config::secret_file(path).map_err(Failure::Usage)?;
        let (verify, expected) = match pin {
            Some(pin) => (Verify::Pins(vec![pin]), "--pin"),
            None => (Verify::Platform, "the authorities of this host"),
        };
        Self::new(host, port, &token, verify, expected)
    }

    fn of_configuration(named: Option<&Path>, pin: Option<[u8; 32]>) -> Result<Self, Failure> {
        let path = find(named).ok_or_else(|| Failure::Usage("or name the proxy with --url".to_owned()))?;
        let shown = path.display();
        let plan = match config::load(&path) {
            Ok(loaded) => loaded.plan,
            Err(report) => {
                let errors = report.errors();
                let why = format!("{shown} has {errors} errors: `pointsman check {shown}` tells them");
                return Err(Failure::Usage(why));
            }
        };
        let no_api = || Failure::Usage(format!("{shown} has no [admin], so there is no API to ask"));
        let admin = plan.admin.as_ref().ok_or_else(no_api)?;
        let bound = admin.bind.first().copied().ok_or_else(no_api)?;
        let (pins, expected) = match (pin, &admin.certificate) {
            (Some(pin), _) => (vec![pin], "--pin"),
            (None, Some(name)) => (named_pins(&plan, name), "the certificate's file that [admin] names"),
            (None, None) => (kept_pins(&plan), "admin.crt in the state folder"),
        };
        if pins.is_empty() {
            return Err(Failure::Usage(NO_PIN.to_owned()));
        }
        let address = reachable(bound);
        Self::new(address.ip().to_string(), address.port(), &admin.token, Verify::Pins(pins), expected)
    }

    fn new(
        host: String,
        port: u16,
        token: &Secret,
        verify: Verify,
        expected: &'static str,
    ) -> Result<Self, Failure> {
        let mut bearer = Secret::with_capacity(token.len() + 7);
        bearer.extend(b"Bearer ");
        bearer.extend(token.expose());
        let mut authorization = HeaderValue::from_bytes(bearer.expose())
            .map_err(|_| Failure::Usage("the token has bytes that no HTTP header can carry".to_owned()))?;
        authorization.set_sensitive(true);
        let connector = Connector::new(
            &Destination::outside("admin", &*host, verify),
            &PlatformRoots::default(),
            &[b"http/1.1"],
        )
        .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self { host, port, authorization, connector, expected })
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// As in `Host`, and for people.
    pub(super) fn authority(&self) -> String {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{}", self.port),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    pub(super) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Why there is no TLS, for somebody at a command line and not in a configuration.
    pub(super) fn explain(&self, error: &TlsError) -> String {
        match error {
            TlsError::PinMismatch { found } => format!(
                "its certificate's SHA-256 is {found}, and not that of {}; the token was not sent. If the proxy has \
                 shown that one in its log, give it with --pin",
                self.expected
            ),
            TlsError::UnknownIssuer { sha256 } => format!(
                "its certificate is of no known authority; the token was not sent. If {sha256} is the SHA-256 that \
                 the proxy has logged, give it with --pin"
            ),
            TlsError::BadCertificate { reason, sha256 } => format!(
                "its certificate cannot be accepted: {reason}; the token was not sent. If {sha256} is the SHA-256 that \
                 the proxy has logged, give it with --pin"
            ),
            TlsError::NameMismatch { found, .. } => format!(
                "its certificate is not for {}, but for these names: {}; the token was not sent. Ask it by one of \
                 those, or give the certificate's SHA-256 with --pin",
                self.host,
                if found.is_empty() { "none".to_owned() } else { found.join(", ") }
            ),
            TlsError::NotTls => {
                "what it sent is not TLS; the token was not sent. Is this the [admin] address?".to_owned()
            }
            other => format!("{other}; the token was not sent"),
        }
    }
}

/// The leaf that `[admin].certificate` names.
fn named_pins(plan: &Plan, name: &Name) -> Vec<[u8; 32]> {
    let certificates = plan.tls.certificates.iter();
    certificates
        .filter(|certificate| certificate.name == *name)
        .map(|certificate| certificate.sha256)
        .collect()
}

/// The self-signed one, wherever a proxy with this configuration may have put it.
fn kept_pins(plan: &Plan) -> Vec<[u8; 32]> {
    let chains = plan
        .state_folders()
        .into_iter()
        .filter_map(|folder| read_chain(&folder.join(ADMIN_CERTIFICATE)).ok());
    chains.filter_map(|chain| Leaf::of(chain.first()?).ok()).map(|leaf| leaf.sha256).collect()
}

/// Where to connect to for what is bound.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Host and port of an `https` URL without a path.
fn split(url: &str) -> Result<(String, u16), Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--url: found {url:?}, expected https://HOST:PORT (the token never goes in the clear)"
        ))
    };
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Ok(address) = rest.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, 443),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.chars().all(is_name));
    if is_host { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

/// SHA-256 in hex, with or without colons.
fn pin(text: &str) -> Result<[u8; 32], Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--pin: found {text:?}, expected 64 hexadecimal digits: the certificate's SHA-256"
        ))
    };
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b':').collect();
    let mut pin = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (byte, pair) in pin.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, expected) in [
            ("https://127.0.0.1:9443", Some(("127.0.0.1", 9443))),
            ("https://mail.example.org:9443/", Some(("mail.example.org", 9443))),
            ("https://mail.example.org", Some(("mail.example.org", 443))),
            ("https://[::1]:9443", Some(("::1", 9443))),
            ("https://[::1]", Some(("::1", 443))),
            ("http://127.0.0.1:9443", None),
            ("https://user@host:1", None),
            ("https://host/path", None),
            ("https://host:99999", None),
            ("https://", None),
        ] {
            let found = split(url).ok();
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{url}");
        }
    }

    #[test]
    fn pins() {
        let hex = "0F".repeat(32);
        let colons = vec!["0f"; 32].join(":");
        assert_eq!(pin(&hex).ok(), Some([15; 32]));
        assert_eq!(pin(&colons).ok(), Some([15; 32]));
        for wrong in ["", "0f", &"0g".repeat(32), &"0f".repeat(33)] {
            assert!(pin(wrong).is_err(), "{wrong}");
        }
    }
}
