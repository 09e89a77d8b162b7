//! Paths: normalised for the rules, and rejected when a backend could read them differently.

use std::fmt;

/// A path in the form that the rules match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Unreserved characters decoded, dot segments and duplicate slashes removed.
    pub normalized: String,
    /// The same path without parameters, if it has any: `/admin` for `/admin;x`. Some servers remove parameters before
    /// they look up a path, others do not. When a rule matches only one of the two forms, the request is rejected
    /// with [`BadPath::Parameters`].
    pub plain: Option<String>,
}

/// Why a path is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadPath {
    /// The path does not start with a slash.
    Form,
    /// `%2F`: some servers treat it as a separator, others as an ordinary character.
    EncodedSlash,
    /// A backslash, raw or encoded.
    Backslash,
    /// A NUL or another control character, raw or encoded.
    Control,
    /// `..` above the root.
    AboveRoot,
    /// `%` without two hexadecimal digits.
    Percent,
    /// A parameter in a dot segment (`..;x`).
    DotParameter,
    /// A parameter without which another rule would apply.
    Parameters,
    /// `..` in a path with an empty segment, which servers resolve in different ways.
    EmptySegment,
    /// A raw character that is not allowed in a path.
    Character,
}

/// Normalises the path of a request target (RFC 3986 section 6.2.2).
///
/// # Errors
/// When a server could read the path differently.
pub fn normalize(target: &[u8]) -> Result<Path, BadPath> {
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let path = &target[..end];
    if path == b"*" {
        return Ok(Path { normalized: "*".to_owned(), plain: None });
    }
    if path.first() != Some(&b'/') {
        return Err(BadPath::Form);
    }
    let decoded = decode_unreserved(path)?;
    let segments = segments(&decoded)?;
    let has_parameters = segments.iter().any(|segment| segment_name(segment) != *segment);
    Ok(Path {
        normalized: join(segments.iter().copied()),
        plain: has_parameters.then(|| join(segments.iter().map(|segment| segment_name(segment)))),
    })
}

/// Returns the segments after resolving dot segments and dropping empty ones. An empty segment at the end means that
/// the path ends with a slash.
fn segments(path: &str) -> Result<Vec<&str>, BadPath> {
    let mut kept: Vec<&str> = Vec::new();
    let mut has_empty = false;
    let mut has_parent = false;
    let mut is_folder = false;
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        is_folder = matches!(segment, "" | "." | "..");
        match (segment_name(segment), segment) {
            ("", "") => has_empty |= !is_last,
            (".", ".") => {}
            ("..", "..") => {
                has_parent = true;
                kept.pop().ok_or(BadPath::AboveRoot)?;
            }
            ("." | "..", _) => return Err(BadPath::DotParameter),
            (name, _) => {
                has_empty |= name.is_empty();
                kept.push(segment);
            }
        }
    }
    // RFC 3986 section 5.2.4 resolves `/a//../b` to `/a/b`; a server that merges slashes first resolves it to `/b`.
    if has_empty && has_parent {
        return Err(BadPath::EmptySegment);
    }
    if is_folder {
        kept.push("");
    }
    Ok(kept)
}

/// Returns a segment without its parameters. Some servers decode first, so an encoded semicolon starts them too.
fn segment_name(segment: &str) -> &str {
    let end = [segment.find(';'), segment.find("%3B")].into_iter().flatten().min();
    &segment[..end.unwrap_or(segment.len())]
}

/// Joins segments, with a slash before each; empty segments other than the last are left out.
fn join<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let mut path = String::new();
    let mut segments = segments.peekable();
    while let Some(segment) = segments.next() {
        if !segment.is_empty() || segments.peek().is_none() {
            path.push('/');
            path.push_str(segment);
        }
    }
    path
}

/// Decodes the escapes of unreserved characters; other escapes stay, in upper case.
fn decode_unreserved(path: &[u8]) -> Result<String, BadPath> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'%' => {
                let value = match tail {
                    [high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
                    _ => None,
                }
                .ok_or(BadPath::Percent)?;
                rest = &tail[2..];
                match value {
                    b'/' => return Err(BadPath::EncodedSlash),
                    b'\\' => return Err(BadPath::Backslash),
                    0..=0x1f | 0x7f => return Err(BadPath::Control),
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        decoded.push(char::from(value));
                    }
                    _ => decoded.push_str(&format!("%{value:02X}")),
                }
            }
            b'\\' => return Err(BadPath::Backslash),
            b'#' => return Err(BadPath::Character),
            0..=0x1f | 0x7f => return Err(BadPath::Control),
            b'!'..=b'~' => decoded.push(char::from(*byte)),
            _ => return Err(BadPath::Character),
        }
    }
    Ok(decoded)
}

/// Returns the form-decoded value of a query parameter. `None` when the query does not have it, has it more than once
/// (servers differ in which one they use), or when it is malformed.
#[must_use]
pub fn query_parameter(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let query = &target[memchr::memchr(b'?', target)? + 1..];
    let mut values = query.split(|&byte| byte == b'&').filter_map(|pair| {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let is_it = form_decode(&pair[..end]).is_some_and(|key| key == name.as_bytes());
        is_it.then(|| pair.get(end + 1..).unwrap_or_default())
    });
    let value = values.next()?;
    if values.next().is_some() { None } else { form_decode(value) }
}

/// Decodes `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte. `None` for a lone `%`.
#[must_use]
pub fn form_decode(value: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let [high, low, ..] = tail else { return None };
                decoded.push(hex(*high)? << 4 | hex(*low)?);
                rest = &tail[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

// === impl BadPath ===

impl BadPath {
    /// Returns the name for the response, the log and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Form => "path_form",
            Self::EncodedSlash => "path_encoded_slash",
            Self::Backslash => "path_backslash",
            Self::Control => "path_control",
            Self::AboveRoot => "path_above_root",
            Self::Percent => "path_percent",
            Self::DotParameter => "path_dot_parameter",
            Self::Parameters => "path_parameters",
            Self::EmptySegment => "path_empty_segment",
            Self::Character => "path_character",
        }
    }
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
