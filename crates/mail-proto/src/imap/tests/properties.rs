//! What holds for any bytes of a peer.

use super::*;

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and never more than the inbox holds.
    #[test]
    fn any_input_is_handled(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"a LOGIN ".to_vec()),
                Just(b"a AUTHENTICATE PLAIN ".to_vec()),
                Just(b"{5}\r\n".to_vec()),
                Just(b"* OK [CAPABILITY ".to_vec()),
                Just(b"P1 OK ".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
            ],
            0..30,
        ),
        starttls in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::new(opening(Channel::Upgradable));
        let mut replay = Replay::new(ReplayContext { starttls, forward: None, client_info: ClientInfo::default(), hostname: String::new() });
        let mut inboxes = [Inbox::new(4096), Inbox::new(4096)];
        for piece in input {
            inboxes[0].receive(&piece);
            inboxes[1].receive(&piece);
            for _ in 0..100 {
                if matches!(dialogue.feed(&mut inboxes[0]), Step::NeedMore | Step::Close(_)) { break; }
            }
            for _ in 0..100 {
                if matches!(replay.feed(&mut inboxes[1]), Step::NeedMore | Step::Event(_)) { break; }
            }
        }
    }
}
