//! Logins that are replayed at backends over IMAP.

use super::*;

// The backend's side.

fn replay(starttls: bool, forward: bool, script: &str) {
    let forward = forward.then(|| Forward {
        client: "203.0.113.7:4711".parse().expect("address"),
        local: "198.51.100.1:993".parse().expect("address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    });
    let context = || ReplayContext {
        starttls,
        forward: forward.clone(),
        client_info: ClientInfo::default(),
        hostname: "proxy".to_owned(),
    };
    play_replay(|| Box::new(Replay::new(context())), script);
}

#[test]
fn a_success_before_the_whole_credential_is_an_error() {
    for script in [
        "S: * OK [CAPABILITY AUTH=PLAIN] ready
         = READY true
         > login alice secret
         C: P1 AUTHENTICATE PLAIN
         S: P1 OK Logged in
         = BROKEN protocol",
        "S: * OK [CAPABILITY IMAP4rev1] ready
         = READY true
         > login alice se\\r\\ncret
         C: P1 LOGIN \"alice\" {8}
         S: P1 OK Logged in
         = BROKEN protocol",
        "S: * OK [CAPABILITY AUTH=LOGIN LOGINDISABLED] ready
         = READY true
         > login alice secret
         C: P1 AUTHENTICATE LOGIN
         S: + VXNlcm5hbWU6
         C: YWxpY2U=
         S: P1 OK Logged in
         = BROKEN protocol",
    ] {
        replay(false, false, script);
    }
}

#[test]
fn capabilities_from_the_greeting_or_the_command() {
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
          = READY true
          > login alice secret
          C: P1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
          S: * CAPABILITY IMAP4rev1 IDLE
          S: P1 OK Logged in
          = ACCEPTED * CAPABILITY IMAP4rev1 IDLE\r\n|OK Logged in\r\n",
    );
    replay(
        false,
        false,
        r"S: * OK ready
          C: P1 CAPABILITY
          S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
          S: P1 OK done
          = READY true
          > login alice secret
          C: P2 AUTHENTICATE PLAIN
          S: + 
          C: AGFsaWNlAHNlY3JldA==
          S: P2 NO [AUTHENTICATIONFAILED] no
          = REFUSED |NO [AUTHENTICATIONFAILED] no\r\n",
    );
}

#[test]
fn the_login_command_where_plain_is_missing() {
    replay(
        false,
        false,
        r#"S: * OK [CAPABILITY IMAP4rev1] ready
           = READY true
           > login al"ice s\\ecret
           C: P1 LOGIN "al\\"ice" "s\\\\ecret"
           S: P1 NO [UNAVAILABLE] later
           = NOT NOW |NO [UNAVAILABLE] later\r\n"#,
    );
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1] ready
          = READY true
          > login a\xff b\r\nc
          C: P1 LOGIN {2}
          S: + go
          C: a\xff {4}
          S: + go
          C: b\r\nc
          S: P1 OK [CAPABILITY X] in
          = ACCEPTED |OK [CAPABILITY X] in\r\n",
    );
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready
          = READY true
          > login alice secret
          C: BROKEN no_mechanism",
    );
}

#[test]
fn what_a_backend_says_beside_a_refusal_is_the_clients() {
    let login = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x
        = READY true
        > PLAIN x
        C: P1 AUTHENTICATE PLAIN eA==\n";
    for (answer, event) in [
        (
            "S: * NO [ALERT] Quota\nS: * CAPABILITY IMAP4rev1\nS: * OK [CAPABILITY X] x\nS: P1 NO no",
            "REFUSED * NO [ALERT] Quota\\r\\n|NO no\\r\\n",
        ),
        ("S: * BYE [ALERT] Account locked", "REFUSED |NO [ALERT] Account locked\\r\\n"),
        ("S: * NO [ALERT] Locked\nS: * BYE Goodbye", "REFUSED |NO [ALERT] Locked\\r\\n"),
        ("S: * BYE [UNAVAILABLE] Restarting", "NOT NOW |NO [UNAVAILABLE] Restarting\\r\\n"),
        ("S: * BYE Restarting", "NOT NOW |NO [UNAVAILABLE] Restarting\\r\\n"),
    ] {
        replay(false, false, &format!("{login}{answer}\n= {event}"));
    }
}

#[test]
fn a_backend_that_announces_nothing_with_its_ok_is_asked() {
    let login = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x
        = READY true
        > PLAIN x
        C: P1 AUTHENTICATE PLAIN eA==\n";
    for (answer, event) in [
        (
            "S: P1 OK in\nC: P2 CAPABILITY\nS: * CAPABILITY IMAP4rev1 IDLE\nS: P2 OK done",
            "ACCEPTED * CAPABILITY IMAP4rev1 IDLE\\r\\n|OK in\\r\\n",
        ),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: P2 BAD what?", "ACCEPTED |OK in\\r\\n"),
        ("S: * CAPABILITY IMAP4rev1\nS: P1 OK in", "ACCEPTED * CAPABILITY IMAP4rev1\\r\\n|OK in\\r\\n"),
        ("S: P1 OK [CAPABILITY IMAP4rev1] in", "ACCEPTED |OK [CAPABILITY IMAP4rev1] in\\r\\n"),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: * BYE", "BROKEN closed"),
        ("S: P1 OK in\nC: P2 CAPABILITY\nS: + what", "BROKEN protocol"),
    ] {
        replay(false, false, &format!("{login}{answer}\n= {event}"));
    }
}

#[test]
fn starttls_and_id() {
    replay(
        true,
        true,
        r#"S: * OK [CAPABILITY IMAP4rev1 STARTTLS ID AUTH=PLAIN] ready
           C: P1 STARTTLS
           S: P1 OK go
           TLS
           C: P2 CAPABILITY
           S: * CAPABILITY IMAP4rev1 ID AUTH=PLAIN
           S: P2 OK done
           C: P3 ID ("x-originating-ip" "203.0.113.7" "x-originating-port" "4711" "x-connected-ip" "198.51.100.1" "x-connected-port" "993" "x-proxy-ttl" "6" "x-session-id" "abcdefgh23456723" "x-client-transport" "TLS")
           S: * ID ("name" "Dovecot")
           S: P3 OK ID completed
           = READY true"#,
    );
    replay(false, true, "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\n= READY false");
}

#[test]
fn faults() {
    for (starttls, script) in [
        (false, "S: 220 mail ESMTP\n= BROKEN greeting"),
        (false, "S: +OK pop\n= BROKEN greeting"),
        (false, "S: * BYE busy\n= BROKEN greeting"),
        (false, "S: * PREAUTH hello\n= BROKEN preauth"),
        (true, "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\n= BROKEN no_starttls"),
        (true, "S: * OK [CAPABILITY STARTTLS] x\nC: P1 STARTTLS\nS: P1 NO\n= BROKEN no_starttls"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: P1 OK none\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: P2 OK none\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: + what\n= BROKEN protocol"),
        (false, "S: * OK x\nC: P1 CAPABILITY\nS: * BYE\n= BROKEN closed"),
        (
            false,
            "S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] x\n= READY true\n> PLAIN x\nC: P1 AUTHENTICATE PLAIN eA==\nS: + \n= BROKEN protocol",
        ),
    ] {
        replay(starttls, false, script);
    }
    let endless = "S: * 1 EXISTS\n".repeat(101);
    replay(false, false, &format!("S: * OK x\nC: P1 CAPABILITY\n{endless}= BROKEN protocol"));
}

#[test]
fn a_mechanism_that_the_backend_lacks() {
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
          = READY true
          > XOAUTH2 x
          C: MECHANISM UNAVAILABLE",
    );
}

#[test]
fn a_cancelled_token_gets_the_backends_refusal() {
    replay(
        false,
        false,
        r"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] ready
          = READY true
          > OAUTHBEARER x
          C: P1 AUTHENTICATE OAUTHBEARER eA==
          S: + e30=
          = CHALLENGE {}
          > cancel
          C: *
          S: P1 NO no
          = REFUSED |NO no\r\n",
    );
}
