//! Heads of HTTP: what we take, and pass on, has one reading.
//!
//! Each head that is taken is read again by a plain reader who knows nothing but the rules of RFC 9112, and by
//! ourselves once it is written for a backend. All three must have read the same.

use bytes::Bytes;
use http_proto::{
    BadHead, Fields, Framing, MAX_FIELDS, RequestHead, ResponseHead, Version, blank_lines, check_h2_request,
    check_h2_response, head_end, parse_request, parse_response, write_request, write_response,
};

use crate::input::{Input, Sizes};
use crate::leaks::{MARK, holds};

/// A head as a plain reader takes it apart.
struct Plain<'a> {
    start: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
}

/// What [`RequestHead`] and its copy may differ in: a length, `Host` and `TE` of our own.
const OURS: usize = 3;

pub(crate) fn request(bytes: &[u8]) {
    let Some(input) = Input::expanded(bytes) else { return };
    let Some(head) = head_of(&input) else { return };
    let Ok(read) = parse_request(&head) else { return };
    let plain = Plain::read(&head[blank_lines(&head)..]);
    plain.same(&read.fields);
    let length = plain.framing().unwrap_or(Framing::None);
    assert_eq!(read.framing, length, "another length");
    let [method, target, version] = plain.words();
    assert_eq!(&read.method[..], method);
    assert_eq!(version, if read.version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" });
    assert!(target.ends_with(&read.target) || &read.target[..] == b"/", "another target");
    assert!(read.target.starts_with(b"/") || &read.target[..] == b"*", "no path");
    assert!(plain.values("host").len() == 1 || read.version == Version::Http10, "not one Host");
    let protocol = read.upgrade.as_deref().unwrap_or_default();
    let is_public = [method, read.path(), &read.authority, protocol].iter().any(|text| holds(text, MARK))
        || read.fields.iter().any(|(name, _)| holds(name, MARK));
    assert!(is_public || !format!("{read:?}").contains("s3cret!"), "a secret is printed");
    passes(read);
}

pub(crate) fn response(bytes: &[u8]) {
    let Some(input) = Input::expanded(bytes) else { return };
    let method: &[u8] = if input.has(0) { b"HEAD" } else { b"GET" };
    let Some(head) = head_of(&input) else { return };
    let Ok(read) = parse_response(&head, method) else { return };
    let plain = Plain::read(&head);
    plain.same(&read.fields);
    let has_none = read.status < 200 || matches!(read.status, 204 | 304) || method == b"HEAD";
    let length = if has_none { Framing::None } else { plain.framing().unwrap_or(Framing::UntilClose) };
    assert_eq!(read.framing, length, "another length");
    assert!(plain.start[9..].starts_with(read.status.to_string().as_bytes()), "another status");
    answers(read, method);
}

/// `METHOD scheme authority path`, each further line a field: what the HTTP/2 library might hand over.
pub(crate) fn h2(bytes: &[u8]) {
    let Some(input) = Input::expanded(bytes) else { return };
    let mut lines = input.data.split(|&byte| byte == b'\n');
    let mut words = lines.next().unwrap_or_default().split(|&byte| byte == b' ');
    let mut word = || Bytes::copy_from_slice(words.next().unwrap_or_default());
    let method = word();
    let scheme = word();
    let authority = word();
    let target = word();
    let field = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((Bytes::copy_from_slice(&line[..colon]), Bytes::copy_from_slice(line[colon + 1..].trim_ascii())))
    };
    let fields: Fields = lines.filter_map(field).collect();
    let authority = Some(authority).filter(|authority| &authority[..] != b"-");
    let number = |text: &Bytes| std::str::from_utf8(text).ok()?.parse().ok();
    let length = fields.get("content-length").and_then(number).map_or(Framing::Chunked, Framing::Length);
    let framing = if input.has(0) { length } else { Framing::None };
    if input.has(1) {
        let status = u16::from(input.choice) * 3;
        if status >= 200 && check_h2_response(status, &fields).is_ok() {
            let version = Version::Http2;
            let reason = Bytes::new();
            let upgrade = None;
            answers(
                ResponseHead { version, status, reason, fields, framing, keeps_alive: true, upgrade },
                b"GET",
            );
        }
    } else if &method[..] != b"CONNECT"
        // The HTTP room takes it apart itself: of RFC 8441, or refused.
        && check_h2_request(&method, &scheme, authority.as_deref(), &target, &fields).is_ok()
    {
        let authority = authority.or_else(|| fields.get("host").cloned()).expect("a host");
        passes(RequestHead {
            method,
            target,
            version: Version::Http2,
            authority,
            fields,
            framing,
            keeps_alive: true,
            expects_continue: false,
            upgrade: None,
        });
    }
}

/// The head at the start of the data; it is found at its last byte, however it comes.
fn head_of(input: &Input) -> Option<Bytes> {
    let data = &input.data[..];
    let whole = head_end(data, 0);
    for mut sizes in [input.sizes(), Sizes::dripped(data)] {
        let mut at = 0;
        let mut found = None;
        while at < data.len() && found.is_none() {
            let before = at;
            at += sizes.next(data.len() - at);
            found = head_end(&data[..at], before);
            assert_eq!(found, whole.filter(|end| *end <= at), "the pieces make a difference");
        }
    }
    whole.map(|end| Bytes::copy_from_slice(&data[..end]))
}

/// Written for a backend as the HTTP room does it, and read again.
fn passes(mut head: RequestHead) {
    head.fields.strip_hop_by_hop();
    head.fields.set("Host", head.authority.clone());
    let mut written = Vec::new();
    write_request(&mut written, &head, head.framing);
    assert_eq!(head_end(&written, 0), Some(written.len()), "two heads of one: {}", written.escape_ascii());
    let again = match parse_request(&Bytes::from(written.clone())) {
        Ok(again) => again,
        Err(BadHead::TooManyFields) if head.fields.len() + OURS > MAX_FIELDS => return,
        Err(bad) => panic!("{bad:?}: {}", written.escape_ascii()),
    };
    Plain::read(&written).same(&again.fields);
    assert_eq!((&again.method, &again.target), (&head.method, &head.target));
    assert_eq!((&again.authority, again.framing), (&head.authority, head.framing));
    assert!(again.upgrade.is_none() && again.keeps_alive, "a field of the client's own connection");
    same_but_for_lengths(&head.fields, &again.fields);
}

fn answers(mut head: ResponseHead, method: &[u8]) {
    head.fields.strip_hop_by_hop();
    let mut written = Vec::new();
    write_response(&mut written, &head, head.framing);
    assert_eq!(head_end(&written, 0), Some(written.len()), "two heads of one: {}", written.escape_ascii());
    let again = match parse_response(&Bytes::from(written.clone()), method) {
        Ok(again) => again,
        Err(BadHead::TooManyFields) if head.fields.len() + OURS > MAX_FIELDS => return,
        Err(bad) => panic!("{bad:?}: {}", written.escape_ascii()),
    };
    assert_eq!((again.status, &again.reason), (head.status, &head.reason));
    // A body that is there or not by the method alone is not told in the head.
    if head.framing != Framing::None {
        assert_eq!(again.framing, head.framing);
    }
    same_but_for_lengths(&head.fields, &again.fields);
}

fn same_but_for_lengths(one: &Fields, other: &Fields) {
    let plain = |fields: &Fields| -> Vec<(Vec<u8>, Vec<u8>)> {
        let is_length = |name: &Bytes| {
            name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
        };
        let fields = fields.iter().filter(|(name, _)| !is_length(name));
        // Names of HTTP/2 are lower case and get their usual spelling in HTTP/1.
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim_ascii().to_vec())).collect()
    };
    assert_eq!(plain(one), plain(other));
}

// === impl Plain ===

impl<'a> Plain<'a> {
    /// Takes a whole head apart; panics where RFC 9112 allows nothing of the kind.
    fn read(head: &'a [u8]) -> Self {
        let lines = head.strip_suffix(b"\r\n\r\n").expect("an empty line at the end");
        let mut lines = Lines(Some(lines));
        let start = lines.next().expect("a start line");
        let fields = lines.map(|line| {
            let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
            let name = &line[..colon];
            let value = line[colon + 1..].trim_ascii();
            let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
            assert!(!name.is_empty() && name.iter().all(is_token), "{}", line.escape_ascii());
            assert!(
                value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()),
                "{}",
                line.escape_ascii()
            );
            (name, value)
        });
        Self { start, fields: fields.collect() }
    }

    fn words(&self) -> [&'a [u8]; 3] {
        let words: Vec<_> = self.start.split(|&byte| byte == b' ').collect();
        words.try_into().expect("three words")
    }

    fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let fields = self.fields.iter();
        fields.filter(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| *value).collect()
    }

    /// RFC 9112 section 6.3; panics where it leaves a doubt.
    fn framing(&self) -> Option<Framing> {
        let lengths = self.values("content-length");
        let codings = self.values("transfer-encoding");
        match (&lengths[..], &codings[..]) {
            ([], []) => None,
            ([first, rest @ ..], []) => {
                assert!(rest.iter().all(|other| other == first), "several lengths");
                let digits = std::str::from_utf8(first).expect("digits");
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
                Some(Framing::Length(digits.parse().expect("a number")))
            }
            ([], [coding]) => {
                assert!(coding.eq_ignore_ascii_case(b"chunked"));
                Some(Framing::Chunked)
            }
            _ => panic!("two lengths"),
        }
    }

    fn same(&self, fields: &Fields) {
        let ours = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        assert!(ours.eq(self.fields.iter().copied()), "other fields: {fields:?}");
    }
}

/// Lines between CRLFs, in which neither CR, LF nor NUL may stand.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let line = &rest[..end.unwrap_or(rest.len())];
        self.0 = end.map(|end| &rest[end + 2..]);
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{}", line.escape_ascii());
        Some(line)
    }
}
