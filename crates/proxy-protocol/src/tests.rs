//! Headers as bytes, prefix by prefix; written headers are parsed again; nothing panics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

/// A version 2 header around `block`.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a short block");
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length.to_be_bytes(), block].concat()
}

/// 192.0.2.1:4660 to 198.51.100.7:993, and `tlvs`.
fn v2_tcp4(tlvs: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 0x03, 0xe1];
    v2(0x21, 0x11, &[&addresses, tlvs].concat())
}

fn proxy(source: &str, destination: &str, tlvs: Tlvs) -> Header {
    let parse = |text: &str| text.parse().expect("an address and a port");
    Header::Proxy { source: parse(source), destination: parse(destination), tlvs: Box::new(tlvs) }
}

fn tcp4(tlvs: Tlvs) -> Header {
    proxy("192.0.2.1:4660", "198.51.100.7:993", tlvs)
}

/// Asserts that `bytes` are `header`, that each prefix is incomplete, and that the bytes after it are not read.
fn is_header(bytes: &[u8], header: &Header) {
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Parsed::Incomplete, "{}", bytes[..end].escape_ascii());
    }
    let expected = Parsed::Header { header: header.clone(), length: bytes.len() };
    for after in [&b""[..], b"\r\n", b"a LOGIN x y\r\n", &[0; 6000]] {
        assert_eq!(parse(&[bytes, after].concat()), expected, "{}", bytes.escape_ascii());
    }
}

/// Asserts that `bytes` are refused at exactly their last byte.
fn is_refused(bytes: &[u8], expected: &Parsed) {
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Parsed::Incomplete, "{}", bytes[..end].escape_ascii());
    }
    assert_eq!(parse(bytes), *expected, "{}", bytes.escape_ascii());
}

fn is_invalid(bytes: &[u8], what: &'static str) {
    is_refused(bytes, &Parsed::Invalid(what));
}

#[test]
fn version_1() {
    for (line, header) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.7 4660 993\r\n", tcp4(Tlvs::default())),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n",
            proxy("255.255.255.255:65535", "255.255.255.255:0", Tlvs::default()),
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 1 2\r\n",
            proxy("[2001:db8::1]:1", "[2001:db8::2]:2", Tlvs::default()),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
            proxy("192.0.2.1:1", "[2001:db8::2]:2", Tlvs::default()),
        ),
        ("PROXY UNKNOWN\r\n", Header::Local),
        ("PROXY UNKNOWN  whatever stands here\r\n", Header::Local),
    ] {
        is_header(line.as_bytes(), &header);
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
    assert_eq!(longest.len(), MAX_V1);
    is_header(longest.as_bytes(), &Header::Local);
}

#[test]
fn version_1_errors() {
    let family = "version 1: neither TCP4, TCP6 nor UNKNOWN";
    let address = "version 1: invalid address for its family";
    let port = "version 1: invalid or missing port";
    let many = "version 1: more than six fields";
    for (line, what) in [
        ("PROXY \r\n", family),
        ("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", family),
        ("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", family),
        ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", family),
        ("PROXY UNKNOWNX\r\n", family),
        ("PROXY TCP4\r\n", address),
        ("PROXY TCP4 192.0.2.1\r\n", address),
        ("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", many),
        ("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", address),
        ("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", address),
        ("PROXY TCP4 256.0.2.1 192.0.2.2 1 2\r\n", address),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", address),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", address),
        ("PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", address),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 00 2\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", many),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", many),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "version 1: CR or LF without the other"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r ", "version 1: CR or LF without the other"),
        ("PROXY UNKNOWN a\rb", "version 1: CR or LF without the other"),
    ] {
        is_invalid(line.as_bytes(), what);
    }
    let none = "version 1: no CRLF in 107 bytes";
    is_invalid(format!("PROXY UNKNOWN {}", "f".repeat(93)).as_bytes(), none);
    // Here the CR is the 107th byte, so its LF comes too late.
    let late = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
    assert_eq!(parse(late.as_bytes()), Parsed::Invalid("version 1: CR or LF without the other"));
}

#[test]
fn other_data_is_recognised_at_its_first_wrong_byte() {
    for bytes in [&b"a"[..], b"PROXYX", b"PRX", b"p", b"\r\n\r\n\r", b"\r\n\r\n\0\r\nQUIX", b"\x16", b"\0"] {
        is_refused(bytes, &Parsed::NotProxy);
    }
}

#[test]
fn version_2_addresses() {
    is_header(&v2_tcp4(b""), &tcp4(Tlvs::default()));
    let two = |first: [u16; 8], second: [u16; 8]| {
        [first, second].concat().into_iter().chain([25, 26]).flat_map(u16::to_be_bytes).collect::<Vec<u8>>()
    };
    let far = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
    let mapped = [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201];
    is_header(
        &v2(0x21, 0x21, &two(far, far)),
        &proxy("[2001:db8::1]:25", "[2001:db8::1]:26", Tlvs::default()),
    );
    // A dual-stack front reports its IPv4 clients like this.
    is_header(&v2(0x21, 0x21, &two(mapped, mapped)), &proxy("192.0.2.1:25", "192.0.2.1:26", Tlvs::default()));
    is_header(
        &v2(0x21, 0x21, &two(mapped, far)),
        &proxy("192.0.2.1:25", "[2001:db8::1]:26", Tlvs::default()),
    );
}

#[test]
fn version_2_without_tcp_addresses() {
    is_header(&v2(0x20, 0x00, b""), &Header::Local);
    is_header(&v2(0x20, 0x11, &[7; 12]), &Header::Local);
    // "discard the protocol block including the family which is ignored"
    is_header(&v2(0x20, 0xff, b"no TLV at all"), &Header::Local);
    is_header(&v2(0x21, 0x00, b""), &Header::Local);
    is_header(&v2(0x21, 0x00, &[7; 40]), &Header::Local);
    is_header(&v2(0x21, 0x12, &[7; 12]), &Header::Local); // UDP
    is_header(&v2(0x21, 0x31, &[7; 216]), &Header::Local); // UNIX
    is_header(&v2(0x21, 0x10, &[7; 12]), &Header::Local);
}

#[test]
fn version_2_errors() {
    is_invalid(&v2(0x11, 0x11, b"")[..13], "version 2: another version after the signature");
    is_invalid(&v2(0x31, 0x11, b"")[..13], "version 2: another version after the signature");
    is_invalid(&v2(0x22, 0x11, b"")[..13], "version 2: neither LOCAL nor PROXY");
    is_invalid(&v2(0x21, 0x11, &[0; 11]), "version 2: too short for its IPv4 addresses");
    is_invalid(&v2(0x21, 0x21, &[0; 35]), "version 2: too short for its IPv6 addresses");
    is_invalid(&v2(0x21, 0x41, &[0; 36]), "version 2: an unassigned address family");
    is_invalid(&v2(0x21, 0x13, &[0; 36]), "version 2: an unassigned transport");
}

#[test]
fn version_2_length_is_checked_before_the_bytes_arrive() {
    for command in [0x20, 0x21] {
        let too_long = v2(command, 0x11, &[0; MAX_V2_LENGTH + 1]);
        is_invalid(&too_long[..16], "version 2: longer than 4096 bytes");
        is_invalid(&v2(command, 0x11, &[0xff; 0xffff])[..16], "version 2: longer than 4096 bytes");
    }
    // Exactly the longest: addresses, and one NOOP for the rest.
    let noop = MAX_V2_LENGTH - 12 - 3;
    let length = u16::try_from(noop).expect("short").to_be_bytes();
    let longest = v2_tcp4(&[&[4], &length[..], &vec![0xaa; noop]].concat());
    assert_eq!(longest.len(), MAX_HEADER);
    is_header(&longest, &tcp4(Tlvs::default()));
}

#[test]
fn version_2_tlvs() {
    let tlvs = [
        &b"\x01\0\x02h2"[..],
        b"\x02\0\x10mail.example.org",
        b"\x04\0\0",
        b"\x05\0\x03id7",
        b"\x20\0\x1b\x01\0\0\0\0\x21\0\x07TLSv1.3\x23\0\x09TLS_AES_X",
        b"\xe0\0\x01z",
        b"\x05\0\x01b", // a repeated TLV is ignored
    ]
    .concat();
    is_header(
        &v2_tcp4(&tlvs),
        &tcp4(Tlvs {
            alpn: Some(b"h2".to_vec()),
            authority: Some("mail.example.org".to_owned()),
            unique_id: Some(b"id7".to_vec()),
            ssl: Some(Ssl {
                is_encrypted: true,
                is_verified: false,
                version: Some("TLSv1.3".to_owned()),
                cipher: Some("TLS_AES_X".to_owned()),
                common_name: None,
            }),
        }),
    );
    let ssl = |value: &[u8]| match parse(&v2_tcp4(value)) {
        Parsed::Header { header: Header::Proxy { tlvs, .. }, .. } => tlvs.ssl.expect("has one"),
        other => panic!("{other:?}"),
    };
    let verified = ssl(b"\x20\0\x0d\x07\0\0\0\0\x22\0\x05alice");
    assert!(verified.is_encrypted && verified.is_verified);
    assert_eq!(verified.common_name.as_deref(), Some("alice"));
    assert!(!ssl(b"\x20\0\x05\x07\0\0\0\x01").is_verified);
    assert_eq!(ssl(b"\x20\0\x05\0\0\0\0\0"), Ssl::default());
}

#[test]
fn version_2_invalid_tlvs() {
    let too_long = "version 2: a TLV is longer than the header";
    for (tlvs, what) in [
        (&b"\x01"[..], too_long),
        (b"\x01\0", too_long),
        (b"\x01\0\x02h", too_long),
        (b"\x04\xff\xff", too_long),
        (b"\x20\0\x08\x01\0\0\0\0\x21\0\x09", too_long),
        (b"\x20\0\x04\x01\0\0\0", "version 2: SSL is too short"),
        (b"\x02\0\x01\xff", "version 2: a text is not UTF-8"),
        (b"\x03\0\x03abc", "version 2: the checksum is not four bytes long"),
        (b"\x03\0\x04abcd", "version 2: wrong checksum"),
    ] {
        is_invalid(&v2_tcp4(tlvs), what);
    }
    let id = |length: u8| [&[5, 0, length][..], &vec![b'i'; length.into()]].concat();
    is_header(&v2_tcp4(&id(128)), &tcp4(Tlvs { unique_id: Some(vec![b'i'; 128]), ..Tlvs::default() }));
    is_invalid(&v2_tcp4(&id(129)), "version 2: UNIQUE_ID over 128 bytes");
}

#[test]
fn version_2_checksum() {
    let with_checksum = |before: &[u8], after: &[u8]| {
        let mut bytes = v2_tcp4(&[before, b"\x03\0\x04\0\0\0\0", after].concat());
        let at = bytes.len() - after.len() - 4;
        let sum = checksum::crc32c(&[&bytes]);
        bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let good = with_checksum(b"\x05\0\x01a", b"\x01\0\x02h2");
    let tlvs = Tlvs { unique_id: Some(b"a".to_vec()), alpn: Some(b"h2".to_vec()), ..Tlvs::default() };
    is_header(&good, &tcp4(tlvs));
    // One flipped bit in an address, in the checksum, and in a TLV after it.
    for at in [16, good.len() - 9, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        is_invalid(&bad, "version 2: wrong checksum");
    }
    is_invalid(&with_checksum(b"", b"\x03\0\x04\0\0\0\0"), "version 2: two checksums");
}

fn outgoing(source: &str, destination: &str) -> Outgoing {
    Outgoing {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        ssl: None,
        authority: None,
        unique_id: None,
        alpn: None,
        tlvs: true,
    }
}

fn built(outgoing: &Outgoing) -> Vec<u8> {
    let mut out = b"kept".to_vec();
    build_v2(&mut out, outgoing);
    assert!(out.starts_with(b"kept"));
    out.split_off(4)
}

#[test]
fn writes_the_bytes_of_the_specification() {
    assert_eq!(built(&outgoing("192.0.2.1:4660", "198.51.100.7:993")), v2_tcp4(b""));
    let full = Outgoing {
        ssl: Some(SslInfo { version: "TLSv1.3".to_owned(), cipher: "TLS_AES_X".to_owned() }),
        authority: Some("example.org".to_owned()),
        unique_id: Some("id7".to_owned()),
        alpn: Some(b"h2".to_vec()),
        ..outgoing("192.0.2.1:4660", "198.51.100.7:993")
    };
    let tlvs = [
        // `verify` is not zero, and no bit claims a certificate.
        &b"\x20\0\x1b\x01\0\0\0\x01\x21\0\x07TLSv1.3\x23\0\x09TLS_AES_X"[..],
        b"\x05\0\x03id7",
        b"\x02\0\x0bexample.org",
        b"\x01\0\x02h2",
    ]
    .concat();
    assert_eq!(built(&full), v2_tcp4(&tlvs));
    assert_eq!(built(&Outgoing { tlvs: false, ..full }), v2_tcp4(b""));
}

#[test]
fn mixed_families_are_mapped_and_no_address_is_made_up() {
    for (source, destination, header) in [
        ("192.0.2.1:1", "[2001:db8::2]:2", "\x21\x21\0\x24"),
        ("[2001:db8::2]:2", "192.0.2.1:1", "\x21\x21\0\x24"),
        ("[2001:db8::2]:2", "[2001:db8::1]:1", "\x21\x21\0\x24"),
        ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "\x21\x11\0\x0c"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.2:2", "\x21\x11\0\x0c"),
        ("0.0.0.0:0", "192.0.2.2:2", "\x20\0\0\0"),
        ("192.0.2.2:2", "[::]:993", "\x20\0\0\0"),
        ("[::ffff:0.0.0.0]:0", "192.0.2.2:2", "\x20\0\0\0"),
    ] {
        let bytes = built(&outgoing(source, destination));
        assert_eq!(&bytes[12..16], header.as_bytes(), "{source} {destination}");
    }
    let mixed = built(&outgoing("192.0.2.1:1", "[2001:db8::2]:2"));
    assert_eq!(mixed[16..32], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);

    let mut local = Vec::new();
    build_local(&mut local);
    assert_eq!(local, v2(0x20, 0, b""));
}

#[test]
fn a_tlv_that_does_not_fit_is_omitted() {
    let long = |length: usize| "x".repeat(length);
    let with = |authority: usize, unique_id: usize| {
        let outgoing = Outgoing {
            authority: Some(long(authority)),
            unique_id: Some(long(unique_id)),
            alpn: Some(b"h2".to_vec()),
            ..outgoing("192.0.2.1:1", "192.0.2.2:2")
        };
        match parse(&built(&outgoing)) {
            Parsed::Header { header: Header::Proxy { tlvs, .. }, length } => {
                let authority = tlvs.authority.map(|it| it.len());
                (authority, tlvs.unique_id.map(|it| it.len()), tlvs.alpn.is_some(), length)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(253, 128), (Some(253), Some(128), true, 28 + 256 + 131 + 5));
    assert_eq!(with(253, 129), (Some(253), None, true, 28 + 256 + 5));
    assert_eq!(with(497, 0), (Some(497), Some(0), true, MAX_OUTGOING));
    assert_eq!(with(498, 0), (Some(498), Some(0), false, 28 + 501 + 3));
    assert_eq!(with(502, 0), (Some(502), Some(0), false, MAX_OUTGOING));
    assert_eq!(with(503, 0), (None, Some(0), true, 28 + 3 + 5));
    assert_eq!(with(70_000, 0), (None, Some(0), true, 28 + 3 + 5));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits | 1))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits | 1))),
        any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits | 1).to_ipv6_mapped())),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

proptest! {
    #[test]
    fn a_written_header_is_parsed_again(
        (source, destination) in (any_address(), any_address()),
        ssl in proptest::option::of(("[ -~]{0,10}", "[ -~]{0,40}")),
        authority in proptest::option::of("[a-z.]{0,100}"),
        unique_id in proptest::option::of("[a-z0-9]{0,128}"),
        alpn in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        let outgoing = Outgoing {
            source,
            destination,
            ssl: ssl.clone().map(|(version, cipher)| SslInfo { version, cipher }),
            authority: authority.clone(),
            unique_id: unique_id.clone(),
            alpn: alpn.clone(),
            tlvs: true,
        };
        let bytes = built(&outgoing);
        prop_assert!(bytes.len() <= MAX_OUTGOING);
        let ssl = ssl.map(|(version, cipher)| Ssl {
            is_encrypted: true, is_verified: false, version: Some(version), cipher: Some(cipher), common_name: None,
        });
        let tlvs = Box::new(Tlvs { alpn, authority, unique_id: unique_id.map(String::into_bytes), ssl });
        let source = canonical(source);
        let destination = canonical(destination);
        let header = Header::Proxy { source, destination, tlvs };
        prop_assert_eq!(parse(&bytes), Parsed::Header { header, length: bytes.len() });
        for end in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..end]), Parsed::Incomplete);
        }
    }

    #[test]
    fn never_panics(
        mark in proptest::sample::select(vec![
            &b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::1 ", b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x30",
        ]),
        after in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [mark, &after].concat();
        if let Parsed::Header { length, .. } = parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn a_result_never_changes_when_more_bytes_arrive(
        tlvs in proptest::collection::vec(any::<u8>(), 0..60),
        end in 0_usize..90,
    ) {
        let bytes = v2_tcp4(&tlvs);
        let early = parse(&bytes[..end.min(bytes.len())]);
        prop_assert!(early == Parsed::Incomplete || early == parse(&bytes));
    }

    #[test]
    fn never_waits_for_more_than_the_longest_header(mark in proptest::sample::select(vec![&b""[..], b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n\x21"]), byte: u8) {
        let bytes = [mark, &vec![byte; MAX_HEADER]].concat();
        prop_assert_ne!(parse(&bytes), Parsed::Incomplete);
    }
}
