//! CRC-32C (RFC 4960 appendix B), for the rare front that sends one: small, not fast.

/// The checksum of `parts`, one behind the other.
pub(super) fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| shifted(crc)))
}

/// One bit further: divided by the polynomial 0x1EDC6F41, bits reversed.
const fn shifted(crc: u32) -> u32 {
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
