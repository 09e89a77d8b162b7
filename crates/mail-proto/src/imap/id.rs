//! `ID` (RFC 2971): what a client tells of itself, what a trusted front tells of the client behind it, and
//! what a backend is told of both.

use std::net::{IpAddr, SocketAddr};

use super::command::IdField;
use crate::step::Forward;
use crate::xclient::is_session_id;
use credentials::attempt::{ClientInfo, ForwardedClient};

/// RFC 2971 section 3.3: no more may be sent.
const MAX_PAIRS: usize = 30;
/// Bytes between the brackets: with its tag and verb the command is no longer than the 8 KiB that Dovecot takes, and
/// we do ([`MAX_COMMAND`](crate::dialogue::MAX_COMMAND)).
const MAX_ARGUMENTS: usize = 8 * 1024 - 64;

/// Takes the fields of a client's `ID` into `client_info`. Fields that begin with `x-` are a front's: they are
/// believed when `peer_is_trusted`, and never kept among the client's own.
pub(super) fn take(client_info: &mut ClientInfo, fields: Vec<IdField>, peer_is_trusted: bool) {
    let (private, own): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| is_private(name));
    client_info.id = own;
    if peer_is_trusted && let Some(forwarded) = forwarded_client(&private) {
        client_info.forwarded = Some(forwarded);
    }
}

/// The command's arguments for a backend, or `None` when there is nothing to tell.
///
/// What we tell comes first. Of the client's own words as much follows as a server must take: they are whatever a
/// stranger chose, and must not cost it its login, nor the backend its good name.
pub(super) fn arguments(forward: Option<&Forward>, client_info: &ClientInfo) -> Option<String> {
    let mut pairs = forward.map(of_forward).unwrap_or_default();
    let mut length: usize = pairs.iter().map(|pair| pair.len() + 1).sum();
    for (name, value) in &client_info.id {
        // What cannot stand between quotes is left out: a literal would only carry somebody's attack.
        let pair = match (quotable(name), value.as_deref().map(quotable)) {
            (Some(name), None) => pair(name, None),
            (Some(name), Some(Some(value))) => pair(name, Some(value)),
            (None, _) | (_, Some(None)) => continue,
        };
        if pairs.len() < MAX_PAIRS && length + pair.len() < MAX_ARGUMENTS {
            length += pair.len() + 1;
            pairs.push(pair);
        }
    }
    (!pairs.is_empty()).then(|| format!("({})", pairs.join(" ")))
}

fn of_forward(forward: &Forward) -> Vec<String> {
    let transport = if forward.encrypted { "TLS" } else { "insecure" };
    let pairs = [
        ("x-originating-ip", forward.client.ip().to_canonical().to_string()),
        ("x-originating-port", forward.client.port().to_string()),
        ("x-connected-ip", forward.local.ip().to_canonical().to_string()),
        ("x-connected-port", forward.local.port().to_string()),
        ("x-proxy-ttl", forward.ttl.to_string()),
        ("x-session-id", forward.session.clone()),
        ("x-client-transport", transport.to_owned()),
    ];
    pairs.iter().map(|(name, value)| pair(name, Some(value))).collect()
}

fn forwarded_client(fields: &[IdField]) -> Option<ForwardedClient> {
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?;
        std::str::from_utf8(value.as_deref()?).ok()
    };
    let address = |ip, port| {
        let ip: IpAddr = text(ip)?.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), text(port).and_then(|port| port.parse().ok()).unwrap_or(0)))
    };
    Some(ForwardedClient {
        client: address("x-originating-ip", "x-originating-port")?,
        local: address("x-connected-ip", "x-connected-port"),
        session: text("x-session-id").filter(|id| is_session_id(id)).map(str::to_owned),
        ttl: text("x-proxy-ttl").and_then(|ttl| ttl.parse().ok()),
    })
}

fn is_private(name: &[u8]) -> bool {
    name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"x-"))
}

fn quotable(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    (text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control())).then_some(text)
}

fn pair(name: &str, value: Option<&str>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    format!("{} {}", quoted(name), value.map_or_else(|| "NIL".to_owned(), quoted))
}

#[cfg(test)]
mod tests {
    use super::super::command::{self, Command, Verb};
    use super::*;

    fn field(name: &str, value: Option<&str>) -> IdField {
        (name.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()))
    }

    fn forward() -> Forward {
        Forward {
            client: "203.0.113.7:4711".parse().expect("address"),
            local: "[::ffff:198.51.100.1]:993".parse().expect("address"),
            session: "abcdefgh23456723".to_owned(),
            ttl: 6,
            encrypted: true,
        }
    }

    #[test]
    fn a_backend_is_told_of_the_client() {
        let client_info = ClientInfo {
            id: vec![
                field("name", Some("Mail \"x\\y\"")),
                field("os", None),
                field("vendor", Some("a\r\nb NOOP")),
            ],
            ..ClientInfo::default()
        };
        assert_eq!(
            arguments(Some(&forward()), &client_info).as_deref(),
            Some(
                "(\"x-originating-ip\" \"203.0.113.7\" \"x-originating-port\" \"4711\" \
                 \"x-connected-ip\" \"198.51.100.1\" \"x-connected-port\" \"993\" \"x-proxy-ttl\" \"6\" \
                 \"x-session-id\" \"abcdefgh23456723\" \"x-client-transport\" \"TLS\" \
                 \"name\" \"Mail \\\"x\\\\y\\\"\" \"os\" NIL)"
            )
        );
        assert_eq!(arguments(None, &ClientInfo::default()), None);
    }

    #[test]
    fn a_client_that_tells_too_much_is_told_of_in_part() {
        let long = "\"".repeat(1024);
        let few: Vec<_> = (0..30).map(|number| field(&number.to_string(), None)).collect();
        let mut large: Vec<_> = (0..30).map(|number| field(&number.to_string(), Some(&long))).collect();
        large.push(field("last", Some("short")));
        for (own, pairs) in [(few, 30), (large, 7 + 3 + 1)] {
            let client_info = ClientInfo { id: own, ..ClientInfo::default() };
            let said = arguments(Some(&forward()), &client_info).expect("something");
            assert!(said.starts_with("(\"x-originating-ip\" \"203.0.113.7\""), "{said}");
            assert!("P999 ID ".len() + said.len() <= 8 * 1024, "{} bytes", said.len());
            let command = command::parse(format!("a ID {said}\r\n").as_bytes());
            let Ok(Command { verb: Verb::Id(fields), .. }) = command else { panic!("{command:?}") };
            assert_eq!(fields.len(), pairs);
        }
    }

    #[test]
    fn a_front_is_believed_only_where_it_is_trusted() {
        let fields = || {
            vec![
                field("X-Originating-IP", Some("2001:db8::7")),
                field("x-originating-port", Some("4711")),
                field("x-proxy-ttl", Some("3")),
                field("x-session-id", Some("bad id\"")),
                field("name", Some("webmail")),
            ]
        };
        let mut client_info = ClientInfo::default();
        take(&mut client_info, fields(), false);
        assert_eq!((client_info.forwarded.as_ref(), client_info.id.len()), (None, 1));
        take(&mut client_info, fields(), true);
        let forwarded = client_info.forwarded.expect("a forwarded client");
        assert_eq!(forwarded.client, "[2001:db8::7]:4711".parse().expect("address"));
        assert_eq!((forwarded.local, forwarded.session, forwarded.ttl), (None, None, Some(3)));
        assert_eq!(client_info.id, vec![field("name", Some("webmail"))]);
    }
}
