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
    /// The first escape that some servers decode to a separator, if there is one.
    pub separator: Option<EncodedSeparator>,
}

/// An escape of a slash, a backslash or a control character, which servers read in different ways: as a separator, as
/// an ordinary character, or not at all.
///
/// None of these readings leaves `prefix`. So the request is unambiguous if one rule applies to every path below it;
/// otherwise it must be rejected with `bad`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSeparator {
    /// The normalised path before the segment with the escape, without a slash at its end.
    pub prefix: String,
    /// The reason for the rejection.
    pub bad: BadPath,
}

/// Why a path is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadPath {
    /// The path does not start with a slash.
    Form,
    /// `%2F`, where the path before it does not decide about the rule: some servers treat it as a separator, others as an ordinary character.
    EncodedSlash,
    /// A raw backslash, or an encoded one like an encoded slash.
    Backslash,
    /// An encoded NUL, a raw control character, or an encoded one like an encoded slash.
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
        return Ok(Path { normalized: "*".to_owned(), plain: None, separator: None });
    }
    if path.first() != Some(&b'/') {
        return Err(BadPath::Form);
    }
    let decoded = decode_unreserved(path)?;
    let Segments { kept: segments, has_parent } = segments(&decoded)?;
    // A segment that `..` removes may have led elsewhere.
    if has_parent && let Some(bad) = separator_in(&decoded) {
        return Err(bad);
    }
    let separator = separator(&segments)?;
    let has_parameters = segments.iter().any(|segment| segment_name(segment) != *segment);
    Ok(Path {
        normalized: join(segments.iter().copied()),
        plain: has_parameters.then(|| join(segments.iter().map(|segment| segment_name(segment)))),
        separator,
    })
}

/// The segments of a path.
struct Segments<'a> {
    kept: Vec<&'a str>,
    /// Whether a `..` was resolved.
    has_parent: bool,
}

/// Finds the first escape that could be a separator, and rejects those that could lead out of their prefix.
fn separator(segments: &[&str]) -> Result<Option<EncodedSeparator>, BadPath> {
    let mut found =
        segments.iter().enumerate().filter_map(|(at, segment)| Some((at, separator_in(segment)?)));
    let Some((at, bad)) = found.next() else { return Ok(None) };
    let before = &segments[..at];
    let has_parameters = before.iter().any(|segment| segment_name(segment) != *segment);
    if has_parameters || segments[at..].iter().any(|segment| hides_dot_segment(segment)) {
        return Err(bad);
    }
    let prefix = before.iter().map(|segment| format!("/{segment}")).collect();
    Ok(Some(EncodedSeparator { prefix, bad }))
}

/// Returns the first separator that a segment or a path contains in an escape.
fn separator_in(text: &str) -> Option<BadPath> {
    text.split('%').skip(1).find_map(|rest| match rest.get(..2)? {
        "2F" => Some(BadPath::EncodedSlash),
        "5C" => Some(BadPath::Backslash),
        "7F" => Some(BadPath::Control),
        digits if digits.starts_with(['0', '1']) => Some(BadPath::Control),
        _ => None,
    })
}

/// Returns whether a segment contains a dot segment for a server that decodes it first. Control characters and spaces
/// are ignored, since some servers remove them.
fn hides_dot_segment(segment: &str) -> bool {
    let decoded = form_decode(segment.replace('+', "%2B").as_bytes()).unwrap_or_default();
    decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| {
        let end = memchr::memchr(b';', part).unwrap_or(part.len());
        let name: Vec<u8> =
            part[..end].iter().copied().filter(|byte| !matches!(byte, 0..=b' ' | 0x7f)).collect();
        name == b"." || name == b".."
    })
}

/// Returns the segments after resolving dot segments and dropping empty ones. An empty segment at the end means that
/// the path ends with a slash.
fn segments(path: &str) -> Result<Segments<'_>, BadPath> {
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
    Ok(Segments { kept, has_parent })
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
                    // Some servers end the path here.
                    0 => return Err(BadPath::Control),
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
