//! FETCH: which items are asked for, and how a message answers (RFC 3501 sections 6.4.5, 7.4.2).

use std::cell::OnceCell;

use super::section::{Partial, Section};
use super::structure::{body, envelope};
use super::text::{push, push_literal};
use super::words::Words;
use crate::date;
use crate::mime::{self, Part};
use crate::store::Message;

/// One item of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Flags,
    Uid,
    Envelope,
    Body,
    BodyStructure,
    Size,
    InternalDate,
    Section {
        /// As the response calls it: `BODY[HEADER]`, `RFC822.HEADER`.
        label: String,
        section: Section,
        /// Reading it does not set `\Seen`.
        peek: bool,
        partial: Option<Partial>,
    },
}

/// Items of one command: each may repeat a whole message in the response.
const MAX_ITEMS: usize = 16;

/// fetch-att, a macro, or a list of fetch-att.
pub(super) fn items(words: &mut Words<'_>) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    if words.peek()? == b'(' {
        for item in words.list(item)? {
            if !items.contains(&item) {
                items.push(item);
            }
        }
    } else {
        let start = words.keyword()?;
        items = match start.as_str() {
            "FAST" => vec![Item::Flags, Item::InternalDate, Item::Size],
            "ALL" => vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope],
            "FULL" => vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Body],
            _ => vec![named(&start, words)?],
        };
    }
    (!items.is_empty() && items.len() <= MAX_ITEMS).then_some(items)
}

/// Whether answering these items marks a message as seen.
pub(super) fn marks_seen(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item, Item::Section { peek: false, .. }))
}

/// `* n FETCH (...)`
pub(super) fn respond(out: &mut Vec<u8>, number: u32, message: &Message, items: &[Item]) {
    let parts = OnceCell::new();
    push(out, format_args!("* {number} FETCH ("));
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        item.respond(out, message, &parts);
    }
    out.extend_from_slice(b")\r\n");
}

fn item(words: &mut Words<'_>) -> Option<Item> {
    let name = words.keyword()?;
    named(&name, words)
}

/// The item of that name, with what follows it.
fn named(name: &str, words: &mut Words<'_>) -> Option<Item> {
    let whole = |section, peek| Item::Section { label: name.to_owned(), section, peek, partial: None };
    Some(match name {
        "FLAGS" => Item::Flags,
        "UID" => Item::Uid,
        "ENVELOPE" => Item::Envelope,
        "BODYSTRUCTURE" => Item::BodyStructure,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "RFC822" => whole(Section::ALL, false),
        "RFC822.HEADER" => whole(Section::HEADER, true),
        "RFC822.TEXT" => whole(Section::TEXT, false),
        "BODY" if words.peek() != Some(b'[') => Item::Body,
        "BODY" | "BODY.PEEK" => {
            let section = Section::parse(words)?;
            let partial = if words.peek() == Some(b'<') { Some(Partial::parse(words)?) } else { None };
            let origin = partial.map_or_else(String::new, |partial| format!("<{}>", partial.first));
            let label = format!("BODY{section}{origin}");
            Item::Section { label, section, peek: name == "BODY.PEEK", partial }
        }
        _ => return None,
    })
}

// === impl Item ===

impl Item {
    fn respond(&self, out: &mut Vec<u8>, message: &Message, parts: &OnceCell<Part>) {
        let raw = &message.raw[..];
        let root = || parts.get_or_init(|| mime::parse(raw));
        match self {
            Self::Flags => push(out, format_args!("FLAGS {}", message.flags)),
            Self::Uid => push(out, format_args!("UID {}", message.uid)),
            Self::Size => push(out, format_args!("RFC822.SIZE {}", message.size())),
            Self::InternalDate => {
                push(out, format_args!("INTERNALDATE \"{}\"", date::internal(message.date)));
            }
            Self::Envelope => {
                out.extend_from_slice(b"ENVELOPE ");
                envelope(out, &raw[root().header.clone()]);
            }
            Self::Body => {
                out.extend_from_slice(b"BODY ");
                body(out, raw, root(), false);
            }
            Self::BodyStructure => {
                out.extend_from_slice(b"BODYSTRUCTURE ");
                body(out, raw, root(), true);
            }
            Self::Section { label, section, partial, .. } => {
                push(out, format_args!("{label} "));
                match section.cut(raw, root()) {
                    Some(octets) => {
                        push_literal(out, partial.map_or(&octets[..], |partial| partial.of(&octets)));
                    }
                    None => out.extend_from_slice(b"NIL"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Flags;

    fn fetched(text: &str) -> Option<String> {
        let mut words = Words::new(text.as_bytes());
        let items = items(&mut words).filter(|_| words.is_at_end())?;
        let raw = &b"Subject: s\r\n\r\nhello\r\n"[..];
        let mut message = Message::new(raw, ["\\Seen"].into_iter().collect::<Flags>(), 0);
        message.uid = 9;
        let mut out = Vec::new();
        respond(&mut out, 2, &message, &items);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn responses() {
        let fast = "FLAGS (\\Seen) INTERNALDATE \" 1-Jan-1970 00:00:00 +0000\" RFC822.SIZE 21";
        let envelope = "ENVELOPE (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL)";
        let body = "BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 7 1)";
        for (text, expected) in [
            ("FAST", fast.to_owned()),
            ("all", format!("{fast} {envelope}")),
            ("full", format!("{fast} {envelope} {body}")),
            ("(uid FLAGS UID)", "UID 9 FLAGS (\\Seen)".to_owned()),
            ("BODY[TEXT]", "BODY[TEXT] {7}\r\nhello\r\n".to_owned()),
            (
                "body.peek[header.fields (Subject)]",
                "BODY[HEADER.FIELDS (Subject)] {14}\r\nSubject: s\r\n\r\n".to_owned(),
            ),
            ("BODY[]<2.3>", "BODY[]<2> {3}\r\nbje".to_owned()),
            ("BODY[2]", "BODY[2] NIL".to_owned()),
            ("RFC822.TEXT", "RFC822.TEXT {7}\r\nhello\r\n".to_owned()),
            ("RFC822.HEADER", "RFC822.HEADER {14}\r\nSubject: s\r\n\r\n".to_owned()),
        ] {
            assert_eq!(fetched(text), Some(format!("* 2 FETCH ({expected})\r\n")), "{text}");
        }
    }

    #[test]
    fn requests_that_make_no_sense() {
        for text in
            ["", "()", "NONSENSE", "(FAST)", "BODY.PEEK", "BODY[]<0>", "(UID", "UID FLAGS", "RFC822[]"]
        {
            assert_eq!(fetched(text), None, "{text}");
        }
        let many: Vec<String> = (1..=MAX_ITEMS + 1).map(|n| format!("BODY[{n}]")).collect();
        assert_eq!(fetched(&format!("({})", many.join(" "))), None);
    }

    #[test]
    fn peeking_does_not_mark() {
        for (text, expected) in [
            ("BODY[]", true),
            ("RFC822", true),
            ("RFC822.TEXT", true),
            ("BODY.PEEK[]", false),
            ("RFC822.HEADER", false),
            ("(FLAGS BODY)", false),
        ] {
            assert_eq!(marks_seen(&items(&mut Words::new(text.as_bytes())).unwrap()), expected, "{text}");
        }
    }
}
