//! Sets of message numbers or unique identifiers (RFC 3501 section 9, sequence-set).

use super::words::Words;

/// `1:3,7,9:*`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SequenceSet(Vec<(Bound, Bound)>);

/// nz-number / "*"; `None` is the `*`.
type Bound = Option<u32>;

/// Ranges of one set.
const MAX_RANGES: usize = 2000;

// === impl SequenceSet ===

impl SequenceSet {
    /// sequence-set = (seq-number / seq-range) *("," (seq-number / seq-range))
    pub(super) fn parse(words: &mut Words<'_>) -> Option<Self> {
        let mut ranges = Vec::new();
        loop {
            let first = bound(words)?;
            let second = if words.byte(b':').is_some() { bound(words)? } else { first };
            ranges.push((first, second));
            if words.byte(b',').is_none() {
                return Some(Self(ranges));
            }
            if ranges.len() >= MAX_RANGES {
                return None;
            }
        }
    }

    /// Whether `number` is in it, where `last` is the largest number in use: what `*` stands for. The ends
    /// of a range may come in either order.
    pub(super) fn contains(&self, number: u32, last: u32) -> bool {
        self.0.iter().any(|&(first, second)| {
            let (first, second) = (first.unwrap_or(last), second.unwrap_or(last));
            (first.min(second)..=first.max(second)).contains(&number)
        })
    }
}

fn bound(words: &mut Words<'_>) -> Option<Bound> {
    if words.byte(b'*').is_some() {
        return Some(None);
    }
    words.number().filter(|&number| number > 0).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        for (text, last, expected) in [
            ("1", 5, &[1][..]),
            ("2:4,1", 5, &[1, 2, 3, 4]),
            ("4:2", 5, &[2, 3, 4]),
            ("*", 5, &[5]),
            ("4:*", 5, &[4, 5]),
            ("*:4", 5, &[4, 5]),
            // "9:*" holds the last message even when 9 is larger (RFC 3501 section 6.4.8).
            ("9:*", 5, &[5]),
            ("*", 0, &[]),
        ] {
            let set = SequenceSet::parse(&mut Words::new(text.as_bytes())).unwrap();
            let found: Vec<u32> = (1..=last).filter(|&number| set.contains(number, last)).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in ["", "0", "1:", ":1", "1,", "1:2:", "x", "1:x", "4294967296"] {
            let mut words = Words::new(text.as_bytes());
            let set = SequenceSet::parse(&mut words).filter(|_| words.is_at_end());
            assert_eq!(set, None, "{text}");
        }
        let many = vec!["1"; MAX_RANGES + 1].join(",");
        assert_eq!(SequenceSet::parse(&mut Words::new(many.as_bytes())), None);
    }
}
