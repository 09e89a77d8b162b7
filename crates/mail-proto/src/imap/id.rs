//! `ID` (RFC 2971): what a client reports about itself, what a trusted proxy reports about its client, and what a backend
//! receives of both.

use std::net::{IpAddr, SocketAddr};

use super::command::IdField;
use crate::step::Forward;
use crate::xclient::is_session_id;
use credentials::attempt::{ClientInfo, ForwardedClient};

/// RFC 2971 section 3.3: the most pairs that may be sent.
const MAX_PAIRS: usize = 30;
/// Longest list, in bytes: with its tag and verb the command stays within the 8 KiB that Dovecot accepts
/// ([`MAX_COMMAND`](crate::dialogue::MAX_COMMAND)). It also bounds what is kept of a client's list.
const MAX_ARGUMENTS: usize = 8 * 1024 - 64;

/// Stores the fields of a client's `ID` in `client_info`. Fields that begin with `x-` are those of a proxy: they are
/// believed when `peer_is_trusted`, and never forwarded as the client's own.
pub(super) fn apply(client_info: &mut ClientInfo, fields: Vec<IdField>, peer_is_trusted: bool) {
    let (private, own): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| is_private(name));
    client_info.id = within_limit(own);
    if peer_is_trusted && let Some(forwarded) = forwarded_client(&private) {
        client_info.forwarded = Some(forwarded);
    }
}

/// Drops the fields that exceed [`MAX_ARGUMENTS`] together: no backend would receive them.
fn within_limit(fields: Vec<IdField>) -> Vec<IdField> {
    let mut room = MAX_ARGUMENTS;
    let mut kept = Vec::new();
    for (name, value) in fields {
        let length = name.len() + value.as_ref().map_or(0, Vec::len);
        if length <= room {
            room -= length;
            kept.push((name, value));
        }
    }
    kept
}

/// Returns the command's arguments for a backend, or `None` when there is nothing to send.
///
/// The proxy's own fields come first. The client's follow as far as a server must accept them: an unauthenticated client
/// chooses them, and a list that the backend rejects would fail the login and count against the backend.
pub(super) fn arguments(forward: Option<&Forward>, client_info: &ClientInfo) -> Option<String> {
    let mut pairs = forward.map(of_forward).unwrap_or_default();
    let mut length: usize = pairs.iter().map(|pair| pair.len() + 1).sum();
    for (name, value) in &client_info.id {
        // Fields that need a literal are left out: no client needs them, and an attacker might.
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
    match value {
        Some(value) => format!("{} {}", quoted(name), quoted(value)),
        None => format!("{} NIL", quoted(name)),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
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
    fn a_backend_receives_the_clients_fields() {
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
    fn a_backend_receives_no_more_than_it_must_accept() {
        let long = "\"".repeat(1024);
        let few: Vec<_> = (0..30).map(|number| field(&number.to_string(), None)).collect();
        let mut large: Vec<_> = (0..30).map(|number| field(&number.to_string(), Some(&long))).collect();
        large.push(field("last", Some("short")));
        for (own, pairs) in [(few, 30), (large, 7 + 3 + 1)] {
            let client_info = ClientInfo { id: own, ..ClientInfo::default() };
            let sent = arguments(Some(&forward()), &client_info).expect("arguments");
            assert!(sent.starts_with("(\"x-originating-ip\" \"203.0.113.7\""), "{sent}");
            assert!("P999 ID ".len() + sent.len() <= 8 * 1024, "{} bytes", sent.len());
            let command = command::parse(format!("a ID {sent}\r\n").as_bytes());
            let Ok(Command { verb: Verb::Id(fields), .. }) = command else { panic!("{command:?}") };
            assert_eq!(fields.len(), pairs);
        }
    }

    #[test]
    fn what_is_kept_of_a_clients_list_is_bounded() {
        let value = "x".repeat(1024);
        let fields = (10..40).map(|number| field(&number.to_string(), Some(&value))).collect();
        let mut client_info = ClientInfo::default();
        apply(&mut client_info, fields, false);
        assert_eq!(client_info.id.len(), MAX_ARGUMENTS / 1026);
    }

    #[test]
    fn only_a_trusted_proxy_reports_its_client() {
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
        apply(&mut client_info, fields(), false);
        assert_eq!((client_info.forwarded.as_ref(), client_info.id.len()), (None, 1));
        apply(&mut client_info, fields(), true);
        let forwarded = client_info.forwarded.expect("a forwarded client");
        assert_eq!(forwarded.client, "[2001:db8::7]:4711".parse().expect("address"));
        assert_eq!((forwarded.local, forwarded.session, forwarded.ttl), (None, None, Some(3)));
        assert_eq!(client_info.id, vec![field("name", Some("webmail"))]);
    }
}
