//! How the bytes of an input are taken: one for choices, three for the sizes of pieces, the rest is what is read.
//!
//! Bounds lie at tens of KiB, and fuzzers like short inputs: `SUB n c` stands for `512 n` times the byte `c`.

/// One input.
pub(crate) struct Input {
    /// Decides between the ways in which something may be asked.
    pub(crate) choice: u8,
    sizes: [u8; 3],
    /// What is read.
    pub(crate) data: Vec<u8>,
}

/// Sizes of pieces, without end.
pub(crate) struct Sizes {
    sizes: [u8; 3],
    at: usize,
}

/// ASCII's SUB.
const REPEAT: u8 = 0x1a;
/// Data that is longer is dripped faster.
const LONG: usize = 4 * 1024;
/// An input that is longer once written out is of no use to anybody.
const MAX_DATA: usize = 256 * 1024;

// === impl Input ===

impl Input {
    /// As it stands.
    pub(crate) fn plain(bytes: &[u8]) -> Option<Self> {
        let (&[choice, a, b, c], data) = bytes.split_first_chunk::<4>()?;
        Some(Self { choice, sizes: [a, b, c], data: data.to_vec() })
    }

    /// With repetitions written out.
    pub(crate) fn expanded(bytes: &[u8]) -> Option<Self> {
        let mut input = Self::plain(bytes)?;
        let mut data = Vec::with_capacity(input.data.len());
        let mut rest = &input.data[..];
        while let [first, behind @ ..] = rest {
            match behind {
                [count, byte, behind @ ..] if *first == REPEAT => {
                    data.resize(data.len() + 512 * usize::from(*count), *byte);
                    rest = behind;
                }
                _ => {
                    data.push(*first);
                    rest = behind;
                }
            }
            if data.len() > MAX_DATA {
                return None;
            }
        }
        input.data = data;
        Some(input)
    }

    /// Whether a bit of the choice is set.
    pub(crate) const fn has(&self, bit: u32) -> bool {
        self.choice >> bit & 1 == 1
    }

    /// The pieces that the input asks for.
    pub(crate) const fn sizes(&self) -> Sizes {
        Sizes { sizes: self.sizes, at: 0 }
    }
}

// === impl Sizes ===

impl Sizes {
    /// Byte by byte; long data in pieces that are small beside the bounds, since time is short.
    pub(crate) const fn dripped(data: &[u8]) -> Self {
        Self { sizes: [if data.len() > LONG { 61 } else { 1 }; 3], at: 0 }
    }

    /// Everything at once.
    pub(crate) const fn whole() -> Self {
        Self { sizes: [0; 3], at: 0 }
    }

    /// The size of the next piece of `left` bytes. Zero stands for all that is left.
    pub(crate) fn next(&mut self, left: usize) -> usize {
        let size = usize::from(self.sizes[self.at % 3]);
        self.at += 1;
        if size == 0 { left } else { size.min(left) }
    }
}
