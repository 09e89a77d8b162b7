//! Finding a secret in what was said.

use std::sync::LazyLock;

use credentials::sasl;
use types::secret::Secret;

/// Part of the passwords in the corpus and in the dictionaries. No machine has words with it.
pub(crate) const MARK: &[u8] = b"s3cret!";

/// [`MARK`] as base64 may hold it: what is the same of it whatever stands around, in each of three positions.
static ENCODED: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    [0, 1, 2].map(|before| {
        let mut text = Secret::default();
        sasl::encode_into(&mut text, &[&vec![0; before][..], MARK].concat());
        let text = text.expose();
        // The first digits and the last hold bits of the neighbours.
        let end = (before + MARK.len()) * 8 / 6;
        text[(before * 8).div_ceil(6)..end].to_vec()
    })
});

/// Whether [`MARK`] can be read in `text`.
pub(crate) fn shows(text: &[u8]) -> bool {
    holds(text, MARK) || ENCODED.iter().any(|encoded| holds(text, encoded))
}

/// Whether `needle` stands in `text`.
pub(crate) fn holds(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

/// How often `needle` stands in `text`, in any case.
pub(crate) fn count(text: &[u8], needle: &[u8]) -> usize {
    text.windows(needle.len()).filter(|window| window.eq_ignore_ascii_case(needle)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_in_every_position() {
        for before in 0..4 {
            for after in 0..4 {
                let mut text = Secret::default();
                sasl::encode_into(&mut text, &[&vec![b'x'; before][..], MARK, &vec![b'y'; after]].concat());
                assert!(shows(text.expose()), "{before} before, {after} behind");
            }
        }
        assert!(shows(b"a s3cret! b") && !shows(b"a s3cret b") && !shows(b"czNjcmV"));
    }
}
