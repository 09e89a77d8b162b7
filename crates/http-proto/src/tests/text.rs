//! Paths, queries, and the fields that are not forwarded.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::forwarded::{Hop, append};
use super::super::path::{BadPath, form_decode, normalize, query_parameter};
use super::super::{Fields, authority, set_destination_scheme};

fn fields(rows: &[(&'static str, &'static str)]) -> Fields {
    rows.iter()
        .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes())))
        .collect()
}

fn names(fields: &Fields) -> Vec<String> {
    fields.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn a_host_is_a_name_or_an_address() {
    let long = "l".repeat(255);
    for (host, is_one) in [
        ("a", true),
        ("mail.example.org.", true),
        ("my_host:8443", true),
        ("xn--bcher-kva.example", true),
        ("192.0.2.1:1", true),
        ("[::1]", true),
        ("[2001:db8::1]:65535", true),
        ("[::ffff:192.0.2.1]", true),
        ("", false),
        (":80", false),
        ("a:", false),
        ("a:b", false),
        ("a:65536", false),
        ("a:+1", false),
        ("a:000001", false),
        ("a:1:2", false),
        ("user@a", false),
        ("a b", false),
        ("a,b", false),
        ("a;b", false),
        ("a&b", false),
        ("a'b", false),
        ("a/b", false),
        ("a%41", false),
        ("a\"", false),
        ("[::1", false),
        ("::1", false),
        ("[::1]x", false),
        ("[::1%eth0]", false),
        ("[a]", false),
        ("[]", false),
        ("[192.0.2.1]", false),
        ("ä.example", false),
        (&long, false),
    ] {
        assert_eq!(authority::check(host.as_bytes()).is_ok(), is_one, "{host}");
    }
}

#[test]
fn paths_are_normalised_or_rejected() {
    for (target, expected) in [
        ("/", Ok("/")),
        ("/admin", Ok("/admin")),
        ("/admin/", Ok("/admin/")),
        ("/%61dmin", Ok("/admin")),
        ("//admin", Ok("/admin")),
        ("/./admin", Ok("/admin")),
        ("/x/../admin", Ok("/admin")),
        ("/x/%2e%2E/admin", Ok("/admin")),
        ("/admin/.", Ok("/admin/")),
        ("/admin/x/..", Ok("/admin/")),
        ("/admin;x", Ok("/admin;x")),
        ("///a////b//", Ok("/a/b/")),
        ("/a/b/../../c", Ok("/c")),
        ("/a/..", Ok("/")),
        ("/.well-known/jmap", Ok("/.well-known/jmap")),
        ("/..a/.b/...", Ok("/..a/.b/...")),
        ("/%252e%252e/x", Ok("/%252e%252e/x")),
        ("/user@example.org/a:b,c=d!$&'()*+", Ok("/user@example.org/a:b,c=d!$&'()*+")),
        ("/a%20b%C3%A4", Ok("/a%20b%C3%A4")),
        ("/a%c3", Ok("/a%C3")),
        ("/x?/../admin", Ok("/x")),
        ("*", Ok("*")),
        ("/100%25", Ok("/100%25")),
        ("/admin%2f..", Err(BadPath::EncodedSlash)),
        ("/x%5cadmin", Ok("/x%5Cadmin")),
        ("/x/%2e%2e%5cadmin", Err(BadPath::Backslash)),
        ("/x\\admin", Err(BadPath::Backslash)),
        ("/x%00", Err(BadPath::Control)),
        ("/x%0d%0aHost:", Ok("/x%0D%0AHost:")),
        ("/x%0d/%09..%2fy", Err(BadPath::Control)),
        ("/..", Err(BadPath::AboveRoot)),
        ("/x/../../admin", Err(BadPath::AboveRoot)),
        ("/%2e%2e/admin", Err(BadPath::AboveRoot)),
        ("/x/..;y/admin", Err(BadPath::DotParameter)),
        ("/x/.%3By/admin", Err(BadPath::DotParameter)),
        ("/a//../b", Err(BadPath::EmptySegment)),
        ("/a/b/..//c", Err(BadPath::EmptySegment)),
        ("//a/%2e%2e/b", Err(BadPath::EmptySegment)),
        ("/x/;a/../b", Err(BadPath::EmptySegment)),
        ("admin", Err(BadPath::Form)),
        ("", Err(BadPath::Form)),
        ("*/a", Err(BadPath::Form)),
        ("/%", Err(BadPath::Percent)),
        ("/%4?1", Err(BadPath::Percent)),
        ("/%u0061", Err(BadPath::Percent)),
        ("/%4", Err(BadPath::Percent)),
        ("/%zz", Err(BadPath::Percent)),
        ("/ä", Err(BadPath::Character)),
        ("/x#y", Err(BadPath::Character)),
    ] {
        let found = normalize(target.as_bytes());
        assert_eq!(found.as_ref().map(|path| &*path.normalized), expected.as_ref().map(|it| *it), "{target}");
    }
}

/// An encoded separator is reported with the part of the path that no reading leaves.
#[test]
fn encoded_separators_have_a_prefix() {
    for (target, expected) in [
        (
            "/jmap/download/a/b/Angebot%201%2f2026.pdf",
            Ok(Some(("/jmap/download/a/b", BadPath::EncodedSlash))),
        ),
        ("/jmap/a%5Cb%2Fc", Ok(Some(("/jmap", BadPath::Backslash)))),
        ("/jmap//./a%0ab", Ok(Some(("/jmap", BadPath::Control)))),
        ("/a%2fb", Ok(Some(("", BadPath::EncodedSlash)))),
        ("/jmap/...%2fa", Ok(Some(("/jmap", BadPath::EncodedSlash)))),
        ("/jmap/a%252fb", Ok(None)),
        ("/jmap/a+b%20c", Ok(None)),
        ("/jmap/a?%2f", Ok(None)),
        ("/jmap/x/../a%2fb", Err(BadPath::EncodedSlash)),
        ("/jmap/a%2fb/..", Err(BadPath::EncodedSlash)),
        ("/jmap/a%2f..%2fb", Err(BadPath::EncodedSlash)),
        ("/jmap/a%2f.", Err(BadPath::EncodedSlash)),
        ("/jmap/%2e%2e%2fb", Err(BadPath::EncodedSlash)),
        ("/jmap/a%5c..;x", Err(BadPath::Backslash)),
        ("/jmap/a%5c..%3bx", Err(BadPath::Backslash)),
        ("/jmap/a%2f%20..%09/b", Err(BadPath::EncodedSlash)),
        ("/jmap;x/a%2fb", Err(BadPath::EncodedSlash)),
    ] {
        let found = normalize(target.as_bytes()).map(|path| path.separator.map(|it| (it.prefix, it.bad)));
        let found = found.as_ref().map(|found| found.as_ref().map(|(prefix, bad)| (&**prefix, *bad)));
        assert_eq!(found, expected.as_ref().map(|it| *it), "{target}");
    }
}

#[test]
fn a_path_with_parameters_has_a_plain_form() {
    for (target, normalized, plain) in [
        ("/admin;x", "/admin;x", Some("/admin")),
        ("/admin;x=1/b;y/", "/admin;x=1/b;y/", Some("/admin/b/")),
        ("/%61dmin%3bx", "/admin%3Bx", Some("/admin")),
        ("/a;b;c%3Bd", "/a;b;c%3Bd", Some("/a")),
        ("/;x/admin", "/;x/admin", Some("/admin")),
        ("/admin/;x", "/admin/;x", Some("/admin/")),
        ("/;", "/;", Some("/")),
        ("/...;x", "/...;x", Some("/...")),
        // Removed with its segment.
        ("/x;y/../b", "/b", None),
        ("/admin", "/admin", None),
    ] {
        let found = normalize(target.as_bytes()).expect("a path");
        assert_eq!((&*found.normalized, found.plain.as_deref()), (normalized, plain), "{target}");
    }
}

#[test]
fn queries_are_form_decoded() {
    for (target, expected) in [
        ("/x?a=1&b=c+d%40e", Some("c d@e")),
        ("/x?%62=1", Some("1")),
        ("/x?b", Some("")),
        ("/x?b=1=2?3", Some("1=2?3")),
        ("/x?%zz=1&b=2", Some("2")),
        ("/x?bb=1", None),
        ("/x?B=1", None),
        ("/x?b=%4", None),
        ("/x?a;b=1", None),
        ("/b=1", None),
        ("/x", None),
        // Servers differ: they use the first, the last, or both.
        ("/x?b=1&b=2", None),
        ("/x?b=1&b=1", None),
        ("/x?%62=1&b=2", None),
        ("/x?b=1&b", None),
    ] {
        let found = query_parameter(target.as_bytes(), "b");
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{target}");
    }
    assert_eq!(form_decode(b"a%4"), None);
}

#[test]
fn a_repeated_field_is_not_the_only_one() {
    let head = fields(&[("X-Account", "a"), ("X-Other", "b"), ("x-account", "a")]);
    for (name, expected) in [("x-account", None), ("x-other", Some(&b"b"[..])), ("x-none", None)] {
        assert_eq!(head.only(name).map(|value| &**value), expected, "{name}");
    }
}

#[test]
fn hop_by_hop_fields_are_not_forwarded() {
    let mut head = fields(&[
        ("Host", "a"),
        ("Connection", "close, X-Mine, Host, Authorization, X-Forwarded-For"),
        ("X-Mine", "1"),
        ("Authorization", "Basic x"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers, deflate"),
        ("Upgrade", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X-Sum"),
        ("X-Other", "2"),
    ]);
    head.strip_hop_by_hop();
    assert_eq!(names(&head), ["Host", "Authorization", "X-Forwarded-For", "Trailer", "X-Other", "TE"]);
    assert_eq!(head.get("te").map(|value| &**value), Some(&b"trailers"[..]));
}

#[test]
fn connection_cannot_remove_end_to_end_fields() {
    for name in [
        "Cookie",
        "Content-Length",
        "Content-Encoding",
        "Origin",
        "Expect",
        "Trailer",
        "Forwarded",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X_Forwarded_For",
    ] {
        let mut head = fields(&[(name, "a")]);
        head.push("Connection", name);
        head.strip_hop_by_hop();
        assert_eq!(names(&head), [name]);
    }
}

#[test]
fn forwarded_fields_are_removed_in_every_spelling() {
    let mut head = fields(&[
        ("Forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("X_Forwarded_For", "192.0.2.1"),
        ("X-FORWARDED-ANYTHING", "1"),
        ("X-Real-IP", "192.0.2.1"),
        ("X_Real_IP", "192.0.2.1"),
        ("X.Forwarded.For", "192.0.2.1"),
        ("x-forwarded_for", "192.0.2.1"),
        ("X-Client-IP", "192.0.2.1"),
        ("X-Originating-IP", "192.0.2.1"),
        ("X-Remote-Addr", "192.0.2.1"),
        ("True-Client-IP", "192.0.2.1"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-Reality", "stays"),
        ("X-Forward", "stays"),
        ("Forwarded-By", "stays"),
        ("Via", "stays"),
    ]);
    head.strip_forwarded();
    assert_eq!(names(&head), ["X-Reality", "X-Forward", "Forwarded-By", "Via"]);
}

#[test]
fn a_destination_gets_the_scheme_of_the_leg() {
    const HOST: &str = "mail.example.org";
    for (authority, https, destination, expected) in [
        (HOST, false, "https://mail.example.org/dav/b?c", "http://mail.example.org/dav/b?c"),
        (HOST, false, "HTTPS://Mail.Example.org:443/b", "http://mail.example.org/b"),
        (HOST, false, "http://mail.example.org/b", "http://mail.example.org/b"),
        (HOST, false, "https://other.example.org/b", "https://other.example.org/b"),
        (HOST, false, "https://mail.example.org.evil/b", "https://mail.example.org.evil/b"),
        (HOST, false, "https://mail.example.org:8443/b", "https://mail.example.org:8443/b"),
        ("mail.example.org:8443", false, "https://mail.example.org:8443/b", "http://mail.example.org:8443/b"),
        ("mail.example.org:443", false, "https://mail.example.org/b", "http://mail.example.org:443/b"),
        (HOST, true, "http://mail.example.org/b", "https://mail.example.org/b"),
        (HOST, true, "https://mail.example.org/b", "https://mail.example.org/b"),
        (HOST, false, "/b", "/b"),
        (HOST, false, "https:", "https:"),
    ] {
        let mut head = Fields::default();
        head.push(&b"destination"[..], destination);
        set_destination_scheme(&mut head, authority.as_bytes(), https);
        let found: Vec<_> = head.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, [(&b"destination"[..], expected.as_bytes())], "{destination}");
    }
    let mut twice = fields(&[("Destination", "https://a/"), ("Destination", "https://a/b")]);
    set_destination_scheme(&mut twice, b"a", false);
    assert!(twice.get_all("destination").all(|value| value.starts_with(b"https:")));
}

#[test]
fn a_hop_is_appended_and_quoted() {
    let hop = Hop {
        client: "2001:db8::1".parse().expect("an address"),
        https: true,
        host: b"mail.example.org:8443",
    };
    let mut head = fields(&[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]);
    append(&mut head, &hop);
    for (name, value) in [
        (
            "forwarded",
            "for=192.0.2.1, for=\"[2001:db8::1]\";by=_pointsman;proto=https;host=\"mail.example.org:8443\"",
        ),
        ("x-forwarded-for", "192.0.2.1, 2001:db8::1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "mail.example.org:8443"),
    ] {
        assert_eq!(
            head.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).as_deref(),
            Some(value)
        );
        assert_eq!(head.get_all(name).count(), 1, "{name}");
    }
    let mapped = Hop { client: "::ffff:192.0.2.7".parse().expect("an address"), https: false, host: b"a" };
    let mut head = Fields::new();
    append(&mut head, &mapped);
    assert_eq!(
        head.get("forwarded").map(|it| &**it),
        Some(&b"for=192.0.2.7;by=_pointsman;proto=http;host=a"[..])
    );
}

#[test]
fn a_hop_is_never_appended_inside_a_quoted_string() {
    let hop = Hop { client: "192.0.2.7".parse().expect("an address"), https: false, host: b"a" };
    let ours = "for=192.0.2.7;by=_pointsman;proto=http;host=a";
    for (before, is_kept) in [
        (r#"for="[2001:db8::1]""#, true),
        (r#"for="a\"b""#, true),
        (r#"for="a\\""#, true),
        (r#"for="192.0.2.1"#, false),
        (r#"for="a\""#, false),
        (r#"for="a\"#, false),
        (r#"host="a";for=""#, false),
    ] {
        let mut head = fields(&[("Forwarded", "for=192.0.2.1"), ("Forwarded", before)]);
        append(&mut head, &hop);
        let kept = if is_kept { format!("{before}, ") } else { String::new() };
        let expected = format!("for=192.0.2.1, {kept}{ours}");
        assert_eq!(head.get("forwarded").map(|it| &**it), Some(expected.as_bytes()), "{before}");
    }
}

#[test]
fn a_chain_of_hops_is_bounded() {
    let hop = Hop { client: "192.0.2.7".parse().expect("an address"), https: false, host: b"a" };
    let mut head = Fields::new();
    head.push(&b"X-Forwarded-For"[..], vec![b'x'; 5_000]);
    append(&mut head, &hop);
    assert_eq!(head.get("x-forwarded-for").map(|it| &**it), Some(&b"192.0.2.7"[..]));
}

proptest! {
    #[test]
    fn normalisation_is_idempotent(target in "/(/|%2e|\\.|;|a|%61|%3b|%25|-|\\?|%2f){0,14}") {
        if let Ok(path) = normalize(target.as_bytes()) {
            for form in [Some(&path.normalized), path.plain.as_ref()].into_iter().flatten() {
                prop_assert!(!form.contains("//"), "{}", form);
                prop_assert!(!form.split('/').any(|segment| segment == "." || segment == ".."), "{}", form);
                let again = normalize(form.as_bytes()).expect("a normal path is a path");
                prop_assert_eq!(&again.normalized, form);
            }
            if let Some(plain) = path.plain {
                prop_assert!(!plain.contains(';') && !plain.contains("%3B"), "{}", plain);
            }
        }
    }

    #[test]
    fn arbitrary_input_does_not_panic(target in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = normalize(&target);
        let _ = query_parameter(&target, "x");
        let _ = form_decode(&target);
    }
}
