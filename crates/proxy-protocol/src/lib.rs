//! The PROXY protocol, versions 1 and 2: how a proxy in front of us reports whose connection it forwards.
//!
//! Section numbers are those of HAProxy's `doc/proxy-protocol.txt` (2020/03/05). What must never happen: a byte after
//! the header is read as part of it; an address is made up; a length that a client chose makes us wait for or hold more
//! than [`MAX_HEADER`] bytes.
//!
//! | module | subject |
//! |---|---|
//! | `header` | [`Header`]: what a header reports |
//! | `v1`, `v2` | reading the two versions |
//! | `build` | [`build_v2`]: writing a header |
//! | `checksum` | CRC32c of version 2 |

mod build;
mod checksum;
mod header;
mod v1;
mod v2;

pub use build::{MAX_OUTGOING, Outgoing, SslInfo, build_local, build_v2};
pub use header::{Header, MAX_HEADER, MAX_V1, MAX_V2_LENGTH, Parsed, Ssl, Tlvs};

/// Looks for a header at the start of `bytes`, which may hold more than the header.
pub fn parse(bytes: &[u8]) -> Parsed {
    if v2::begins(bytes) {
        v2::parse(bytes)
    } else if v1::begins(bytes) {
        v1::parse(bytes)
    } else {
        Parsed::NotProxy
    }
}

#[cfg(test)]
mod tests;
