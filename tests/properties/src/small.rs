//! What is read in one go: PROXY headers, XCLIENT; and where an IMAP session may be cut.

use credentials::attempt::ClientInfo;
use mail_proto::imap_boundary::Boundary;
use mail_proto::step::Forward;
use mail_proto::xclient::{self, Style};
use proxy_protocol::{self, Header, MAX_HEADER, MAX_OUTGOING, Outgoing, Parsed, SslInfo};

use crate::input::Input;

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

/// The pieces do not matter, nor whether literals are fed or passed over by number; and the boundaries are those that
/// a plain reader finds, who takes the responses apart one by one.
pub(crate) fn imap_boundary(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let data = &input.data[..];
    // No server writes a number with zeroes in front until it is longer than the largest one.
    if data.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > 20) {
        return;
    }
    let mut sizes = input.sizes();
    let mut pieces = Boundary::default();
    let mut at = 0;
    while at < data.len() {
        let size = sizes.next(data.len() - at);
        pieces.feed(&data[at..at + size], |_| {});
        at += size;
        let mut whole = Boundary::default();
        whole.feed(&data[..at], |_| {});
        assert_eq!((pieces.at_boundary(), pieces.unseen()), (whole.at_boundary(), whole.unseen()));
        assert_eq!(
            (pieces.at_boundary(), pieces.unseen()),
            plainly(&data[..at]),
            "{}",
            data[..at].escape_ascii()
        );
    }
    let mut skipping = Boundary::default();
    let mut at = 0;
    while at < data.len() {
        let passed = usize::try_from(skipping.unseen()).unwrap_or(usize::MAX).min(data.len() - at);
        skipping.skip(passed as u64);
        at += passed;
        let line = data[at..].iter().position(|&byte| byte == b'\n').map_or(data.len() - at, |end| end + 1);
        skipping.feed(&data[at..at + line], |_| {});
        at += line;
    }
    assert_eq!((skipping.at_boundary(), skipping.unseen()), (pieces.at_boundary(), pieces.unseen()));
}

/// Whether `data` ends between two responses, and what is missing of a literal.
fn plainly(data: &[u8]) -> (bool, u64) {
    let mut rest = data;
    let mut is_fresh = true;
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return (false, 0) };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(octets) = literal(line) else {
            is_fresh = true;
            continue;
        };
        is_fresh = false;
        match usize::try_from(octets).ok().and_then(|octets| rest.get(octets..)) {
            Some(behind) => rest = behind,
            None => return (false, octets - rest.len() as u64),
        }
    }
    (is_fresh, 0)
}

fn literal(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"}")?;
    let text = text.strip_suffix(b"+").unwrap_or(text);
    let digits = &text[text.iter().rposition(|byte| !byte.is_ascii_digit())? + 1..];
    // What is longer than the largest number is none.
    let is_number =
        !digits.is_empty() && digits.len() <= 20 && text[..text.len() - digits.len()].ends_with(b"{");
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
