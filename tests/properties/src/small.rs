//! What is read in one go: PROXY headers, XCLIENT.

use credentials::attempt::ClientInfo;
use mail_proto::step::Forward;
use mail_proto::xclient::{self, Style};
use proxy_protocol::{self, Header, MAX_HEADER, MAX_OUTGOING, Outgoing, Parsed, SslInfo};

/// A header is found at its last byte, whatever follows; what was refused stays refused; and what we say of it to
/// a backend is read as the same.
pub(crate) fn proxy(bytes: &[u8]) {
    let whole = proxy_protocol::parse(bytes);
    let end = if let Parsed::Header { length, .. } = whole { length } else { bytes.len() };
    assert!(end <= bytes.len() && (!matches!(whole, Parsed::Header { .. }) || end <= MAX_HEADER));
    assert!(whole != Parsed::Incomplete || bytes.len() < MAX_HEADER, "it waits for more than may be held");
    for length in 0..end.min(600) {
        match proxy_protocol::parse(&bytes[..length]) {
            Parsed::Incomplete => {}
            // A refusal may come early, but not be taken back.
            sooner => {
                let is_same = sooner == whole && !matches!(sooner, Parsed::Header { .. });
                assert!(is_same || refused(&sooner) && refused(&whole), "{sooner:?}, then {whole:?}");
                break;
            }
        }
    }
    let Parsed::Header { header, length } = whole else { return };
    assert_eq!(proxy_protocol::parse(&bytes[..length]), Parsed::Header { header: header.clone(), length });
    let Header::Proxy { source, destination, tlvs } = &header else { return };
    assert!(source.ip() == source.ip().to_canonical() && destination.ip() == destination.ip().to_canonical());
    if source.ip().is_unspecified() || destination.ip().is_unspecified() {
        return;
    }
    let ssl = tlvs.ssl.as_ref().map(|ssl| SslInfo {
        version: ssl.version.clone().unwrap_or_default(),
        cipher: ssl.cipher.clone().unwrap_or_default(),
    });
    let outgoing = Outgoing {
        source: *source,
        destination: *destination,
        ssl,
        authority: tlvs.authority.clone(),
        unique_id: tlvs.unique_id.clone().and_then(|id| String::from_utf8(id).ok()),
        alpn: tlvs.alpn.clone(),
        tlvs: true,
    };
    said_again(&outgoing);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    if source.is_ipv4() == destination.is_ipv4() {
        let from = source.ip();
        let to = destination.ip();
        let line = format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port());
        let plain = Header::Proxy { source: *source, destination: *destination, tlvs: Box::default() };
        assert_eq!(
            proxy_protocol::parse(line.as_bytes()),
            Parsed::Header { header: plain, length: line.len() }
        );
    }
}

fn refused(parsed: &Parsed) -> bool {
    matches!(parsed, Parsed::Invalid(_))
}

fn said_again(outgoing: &Outgoing) {
    let mut out = Vec::new();
    proxy_protocol::build_v2(&mut out, outgoing);
    assert!(out.len() <= MAX_OUTGOING, "{} bytes", out.len());
    let Parsed::Header { header: Header::Proxy { source, destination, tlvs }, length } =
        proxy_protocol::parse(&out)
    else {
        panic!("our own header is refused")
    };
    assert_eq!((source, destination, length), (outgoing.source, outgoing.destination, out.len()));
    // An extra that does not fit is left out whole.
    assert!(tlvs.authority.is_none() || tlvs.authority == outgoing.authority);
    assert!(tlvs.alpn.is_none() || tlvs.alpn == outgoing.alpn);
    assert!(
        tlvs.unique_id.is_none()
            || tlvs.unique_id.as_deref() == outgoing.unique_id.as_deref().map(str::as_bytes)
    );
    assert!(tlvs.ssl.is_none_or(|ssl| ssl.is_encrypted && !ssl.is_verified));
}

/// What a front says is taken whole or not at all, and what we say of it to the next is taken as the same.
pub(crate) fn xclient(bytes: &[u8]) {
    let mut client_info = ClientInfo::default();
    for arguments in bytes.split(|&byte| byte == b'\n') {
        let before = client_info.clone();
        if !xclient::apply(&mut client_info, arguments) {
            assert_eq!(client_info, before, "a refused command has changed something");
        }
    }
    let Some(forwarded) = client_info.forwarded.clone() else {
        assert_eq!(client_info, ClientInfo::default(), "taken of nobody");
        return;
    };
    let forward = Forward {
        client: forwarded.client,
        local: forwarded.local.unwrap_or(forwarded.client),
        session: forwarded.session.clone().unwrap_or_else(|| "abcdefgh23456723".to_owned()),
        ttl: forwarded.ttl.unwrap_or(1),
        encrypted: true,
    };
    for (style, announced) in [(Style::Smtp, xclient::ACCEPTED_ATTRIBUTES), (Style::Bare, "")] {
        let said = xclient::attributes(style, announced.as_bytes(), &forward, &client_info)
            .expect("something is said");
        assert!(said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{said}");
        assert!(said.split(' ').all(|word| word.matches('=').count() == 1), "{said}");
        assert!(!said.to_ascii_uppercase().contains("LOGIN="), "{said}");
        let mut heard = ClientInfo::default();
        assert!(xclient::apply(&mut heard, said.as_bytes()), "{said}");
        let again = heard.forwarded.expect("a forwarded client");
        assert_eq!((again.client, again.local), (forward.client, Some(forward.local)), "{said}");
        assert_eq!((again.session, again.ttl), (Some(forward.session.clone()), Some(forward.ttl)), "{said}");
        if style == Style::Smtp && heard.helo.is_some() {
            assert_eq!((&heard.helo, heard.extended), (&client_info.helo, client_info.extended), "{said}");
        }
    }
}
