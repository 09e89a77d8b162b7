//! Tables: a head, and the result of parsing it.

use bytes::Bytes;

use super::{
    BadHead, Fields, Framing, MAX_FIELDS, RequestHead, Version, authorization, check_h2_request, head_end,
    parse_request, parse_response, write_request,
};

mod body;
mod text;

fn request(head: &str) -> Result<RequestHead, BadHead> {
    parse_request(&Bytes::copy_from_slice(head.as_bytes()))
}

fn get(lines: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: mail.example.org\r\n{lines}\r\n")
}

#[test]
fn ambiguous_requests_are_rejected() {
    let rows = [
        ("both lengths", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("two lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        ("a list of lengths", get("Content-Length: 5, 5\r\n"), 400),
        ("a signed length", get("Content-Length: +5\r\n"), 400),
        ("a length past 63 bits", get("Content-Length: 9223372036854775808\r\n"), 400),
        ("a length past 64 bits", get("Content-Length: 18446744073709551616\r\n"), 400),
        ("no length", get("Content-Length:\r\n"), 400),
        ("a hexadecimal length", get("Content-Length: 0x5\r\n"), 400),
        ("a length in another spelling", get("Content_Length: 5\r\n"), 400),
        ("a length in a third spelling", get("Content-Length: 5\r\nContent.Length: 6\r\n"), 400),
        ("a coding in another spelling", get("transfer_encoding: chunked\r\n"), 400),
        ("another coding", get("Transfer-Encoding: gzip\r\n"), 400),
        ("another coding first", get("Transfer-Encoding: gzip, chunked\r\n"), 400),
        ("chunked twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("chunked and more", get("Transfer-Encoding: xchunked\r\n"), 400),
        ("identity", get("Transfer-Encoding: identity\r\n"), 400),
        (
            "chunked in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            400,
        ),
        ("a folded line", get("X: a\r\n b\r\n"), 400),
        ("a fold at the start", "GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(), 400),
        ("a space before the colon", get("X : a\r\n"), 400),
        ("a name that is no token", get("X(: a\r\n"), 400),
        ("no name", get(": a\r\n"), 400),
        ("no colon", get("X\r\n"), 400),
        ("a bare CR", get("X: a\rb\r\n"), 400),
        ("a bare LF", "GET / HTTP/1.1\nHost: a\n\n".into(), 400),
        ("a NUL", get("X: a\0b\r\n"), 400),
        ("a control character", get("X: a\x01b\r\n"), 400),
        ("HTTP/0.9", "GET /\r\n\r\n".into(), 400),
        ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
        ("HTTP/2 in the clear", "PRI * HTTP/2.0\r\n\r\n".into(), 505),
        ("small letters", "GET / http/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into(), 400),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n".into(), 400),
        ("two Hosts", get("Host: mail.example.org\r\n"), 400),
        ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), 400),
        ("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), 400),
        ("a Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), 400),
        ("a Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n".into(), 400),
        ("another host in the URL", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a user in the URL", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a method that is no token", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("HEAD in small letters", "head / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a fragment", "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a fragment in the URL", "GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a server that is got", "GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("connect in small letters", "connect / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into(), 400),
        ("Authorization twice", get("Authorization: Basic a\r\nAuthorization: Basic b\r\n"), 400),
        ("an Authorization in other letters", get("Authorization: Basic ä\r\n"), 400),
        ("another expectation", get("Expect: 200-maybe\r\n"), 417),
        ("a long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17_000)), 414),
        ("too many options", get(&format!("Connection: {}close\r\n", "a,".repeat(32))), 400),
        (
            "too many options in two fields",
            get(&format!("Connection: {}a\r\n", "a,".repeat(15)).repeat(3)),
            400,
        ),
        ("too many fields", get(&"X: y\r\n".repeat(MAX_FIELDS)), 431),
    ];
    for (name, head, status) in rows {
        let found = request(&head).map_err(BadHead::status);
        assert_eq!(found.err(), Some(status), "{name}");
    }
}

#[test]
fn unambiguous_requests_are_accepted() {
    let rows = [
        ("nothing", get(""), "/x", "mail.example.org", Framing::None),
        ("a length", get("content-length: 5\r\n"), "/x", "mail.example.org", Framing::Length(5)),
        (
            "a long length",
            get("Content-Length: 9223372036854775807\r\n"),
            "/x",
            "mail.example.org",
            Framing::Length(i64::MAX as u64),
        ),
        (
            "the same length twice",
            get("Content-Length: 5\r\nContent-Length: 5\r\n"),
            "/x",
            "mail.example.org",
            Framing::Length(5),
        ),
        ("chunked", get("Transfer-Encoding: Chunked\r\n"), "/x", "mail.example.org", Framing::Chunked),
        ("a URL", "GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), "/x?y", "A:80", Framing::None),
        ("a URL without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n".into(), "/", "a", Framing::None),
        ("the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), "*", "a", Framing::None),
        (
            "the server as a URL",
            "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "*",
            "a",
            Framing::None,
        ),
        (
            "another method in small letters",
            "get /?[]|é HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "/?[]|é",
            "a",
            Framing::None,
        ),
        (
            "an address",
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n".into(),
            "/",
            "[2001:db8::1]:8443",
            Framing::None,
        ),
        ("empty lines before", format!("\r\n\r\n{}", get("")), "/x", "mail.example.org", Framing::None),
    ];
    for (name, head, target, authority, framing) in rows {
        let found = request(&head).unwrap_or_else(|bad| panic!("{name}: {bad}"));
        assert_eq!((&*found.target, &*found.authority), (target.as_bytes(), authority.as_bytes()), "{name}");
        assert_eq!(found.framing, framing, "{name}");
    }
}

#[test]
fn keep_alive_follows_the_version() {
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}close\r\n\r\n", "a,".repeat(31));
    for (head, keeps) in [
        (&*many, false),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        assert_eq!(request(head).expect("a request").keeps_alive, keeps, "{head}");
    }
}

#[test]
fn an_upgrade_requires_the_connection_option() {
    let upgrade = |lines: &str| request(&get(lines)).expect("a request").upgrade;
    assert_eq!(upgrade("Connection: upgrade\r\nUpgrade: websocket\r\n").as_deref(), Some(&b"websocket"[..]));
    assert_eq!(upgrade("Upgrade: websocket\r\n"), None);
    assert_eq!(upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n"), None);
}

#[test]
fn the_end_of_a_head_is_found_at_every_split() {
    let whole = get("X: y\r\n");
    for length in 0..=whole.len() {
        let mut searched = 0;
        for step in [length / 2, length] {
            let found = head_end(&whole.as_bytes()[..step], searched);
            assert_eq!(found, (step == whole.len()).then_some(step), "{step} of {length}");
            searched = step;
        }
    }
}

#[test]
fn responses_are_parsed_strictly() {
    let response =
        |head: &str, method: &[u8]| parse_response(&Bytes::copy_from_slice(head.as_bytes()), method);
    let many = format!("HTTP/1.1 200 OK\r\nConnection: {}close\r\n\r\n", "a,".repeat(32));
    for head in [
        &*many,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\nX: a\n\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 99 No\r\n\r\n",
        "HTTP/1.1 600 No\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert!(response(head, b"GET").is_err(), "{head:?}");
    }
    for (head, method, framing, keeps) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &b"GET"[..], Framing::Length(5), true),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"GET", Framing::Length(0), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", Framing::Chunked, true),
        ("HTTP/1.1 200 OK\r\n\r\n", b"GET", Framing::UntilClose, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", b"GET", Framing::Length(5), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HEAD", Framing::None, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", b"GET", Framing::None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"GET", Framing::None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"GET", Framing::None, false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", Framing::None, false),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", Framing::None, true),
        ("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n", b"GET", Framing::None, true),
        ("HTTP/1.1 101 Up\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", Framing::None, true),
    ] {
        let found = response(head, method).unwrap_or_else(|bad| panic!("{head:?}: {bad}"));
        assert_eq!((found.framing, found.keeps_alive), (framing, keeps), "{head:?}");
    }
}

#[test]
fn written_heads_parse_to_the_same_values() {
    let head = request(&get("X: a\tb\r\nCookie: c\r\nContent-Length: 5\r\n")).expect("a request");
    let mut written = Vec::new();
    write_request(&mut written, &head, head.framing);
    assert_eq!(parse_request(&written.into()).expect("a request"), head);
}

/// A buffer that grows while a head is written leaves a copy of a credential in the old allocation.
#[test]
fn writing_a_head_does_not_reallocate() {
    let long = "x".repeat(5_000);
    for lines in ["".into(), format!("Authorization: Basic {long}\r\n"), "X: y\r\n".repeat(MAX_FIELDS - 1)] {
        for framing in [Framing::None, Framing::Chunked, Framing::Length(i64::MAX as u64)] {
            let head = request(&get(&lines)).expect("a request");
            let mut written = b"before".to_vec();
            write_request(&mut written, &head, framing);
            assert!(written.starts_with(b"beforeGET /x"));
            // One reservation was enough: growing would have doubled the capacity.
            assert!(written.capacity() <= written.len() + 96, "{framing:?}");
        }
    }
}

/// The client's own spelling is kept; names of HTTP/2 get the spelling that browsers use in HTTP/1.
#[test]
fn field_names_are_written_in_their_usual_spelling() {
    let sent = get("x-oDD: 1\r\ncontent-length: 5\r\nAccept: */*\r\n");
    let mut head = request(&sent).expect("a request");
    let mut written = Vec::new();
    write_request(&mut written, &head, Framing::Length(5));
    assert_eq!(String::from_utf8_lossy(&written), sent);
    head.version = Version::Http2;
    head.fields = Fields::default();
    for name in ["sec-websocket-key", "user-agent", "x-a-b", "etag", "te", "www-authenticate"] {
        head.fields.push(name.as_bytes(), &b"v"[..]);
    }
    written.clear();
    write_request(&mut written, &head, Framing::Chunked);
    let written = String::from_utf8_lossy(&written);
    let names: Vec<_> = written.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let expected =
        ["Sec-WebSocket-Key", "User-Agent", "X-A-B", "ETag", "TE", "WWW-Authenticate", "Transfer-Encoding"];
    assert_eq!(names, expected);
}

#[test]
fn a_written_value_cannot_end_its_line() {
    let mut head = request(&get("")).expect("a request");
    head.fields.push(&b"X"[..], &b"a\r\nHost: b\0"[..]);
    let mut written = Vec::new();
    write_request(&mut written, &head, Framing::None);
    let again = parse_request(&written.into()).expect("a request");
    assert_eq!(again.fields.get("x").map(|value| &**value), Some(&b"aHost: b"[..]));
    assert_eq!(again.fields.get_all("host").count(), 1);
}

#[test]
fn a_second_or_invalid_authorization_is_rejected() {
    let fields = |values: &[&'static [u8]]| -> Fields {
        values.iter().map(|value| (Bytes::from_static(b"authorization"), Bytes::from_static(value))).collect()
    };
    assert_eq!(authorization(&fields(&[])), Ok(None));
    assert_eq!(authorization(&fields(&[b"Basic x"])), Ok(Some(&Bytes::from_static(b"Basic x"))));
    assert!(authorization(&fields(&[b"Basic x", b"Basic x"])).is_err());
    assert!(authorization(&fields(&[b"Basic \xff"])).is_err());
}

#[test]
fn http2_heads_that_http1_would_misread_are_rejected() {
    let check = |authority: Option<&[u8]>, path: &[u8], fields: &[(&'static str, &'static str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes())))
            .collect();
        check_h2_request(b"POST", b"https", authority, path, &fields)
    };
    assert_eq!(
        check(
            Some(b"a"),
            b"/x?y",
            &[("content-length", "5"), ("host", "A"), ("expect", "100-continue"), ("x", "a\tb é"), ("y", "")]
        ),
        Ok(())
    );
    assert_eq!(check(None, b"/", &[("host", "a")]), Ok(()));
    for (method, path, good) in [
        (&b"PROPFIND"[..], &b"/"[..], true),
        (b"get", b"/", true),
        (b"OPTIONS", b"*", true),
        (b"GET", b"*", false),
        (b"Head", b"/", false),
        (b"CONNECT", b"/", false),
        (b"connect", b"/", false),
        (b"GET / HTTP/1.1\r\nx:", b"/", false),
        (b"", b"/", false),
    ] {
        let found = check_h2_request(method, b"https", Some(b"a"), path, &Fields::new());
        assert_eq!(found.is_ok(), good, "{} {}", method.escape_ascii(), path.escape_ascii());
    }
    for (authority, path, fields) in [
        (Some(&b"a"[..]), &b"/x y"[..], &[][..]),
        (Some(b"a"), b"/x\r\nX: y", &[]),
        (Some(b"a"), b"x", &[]),
        (Some(b"a"), b"", &[]),
        (Some(b"a"), b"/?#x", &[]),
        (None, b"/", &[]),
        (Some(b"a"), b"/", &[("host", "b")]),
        (Some(b"u@a"), b"/", &[]),
        (Some(b"a"), b"/", &[("transfer-encoding", "chunked")]),
        (Some(b"a"), b"/", &[("connection", "close")]),
        (Some(b"a"), b"/", &[("upgrade", "websocket")]),
        (Some(b"a"), b"/", &[("content-length", "5"), ("content-length", "6")]),
        (Some(b"a"), b"/", &[("x", "a\r\nb")]),
        (Some(b"a"), b"/", &[("x y", "a")]),
        (Some(b"a"), b"/", &[("authorization", " Basic a")]),
        (Some(b"a"), b"/", &[("x", "a\t")]),
        (Some(b"a"), b"/", &[("expect", "200-maybe")]),
        (Some(b"a"), b"/", &[("content-length", "9223372036854775808")]),
        (Some(b"a"), b"/", &[("content_length", "5")]),
        (Some(b"a"), b"/", &[("authorization", "Basic a"), ("authorization", "Basic b")]),
    ] {
        assert!(check(authority, path, fields).is_err(), "{path:?} {fields:?}");
    }
    // The `h2` crate accepts these; the rules of HTTP/1 apply.
    assert_eq!(check(Some(b"a"), b"/", &[("expect", "the worst")]), Err(BadHead::Expectation));
    assert_eq!(check(Some(b"a"), b"/", &[("expect", "100-continue")]), Ok(()));
}

#[test]
fn debug_output_contains_no_values() {
    let head = request("GET /x?token=secret HTTP/1.1\r\nHost: a\r\nAuthorization: Basic secret\r\n\r\n");
    let printed = format!("{:?}", head.expect("a request"));
    assert!(!printed.contains("secret"), "{printed}");
    assert!(printed.contains("Authorization") && printed.contains("/x"), "{printed}");
}
