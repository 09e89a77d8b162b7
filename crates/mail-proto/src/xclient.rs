//! XCLIENT: the client's address for a backend, and from a trusted proxy.
//!
//! It is an extension of SMTP by Postfix, and of submission, POP3 and ManageSieve by Dovecot. Only announced attributes
//! are sent, since a refused command may be applied in part. `LOGIN` is never sent: it would log a client in without a
//! password. No byte from a client may end the line or start another attribute.

use std::net::{IpAddr, SocketAddr};

use crate::step::Forward;
use credentials::attempt::{ClientInfo, ForwardedClient};

/// How addresses are written, and which attributes exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// SMTP's: `IPV6:` before an IPv6 address, which Postfix demands; `HELO` and `PROTO` are sent.
    Smtp,
    /// POP3's and ManageSieve's: addresses without a prefix, which Dovecot 2.3 refuses there.
    Bare,
}

/// Longest HELO name that is forwarded: that of a domain name (RFC 5321 section 4.5.3.1.2).
const MAX_HELO: usize = 255;

// === To a backend ===

/// Returns the command's arguments for a backend, or `None` when it understands none of the attributes.
///
/// `announced` is the backend's list of attributes, separated by spaces. An empty list means that the backend announces
/// none by name, and all are sent.
#[must_use]
pub fn attributes(
    style: Style,
    announced: &[u8],
    forward: &Forward,
    client_info: &ClientInfo,
) -> Option<String> {
    let is_announced = |name: &str| {
        let mut words = announced.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).peekable();
        words.peek().is_none() || words.any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut pairs = vec![
        ("ADDR", address(style, forward.client)),
        ("PORT", forward.client.port().to_string()),
        ("DESTADDR", address(style, forward.local)),
        ("DESTPORT", forward.local.port().to_string()),
        ("SESSION", forward.session.clone()),
        ("TTL", forward.ttl.to_string()),
        ("CLIENT-TRANSPORT", if forward.encrypted { "TLS" } else { "insecure" }.to_owned()),
    ];
    if style == Style::Smtp
        && let Some(helo) = helo(client_info)
    {
        pairs.push(("HELO", helo.to_owned()));
        pairs.push(("PROTO", if client_info.extended { "ESMTP" } else { "SMTP" }.to_owned()));
    }
    let sent: Vec<String> = pairs
        .into_iter()
        .filter(|(name, _)| is_announced(name))
        .map(|(name, value)| format!("{name}={}", xtext(&value)))
        .collect();
    (!sent.is_empty()).then(|| sent.join(" "))
}

fn address(style: Style, address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) if style == Style::Smtp => format!("IPV6:{ip}"),
        ip => ip.to_string(),
    }
}

/// Returns the client's HELO name, if it is valid.
pub(crate) fn helo(client_info: &ClientInfo) -> Option<&str> {
    client_info.helo.as_deref().and_then(valid_helo)
}

/// Returns a HELO name of printable ASCII without spaces; no other name is forwarded.
fn valid_helo(name: &[u8]) -> Option<&str> {
    let is_fit = (1..=MAX_HELO).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| is_fit)
}

/// xtext = *( xchar / hexchar ); xchar is "!" to "~" but "+" and "=" (RFC 3461 section 4).
fn xtext(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'+' && byte != b'=' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("+{byte:02X}"));
        }
    }
    out
}

// === From a trusted proxy ===

/// The attributes that [`apply`] accepts, as they are announced.
pub const ACCEPTED_ATTRIBUTES: &str = "ADDR PORT DESTADDR DESTPORT HELO PROTO SESSION TTL";

/// Stores a trusted proxy's attributes in `client_info`, and returns whether they are valid; if not, nothing is stored.
/// Unknown attributes are ignored, and so are all until `ADDR` was received: a proxy may send several commands.
#[must_use]
pub fn apply(client_info: &mut ClientInfo, arguments: &[u8]) -> bool {
    let Some(attributes) = XclientAttributes::parse(arguments) else {
        return false;
    };
    let Some(ip) =
        attributes.addr.or_else(|| client_info.forwarded.as_ref().map(|forwarded| forwarded.client.ip()))
    else {
        return true;
    };
    // A new address is a new client: nothing of the previous one applies to it.
    if attributes.addr.is_some() {
        (client_info.forwarded, client_info.helo, client_info.extended) = (None, None, false);
    }
    if let Some(helo) = attributes.helo {
        client_info.helo = Some(helo.into_bytes());
    }
    client_info.extended = attributes.extended.unwrap_or(client_info.extended);
    let client = SocketAddr::new(ip, 0);
    let forwarded = client_info.forwarded.get_or_insert(ForwardedClient {
        client,
        local: None,
        session: None,
        ttl: None,
    });
    if let Some(port) = attributes.port {
        forwarded.client.set_port(port);
    }
    if let Some(ip) = attributes.destaddr {
        forwarded.local = Some(SocketAddr::new(ip, attributes.destport.unwrap_or(0)));
    }
    forwarded.session = attributes.session.or_else(|| forwarded.session.take());
    forwarded.ttl = attributes.ttl.or(forwarded.ttl);
    true
}

/// Returns whether a session id is safe in logs, in `ID` and in XCLIENT.
pub(crate) fn is_session_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_.".contains(&byte))
}

/// The attributes of one command.
#[derive(Default)]
struct XclientAttributes {
    addr: Option<IpAddr>,
    port: Option<u16>,
    destaddr: Option<IpAddr>,
    destport: Option<u16>,
    session: Option<String>,
    ttl: Option<u8>,
    helo: Option<String>,
    extended: Option<bool>,
}

// === impl XclientAttributes ===

impl XclientAttributes {
    /// attribute = name "=" xtext, with spaces between.
    fn parse(arguments: &[u8]) -> Option<Self> {
        let mut attributes = Self::default();
        for word in arguments.split(|&byte| byte == b' ').filter(|word| !word.is_empty()) {
            let equals = memchr::memchr(b'=', word)?;
            let value = unxtext(&word[equals + 1..])?;
            // Postfix sends these for unknown values; they count as absent.
            if !value.eq_ignore_ascii_case("[UNAVAILABLE]") && !value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
                attributes.add(&word[..equals].to_ascii_uppercase(), &value)?;
            }
        }
        Some(attributes)
    }

    fn add(&mut self, name: &[u8], value: &str) -> Option<()> {
        match name {
            b"ADDR" => self.addr = Some(ip(value)?),
            b"PORT" => self.port = Some(value.parse().ok()?),
            b"DESTADDR" => self.destaddr = Some(ip(value)?),
            b"DESTPORT" => self.destport = Some(value.parse().ok()?),
            b"TTL" => self.ttl = Some(value.parse().ok()?),
            b"HELO" => self.helo = Some(value.to_owned()),
            b"PROTO" => self.extended = Some(value.eq_ignore_ascii_case("ESMTP")),
            b"SESSION" => self.session = Some(value.to_owned()).filter(|id| is_session_id(id)),
            _ => {}
        }
        Some(())
    }
}

fn ip(value: &str) -> Option<IpAddr> {
    let has_prefix = value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("IPV6:"));
    let ip: IpAddr = value[if has_prefix { 5 } else { 0 }..].parse().ok()?;
    Some(ip.to_canonical())
}

/// Decodes [`xtext`]. A `+` without two hexadecimal digits is literal: Dovecot does not escape it in session ids.
fn unxtext(value: &[u8]) -> Option<String> {
    let hex = |byte: Option<&u8>| match byte {
        Some(byte @ b'0'..=b'9') => Some(byte - b'0'),
        Some(byte @ b'A'..=b'F') => Some(byte - b'A' + 10),
        _ => None,
    };
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match (byte, hex(value.get(at + 1)), hex(value.get(at + 2))) {
            (b'+', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(client: &str) -> Forward {
        Forward {
            client: client.parse().expect("address"),
            local: "[::ffff:198.51.100.1]:587".parse().expect("address"),
            session: "abcdefgh23456723".to_owned(),
            ttl: 6,
            encrypted: true,
        }
    }

    fn client_info(helo: &[u8]) -> ClientInfo {
        ClientInfo { helo: Some(helo.to_vec()), extended: true, ..ClientInfo::default() }
    }

    #[test]
    fn only_announced_attributes_are_sent() {
        let four = "203.0.113.7:4711";
        let six = "[2001:db8::7]:4711";
        for (style, announced, client, helo, expected) in [
            (
                Style::Smtp,
                &b"NAME ADDR PROTO HELO LOGIN"[..],
                four,
                &b"[10.0.0.1]"[..],
                Some("ADDR=203.0.113.7 HELO=[10.0.0.1] PROTO=ESMTP"),
            ),
            (Style::Smtp, b"addr PORT", six, b"x", Some("ADDR=IPV6:2001:db8::7 PORT=4711")),
            (Style::Smtp, b"ADDR", "[::ffff:203.0.113.7]:1", b"x", Some("ADDR=203.0.113.7")),
            (Style::Smtp, b"HELO", four, b"a+b=c", Some("HELO=a+2Bb+3Dc")),
            (Style::Smtp, b"HELO PROTO", four, b"a\r\nMAIL", None),
            (Style::Smtp, b"HELO ADDR", four, b"a ADDR=192.0.2.1", Some("ADDR=203.0.113.7")),
            (Style::Smtp, b"HELO", four, b"\xc3\xa9", None),
            (Style::Smtp, b"HELO", four, b"", None),
            (Style::Smtp, b"LOGIN NAME", four, b"x", None),
            (
                Style::Bare,
                b"ADDR SESSION TTL",
                six,
                b"x",
                Some("ADDR=2001:db8::7 SESSION=abcdefgh23456723 TTL=6"),
            ),
            (
                Style::Bare,
                b"",
                six,
                b"x",
                Some(
                    "ADDR=2001:db8::7 PORT=4711 DESTADDR=198.51.100.1 DESTPORT=587 \
                     SESSION=abcdefgh23456723 TTL=6 CLIENT-TRANSPORT=TLS",
                ),
            ),
            (Style::Bare, b"LOGIN", four, b"x", None),
        ] {
            let said = attributes(style, announced, &forward(client), &client_info(helo));
            assert_eq!(said.as_deref(), expected, "{}", announced.escape_ascii());
        }
        let long = [b'x'; 256];
        assert_eq!(attributes(Style::Smtp, b"HELO", &forward(four), &client_info(&long)), None);
    }

    #[test]
    fn attributes_from_a_trusted_proxy() {
        let mut info = ClientInfo::default();
        assert!(apply(&mut info, b"FORWARD=eA== LOGIN=admin"));
        assert_eq!(info.forwarded, None);
        assert!(apply(
            &mut info,
            b"addr=IPV6:2001:db8::7 PORT=4711 DESTADDR=192.0.2.1 SESSION=a+2Fb+x TTL=5 NAME=[UNAVAILABLE]"
        ));
        let mut expected = ForwardedClient {
            client: "[2001:db8::7]:4711".parse().expect("address"),
            local: Some("192.0.2.1:0".parse().expect("address")),
            session: Some("a/b+x".to_owned()),
            ttl: Some(5),
        };
        assert_eq!(info.forwarded.as_ref(), Some(&expected));
        assert!(apply(&mut info, b"TTL=4 PORT=[TEMPUNAVAIL]"));
        expected.ttl = Some(4);
        assert_eq!(info.forwarded.as_ref(), Some(&expected));
        assert!(apply(&mut info, b"HELO=a+2Bb PROTO=ESMTP"));
        assert_eq!((info.helo.as_deref(), info.extended), (Some(&b"a+b"[..]), true));
        assert_eq!(info.forwarded.as_ref(), Some(&expected));
        // Another client: nothing of the first one sticks.
        assert!(apply(&mut info, b"ADDR=::ffff:203.0.113.9 SESSION=bad\"id"));
        let client = "203.0.113.9:0".parse().expect("address");
        assert_eq!(info.forwarded, Some(ForwardedClient { client, local: None, session: None, ttl: None }));
        assert_eq!((info.helo, info.extended), (None, false));
    }

    #[test]
    fn invalid_attributes_change_nothing() {
        for arguments in [
            &b"ADDR"[..],
            b"ADDR=nobody",
            b"ADDR=",
            b"ADDR=IPV6:",
            b"ADDR=192.0.2.1 PORT=65536",
            b"ADDR=192.0.2.1 PORT=-1",
            b"ADDR=192.0.2.1 TTL=256",
            b"ADDR=192.0.2.1 NAME=\xff",
            b"ADDR=192.0.2.1 NAME=+FF",
            b"ADDR=192.0.2.1 DESTADDR=x",
        ] {
            let mut client_info = ClientInfo::default();
            assert!(!apply(&mut client_info, arguments), "{}", arguments.escape_ascii());
            assert_eq!(client_info, ClientInfo::default());
        }
    }
}
