//! The replays, before a backend without manners.
//!
//! No credential leaves before the backend is ready for one, nor after it was refused; a yes counts once all of the
//! credential was said. A backend that talks ahead is caught or heard as if it had waited: never otherwise.

use credentials::attempt::{Attempt, ClientInfo, Credential, Mechanism};
use mail_proto::inbox::Inbox;
use mail_proto::step::{BackendEvent, Forward, Replay, ReplayContext, Step};
use mail_proto::verdict::Reply;
use mail_proto::{imap, managesieve, passthrough, pop3, submission};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;

use crate::input::{Input, Sizes};
use crate::leaks::shows;

type Make = fn(ReplayContext) -> Box<dyn Replay>;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Sent(Vec<u8>),
    Secured,
    Ready(bool),
    Challenged(Vec<u8>),
    /// The end, and how many bytes of the data were used up.
    Ended(String, usize),
}

/// One leg.
struct Leg<'a> {
    replay: Box<dyn Replay>,
    input: &'a Input,
    inbox: Inbox,
    /// Bytes of the data that were received.
    at: usize,
    /// Whether a login is to follow.
    logs_in: bool,
    is_ready: bool,
    happened: Vec<Happened>,
}

/// What the backend room's own inbox holds at most.
const INBOX: usize = 64 * 1024;
/// A line that tells of the client, or the longest credential of these tests.
const MAX_WORDS: usize = 8 * 1024;
/// 64 KiB of untagged responses, and the reply itself.
const MAX_REPLY: usize = 2 * 64 * 1024;
/// The longest credential in here: longer than what goes with a command at once.
const LONG: usize = 5_000;

pub(crate) fn imap(bytes: &[u8]) {
    play(bytes, true, |context| Box::new(imap::Replay::new(context)));
}

pub(crate) fn pop3(bytes: &[u8]) {
    play(bytes, true, |context| Box::new(pop3::Replay::new(context)));
}

pub(crate) fn managesieve(bytes: &[u8]) {
    play(bytes, true, |context| Box::new(managesieve::Replay::new(context)));
}

pub(crate) fn submission(bytes: &[u8]) {
    play(bytes, true, |context| Box::new(submission::Replay::new(context)));
}

pub(crate) fn passthrough(bytes: &[u8]) {
    play(bytes, false, |context| {
        let protocol = if context.starttls { Protocol::Lmtp } else { Protocol::Smtp };
        Box::new(passthrough::Replay::new(protocol, context))
    });
}

fn play(bytes: &[u8], logs_in: bool, make: Make) {
    let Some(input) = Input::expanded(bytes) else { return };
    let patient = Leg::play(make, &input, logs_in, true, Sizes::dripped(&input.data));
    for sizes in [input.sizes(), Sizes::whole()] {
        let eager = Leg::play(make, &input, logs_in, false, sizes);
        let is_caught = is_caught(&eager, &patient);
        assert!(is_caught || eager == patient, "talking ahead pays: {eager:?} instead of {patient:?}");
    }
}

/// Whether what happened to an eager backend is the beginning of what happened to a patient one, and then the end,
/// because it did not wait.
fn is_caught(eager: &[Happened], patient: &[Happened]) -> bool {
    let Some((Happened::Ended(how, _), before)) = eager.split_last() else { return false };
    let is_for_that = [Fault::Protocol, Fault::StartTlsInjected].iter().any(|fault| how == fault.label());
    let is_same = |(one, other): (&Happened, &Happened)| match (one, other) {
        (Happened::Sent(one), Happened::Sent(other)) => other.starts_with(one),
        _ => one == other,
    };
    is_for_that && before.len() <= patient.len() && before.iter().zip(patient).all(is_same)
}

fn context(input: &Input) -> ReplayContext {
    let forward = input.has(1).then(|| Forward {
        client: "[2001:db8::7]:4711".parse().expect("an address"),
        local: "198.51.100.1:993".parse().expect("an address"),
        session: "abcdefgh23456723".to_owned(),
        ttl: 6,
        encrypted: true,
    });
    let client_info = ClientInfo {
        id: vec![(b"name".to_vec(), Some(b"a \"client\"".to_vec())), (b"os".to_vec(), None)],
        helo: Some(b"[192.0.2.1]".to_vec()),
        extended: true,
        utf8: input.has(2),
        forwarded: None,
    };
    ReplayContext { starttls: input.has(0), forward, client_info, hostname: "proxy.example.org".to_owned() }
}

fn attempt(input: &Input) -> Attempt {
    let padding = if input.has(6) { vec![b'x'; LONG] } else { Vec::new() };
    let secret = |text: &[u8]| Secret::new([text, &padding].concat());
    let sasl = |mechanism, text| Credential::Sasl { mechanism, initial: secret(text) };
    let credential = match input.choice >> 3 & 7 {
        0 => Credential::Password { user: secret(b"alice"), password: secret(b"s3cret!") },
        1 => Credential::Password { user: secret(b"al \"ice\\"), password: secret(b"s3cret!\xff\"") },
        2 => sasl(Mechanism::Plain, b"\0alice\0s3cret!"),
        3 => sasl(Mechanism::Plain, b"bob\0alice\0s3cret!"),
        4 => sasl(Mechanism::XOAuth2, b"user=alice\x01auth=Bearer s3cret!\x01\x01"),
        5 => sasl(Mechanism::OAuthBearer, b"n,a=alice,\x01auth=Bearer s3cret!\x01\x01"),
        6 => sasl(Mechanism::ScramSha256, b"n,,n=alice,r=s3cret!"),
        _ => Credential::Password { user: secret(b"alice"), password: secret(b"s3cret!\r\nQUIT\r\n") },
    };
    Attempt { credential, client_info: ClientInfo::default() }
}

// === impl Leg ===

impl<'a> Leg<'a> {
    /// Plays it; a patient backend says no more than one line at a time.
    fn play(
        make: Make,
        input: &'a Input,
        logs_in: bool,
        is_patient: bool,
        mut sizes: Sizes,
    ) -> Vec<Happened> {
        let replay = make(context(input));
        let inbox = Inbox::new(INBOX);
        let happened = Vec::new();
        let mut leg = Self { replay, input, inbox, at: 0, logs_in, is_ready: false, happened };
        let mut steps_left = 16 + 4 * input.data.len();
        loop {
            let step = leg.replay.feed(&mut leg.inbox);
            if matches!(step, Step::NeedMore) {
                assert!(!leg.inbox.is_full(), "more is asked for, and there is no room");
                let left = &input.data[leg.at..];
                if left.is_empty() {
                    return leg.happened;
                }
                // No piece is longer than a byte can say.
                let line = left.iter().take(256).position(|&byte| byte == b'\n').filter(|_| is_patient);
                let size = sizes.next(line.map_or(left.len(), |end| end + 1));
                leg.at += leg.inbox.receive(&left[..size]);
            } else if leg.take(step) {
                let unread = leg.inbox.unread().len();
                let again = leg.replay.feed(&mut leg.inbox);
                assert!(matches!(again, Step::NeedMore), "it goes on behind the end: {again:?}");
                assert_eq!(leg.inbox.unread().len(), unread, "the session's bytes are used up");
                return leg.happened;
            }
            assert!(steps_left > 0, "more steps than bytes");
            steps_left -= 1;
        }
    }

    /// Does what is asked; true at the end.
    fn take(&mut self, step: Step<BackendEvent>) -> bool {
        match step {
            Step::NeedMore => {}
            Step::Write(words) => self.say(words.expose()),
            Step::StartTls(words) => {
                assert!(self.input.has(0), "a handshake that nobody wants");
                assert!(!self.happened.contains(&Happened::Secured), "a second handshake");
                assert!(self.inbox.unread().is_empty(), "bytes from before the handshake");
                self.say(words.expose());
                self.happened.push(Happened::Secured);
                let words = self.replay.secured();
                self.say(&words);
            }
            Step::Event(BackendEvent::Ready { introduced }) => return self.ready(introduced),
            Step::Event(BackendEvent::Challenge(data)) => {
                self.happened.push(Happened::Challenged(data));
                let words = self.replay.respond(Secret::copy_of(b"an answer, s3cret!"));
                self.say(words.expose());
            }
            Step::Event(BackendEvent::Accepted(reply)) => {
                assert!(self.is_ready, "a yes that nobody asked for");
                let is_said = |happened: &Happened| matches!(happened, Happened::Sent(words) if shows(words));
                assert!(self.happened.iter().any(is_said), "a yes to what was not said");
                self.end("accepted", &reply);
                return true;
            }
            Step::Event(BackendEvent::Refused(reply)) => {
                self.end("refused", &reply);
                return true;
            }
            Step::Event(BackendEvent::NotNow(reply)) => {
                self.end("not now", &reply);
                return true;
            }
            Step::Event(BackendEvent::MechanismUnavailable) => {
                self.happened.push(Happened::Ended("mechanism unavailable".to_owned(), self.consumed()));
                return true;
            }
            Step::Event(BackendEvent::Broken(fault)) => {
                self.happened.push(Happened::Ended(fault.label().to_owned(), self.consumed()));
                return true;
            }
            Step::Close(words) => panic!("a replay says goodbye: {}", words.escape_ascii()),
        }
        false
    }

    fn ready(&mut self, introduced: bool) -> bool {
        assert!(!self.is_ready, "ready twice");
        let is_secured = self.happened.contains(&Happened::Secured);
        assert!(
            is_secured || !self.input.has(0) || !self.logs_in,
            "a login without the encryption that is configured"
        );
        self.is_ready = true;
        self.happened.push(Happened::Ready(introduced));
        if !self.logs_in {
            self.happened.push(Happened::Ended("left to the client".to_owned(), self.consumed()));
            return true;
        }
        let step = self.replay.authenticate(&attempt(self.input));
        self.take(step)
    }

    fn say(&mut self, words: &[u8]) {
        assert!(words.len() <= MAX_WORDS + 2 * LONG * 4 / 3, "{} bytes at once", words.len());
        assert!(self.is_ready || !shows(words), "a credential, and the backend is not ready");
        if let Some(Happened::Sent(before)) = self.happened.last_mut() {
            before.extend(words);
        } else if !words.is_empty() {
            self.happened.push(Happened::Sent(words.to_vec()));
        }
    }

    /// What a backend says is the client's to read: whole lines, and not without end.
    fn end(&mut self, how: &str, reply: &Reply) {
        assert!(reply.last.ends_with(b"\r\n"), "half a line: {}", reply.last.escape_ascii());
        assert!(reply.before.is_empty() || reply.before.ends_with(b"\n"), "half a line comes before");
        assert!(reply.before.len() + reply.last.len() <= MAX_REPLY, "a reply without end");
        let how = format!("{how} {} {}", reply.before.escape_ascii(), reply.last.escape_ascii());
        self.happened.push(Happened::Ended(how, self.consumed()));
    }

    fn consumed(&self) -> usize {
        self.at - self.inbox.unread().len()
    }
}
