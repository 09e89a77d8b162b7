//! The chunked coding: where a body ends does not depend on how it comes.

use http_proto::{
    BadBody, CHUNK_END, ChunkDecoder, Decoded, Fields, MAX_TRAILER_FIELDS, MAX_TRAILERS, write_chunk_header,
    write_last_chunk,
};

use crate::input::{Input, Sizes};

/// What was read, up to the end, a mistake, or as far as it came.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    content: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    Bad(BadBody),
    /// The trailers, and the bytes of the data that belong to the body.
    Whole(Fields, usize),
}

pub(crate) fn chunked(bytes: &[u8]) {
    let Some(input) = Input::expanded(bytes) else { return };
    let read = decode(&input.data, input.sizes());
    for sizes in [Sizes::dripped(&input.data), Sizes::whole()] {
        assert_eq!(read, decode(&input.data, sizes), "the pieces make a difference");
    }
    let End::Whole(trailers, length) = &read.end else { return };
    assert_eq!(plainly(&input.data[..*length]), read.content, "other content");
    let mut written = Vec::new();
    let mut sizes = input.sizes();
    let mut at = 0;
    while at < read.content.len() {
        let size = sizes.next(read.content.len() - at);
        write_chunk_header(&mut written, size);
        written.extend_from_slice(&read.content[at..at + size]);
        written.extend_from_slice(CHUNK_END);
        at += size;
    }
    write_last_chunk(&mut written, Some(trailers));
    let again = decode(&written, Sizes::whole());
    assert_eq!(again, Read { content: read.content, end: End::Whole(trailers.clone(), written.len()) });
}

fn decode(data: &[u8], mut sizes: Sizes) -> Read {
    let mut decoder = ChunkDecoder::for_requests();
    let mut content = Vec::new();
    let mut start = 0;
    let mut at = 0;
    loop {
        match decoder.consume(&data[start..at]) {
            Err(bad) => return Read { content, end: End::Bad(bad) },
            Ok(Decoded::Data { skip, len }) => {
                assert!(len > 0, "content of nothing");
                content.extend_from_slice(&data[start + skip..start + skip + len]);
                start += skip + len;
            }
            Ok(Decoded::NeedMore { consumed }) => {
                start += consumed;
                assert!(at - start <= MAX_TRAILERS, "more is held than the longest trailers");
                if at == data.len() {
                    return Read { content, end: End::Open };
                }
                at += sizes.next(data.len() - at);
            }
            Ok(Decoded::Trailers { consumed, fields }) => {
                assert!(fields.len() <= MAX_TRAILER_FIELDS);
                for name in ["content-length", "transfer-encoding", "host", "authorization"] {
                    assert!(fields.get(name).is_none(), "{name} behind the body");
                }
                return Read { content, end: End::Whole(fields, start + consumed) };
            }
        }
    }
}

/// RFC 9112 section 7.1.3, word for word; panics where the coding is not kept to.
fn plainly(body: &[u8]) -> Vec<u8> {
    let mut rest = body;
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("CRLF behind a size");
        let digits = rest[..end].split(|&byte| byte == b';').next().expect("a size");
        let text = std::str::from_utf8(digits).expect("ASCII");
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
        let size = usize::from_str_radix(text, 16).expect("a size that is there");
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        content.extend_from_slice(&rest[..size]);
        rest = rest[size..].strip_prefix(b"\r\n").expect("CRLF behind a chunk");
    }
    assert!(rest == b"\r\n" || rest.ends_with(b"\r\n\r\n"), "trailers without an end");
    content
}
