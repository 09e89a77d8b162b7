//! Plays a session to a follower, once with whole lines and once byte by byte.
//!
//! `C:` and `S:` are lines of the client and the backend, `c:` and `s:` the same without a line end. `=` states the
//! position after them.

use types::protocol::Protocol;

use super::{Position, Side, follower};

/// Plays `script`, and panics where the position is not the stated one.
pub(super) fn play(protocol: Protocol, script: &str) {
    for is_whole in [true, false] {
        let mut follower = follower(protocol).expect("a protocol that is followed");
        for (number, line) in script.lines().enumerate() {
            let line = line.trim_start();
            let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
            let (from, end) = match kind {
                "C:" => (Side::Client, "\r\n"),
                "c:" => (Side::Client, ""),
                "S:" => (Side::Backend, "\r\n"),
                "s:" => (Side::Backend, ""),
                "=" => {
                    let position = match follower.position() {
                        Position::Boundary => "boundary",
                        Position::InCommand => "command",
                        Position::InResponse => "response",
                        Position::Opaque => "opaque",
                    };
                    assert_eq!(position, text, "line {}, whole lines: {is_whole}\n{script}", number + 1);
                    continue;
                }
                _ => panic!("line {}: {line}", number + 1),
            };
            let bytes = format!("{text}{end}").into_bytes();
            let size = if is_whole { bytes.len().max(1) } else { 1 };
            for piece in bytes.chunks(size) {
                follower.see(from, piece);
            }
        }
    }
}
