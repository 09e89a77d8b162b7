//! Untrusted text, made fit for one line of a log.
//!
//! A stranger who may put a line break into the log writes lines of his own there; one who may put a quote
//! leaves his field; one who may put a terminal's control sequence or a change of direction deceives whoever
//! reads it. [`Escaped`] lets none of that through, and never more than [`LONGEST`] bytes.

use std::fmt::{self, Write as _};

/// Most bytes that [`Escaped`] prints, the mark of a cut included. A mailbox name has at most 64 + 1 + 255
/// octets (RFC 5321, section 4.5.3.1).
pub const LONGEST: usize = 320;

/// Stands where text was cut.
const CUT: char = '…';

/// Prints a stranger's bytes: quotes and backslashes behind a backslash, control and format characters as
/// `\n`, `\r`, `\t` or `\u{…}`, bytes that are not UTF-8 as `\x…`; at most [`LONGEST`] bytes in all.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

/// Prints whole pieces for as long as they fit.
struct Bounded<'f, 'b> {
    to: &'f mut fmt::Formatter<'b>,
    left: usize,
}

// === impl Escaped ===

impl<'a> Escaped<'a> {
    /// The same text where it needs no change at all.
    pub(crate) fn as_it_is(self) -> Option<&'a str> {
        let text = str::from_utf8(self.0).ok().filter(|text| text.len() <= LONGEST)?;
        text.chars().all(prints_as_it_is).then_some(text)
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.as_it_is() {
            return f.write_str(text);
        }
        let mut bounded = Bounded { to: f, left: LONGEST };
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if !bounded.character(character)? {
                    return Ok(());
                }
            }
            for byte in chunk.invalid() {
                let escaped = byte.escape_ascii();
                if !bounded.piece(&escaped, escaped.len())? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

// === impl Bounded ===

impl Bounded<'_, '_> {
    fn character(&mut self, character: char) -> Result<bool, fmt::Error> {
        if prints_as_it_is(character) {
            return self.piece(&character, character.len_utf8());
        }
        let escaped = character.escape_default();
        self.piece(&escaped, escaped.len())
    }

    /// Whether there may be more. A piece goes in while room for the mark of a cut is left behind it, so text
    /// that would just fit is cut a little early: it is longer than any address.
    fn piece(&mut self, piece: &impl fmt::Display, length: usize) -> Result<bool, fmt::Error> {
        if length + CUT.len_utf8() > self.left {
            self.to.write_char(CUT)?;
            return Ok(false);
        }
        self.left -= length;
        write!(self.to, "{piece}")?;
        Ok(true)
    }
}

/// Neither a quote, nor a control character, nor one that is invisible or changes how its neighbours look.
fn prints_as_it_is(character: char) -> bool {
    !matches!(character,
        '"' | '\\' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        && !character.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_prints_escaped() {
        for (bytes, expected) in [
            (&b"alice@example.com"[..], "alice@example.com"),
            (b"", ""),
            ("jos\u{e9}@\u{4f8b}.jp".as_bytes(), "jos\u{e9}@\u{4f8b}.jp"),
            (b"a\" reason=\"x", r#"a\" reason=\"x"#),
            (br"a\b", r"a\\b"),
            (b"a\r\nb\tc", r"a\r\nb\tc"),
            (b"\x00\x1b[31m\x7f", r"\u{0}\u{1b}[31m\u{7f}"),
            (b"caf\xe9", r"caf\xe9"),
            (b"\xff\xfe", r"\xff\xfe"),
            (b"\xe2\x82", r"\xe2\x82"),
            ("\u{85}\u{2028}\u{202e}\u{2066}\u{feff}".as_bytes(), r"\u{85}\u{2028}\u{202e}\u{2066}\u{feff}"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), expected);
        }
    }

    #[test]
    fn long_text_is_cut_at_the_bound() {
        let fits = [b'a'; LONGEST];
        assert_eq!(Escaped(&fits).to_string().as_bytes(), fits);
        for bytes in
            [vec![b'a'; LONGEST + 1], vec![b'\n'; 4000], vec![0xff; 4000], "\u{e9}".repeat(400).into()]
        {
            let printed = Escaped(&bytes).to_string();
            assert!(printed.len() <= LONGEST && printed.len() > LONGEST - 8, "{}", printed.len());
            assert!(printed.ends_with(CUT));
        }
    }

    proptest! {
        #[test]
        fn never_leaves_its_field(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let printed = Escaped(&bytes).to_string();
            prop_assert!(printed.len() <= LONGEST);
            prop_assert!(!printed.chars().any(char::is_control));
            // Every quote stands behind an odd number of backslashes.
            let mut escaping = false;
            for character in printed.chars() {
                prop_assert!(character != '"' || escaping);
                escaping = character == '\\' && !escaping;
            }
        }
    }
}
