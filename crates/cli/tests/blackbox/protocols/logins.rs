//! Logins that are refused and tried again, and commands pipelined after them.

use super::{ALICE, ALL, BOB};
use crate::support::{Options, Proxy};

#[test]
fn a_second_login_goes_where_its_account_is() {
    for protocol in ALL {
        let old = protocol.refusing();
        let new = protocol.friendly();
        let proxy = Proxy::start(old.address, new.address, &protocol.options());
        proxy.client().plays(&format!(
            "{}\nC: {}\nS: {}\n{}\nC: {}\nS: {}\nC: NOOP\nS: * NOOP",
            protocol.hello,
            protocol.login(ALICE),
            protocol.no,
            protocol.noop,
            protocol.login(BOB),
            protocol.yes
        ));
        // Each server received its own account's login and no other.
        let heard = |backend: &crate::support::Backend, count: usize| -> Vec<String> {
            (0..count).map(|_| backend.saw()).collect()
        };
        let commands = protocol.backend.matches("C: ").count() + protocol.asked.matches("C: ").count();
        let of_old = heard(&old, commands + 1);
        let of_new = heard(&new, commands + 1);
        assert!(of_old[commands - 1].contains(ALICE), "{of_old:?}");
        assert_eq!(of_old[commands], "gone", "nothing of a failed login is left there");
        assert!(of_new[commands - 1].contains(BOB), "{of_new:?}");
        assert_eq!(of_new[commands], "NOOP");
    }
}

#[test]
fn commands_pipelined_after_a_login_reach_the_backend_once_and_in_order() {
    for protocol in ALL {
        let (proxy, old, _new) = protocol.proxy(&protocol.options());
        let mut client = proxy.client();
        client.plays(protocol.hello);
        client.send(format!("{}\r\nFIRST\r\nSECOND\r\n", protocol.login(ALICE)).as_bytes());
        client.plays(&format!("S: {}\nS: * FIRST\nS: * SECOND", protocol.yes));
        let heard: Vec<String> =
            std::iter::from_fn(|| Some(old.saw())).take_while(|line| line != "SECOND").collect();
        assert_eq!(heard.iter().filter(|line| *line == "FIRST").count(), 1, "{heard:?}");
        assert_eq!(heard.last().map(String::as_str), Some("FIRST"));
    }
}

#[test]
fn the_backends_reply_can_be_hidden() {
    for protocol in ALL {
        let old = protocol.refusing();
        let options = Options { destination: "hide_auth_errors = true", ..protocol.options() };
        let proxy = Proxy::start(old.address, old.address, &options);
        let mut client = proxy.client();
        client.plays(&format!("{}\nC: {}", protocol.hello, protocol.login(ALICE)));
        let said = client.line();
        assert!(said.starts_with(protocol.refused) && said.contains("Authentication failed"), "{said}");
    }
}
