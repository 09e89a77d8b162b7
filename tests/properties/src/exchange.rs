//! Our replay logs in at our own dialogue: what a client meant must come out on the other side, byte for byte,
//! whatever bytes it is of, whatever the backend offers, and however the two are cut into pieces.

use std::net::SocketAddr;
use std::sync::Arc;

use credentials::attempt::{Attempt, ClientInfo, Credential, Mechanism};
use credentials::names::{self, ClaimedAccount};
use mail_proto::inbox::Inbox;
use mail_proto::step::{
    BackendEvent, Channel, ClientEvent, Dialogue, DialogueContext, Forward, Offer, Replay, ReplayContext,
    Step,
};
use mail_proto::verdict::{Reply, Verdict};
use mail_proto::{imap, managesieve, pop3, submission};
use types::fault::Fault;
use types::secret::Secret;

use crate::input::{Input, Sizes};

/// What came out of it.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The backend said yes.
    Accepted,
    /// There is no way to say this credential at this backend.
    NoWay,
}

/// Two machines, and the bytes between them.
struct Wires {
    client: Box<dyn Replay>,
    server: Box<dyn Dialogue>,
    to_client: Pipe,
    to_server: Pipe,
    attempt: Attempt,
    /// The backend's yes.
    yes: &'static [u8],
    introduced: bool,
    received: Option<Attempt>,
}

/// Bytes on their way.
struct Pipe {
    bytes: Vec<u8>,
    inbox: Inbox,
    sizes: Sizes,
}

const INBOX: usize = 64 * 1024;
/// Longer names and passwords are found out by nobody, and fill the dialogue's bounds.
const MAX_CREDENTIAL: usize = 2_000;

pub(crate) fn exchange(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let [how, client_info, first, ref rest @ ..] = input.data[..] else { return };
    if rest.len() > MAX_CREDENTIAL {
        return;
    }
    let Some(credential) = credential(how, rest.split_at(usize::from(first).min(rest.len()))) else { return };
    let client_info = told_by(client_info, rest);
    let mut wires = Wires::new(&input, Attempt { credential, client_info: client_info.clone() }, how);
    let is_told = input.has(5);
    match wires.play() {
        Ended::NoWay => {}
        Ended::Accepted => {
            let received = wires.received.expect("an attempt before the verdict");
            assert_eq!(meant(&received.credential), meant(&wires.attempt.credential), "another credential");
            assert!(wires.introduced, "the client was not introduced");
            let forwarded = received.client_info.forwarded.map(|forwarded| forwarded.client);
            assert_eq!(forwarded, is_told.then(client), "another client");
            if is_told && input.choice & 3 == 3 {
                assert_eq!(received.client_info.helo, Some(helo_of(&client_info)), "another name in EHLO");
            }
        }
    }
}

/// A credential that names somebody, since no other is ever replayed.
fn credential(how: u8, (first, second): (&[u8], &[u8])) -> Option<Credential> {
    let secret = Secret::copy_of;
    let sasl = |mechanism| Credential::Sasl { mechanism, initial: Secret::new([first, second].concat()) };
    let credential = match how & 7 {
        0 | 1 => Credential::Password { user: secret(first), password: secret(second) },
        2 => {
            let initial = Secret::new([b"\0", first, b"\0", second].concat());
            Credential::Sasl { mechanism: Mechanism::Plain, initial }
        }
        3 => sasl(Mechanism::Plain),
        4 => sasl(Mechanism::OAuthBearer),
        5 => sasl(Mechanism::XOAuth2),
        _ => sasl(Mechanism::ScramSha256),
    };
    match names::claimed(&credential) {
        Ok(ClaimedAccount::Name(name)) if !name.is_empty() => Some(credential),
        Ok(ClaimedAccount::Token(_)) => Some(credential),
        _ => None,
    }
}

/// What an IMAP client could have told: at most 30 fields, names of 30 bytes and values of 1024.
fn told_by(client_info: u8, rest: &[u8]) -> ClientInfo {
    let value = |number: u8| {
        let length = if client_info & 0x80 == 0 { rest.len() } else { 1024 };
        (number != 1).then(|| rest.iter().chain(&[b'v'; 1024]).take(length.min(1024)).copied().collect())
    };
    let id = (0..(client_info & 0x1f).min(30))
        .map(|number| (format!("field{number}").into_bytes(), value(number)));
    ClientInfo {
        id: id.collect(),
        helo: Some(rest.to_vec()),
        extended: true,
        utf8: client_info & 0x40 != 0,
        forwarded: None,
    }
}

fn helo_of(client_info: &ClientInfo) -> Vec<u8> {
    let helo = client_info.helo.as_deref().unwrap_or_default();
    let is_fit = (1..=255).contains(&helo.len()) && helo.iter().all(u8::is_ascii_graphic);
    if is_fit { helo.to_vec() } else { b"proxy.example.org".to_vec() }
}

fn client() -> SocketAddr {
    "[2001:db8::7]:4711".parse().expect("an address")
}

/// A credential in the one form that all that mean the same have: mailbox, user and password, or a message.
fn meant(credential: &Credential) -> (Mechanism, Vec<Vec<u8>>) {
    match credential {
        Credential::Password { user, password } => {
            let parts = [&b""[..], user.expose(), password.expose()].map(<[u8]>::to_vec);
            (Mechanism::Plain, parts.to_vec())
        }
        Credential::Sasl { mechanism: Mechanism::Plain, initial } => {
            let mut parts: Vec<_> = initial.expose().split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
            if parts.first() == parts.get(1) {
                parts[0].clear();
            }
            (Mechanism::Plain, parts)
        }
        Credential::Sasl { mechanism, initial } => (*mechanism, vec![initial.expose().to_vec()]),
    }
}

// === impl Wires ===

impl Wires {
    fn new(input: &Input, attempt: Attempt, how: u8) -> Self {
        let forward = input.has(5).then(|| Forward {
            client: client(),
            local: "198.51.100.1:993".parse().expect("an address"),
            session: "abcdefgh23456723".to_owned(),
            ttl: 6,
            encrypted: true,
        });
        let context = ReplayContext {
            starttls: input.has(6),
            forward,
            client_info: attempt.client_info.clone(),
            hostname: "proxy.example.org".to_owned(),
        };
        let channel = if input.has(6) { Channel::Upgradable } else { Channel::Encrypted };
        let dialogue_context =
            DialogueContext { offer: Arc::new(offer(input, how)), channel, peer_is_trusted: true };
        let (client, server): (Box<dyn Replay>, Box<dyn Dialogue>) = match input.choice & 3 {
            0 => (Box::new(imap::Replay::new(context)), Box::new(imap::Dialogue::new(dialogue_context))),
            1 => (Box::new(pop3::Replay::new(context)), Box::new(pop3::Dialogue::new(dialogue_context))),
            2 => (
                Box::new(managesieve::Replay::new(context)),
                Box::new(managesieve::Dialogue::new(dialogue_context)),
            ),
            _ => (
                Box::new(submission::Replay::new(context)),
                Box::new(submission::Dialogue::new(dialogue_context)),
            ),
        };
        // With its capabilities: an IMAP backend that announces none is asked for them, and nobody answers here.
        let yes = [&b"OK [CAPABILITY IMAP4rev1] done\r\n"[..], b"+OK\r\n", b"OK\r\n", b"235 2.7.0 OK\r\n"]
            [usize::from(input.choice & 3)];
        let to_client = Pipe::new(input.sizes());
        let to_server = Pipe::new(input.sizes());
        Self { client, server, to_client, to_server, attempt, yes, introduced: false, received: None }
    }

    fn play(&mut self) -> Ended {
        let greeting = self.server.greet();
        self.to_client.bytes.extend(greeting);
        let mut idle_rounds = 0;
        for _ in 0..100_000 {
            if let Some(ended) = self.client_step() {
                return ended;
            }
            let is_idle = self.server_step() && self.to_client.is_empty() && self.to_server.is_empty();
            idle_rounds = if is_idle { idle_rounds + 1 } else { 0 };
            // Behind the handshake, one round is the client's alone.
            assert!(idle_rounds < 3, "both wait");
        }
        panic!("it does not end");
    }

    fn client_step(&mut self) -> Option<Ended> {
        let step = self.client.feed(&mut self.to_client.inbox);
        self.client_does(step)
    }

    fn client_does(&mut self, step: Step<BackendEvent>) -> Option<Ended> {
        match step {
            Step::NeedMore => self.to_client.deliver(),
            Step::Write(words) => self.to_server.bytes.extend(words.expose()),
            Step::StartTls(words) => {
                self.to_server.bytes.extend(words.expose());
                let words = self.client.secured();
                self.to_server.bytes.extend(words);
                // The other side has been waiting for its handshake.
                let words = self.server.secured();
                self.to_client.bytes.extend(words);
            }
            Step::Event(BackendEvent::Ready { introduced }) => {
                self.introduced = introduced;
                let step = self.client.authenticate(&self.attempt);
                return self.client_does(step);
            }
            Step::Event(BackendEvent::Accepted(_)) => return Some(Ended::Accepted),
            Step::Event(BackendEvent::MechanismUnavailable | BackendEvent::Broken(Fault::NoMechanism)) => {
                return Some(Ended::NoWay);
            }
            other => panic!("the client: {other:?}"),
        }
        None
    }

    /// True when nothing happened.
    fn server_step(&mut self) -> bool {
        match self.server.feed(&mut self.to_server.inbox) {
            Step::NeedMore => {
                let is_idle = self.to_server.is_empty();
                self.to_server.deliver();
                return is_idle;
            }
            Step::Write(words) | Step::StartTls(words) => self.to_client.bytes.extend(words.expose()),
            Step::Event(ClientEvent::Attempt(attempt)) => {
                self.received = Some(attempt);
                let reply = Reply { before: Vec::new(), last: self.yes.to_vec() };
                let words = self.server.answer(Verdict::Accepted(reply));
                self.to_client.bytes.extend(words);
            }
            Step::Close(words) if words.is_empty() && self.received.is_some() => return true,
            other => panic!("the server: {other:?}"),
        }
        false
    }
}

// === impl Pipe ===

impl Pipe {
    fn new(sizes: Sizes) -> Self {
        Self { bytes: Vec::new(), inbox: Inbox::new(INBOX), sizes }
    }

    /// The next piece.
    fn deliver(&mut self) {
        let size = self.sizes.next(self.bytes.len());
        let taken = self.inbox.receive(&self.bytes[..size]);
        assert!(size == 0 || taken > 0, "more is asked for, and there is no room");
        self.bytes.drain(..taken);
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn offer(input: &Input, how: u8) -> Offer {
    use Mechanism::{Login, OAuthBearer, Plain, ScramSha256, XOAuth2};
    let sasl = match how >> 3 & 3 {
        0 => vec![Plain, Login, OAuthBearer, XOAuth2, ScramSha256],
        1 => vec![Login, XOAuth2],
        2 => vec![Plain],
        _ => vec![Login],
    };
    let is_smtp = input.choice & 3 == 3;
    let mut capabilities = Vec::new();
    if is_smtp {
        capabilities.push("XCLIENT");
    } else if input.choice & 3 == 0 {
        capabilities.push("ID");
        for (bit, word) in [(2, "SASL-IR"), (3, "LITERAL+"), (4, "LITERAL-")] {
            if input.has(bit) {
                capabilities.push(word);
            }
        }
    }
    Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl,
        capabilities: capabilities.into_iter().map(str::to_owned).collect(),
        notify: Vec::new(),
        implementation: "Pointsman".to_owned(),
        cleartext_without_tls: false,
    }
}
