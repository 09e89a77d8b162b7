use proptest::prelude::*;

use super::*;

/// The tree as text: type, body.
fn tree(raw: &[u8], part: &Part) -> String {
    let inside = match &part.content {
        Content::Opaque => format!("{:?}", String::from_utf8_lossy(&raw[part.body.clone()])),
        Content::Parts(parts) => parts.iter().map(|part| tree(raw, part)).collect::<Vec<_>>().join(" "),
        Content::Message(part) => tree(raw, part),
    };
    format!("[{}/{} {inside}]", part.kind, part.subtype)
}

#[test]
fn trees() {
    for (raw, expected) in [
        ("", "[TEXT/PLAIN \"\"]"),
        ("A: b\r\n\r\nbody\r\n", "[TEXT/PLAIN \"body\\r\\n\"]"),
        ("A: b\n\nbody", "[TEXT/PLAIN \"body\"]"),
        ("Content-Type: image/PNG\r\n\r\nx", "[IMAGE/PNG \"x\"]"),
        ("Content-Type: nonsense\r\n\r\nx", "[TEXT/PLAIN \"x\"]"),
        (
            "Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\npre\r\n--b b\r\n\r\none\r\n--b b \r\n\
             Content-Type: text/html\r\n\r\n\r\ntwo\r\n\r\n--b b--\r\npost",
            "[MULTIPART/MIXED [TEXT/PLAIN \"one\"] [TEXT/HTML \"\\r\\ntwo\\r\\n\"]]",
        ),
        (
            "Content-Type: multipart/digest;\r\n boundary=d\r\n\r\n--d\r\n\r\nSubject: s\r\n\r\nin\r\n--d--",
            "[MULTIPART/DIGEST [MESSAGE/RFC822 [TEXT/PLAIN \"in\"]]]",
        ),
        // Not closed; without any part; without a boundary.
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nrest\n",
            "[MULTIPART/MIXED [TEXT/PLAIN \"rest\\n\"]]",
        ),
        ("Content-Type: multipart/mixed; boundary=b\n\nx", "[APPLICATION/OCTET-STREAM \"x\"]"),
        ("Content-Type: multipart/mixed\n\n--\nx", "[APPLICATION/OCTET-STREAM \"--\\nx\"]"),
        // An empty part.
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--\n", "[MULTIPART/MIXED [TEXT/PLAIN \"\"]]"),
        ("Content-Type: message/external-body\n\nx", "[APPLICATION/OCTET-STREAM \"x\"]"),
    ] {
        assert_eq!(tree(raw.as_bytes(), &parse(raw.as_bytes())), expected, "{raw}");
    }
}

#[test]
fn depth_and_parts_are_bounded() {
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(100);
    let mut part = &parse(nested.as_bytes());
    let mut depth = 0;
    while let Content::Message(inner) = &part.content {
        part = inner;
        depth += 1;
    }
    assert_eq!((depth, part.kind.as_str()), (MAX_DEPTH, "APPLICATION"));

    let wide =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(1000));
    let Content::Parts(parts) = parse(wide.as_bytes()).content else { panic!("no parts") };
    assert_eq!(parts.len(), MAX_PARTS);
}

proptest! {
    #[test]
    fn never_panics(pieces in proptest::collection::vec(prop_oneof![
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\n".to_vec()),
        Just(b"--b\r\n".to_vec()),
        Just(b"--b--\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ], 0..40)) {
        let raw = pieces.concat();
        let part = parse(&raw);
        prop_assert_eq!(part.header.end, part.body.start);
        prop_assert_eq!(part.body.end, raw.len());
        tree(&raw, &part);
    }
}
