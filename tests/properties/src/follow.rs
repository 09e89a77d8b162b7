//! Where a bridged session may end.

use mail_proto::follow::{Follow, Position, Side, follower};
use types::protocol::Protocol;

use crate::input::Input;

const PROTOCOLS: [Protocol; 6] = [
    Protocol::Imap,
    Protocol::Pop3,
    Protocol::ManageSieve,
    Protocol::Submission,
    Protocol::Smtp,
    Protocol::Lmtp,
];

/// Checks that the pieces in which bytes arrive do not matter, nor whether bytes that need not be seen are skipped, and
/// that a session that cannot be followed stays so. Lines that begin with `<` are the backend's, without the `<`.
pub(crate) fn follow(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let protocol = PROTOCOLS[usize::from(input.choice) % PROTOCOLS.len()];
    let Some(mut whole) = follower(protocol) else { return };
    let Some(mut pieces) = follower(protocol) else { return };
    let Some(mut skipping) = follower(protocol) else { return };
    let mut sizes = input.sizes();
    let mut was_opaque = false;
    for line in input.data.split_inclusive(|&byte| byte == b'\n') {
        let (from, line) = match line.strip_prefix(b"<") {
            Some(line) => (Side::Backend, line),
            None => (Side::Client, line),
        };
        whole.see(from, line);
        let mut rest = line;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes.next(rest.len()));
            pieces.see(from, piece);
            rest = after;
        }
        see_what_must_be_seen(&mut *skipping, from, line);
        let expected = state(&*whole);
        assert_eq!(state(&*pieces), expected, "{protocol}: {}", line.escape_ascii());
        assert_eq!(state(&*skipping), expected, "{protocol}: {}", line.escape_ascii());
        assert!(!was_opaque || whole.position() == Position::Opaque, "{protocol}: it can be followed again");
        was_opaque = whole.position() == Position::Opaque;
    }
}

/// Skips what is counted. What is skipped without an end in sight (`u64::MAX`) is found again later than by looking at
/// it, so it is looked at here.
fn see_what_must_be_seen(follower: &mut dyn Follow, from: Side, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let unseen = follower.unseen(from);
        if unseen == 0 || unseen == u64::MAX {
            // One byte at a time, since what need not be seen may begin after any.
            let (byte, after) = bytes.split_at(1);
            follower.see(from, byte);
            bytes = after;
            continue;
        }
        let count = usize::try_from(unseen).unwrap_or(usize::MAX).min(bytes.len());
        follower.skip(from, count as u64);
        bytes = &bytes[count..];
    }
}

fn state(follower: &dyn Follow) -> (Position, u64, u64) {
    (follower.position(), follower.unseen(Side::Client), follower.unseen(Side::Backend))
}
