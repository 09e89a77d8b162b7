//! POP3, ManageSieve and submission up to the bridge: one table of what all three have in common.

mod injection;
mod limits;
mod logins;
mod tampering;
mod words;
mod xclient;

use crate::support::{Backend, Options, Proxy};

/// One protocol, as the tests of this directory need it. Scripts are written as in `support`.
pub(crate) struct Protocol {
    pub(crate) name: &'static str,
    /// The dialogue from the connection to the point where the client can log in.
    pub(crate) hello: &'static str,
    /// A command that does nothing, and its reply.
    pub(crate) noop: &'static str,
    /// The command that starts a login by PLAIN; see [`Protocol::login`].
    auth: &'static str,
    /// How success, the proxy's refusal and "not now" begin.
    pub(crate) accepted: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) unavailable: &'static str,
    /// The name of the STARTTLS command.
    pub(crate) starttls: &'static str,
    /// A backend's script from its greeting to the point where it accepts a login.
    pub(crate) backend: &'static str,
    /// The backend's side of a login by PLAIN, up to its verdict.
    pub(crate) asked: &'static str,
    /// The backend's success and refusal.
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
}

/// `\0USER\0secret` in base64. Bob is on the new server.
pub(crate) const ALICE: &str = "AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==";
pub(crate) const BOB: &str = "AGJvYkBleGFtcGxlLm9yZwBzZWNyZXQ=";

pub(crate) const ALL: [&Protocol; 3] = [&POP3, &MANAGESIEVE, &SUBMISSION];

pub(crate) const POP3: Protocol = Protocol {
    name: "pop3",
    hello: "S: +OK Server ready",
    noop: "C: NOOP\nS: +OK Nothing done",
    auth: "AUTH PLAIN {}",
    accepted: "+OK",
    refused: "-ERR",
    unavailable: "-ERR [SYS/TEMP]",
    starttls: "STLS",
    backend: "S: +OK hello\nC: CAPA\nS: +OK list\nS: SASL PLAIN\nS: .",
    asked: "C: AUTH PLAIN\nS: + \nC: BASE64",
    yes: "+OK in",
    no: "-ERR [AUTH] not you",
};

pub(crate) const MANAGESIEVE: Protocol = Protocol {
    name: "managesieve",
    hello: "S~ OK",
    noop: "C: NOOP\nS: OK \"Nothing done\"",
    auth: "AUTHENTICATE \"PLAIN\" \"{}\"",
    accepted: "OK",
    refused: "NO",
    unavailable: "NO (TRYLATER)",
    starttls: "STARTTLS",
    backend: "S: \"IMPLEMENTATION\" \"old\"\nS: \"SASL\" \"PLAIN\"\nS: OK \"hello\"",
    asked: "C: AUTHENTICATE",
    yes: "OK \"in\"",
    no: "NO \"not you\"",
};

pub(crate) const SUBMISSION: Protocol = Protocol {
    name: "submission",
    hello: "S: 220 …\nC: EHLO pc.example.org\nS~ 250 ",
    noop: "C: NOOP\nS: 250 2.0.0 Nothing done",
    auth: "AUTH PLAIN {}",
    accepted: "235",
    refused: "535",
    unavailable: "454 4.7.0",
    starttls: "STARTTLS",
    backend: "S: 220 old ESMTP\nC: EHLO\nS: 250-old\nS: 250 AUTH PLAIN",
    asked: "C: AUTH PLAIN BASE64",
    yes: "235 2.7.0 in",
    no: "535 5.7.8 not you",
};

// === impl Protocol ===

impl Protocol {
    /// Returns the login command with `message`, which is base64.
    pub(crate) fn login(&self, message: &str) -> String {
        self.auth.replace("{}", message)
    }

    pub(crate) fn options(&self) -> Options<'static> {
        Options { protocol: Some(self.name), ..Options::default() }
    }

    /// Returns a backend that accepts every login, and then echoes what it receives.
    pub(crate) fn friendly(&self) -> Backend {
        self.playing(&format!("{}\n{}\nS: {}\nECHO", self.backend, self.asked, self.yes))
    }

    /// Returns a backend that refuses every login.
    pub(crate) fn refusing(&self) -> Backend {
        self.playing(&format!("{}\n{}\nS: {}\nWAIT", self.backend, self.asked, self.no))
    }

    /// Returns a backend that plays `script` for this protocol.
    pub(crate) fn playing(&self, script: &str) -> Backend {
        let script = script.to_owned();
        Backend::serving(move |stream, client_info| crate::support::play(stream, &script, client_info))
    }

    /// Starts a proxy in front of two backends that accept every login.
    pub(crate) fn proxy(&self, options: &Options<'_>) -> (Proxy, Backend, Backend) {
        let old = self.friendly();
        let new = self.friendly();
        (Proxy::start(old.address, new.address, options), old, new)
    }
}
