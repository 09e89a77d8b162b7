//! What holds for any bytes of a peer.

use super::*;

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and neither side ever waits with a full inbox.
    #[test]
    fn any_input_is_handled(
        input in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,20}".prop_map(String::into_bytes),
                Just(b"\r\n".to_vec()),
                Just(b"AUTHENTICATE \"PLAIN\" ".to_vec()),
                Just(b"AUTHENTICATE \"LOGIN\"\r\n".to_vec()),
                Just(b"NOOP \"".to_vec()),
                Just(b"XCLIENT ADDR=".to_vec()),
                Just(b"{5+}\r\n".to_vec()),
                Just(b"\"SASL\" \"PLAIN LOGIN\"\r\n\"XCLIENT\"\r\nOK\r\n".to_vec()),
                Just(b"OK (TAG \"xclient-taken\")\r\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
                Just(vec![b'x'; 300]),
            ],
            0..30,
        ),
        starttls in any::<bool>(),
        peer_is_trusted in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::new(DialogueContext { peer_is_trusted, ..opening(Channel::Encrypted) });
        let mut replay = Replay::new(context(starttls, true));
        let mut inboxes = [Inbox::new(256), Inbox::new(256)];
        for piece in input {
            inboxes[0].receive(&piece);
            inboxes[1].receive(&piece);
            let mut last = dialogue.feed(&mut inboxes[0]);
            while let Step::Write(_) = last {
                last = dialogue.feed(&mut inboxes[0]);
            }
            match last {
                Step::NeedMore => prop_assert!(!inboxes[0].is_full()),
                Step::Event(_) => {
                    let _ = dialogue.answer(Verdict::Refused(None));
                }
                _ => {}
            }
            for _ in 0..100 {
                match replay.feed(&mut inboxes[1]) {
                    Step::Event(BackendEvent::Ready { .. }) => {
                        let _ = replay.authenticate(&password("a", "b"));
                    }
                    Step::StartTls(_) => { replay.secured(); }
                    Step::Write(_) => {}
                    _ => break,
                }
            }
        }
    }
}
