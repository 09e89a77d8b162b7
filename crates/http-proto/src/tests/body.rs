//! Chunked bodies and trailers.

use proptest::prelude::*;

use super::super::{
    BadBody, CHUNK_END, ChunkDecoder, Decoded, Fields, MAX_TRAILERS, check_h2_trailers, write_chunk_header,
    write_last_chunk,
};

/// The content, the trailers, and the bytes after the body.
type Read = (Vec<u8>, Option<Fields>, Vec<u8>);

/// Decodes `pieces`, each of which is fed when the previous one is consumed.
fn decode(pieces: &[&[u8]]) -> Result<Read, BadBody> {
    decode_with(ChunkDecoder::for_requests(), pieces)
}

fn decode_with(mut decoder: ChunkDecoder, pieces: &[&[u8]]) -> Result<Read, BadBody> {
    let mut unread = Vec::new();
    let mut content = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            match decoder.consume(&unread)? {
                Decoded::Data { skip, len } => {
                    assert!(len > 0);
                    content.extend_from_slice(&unread[skip..skip + len]);
                    unread.drain(..skip + len);
                }
                Decoded::NeedMore { consumed } => {
                    unread.drain(..consumed);
                    break;
                }
                Decoded::Trailers { consumed, fields } => {
                    unread.drain(..consumed);
                    return Ok((content, Some(fields), unread));
                }
            }
        }
    }
    Ok((content, None, unread))
}

#[test]
fn malformed_bodies_are_rejected() {
    for (body, bad) in [
        (&b"5\nhello\r\n0\r\n\r\n"[..], BadBody::LineEnd),
        (b"5\r\nhelloX\r\n0\r\n\r\n", BadBody::LineEnd),
        (b"5\r\nhello\n0\r\n\r\n", BadBody::LineEnd),
        (b" 5\r\nhello\r\n", BadBody::Size),
        (b"5 \r\nhello\r\n", BadBody::Size),
        (b"+5\r\nhello\r\n", BadBody::Size),
        (b"0x5\r\nhello\r\n", BadBody::Size),
        (b"\r\nhello\r\n", BadBody::Size),
        (b"10000000000000005\r\nhello\r\n", BadBody::Size),
        (b"5;a\0b\r\nhello\r\n", BadBody::Extension),
        (b"0\r\nX: a\r\n b\r\n\r\n", BadBody::Trailers),
        (b"0\r\nX : a\r\n\r\n", BadBody::Trailers),
        (b"0\r\nX: a\n\n", BadBody::Trailers),
    ] {
        assert_eq!(decode(&[body]).map(|(content, ..)| content), Err(bad), "{}", body.escape_ascii());
    }
}

#[test]
fn white_space_in_chunk_lines() {
    for (body, in_request) in [
        (&b"5 ;a=b\r\nhello\r\n0 \t;c\r\n\r\n"[..], true),
        (b"5  \r\nhello\r\n0\r\n\r\n", false),
        (b"5\t\r\nhello\r\n0 \r\n\r\n", false),
    ] {
        let (content, _, rest) = decode_with(ChunkDecoder::for_responses(), &[body]).expect("a body");
        assert_eq!((&*content, &*rest), (&b"hello"[..], &b""[..]), "{}", body.escape_ascii());
        assert_eq!(decode(&[body]).is_ok(), in_request, "{}", body.escape_ascii());
    }
    for body in [&b"5 x\r\nhello\r\n"[..], b"5 5\r\nhello\r\n", b" 5\r\nhello\r\n", b"5 \0\r\nhello\r\n"] {
        let found = decode_with(ChunkDecoder::for_responses(), &[body]);
        assert_eq!(found.map(drop), Err(BadBody::Size), "{}", body.escape_ascii());
    }
}

#[test]
fn extensions_are_skipped_and_bounded() {
    let (content, trailers, rest) = decode(&[b"5;a=\"b\";c\r\nhello\r\n0;d\r\n\r\nGET"]).expect("a body");
    assert_eq!((&*content, trailers, &*rest), (&b"hello"[..], Some(Fields::new()), &b"GET"[..]));
    let endless = [&b"5;"[..], &[b'x'; 300]].concat();
    assert_eq!(decode(&[&endless]).map(drop), Err(BadBody::Extension));
    let tiny = b"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(1_000);
    assert_eq!(decode(&[&tiny]).map(drop), Err(BadBody::Overhead));
}

#[test]
fn chunks_of_one_byte_are_accepted() {
    let (content, ..) = decode(&[&b"1\r\na\r\n".repeat(20_000), b"0\r\n\r\n"]).expect("a body");
    assert_eq!(content.len(), 20_000);
}

#[test]
fn trailers_are_bounded_and_filtered() {
    let (_, trailers, _) =
        decode(&[b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\nX_Forwarded_For: 192.0.2.1\r\n\r\n"])
            .expect("a body");
    let names: Vec<_> = trailers.expect("trailers").iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, [&b"X-Sum"[..]]);
    for name in ["Authorization", "Content_Length", "If-Match", "Keep-Alive", "X-Real-IP", "www-authenticate"]
    {
        let body = format!("0\r\n{name}: 1\r\n\r\n");
        let (_, trailers, _) = decode(&[body.as_bytes()]).expect("a body");
        assert_eq!(trailers, Some(Fields::new()), "{name}");
    }
    let endless = [&b"0\r\nX: "[..], &vec![b'x'; MAX_TRAILERS + 1]].concat();
    assert_eq!(decode(&[&endless]).map(drop), Err(BadBody::TrailersTooLarge));
    let many = [&b"0\r\n"[..], &b"X: y\r\n".repeat(65), b"\r\n"].concat();
    assert_eq!(decode(&[&many]).map(drop), Err(BadBody::TrailersTooLarge));
}

#[test]
fn http2_trailers_follow_the_same_rules() {
    let fields = |rows: &[(&'static str, &'static str)]| -> Fields {
        rows.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    };
    let some =
        fields(&[("x-sum", "1"), ("content-length", "5"), ("authorization", "Basic x"), ("x_real_ip", "1")]);
    assert_eq!(check_h2_trailers(some), Ok(fields(&[("x-sum", "1")])));
    assert_eq!(check_h2_trailers(fields(&[("x", "a\r\nb: c")])), Err(BadBody::Trailers));
    assert_eq!(check_h2_trailers(fields(&[("x y", "a")])), Err(BadBody::Trailers));
    assert_eq!(check_h2_trailers(fields(&[("x", "y"); 65])), Err(BadBody::TrailersTooLarge));
    assert_eq!(check_h2_trailers(fields(&[("x", "y"); 64])).map(|it| it.len()), Ok(64));
}

proptest! {
    #[test]
    fn every_split_decodes_to_the_same_body(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
        cuts in prop::collection::vec(1_usize..20, 1..40),
        with_trailers in any::<bool>(),
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            write_chunk_header(&mut body, chunk.len());
            body.extend_from_slice(chunk);
            body.extend_from_slice(CHUNK_END);
        }
        let mut trailers = Fields::new();
        if with_trailers {
            trailers.push(&b"X-Sum"[..], &b"1"[..]);
        }
        write_last_chunk(&mut body, Some(&trailers));
        body.extend_from_slice(b"GET / ");
        let mut pieces = Vec::new();
        let mut rest = &body[..];
        for cut in cuts.iter().cycle().take(body.len()) {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        let (content, found, left) = decode(&pieces).expect("a body");
        prop_assert_eq!(content, chunks.concat());
        prop_assert_eq!(found, Some(trailers));
        prop_assert!(b"GET / ".starts_with(&left[..]));
    }

    #[test]
    fn arbitrary_input_does_not_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let _ = decode(&pieces);
    }
}
