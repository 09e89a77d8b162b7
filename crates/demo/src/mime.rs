//! What is inside a message: header fields, parts, addresses (RFC 5322, 2045, 2046).
//!
//! Messages come from clients, so depth, parts, parameters and addresses are bounded; what lies beyond a
//! bound is shown as one opaque part, never dropped.

pub(crate) mod address;
pub(crate) mod header;

use std::ops::Range;

use self::header::{Parameters, find};

/// A message or one of its parts, as ranges of the message's bytes.
#[derive(Debug)]
pub(crate) struct Part {
    /// Header fields with the empty line behind them.
    pub(crate) header: Range<usize>,
    /// What follows.
    pub(crate) body: Range<usize>,
    /// `TEXT` of `text/plain`, in capitals.
    pub(crate) kind: String,
    /// `PLAIN` of `text/plain`, in capitals.
    pub(crate) subtype: String,
    /// Of Content-Type.
    pub(crate) parameters: Parameters,
    /// What is inside.
    pub(crate) content: Content,
}

/// What is inside a part.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing that we look into.
    Opaque,
    /// Parts; at least one.
    Parts(Vec<Part>),
    /// A message.
    Message(Box<Part>),
}

/// Messages in multiparts in messages.
const MAX_DEPTH: usize = 8;
/// Parts of one message.
const MAX_PARTS: usize = 64;

/// Takes a message apart. Never fails: what makes no sense is opaque text.
pub(crate) fn parse(raw: &[u8]) -> Part {
    Parser { raw, parts_left: MAX_PARTS }.part(0..raw.len(), MAX_DEPTH, ("TEXT", "PLAIN"))
}

struct Parser<'a> {
    raw: &'a [u8],
    parts_left: usize,
}

// === impl Parser ===

impl Parser<'_> {
    fn part(&mut self, range: Range<usize>, depth: usize, default: (&str, &str)) -> Part {
        let split = range.start + header::length(&self.raw[range.clone()]);
        let (header, body) = (range.start..split, split..range.end);
        let (mut kind, mut subtype, mut parameters) = content_type(&self.raw[header.clone()], default);
        let content = self.content(&kind, &subtype, &parameters, body.clone(), depth);
        if matches!(content, Content::Opaque) && matches!(kind.as_str(), "MULTIPART" | "MESSAGE") {
            // A client would expect parts or an envelope inside.
            (kind, subtype) = ("APPLICATION".to_owned(), "OCTET-STREAM".to_owned());
            parameters = Parameters::new();
        }
        Part { header, body, kind, subtype, parameters, content }
    }

    fn content(
        &mut self,
        kind: &str,
        subtype: &str,
        parameters: &Parameters,
        body: Range<usize>,
        depth: usize,
    ) -> Content {
        if depth == 0 {
            return Content::Opaque;
        }
        if kind == "MESSAGE" && subtype == "RFC822" && self.parts_left > 0 {
            self.parts_left -= 1;
            return Content::Message(Box::new(self.part(body, depth - 1, ("TEXT", "PLAIN"))));
        }
        let boundary = parameters.iter().find(|(name, _)| name == b"BOUNDARY");
        let Some((_, boundary)) = boundary.filter(|_| kind == "MULTIPART") else {
            return Content::Opaque;
        };
        let ranges = self.split(body, boundary);
        let default = if subtype == "DIGEST" { ("MESSAGE", "RFC822") } else { ("TEXT", "PLAIN") };
        let parts: Vec<Part> = ranges.into_iter().map(|range| self.part(range, depth - 1, default)).collect();
        if parts.is_empty() { Content::Opaque } else { Content::Parts(parts) }
    }

    /// The body parts of a multipart (RFC 2046 section 5.1.1), no more than are left.
    fn split(&mut self, body: Range<usize>, boundary: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut open: Option<usize> = None;
        let mut at = body.start;
        // The line end before a delimiter belongs to the delimiter.
        let mut before_line_end = body.start;
        while at < body.end {
            let rest = &self.raw[at..body.end];
            let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
            if let Some(delimiter) = Delimiter::of(&rest[..length], boundary) {
                if let Some(start) = open.take() {
                    self.parts_left -= 1;
                    ranges.push(start..before_line_end.max(start));
                }
                if delimiter == Delimiter::Last || self.parts_left == 0 {
                    return ranges;
                }
                open = Some(at + length);
            }
            before_line_end = at + header::trim_line_end(&rest[..length]).len();
            at += length;
        }
        if let Some(start) = open {
            self.parts_left -= 1;
            ranges.push(start..body.end);
        }
        ranges
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Delimiter {
    Next,
    Last,
}

// === impl Delimiter ===

impl Delimiter {
    /// delimiter = "--" boundary ["--"] transport-padding CRLF
    fn of(line: &[u8], boundary: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?.trim_ascii_end();
        match rest {
            b"" => Some(Self::Next),
            b"--" => Some(Self::Last),
            _ => None,
        }
    }
}

fn content_type(block: &[u8], default: (&str, &str)) -> (String, String, Parameters) {
    let value = find(block, "Content-Type").unwrap_or_default();
    let (name, parameters) = header::parameterised(&value);
    let upper = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_uppercase();
    let halves = name.iter().position(|&byte| byte == b'/').map(|at| (&name[..at], &name[at + 1..]));
    match halves {
        Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() => {
            (upper(kind.trim_ascii()), upper(subtype.trim_ascii()), parameters)
        }
        _ => {
            let charset = (b"CHARSET".to_vec(), b"us-ascii".to_vec());
            let parameters = if default.0 == "TEXT" { vec![charset] } else { Parameters::new() };
            (default.0.to_owned(), default.1.to_owned(), parameters)
        }
    }
}

#[cfg(test)]
mod tests;
