//! CRC-32C (RFC 9260 appendix A). Few proxies send one, so the code is small rather than fast.

/// Returns the checksum of `parts`, concatenated.
pub(super) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in parts.iter().copied().flatten() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = shift(crc);
        }
    }
    !crc
}

/// Divides by the polynomial 0x1EDC6F41 (bits reversed) for one bit.
const fn shift(crc: u32) -> u32 {
    if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // RFC 3720 appendix B.4, and the check value of CRC-32C.
        for (bytes, expected) in
            [(&b""[..], 0), (b"123456789", 0xe306_9283), (&[0; 32], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43)]
        {
            assert_eq!(crc32c(&[bytes]), expected);
            let (front, back) = bytes.split_at(bytes.len() / 2);
            assert_eq!(crc32c(&[front, back]), expected);
        }
    }
}
