//! The replies to clients, byte for byte: wrong order, unknown commands, lines that are too long.

use super::{MANAGESIEVE, POP3, Protocol, SUBMISSION};

/// Plays each script on a connection of its own; none may reach a backend.
fn play(protocol: &Protocol, scripts: &[&str]) {
    let (proxy, old, new) = protocol.proxy(&protocol.options());
    for script in scripts {
        proxy.client().plays(script);
    }
    assert!(old.seen.try_recv().is_err() && new.seen.try_recv().is_err(), "no backend was asked");
}

#[test]
fn pop3() {
    play(
        &POP3,
        &[
            "S: +OK Server ready
             C: STAT
             S: -ERR Log in first
             C: RETR 1
             S: -ERR Log in first
             C: PASS secret
             S: -ERR No user name: send USER first
             C: APOP alice c4c9334bac560ecc979e58001b3e22fb
             S: -ERR APOP is not offered here
             C: STLS
             S: -ERR STLS is not available
             C: AUTH CRAM-MD5
             S: -ERR Unsupported authentication mechanism
             C: AUTH PLAIN not/base64=
             S: -ERR Invalid base64 in the initial response
             C: AUTH LOGIN
             S: + VXNlcm5hbWU6
             C: *
             S: -ERR Authentication cancelled
             C: USER
             S: -ERR Error in command arguments
             C| USER a\\0b\\r\\n
             S: -ERR Forbidden byte in the command
             C| USER a\\rSTAT\\r\\n
             S: -ERR Forbidden byte in the command
             C: QUIT
             S: +OK Logging out
             END",
            "S: +OK Server ready
             C: GET / HTTP/1.1
             S: -ERR This is POP3
             END",
        ],
    );
}

#[test]
fn managesieve() {
    play(
        &MANAGESIEVE,
        &[
            "S~ OK
             C: LISTSCRIPTS
             S: NO \"Log in first\"
             C: UNAUTHENTICATE
             S: NO \"Log in first\"
             C: STARTTLS
             S: NO \"STARTTLS is not available\"
             C: AUTHENTICATE \"CRAM-MD5\"
             S: NO \"Unsupported authentication mechanism\"
             C: AUTHENTICATE \"PLAIN\" \"not/base64=\"
             S: NO \"Invalid base64 in the initial response\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: \"*\"
             S: NO \"Authentication cancelled\"
             C: AUTHENTICATE PLAIN
             S: NO \"Error in command arguments\"
             C| AUTHENTICATE \"PL\\0AIN\"\\r\\n
             S: NO …
             C: NOOP \"tag\"
             S: OK (TAG \"tag\") \"Nothing done\"
             C: LOGOUT
             S: OK \"Logging out\"
             END",
            "S~ OK
             C: GET / HTTP/1.1
             S: BYE \"This is ManageSieve\"
             END",
        ],
    );
}

#[test]
fn submission() {
    play(
        &SUBMISSION,
        &[
            "S: 220 …
             C: MAIL FROM:<a@example.org>
             S: 530 5.7.0 Log in first
             C: EHLO pc
             S~ 250 
             C: RCPT TO:<b@example.org>
             S: 530 5.7.0 Log in first
             C: DATA
             S: 530 5.7.0 Log in first
             C: VRFY alice
             S: 252 2.7.0 Addresses are not verified here
             C: STARTTLS
             S: 502 5.5.1 STARTTLS is not available
             C: AUTH CRAM-MD5
             S: 504 5.5.4 Unsupported authentication mechanism
             C: AUTH PLAIN not/base64=
             S: 501 5.5.2 Invalid base64 in the initial response
             C: AUTH LOGIN
             S: 334 VXNlcm5hbWU6
             C: *
             S: 501 5.7.0 Authentication cancelled
             C: EHLO
             S: 501 5.5.4 Error in command arguments
             C| EHLO a\\0b\\r\\n
             S: 500 5.5.2 Forbidden byte in the command
             C: RSET
             S: 250 2.0.0 Nothing to reset
             C: QUIT
             S: 221 2.0.0 Goodbye
             END",
            // The bytes that follow belong to a message: none of them is read as a command.
            "S: 220 …
             C| BDAT 19 LAST\\r\\nQUIT\\r\\nQUIT\\r\\nQUIT\\r\\n
             S: 530 5.7.0 Log in first
             END",
            "S: 220 …
             C| NOOP\\n
             S: 500 5.5.2 Lines must end with CR LF
             END",
            "S: 220 …
             C: POST / HTTP/1.1
             S: 500 5.5.1 This is SMTP
             END",
        ],
    );
}

#[test]
fn ten_unknown_commands_end_the_connection() {
    for (protocol, answer, last) in [
        (&POP3, "-ERR Unknown command", "-ERR Too many unknown commands"),
        (&MANAGESIEVE, "NO \"Unknown command\"", "BYE \"Too many unknown commands\""),
        (&SUBMISSION, "500 5.5.1 Unknown command", "421 4.7.0 Too many unknown commands"),
    ] {
        let nine = format!("C: FROBNICATE\nS: {answer}\n").repeat(9);
        play(protocol, &[&format!("{}\n{nine}C: FROBNICATE\nS: {last}\nEND", protocol.hello)]);
    }
}

#[test]
fn lines_that_are_too_long_end_the_connection() {
    for (protocol, command, response) in [
        (&POP3, "-ERR Command line too long", "-ERR Response too long"),
        (&MANAGESIEVE, "BYE \"Command line or literal too long\"", "BYE \"Response too long\""),
        (&SUBMISSION, "500 5.5.2 Command line too long", "500 5.5.6 Response too long"),
    ] {
        let (proxy, old, new) = protocol.proxy(&protocol.options());
        let mut client = proxy.client();
        client.plays(protocol.hello);
        // The line never ends: the number of bytes counts.
        client.send(&[b'x'; 8 * 1024 + 1]);
        client.plays(&format!("S: {command}\nEND"));

        let mut client = proxy.client();
        client.plays(protocol.hello);
        client.send(protocol.login("").trim_end_matches(" \"\"").trim_end().as_bytes());
        client.send(b"\r\n");
        client.line();
        client.send(&[b'A'; 64 * 1024 + 1]);
        client.plays(&format!("S: {response}\nEND"));
        assert!(old.seen.try_recv().is_err() && new.seen.try_recv().is_err(), "{}", protocol.name);
    }
}

#[test]
fn a_literal_that_is_too_long_is_not_read_as_commands() {
    play(
        &MANAGESIEVE,
        &[
            "S~ OK
             C| AUTHENTICATE \"PLAIN\" {70000+}\\r\\nNOOP\\r\\nNOOP\\r\\n
             S: BYE \"Command line or literal too long\"
             END",
            "S~ OK
             C| NOOP {99999999999999999999+}\\r\\nNOOP\\r\\n
             S: BYE \"Command line or literal too long\"
             END",
        ],
    );
}
