//! Wiping the buffers of heads, which contain credentials.

/// Overwrites `bytes` with zeros, which the compiler does not leave out. `Zeroize` writes them one by one; the heads of
/// every request are wiped several times.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left() {
        let mut bytes = *b"secret";
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 6]);
    }
}
