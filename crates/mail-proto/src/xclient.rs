//! XCLIENT: what a backend is told of the client over the protocol, and what a trusted front tells us.
//!
//! Postfix's extension of SMTP, and Dovecot's of submission, POP3 and ManageSieve. Only what was announced
//! is ever said, since a refusal may leave it half applied; `LOGIN` is never said: it would let somebody in
//! without a password. No byte of a client's may end the line or begin another attribute.

use std::net::{IpAddr, SocketAddr};

use crate::step::Forward;
use credentials::attempt::{ClientInfo, ForwardedClient};

/// How addresses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// SMTP's: `IPV6:` before an IPv6 address, which Postfix demands; `HELO` and `PROTO` are told.
    Smtp,
    /// POP3's and ManageSieve's: addresses bare, since Dovecot 2.3 refuses the prefix there.
    Bare,
}

/// Longest HELO name passed on: that of a domain name (RFC 5321 section 4.5.3.1.2).
const MAX_HELO: usize = 255;

// === To a backend ===

/// The command's arguments for a backend, or `None` when nothing that it understands can be told.
///
/// `announced` is the backend's list of attributes, separated by spaces; an empty one stands for "not told",
/// and everything is said.
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
    let said: Vec<String> = pairs
        .into_iter()
        .filter(|(name, _)| is_announced(name))
        .map(|(name, value)| format!("{name}={}", xtext(&value)))
        .collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn address(style: Style, address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) if style == Style::Smtp => format!("IPV6:{ip}"),
        ip => ip.to_string(),
    }
}

/// The client's own name, where it is one that a backend can be told.
pub(crate) fn helo(client_info: &ClientInfo) -> Option<&str> {
    client_info.helo.as_deref().and_then(valid_helo)
}

/// A HELO name of printable ASCII without spaces; any other is not told, since nothing good has such a name.
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

// === From a front ===

/// The attributes that [`take`] understands, as they are announced.
pub const ACCEPTED_ATTRIBUTES: &str = "ADDR PORT DESTADDR DESTPORT HELO PROTO SESSION TTL";

/// Takes a trusted front's attributes into `client_info`, and returns whether they could be read; if not, nothing
/// is taken. Attributes that we do not know are ignored, and so are those of a client whose `ADDR` was never
/// told: a front may spread its words over several commands.
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
    // A new address is a new client: nothing of the one before may stick to it.
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

/// A session id that can be repeated anywhere: in logs, in `ID`, in XCLIENT.
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
            // What a front does not know (Postfix: "may not be known yet") is as if not said.
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

/// Undoes [`xtext`]. A `+` that begins no hexadecimal pair stands for itself: Dovecot writes session ids
/// with a bare one.
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
    fn only_what_is_announced_is_said() {
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
    fn a_front_is_understood() {
        let mut info = ClientInfo::default();
        assert!(take(&mut info, b"FORWARD=eA== LOGIN=admin"));
        assert_eq!(info.forwarded, None);
        assert!(take(
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
        assert!(take(&mut info, b"TTL=4 PORT=[TEMPUNAVAIL]"));
        expected.ttl = Some(4);
        assert_eq!(info.forwarded.as_ref(), Some(&expected));
        assert!(take(&mut info, b"HELO=a+2Bb PROTO=ESMTP"));
        assert_eq!((info.helo.as_deref(), info.extended), (Some(&b"a+b"[..]), true));
        assert_eq!(info.forwarded.as_ref(), Some(&expected));
        // Another client: nothing of the first one sticks.
        assert!(take(&mut info, b"ADDR=::ffff:203.0.113.9 SESSION=bad\"id"));
        let client = "203.0.113.9:0".parse().expect("address");
        assert_eq!(info.forwarded, Some(ForwardedClient { client, local: None, session: None, ttl: None }));
        assert_eq!((info.helo, info.extended), (None, false));
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
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
            assert!(!take(&mut client_info, arguments), "{}", arguments.escape_ascii());
            assert_eq!(client_info, ClientInfo::default());
        }
    }
}
