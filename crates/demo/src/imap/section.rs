//! Sections of a message: `BODY[1.2.HEADER.FIELDS (From)]<0.100>` (RFC 3501 section 6.4.5).

use std::borrow::Cow;
use std::fmt;

use super::words::Words;
use crate::mime::{Content, Part, header};

/// What stands between the brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Part numbers, from the outside in; none for the message itself.
    path: Vec<u32>,
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    All,
    Header,
    Fields {
        names: Vec<String>,
        /// HEADER.FIELDS.NOT
        others: bool,
    },
    Text,
    Mime,
}

/// `<first.count>`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    /// Offset in bytes.
    pub(super) first: u32,
    count: u32,
}

/// Part numbers in a row; deeper than the messages that we take apart.
const MAX_PATH: usize = 20;

// === impl Section ===

impl Section {
    /// BODY[]
    pub(super) const ALL: Self = Self { path: Vec::new(), which: Which::All };
    /// BODY[HEADER]
    pub(super) const HEADER: Self = Self { path: Vec::new(), which: Which::Header };
    /// BODY[TEXT]
    pub(super) const TEXT: Self = Self { path: Vec::new(), which: Which::Text };

    /// section = "[" [section-spec] "]"
    /// section-spec = section-msgtext / (section-part ["." section-text])
    pub(super) fn parse(words: &mut Words<'_>) -> Option<Self> {
        words.byte(b'[')?;
        let mut path = Vec::new();
        let mut expects_word = words.peek()? != b']';
        while expects_word && words.peek()?.is_ascii_digit() {
            if path.len() >= MAX_PATH {
                return None;
            }
            path.push(words.number().filter(|&number| number > 0)?);
            expects_word = words.byte(b'.').is_some();
        }
        let which = if expects_word { Which::parse(words, !path.is_empty())? } else { Which::All };
        words.byte(b']')?;
        Some(Self { path, which })
    }

    /// The bytes of that section; `None` when the message has none such.
    pub(super) fn cut<'a>(&self, raw: &'a [u8], message: &Part) -> Option<Cow<'a, [u8]>> {
        let part = self.path.iter().try_fold(message, |part, &number| inside(part, number))?;
        // A part's header and text are those of the message in it (but its MIME is its own).
        let owner = match &part.content {
            Content::Message(inner) if !self.path.is_empty() => Some(&**inner),
            _ if self.path.is_empty() => Some(part),
            _ => None,
        };
        Some(match &self.which {
            Which::All if self.path.is_empty() => raw.into(),
            Which::All => raw[part.body.clone()].into(),
            Which::Mime => raw[part.header.clone()].into(),
            Which::Header => raw[owner?.header.clone()].into(),
            Which::Text => raw[owner?.body.clone()].into(),
            Which::Fields { names, others } => {
                let is_named =
                    |name: &[u8]| names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()));
                let fields = header::fields(&raw[owner?.header.clone()]);
                let wanted = fields.filter(|field| is_named(field.name) != *others);
                let mut block: Vec<u8> = wanted.flat_map(|field| field.whole).copied().collect();
                block.extend_from_slice(b"\r\n");
                block.into()
            }
        })
    }
}

impl Which {
    /// section-msgtext / "MIME"
    fn parse(words: &mut Words<'_>, is_in_part: bool) -> Option<Self> {
        let keyword = words.keyword()?;
        Some(match keyword.as_str() {
            "HEADER" => Self::Header,
            "TEXT" => Self::Text,
            "MIME" if is_in_part => Self::Mime,
            "HEADER.FIELDS" | "HEADER.FIELDS.NOT" => {
                words.space()?;
                let names = words.list(Words::name).filter(|names| !names.is_empty())?;
                Self::Fields { names, others: keyword.ends_with("NOT") }
            }
            _ => return None,
        })
    }
}

/// The section as a response repeats it.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        let numbers: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))?;
        if !numbers.is_empty() && self.which != Which::All {
            f.write_str(".")?;
        }
        match &self.which {
            Which::All => {}
            Which::Header => f.write_str("HEADER")?,
            Which::Text => f.write_str("TEXT")?,
            Which::Mime => f.write_str("MIME")?,
            Which::Fields { names, others } => {
                let not = if *others { ".NOT" } else { "" };
                let names: Vec<String> = names.iter().map(|name| word(name)).collect();
                write!(f, "HEADER.FIELDS{not} ({})", names.join(" "))?;
            }
        }
        f.write_str("]")
    }
}

// === impl Partial ===

impl Partial {
    /// "<" number "." nz-number ">"
    pub(super) fn parse(words: &mut Words<'_>) -> Option<Self> {
        words.byte(b'<')?;
        let first = words.number()?;
        words.byte(b'.')?;
        let count = words.number().filter(|&count| count > 0)?;
        words.byte(b'>')?;
        Some(Self { first, count })
    }

    /// That much of `octets`.
    pub(super) fn of(self, octets: &[u8]) -> &[u8] {
        let limit = |number: u32| usize::try_from(number).unwrap_or(usize::MAX).min(octets.len());
        let first = limit(self.first);
        &octets[first..first.saturating_add(limit(self.count)).min(octets.len())]
    }
}

/// The numbered part (RFC 3501 section 6.4.5): a multipart counts its parts, a message those of what is in
/// it, and anything else has one part, which is itself.
fn inside(part: &Part, number: u32) -> Option<&Part> {
    let part = match &part.content {
        Content::Message(inner) => &**inner,
        Content::Parts(_) | Content::Opaque => part,
    };
    match &part.content {
        Content::Parts(parts) => parts.get(usize::try_from(number).ok()?.checked_sub(1)?),
        Content::Message(_) | Content::Opaque => (number == 1).then_some(part),
    }
}

/// A field's name as an atom where it is one, else quoted; line ends and quotes in it are left out.
fn word(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let inner: String =
        name.chars().filter(|&char| matches!(char, ' '..='~') && char != '"' && char != '\\').collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    const MESSAGE: &str = "From: a\r\nSubject: s\r\n folded\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: inner\r\n\r\ntwo\r\n--b--\r\n";

    fn cut(spec: &str) -> Option<String> {
        let mut words = Words::new(spec.as_bytes());
        let section = Section::parse(&mut words).filter(|_| words.is_at_end())?;
        assert_eq!(section.to_string(), spec);
        let found = section.cut(MESSAGE.as_bytes(), &mime::parse(MESSAGE.as_bytes()));
        Some(found.map_or_else(|| "NIL".to_owned(), |octets| String::from_utf8(octets.into_owned()).unwrap()))
    }

    #[test]
    fn sections() {
        for (spec, expected) in [
            ("[]", Some(MESSAGE)),
            ("[HEADER.FIELDS (SUBJECT X)]", Some("Subject: s\r\n folded\r\n\r\n")),
            ("[HEADER.FIELDS.NOT (subject content-type)]", Some("From: a\r\n\r\n")),
            ("[HEADER.FIELDS (\"odd name\")]", Some("\r\n")),
            ("[1]", Some("one")),
            ("[1.MIME]", Some("Content-Type: text/plain\r\n\r\n")),
            ("[1.1]", Some("one")),
            ("[1.HEADER]", Some("NIL")),
            ("[2]", Some("Subject: inner\r\n\r\ntwo")),
            ("[2.HEADER]", Some("Subject: inner\r\n\r\n")),
            ("[2.TEXT]", Some("two")),
            ("[2.1]", Some("two")),
            ("[2.MIME]", Some("Content-Type: message/rfc822\r\n\r\n")),
            ("[2.2]", Some("NIL")),
            ("[3]", Some("NIL")),
            ("[MIME]", None),
            ("[0]", None),
            ("[1.]", None),
            ("[1.2", None),
            ("[NONSENSE]", None),
            ("[HEADER.FIELDS ()]", None),
            ("[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1]", None),
        ] {
            assert_eq!(cut(spec).as_deref(), expected, "{spec}");
        }
        assert_eq!(cut("[TEXT]").unwrap(), MESSAGE.split_once("\r\n\r\n").unwrap().1);
        assert!(cut("[HEADER]").unwrap().ends_with("boundary=b\r\n\r\n"));
    }

    #[test]
    fn partials() {
        for (spec, expected) in [
            ("<0.2>", Some("ab")),
            ("<1.100>", Some("bcd")),
            ("<4.1>", Some("")),
            ("<4294967295.4294967295>", Some("")),
            ("<0.0>", None),
            ("<0>", None),
            ("<0.1", None),
        ] {
            let partial = Partial::parse(&mut Words::new(spec.as_bytes()));
            let cut = partial.map(|partial| partial.of(b"abcd"));
            assert_eq!(cut, expected.map(str::as_bytes), "{spec}");
        }
    }
}
