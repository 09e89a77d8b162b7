//! SEARCH: which messages are meant (RFC 3501 section 6.4.4).
//!
//! Text is looked for in the message as it is transferred, without decoding: enough for a demo, and what a
//! client's search field is tried on.

use memchr::memmem;

use super::set::SequenceSet;
use super::words::Words;
use crate::date::{self, Day};
use crate::mime::header;
use crate::store::{Flags, Message};

/// What a message has to be like.
#[derive(Debug)]
pub(super) enum Key {
    /// ALL, and a list of keys.
    All(Vec<Self>),
    Flag(String),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    Numbers(SequenceSet),
    Uids(SequenceSet),
    Larger(u32),
    Smaller(u32),
    Day {
        /// The Date field's, not that of arrival.
        sent: bool,
        order: Order,
        day: Day,
    },
    Field {
        name: String,
        needle: Vec<u8>,
    },
    Body(Vec<u8>),
    Text(Vec<u8>),
}

/// How a day is compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Before,
    On,
    Since,
}

/// A message where it lies.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) message: &'a Message,
    pub(super) number: u32,
    pub(super) last_number: u32,
    pub(super) last_uid: u32,
}

/// Keys of one command, those in other keys included.
const MAX_KEYS: usize = 32;

/// search = ["CHARSET" SP astring SP] search-key *(SP search-key)
pub(super) fn parse(words: &mut Words<'_>) -> Option<Key> {
    Parser { words, keys_left: MAX_KEYS }.program()
}

/// Recursion is bounded by `keys_left`: every level takes a key.
struct Parser<'a, 'w> {
    words: &'w mut Words<'a>,
    keys_left: usize,
}

// === impl Parser ===

impl Parser<'_, '_> {
    fn program(&mut self) -> Option<Key> {
        let mut keys = Vec::new();
        loop {
            let is_first = keys.is_empty();
            if is_first && self.words.peek()?.eq_ignore_ascii_case(&b'C') {
                keys.extend(self.charset_or_key()?);
            } else {
                keys.push(self.key()?);
            }
            if self.words.is_at_end() {
                return Some(Key::All(keys));
            }
            self.words.space()?;
        }
    }

    /// CHARSET says nothing that is not so: bytes are compared.
    fn charset_or_key(&mut self) -> Option<Option<Key>> {
        let name = self.words.keyword()?;
        if name != "CHARSET" {
            self.keys_left -= 1;
            return self.named(&name).map(Some);
        }
        self.words.space()?;
        let charset = self.words.name()?.to_ascii_uppercase();
        matches!(charset.as_str(), "UTF-8" | "US-ASCII").then_some(None)
    }

    fn key(&mut self) -> Option<Key> {
        self.keys_left = self.keys_left.checked_sub(1)?;
        match self.words.peek()? {
            b'(' => self.list(),
            b'*' | b'0'..=b'9' => SequenceSet::parse(self.words).map(Key::Numbers),
            _ => {
                let name = self.words.keyword()?;
                self.named(&name)
            }
        }
    }

    fn list(&mut self) -> Option<Key> {
        self.words.byte(b'(')?;
        let mut keys = vec![self.key()?];
        while self.words.byte(b')').is_none() {
            self.words.space()?;
            keys.push(self.key()?);
        }
        Some(Key::All(keys))
    }

    fn named(&mut self, name: &str) -> Option<Key> {
        let flag = |flag: &str| Key::Flag(flag.to_owned());
        let not = |key| Key::Not(Box::new(key));
        Some(match name {
            "ALL" | "OLD" => Key::All(Vec::new()),
            // Nothing is recent here.
            "NEW" | "RECENT" => not(Key::All(Vec::new())),
            "ANSWERED" => flag(Flags::ANSWERED),
            "DELETED" => flag(Flags::DELETED),
            "DRAFT" => flag(Flags::DRAFT),
            "FLAGGED" => flag(Flags::FLAGGED),
            "SEEN" => flag(Flags::SEEN),
            "UNANSWERED" => not(flag(Flags::ANSWERED)),
            "UNDELETED" => not(flag(Flags::DELETED)),
            "UNDRAFT" => not(flag(Flags::DRAFT)),
            "UNFLAGGED" => not(flag(Flags::FLAGGED)),
            "UNSEEN" => not(flag(Flags::SEEN)),
            _ => {
                self.words.space()?;
                self.with_argument(name)?
            }
        })
    }

    fn with_argument(&mut self, name: &str) -> Option<Key> {
        Some(match name {
            "NOT" => Key::Not(Box::new(self.key()?)),
            "OR" => {
                let first = self.key()?;
                self.words.space()?;
                Key::Or(Box::new(first), Box::new(self.key()?))
            }
            "UID" => Key::Uids(SequenceSet::parse(self.words)?),
            "KEYWORD" => Key::Flag(self.words.flag()?),
            "UNKEYWORD" => Key::Not(Box::new(Key::Flag(self.words.flag()?))),
            "LARGER" => Key::Larger(self.words.number()?),
            "SMALLER" => Key::Smaller(self.words.number()?),
            "BEFORE" | "SENTBEFORE" => self.day(name, Order::Before)?,
            "ON" | "SENTON" => self.day(name, Order::On)?,
            "SINCE" | "SENTSINCE" => self.day(name, Order::Since)?,
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
                Key::Field { name: name.to_owned(), needle: self.needle()? }
            }
            "HEADER" => {
                let name = self.words.name()?;
                self.words.space()?;
                Key::Field { name, needle: self.needle()? }
            }
            "BODY" => Key::Body(self.needle()?),
            "TEXT" => Key::Text(self.needle()?),
            _ => return None,
        })
    }

    fn day(&mut self, name: &str, order: Order) -> Option<Key> {
        let day = date::parse_day(&self.words.name()?)?;
        Some(Key::Day { sent: name.starts_with("SENT"), order, day })
    }

    fn needle(&mut self) -> Option<Vec<u8>> {
        self.words.astring().map(|text| text.to_ascii_lowercase())
    }
}

// === impl Key ===

impl Key {
    /// Whether the message is like that.
    pub(super) fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let message = candidate.message;
        let size = u32::try_from(message.size()).unwrap_or(u32::MAX);
        let split = || message.raw.split_at(header::length(&message.raw));
        match self {
            Self::All(keys) => keys.iter().all(|key| key.matches(candidate)),
            Self::Flag(flag) => message.flags.contains(flag),
            Self::Not(key) => !key.matches(candidate),
            Self::Or(first, second) => first.matches(candidate) || second.matches(candidate),
            Self::Numbers(set) => set.contains(candidate.number, candidate.last_number),
            Self::Uids(set) => set.contains(message.uid, candidate.last_uid),
            Self::Larger(than) => size > *than,
            Self::Smaller(than) => size < *than,
            Self::Day { sent: false, order, day } => order.holds(date::day_of(message.date), *day),
            Self::Day { sent: true, order, day } => {
                let field = header::find(split().0, "Date").unwrap_or_default();
                let sent = std::str::from_utf8(&field).ok().and_then(date::parse_header_day);
                sent.is_some_and(|sent| order.holds(sent, *day))
            }
            Self::Field { name, needle } => header::fields(split().0)
                .filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
                .any(|field| contains(&header::unfold(field.value), needle)),
            Self::Body(needle) => contains(split().1, needle),
            Self::Text(needle) => contains(&message.raw, needle),
        }
    }
}

// === impl Order ===

impl Order {
    fn holds(self, found: Day, day: Day) -> bool {
        match self {
            Self::Before => found < day,
            Self::On => found == day,
            Self::Since => found >= day,
        }
    }
}

/// Without regard to the case of ASCII letters; `needle` is in lower case.
fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(&text.to_ascii_lowercase(), needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<bool> {
        let mut words = Words::new(text.as_bytes());
        let key = parse(&mut words)?;
        let raw =
            &b"Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nSubject: A fine\r\n day\r\nX-Y: z\r\n\r\nHello\r\n"[..];
        let mut message = Message::new(raw, ["\\Seen", "$x"].into_iter().collect::<Flags>(), 86_400);
        message.uid = 10;
        Some(key.matches(&Candidate { message: &message, number: 2, last_number: 3, last_uid: 12 }))
    }

    #[test]
    fn keys() {
        for (text, expected) in [
            ("ALL", true),
            ("SEEN", true),
            ("unseen", false),
            ("RECENT", false),
            ("OLD", true),
            ("KEYWORD $X", true),
            ("UNKEYWORD $x", false),
            ("CC x", false),
            ("2:3", true),
            ("*", false),
            ("UID 9:10", true),
            ("UID *", false),
            ("LARGER 10 SMALLER 1000", true),
            ("SMALLER 10", false),
            ("ON 2-Jan-1970", true),
            ("BEFORE 2-Jan-1970", false),
            ("SINCE \"1-Jan-1970\"", true),
            ("SENTON 17-Jul-1996", true),
            ("SENTSINCE 18-Jul-1996", false),
            ("SUBJECT \"fine day\"", true),
            ("CHARSET utf-8 SUBJECT {4}\r\nFINE", true),
            ("HEADER X-Y \"\"", true),
            ("HEADER X-Z \"\"", false),
            ("BODY hello", true),
            ("BODY fine", false),
            ("TEXT fine", true),
            ("NOT (SEEN BODY hello)", false),
            ("OR UNSEEN (SEEN FLAGGED)", false),
            ("OR UNSEEN SEEN", true),
        ] {
            assert_eq!(found(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn keys_that_make_no_sense_or_are_too_many() {
        for text in [
            "",
            "NONSENSE",
            "NOT",
            "OR SEEN",
            "(SEEN",
            "()",
            "CHARSET latin1 ALL",
            "ON 31-Feb-1970",
            "SEEN  ALL",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(found(&format!("{}SEEN", "NOT ".repeat(MAX_KEYS - 1))), Some(false));
        assert_eq!(found(&format!("{}SEEN", "NOT ".repeat(MAX_KEYS))), None);
        assert_eq!(found(&"(".repeat(10_000)), None);
    }
}
