use std::net::IpAddr;
use std::sync::Arc;

use sessions::Limits;
use types::protocol::Protocol;

use super::*;

#[test]
fn any_integer_is_a_delay() {
    for (text, seconds) in [
        ("0", 0),
        ("5", 5),
        ("+5", 5),
        ("0005", 5),
        ("119", 119),
        ("120", 120),
        ("121", 120),
        ("-1", 0),
        ("-99999999999999999999999999999999", 0),
        ("18446744073709551615", 120),
        ("18446744073709551616", 120),
        ("340282366920938463463374607431768211456999", 120),
    ] {
        assert_eq!(clamped(text).expect(text), seconds, "{text}");
    }
    for text in ["", "-", "+", "5s", "1.5", "0x5", "٥", " 5", "--5"] {
        assert_eq!(clamped(text).expect_err(text).status(), 400, "{text}");
    }
    assert_eq!(sessions::MAX_DELAY.as_secs(), MAX_DELAY_SECONDS, "the registry clamps too");
}

#[test]
fn pages_are_in_order_and_complete() {
    let (registry, _control) = Registry::new(Limits::default());
    let client = IpAddr::from([192, 0, 2, 1]);
    let tickets: Vec<_> = (0..250)
        .map(|n| {
            let login = registry.begin(&format!("user{n}"), Protocol::Imap, client).expect("room");
            login.confirm(Arc::from(if n % 2 == 0 { "old" } else { "new" })).expect("nothing has changed")
        })
        .collect();
    let mut from = 0;
    let mut seen = Vec::new();
    loop {
        let page = page(&registry, from, 40, |info| &*info.destination == "new");
        assert!(page.connections.len() <= 40);
        seen.extend(page.connections.into_iter().map(|connection| connection.id));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let expected: Vec<u64> = tickets.iter().skip(1).step_by(2).map(sessions::SessionTicket::id).collect();
    assert_eq!(seen, expected);
}
