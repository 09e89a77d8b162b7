//! Where the management API is, its token, and how its certificate is verified: from the configuration, or from
//! the command line.
//!
//! What must never happen here: an endpoint without a way to verify the server, which would get the token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use hyper::header::HeaderValue;
use plan::{ADMIN_CERTIFICATE, Destination, Name, Plan, Verify};
use tls::certificate::{Leaf, read_chain};
use tls::{Connector, PlatformRoots, TlsError};
use types::secret::Secret;

use super::error::CommandError;
use crate::arguments::ApiOptions;
use crate::format::count;
use crate::run::{find, not_found_text};

/// The management API of one proxy.
pub(crate) struct ApiEndpoint {
    host: String,
    port: u16,
    authorization: HeaderValue,
    connector: Connector,
    /// Where the expected certificate comes from, for error messages.
    expected_from: &'static str,
}

const NO_PIN: &str = "[admin] names no certificate, and the self-signed one that the proxy creates at its first start \
                      (admin.crt in its state directory) cannot be read here: start the proxy, or pass the SHA-256 that \
                      it logs with --pin";

// === impl ApiEndpoint ===

impl ApiEndpoint {
    /// Returns the endpoint that the arguments name.
    pub(crate) fn of(options: &ApiOptions) -> Result<Self, CommandError> {
        let pin = options.pin.as_deref().map(parse_pin).transpose()?;
        match &options.url {
            Some(url) => Self::of_url(url, options.token_file.as_deref(), pin),
            None => Self::of_configuration(options.config.as_deref(), pin),
        }
    }

    fn of_url(url: &str, token_file: Option<&Path>, pin: Option<[u8; 32]>) -> Result<Self, CommandError> {
        let (host, port) = parse_url(url)?;
        let Some(path) = token_file else {
            let reason = "--url needs --token-file FILE, the file with the API token";
            return Err(CommandError::Usage(reason.to_owned()));
        };
        let token = config::secret_file(path).map_err(CommandError::Usage)?;
        match pin {
            Some(pin) => Self::new(host, port, &token, Verify::Pins(vec![pin]), "--pin"),
            None => {
                Self::new(host, port, &token, Verify::Platform, "the certificate authorities of this host")
            }
        }
    }

    fn of_configuration(named: Option<&Path>, pin: Option<[u8; 32]>) -> Result<Self, CommandError> {
        let Some(path) = find(named) else {
            return Err(CommandError::Usage(format!(
                "{}; or pass the address of the API with --url",
                not_found_text()
            )));
        };
        let plan = load_plan(&path)?;
        let admin = plan.admin.as_ref().and_then(|admin| Some((admin, admin.bind.first()?)));
        let Some((admin, &bound)) = admin else {
            return Err(CommandError::Usage(format!(
                "{} has no [admin] section, so the proxy has no management API: add the section, or pass --url",
                path.display()
            )));
        };
        let (pins, expected_from) = match (pin, &admin.certificate) {
            (Some(pin), _) => (vec![pin], "--pin"),
            (None, Some(name)) => (configured_pins(&plan, name), "the certificate that [admin] names"),
            (None, None) => (self_signed_pins(&plan), "admin.crt in the state directory"),
        };
        if pins.is_empty() {
            return Err(CommandError::Usage(NO_PIN.to_owned()));
        }
        let address = connectable(bound);
        Self::new(address.ip().to_string(), address.port(), &admin.token, Verify::Pins(pins), expected_from)
    }

    fn new(
        host: String,
        port: u16,
        token: &Secret,
        verify: Verify,
        expected_from: &'static str,
    ) -> Result<Self, CommandError> {
        let mut bearer = Secret::with_capacity(token.len() + 7);
        bearer.extend(b"Bearer ");
        bearer.extend(token.expose());
        let mut authorization = HeaderValue::from_bytes(bearer.expose()).map_err(|_| {
            CommandError::Usage("the token contains bytes that an HTTP header cannot carry".to_owned())
        })?;
        authorization.set_sensitive(true);
        let connector = Connector::new(
            &Destination::outside("admin", &*host, verify),
            &PlatformRoots::default(),
            &[b"http/1.1"],
        )
        .map_err(|error| CommandError::Usage(error.to_string()))?;
        Ok(Self { host, port, authorization, connector, expected_from })
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Returns `HOST:PORT` as in the `Host` field.
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

    /// Explains a failed handshake in terms of the command line, not of a configuration's keys.
    pub(super) fn tls_error_text(&self, error: &TlsError) -> String {
        let text = match error {
            TlsError::PinMismatch { found } => format!(
                "found a certificate with SHA-256 {found}, expected the one from {}. If the proxy's log shows the \
                 same SHA-256, pass it with --pin",
                self.expected_from
            ),
            TlsError::UnknownIssuer { sha256 } => format!(
                "its certificate is not signed by an authority that this host knows. If the proxy's log shows the \
                 SHA-256 {sha256}, pass it with --pin"
            ),
            TlsError::BadCertificate { reason, sha256 } => format!(
                "its certificate is not acceptable: {reason}. If the proxy's log shows the SHA-256 {sha256}, pass it \
                 with --pin"
            ),
            TlsError::NameMismatch { found, .. } => {
                let names = if found.is_empty() { "no name".to_owned() } else { found.join(", ") };
                format!(
                    "found a certificate for {names}, expected one for {}. Use one of its names in --url, or pass its \
                     SHA-256 with --pin",
                    self.host
                )
            }
            TlsError::NotTls => "it does not speak TLS; is this the [admin] address?".to_owned(),
            other => other.to_string(),
        };
        format!("{text} (the token was not sent)")
    }
}

/// Loads a configuration that a command needs to be valid.
pub(crate) fn load_plan(path: &Path) -> Result<Plan, CommandError> {
    match config::load(path) {
        Ok(loaded) => Ok(loaded.plan),
        Err(report) => {
            let path = path.display();
            let errors = count(report.errors(), "error", "errors");
            Err(CommandError::Usage(format!("{path} has {errors}: run `pointsman check {path}` to see them")))
        }
    }
}

/// Returns the pin of the certificate that `[admin].certificate` names.
fn configured_pins(plan: &Plan, name: &Name) -> Vec<[u8; 32]> {
    let certificates = plan.tls.certificates.iter();
    certificates
        .filter(|certificate| certificate.name == *name)
        .map(|certificate| certificate.sha256)
        .collect()
}

/// Returns the pins of the self-signed certificates in every directory where a proxy with this configuration may keep one.
fn self_signed_pins(plan: &Plan) -> Vec<[u8; 32]> {
    let chains = plan
        .state_folders()
        .into_iter()
        .filter_map(|folder| read_chain(&folder.join(ADMIN_CERTIFICATE)).ok());
    chains.filter_map(|chain| Leaf::of(chain.first()?).ok()).map(|leaf| leaf.sha256).collect()
}

/// Returns the address to connect to for a bound address: loopback for the unspecified address.
pub(crate) fn connectable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Returns host and port of an `https` URL without a path.
fn parse_url(url: &str) -> Result<(String, u16), CommandError> {
    let wrong = || {
        CommandError::Usage(format!(
            "--url: found {url:?}, expected https://HOST:PORT (the token is sent over TLS only)"
        ))
    };
    let authority = url.strip_prefix("https://").ok_or_else(wrong)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (authority, 443),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.chars().all(is_name));
    if is_host { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

/// Parses a SHA-256 in hexadecimal, with or without colons.
fn parse_pin(text: &str) -> Result<[u8; 32], CommandError> {
    let wrong = || {
        CommandError::Usage(format!(
            "--pin: found {text:?}, expected 64 hexadecimal digits, the certificate's SHA-256"
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
            let found = parse_url(url).ok();
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{url}");
        }
    }

    #[test]
    fn pins() {
        let hex = "0F".repeat(32);
        let colons = vec!["0f"; 32].join(":");
        assert_eq!(parse_pin(&hex).ok(), Some([15; 32]));
        assert_eq!(parse_pin(&colons).ok(), Some([15; 32]));
        for wrong in ["", "0f", &"0g".repeat(32), &"0f".repeat(33)] {
            assert!(parse_pin(wrong).is_err(), "{wrong}");
        }
    }
}
