//! The four dialogues, fed by a client without manners.
//!
//! However the bytes are cut, the client hears the same and the same logins are reported. There is no login
//! without its command, and none that the connection does not permit. The words for one step are few, the inbox is
//! never full while more is asked for, and a password is never said back.

use std::sync::Arc;

use credentials::attempt::{Attempt, Credential, Mechanism};
use mail_proto::inbox::Inbox;
use mail_proto::step::{Channel, ClientEvent, Dialogue, Offer, Opening, Step};
use mail_proto::verdict::{CloseReason, Reply, Verdict};
use mail_proto::{imap, managesieve, pop3, submission};
use types::secret::Secret;

use crate::input::{Input, Sizes};
use crate::leaks::{count, shows};

/// One protocol.
struct Kind {
    make: fn(Opening) -> Box<dyn Dialogue>,
    /// The commands that a login begins with.
    verbs: &'static [&'static [u8]],
    /// Whether the client has asked for its own words back, a password among them.
    echoes: fn(&[u8]) -> bool,
    capabilities: &'static [&'static str],
}

/// What happened, whatever the pieces.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    StandardReply(Vec<u8>),
    Secured,
    ClientEvent(String),
    Closed,
}

/// One conversation.
struct Conversation<'a> {
    dialogue: Box<dyn Dialogue>,
    opening: Opening,
    input: &'a Input,
    inbox: Inbox,
    /// Bytes of the data that were received.
    at: usize,
    attempts: usize,
    happened: Vec<Happened>,
}

/// What the session's own inbox holds at most.
const INBOX: usize = 64 * 1024;
/// More than any machine says at once: a greeting with everything that is offered, a tag of 1 KiB said back.
const MAX_WORDS: usize = 4 * 1024;

pub(crate) fn imap(bytes: &[u8]) {
    play(
        bytes,
        &Kind {
            make: |opening| Box::new(imap::Dialogue::new(opening)),
            verbs: &[b"LOGIN", b"AUTHENTICATE"],
            // The tag of a command is the first word of a line.
            echoes: |data| data.split(|&byte| byte == b'\n').any(|line| shows(first_word(line))),
            capabilities: &["IMAP4rev1", "SASL-IR", "LITERAL-"],
        },
    );
}

pub(crate) fn pop3(bytes: &[u8]) {
    play(
        bytes,
        &Kind {
            make: |opening| Box::new(pop3::Dialogue::new(opening)),
            verbs: &[b"PASS", b"AUTH"],
            echoes: |_| false,
            capabilities: &["EXPIRE NEVER"],
        },
    );
}

pub(crate) fn managesieve(bytes: &[u8]) {
    play(
        bytes,
        &Kind {
            make: |opening| Box::new(managesieve::Dialogue::new(opening)),
            verbs: &[b"AUTHENTICATE"],
            echoes: |data| count(data, b"NOOP") > 0,
            capabilities: &["fileinto", "vacation"],
        },
    );
}

pub(crate) fn submission(bytes: &[u8]) {
    play(
        bytes,
        &Kind {
            make: |opening| Box::new(submission::Dialogue::new(opening)),
            verbs: &[b"AUTH"],
            echoes: |_| false,
            capabilities: &["PIPELINING", "SIZE 1000"],
        },
    );
}

fn play(bytes: &[u8], kind: &Kind) {
    let Some(input) = Input::expanded(bytes) else { return };
    let asked = Conversation::play(kind, &input, input.sizes());
    for sizes in [Sizes::dripped(&input.data), Sizes::whole()] {
        let other = Conversation::play(kind, &input, sizes);
        assert_eq!(asked, other, "the pieces make a difference");
    }
    let is_shown =
        asked.iter().any(|happened| matches!(happened, Happened::StandardReply(words) if shows(words)));
    assert!(!is_shown || (kind.echoes)(&input.data), "a password was said back");
}

fn opening(kind: &Kind, input: &Input) -> Opening {
    use Mechanism::{Login, OAuthBearer, Plain, ScramSha256, XOAuth2};
    let channel = match input.choice & 3 {
        0 => Channel::Encrypted,
        1 => Channel::Upgradable,
        _ => Channel::Plain,
    };
    let sasl =
        if input.has(2) { vec![ScramSha256] } else { vec![Plain, Login, OAuthBearer, XOAuth2, ScramSha256] };
    let offer = Offer {
        hostname: "mail.example.org".to_owned(),
        banner: "ready".to_owned(),
        sasl,
        capabilities: kind.capabilities.iter().map(|&word| word.to_owned()).collect(),
        notify: Vec::new(),
        implementation: "Pointsman".to_owned(),
        cleartext_without_tls: input.choice & 3 == 3,
    };
    Opening { offer: Arc::new(offer), channel, trusts_front: input.has(3) }
}

// === impl Conversation ===

impl<'a> Conversation<'a> {
    fn play(kind: &Kind, input: &'a Input, sizes: Sizes) -> Vec<Happened> {
        let opening = opening(kind, input);
        let dialogue = (kind.make)(opening.clone());
        let inbox = Inbox::new(INBOX);
        let happened = Vec::new();
        let mut conversation = Self { dialogue, opening, input, inbox, at: 0, attempts: 0, happened };
        let greeting = conversation.dialogue.greet();
        conversation.say(greeting);
        conversation.go_on(sizes);
        let consumed = &input.data[..conversation.at - conversation.inbox.unread().len()];
        let commands: usize = kind.verbs.iter().map(|verb| count(consumed, verb)).sum();
        assert!(conversation.attempts <= commands, "an attempt without a login");
        conversation.happened
    }

    fn go_on(&mut self, mut sizes: Sizes) {
        // Each step takes a byte at least, but for those at literals, prompts and verdicts.
        let mut steps_left = 16 + 4 * self.input.data.len();
        loop {
            match self.dialogue.feed(&mut self.inbox) {
                Step::NeedMore => {
                    assert!(!self.inbox.is_full(), "more is asked for, and there is no room");
                    let left = &self.input.data[self.at..];
                    if left.is_empty() {
                        return;
                    }
                    let size = sizes.next(left.len());
                    self.at += self.inbox.receive(&left[..size]);
                }
                Step::Write(words) => self.say(words.expose().to_vec()),
                Step::StartTls(words) => self.secure(words.expose().to_vec()),
                Step::Event(asked) => self.asked(asked),
                Step::Close(words) => {
                    self.say(words);
                    self.happened.push(Happened::Closed);
                    let again = self.dialogue.feed(&mut self.inbox);
                    assert!(
                        matches!(again, Step::Close(words) if words.is_empty()),
                        "it goes on behind the end"
                    );
                    return;
                }
            }
            assert!(steps_left > 0, "more steps than bytes");
            steps_left -= 1;
        }
    }

    fn say(&mut self, words: Vec<u8>) {
        assert!(words.len() <= MAX_WORDS, "{} bytes at once", words.len());
        assert!(words.is_empty() || words.ends_with(b"\r\n"), "half a line: {}", words.escape_ascii());
        if let Some(Happened::StandardReply(before)) = self.happened.last_mut() {
            before.extend(words);
        } else if !words.is_empty() {
            self.happened.push(Happened::StandardReply(words));
        }
    }

    /// The driver refuses bytes behind STARTTLS; here they are as if sent behind the handshake.
    fn secure(&mut self, words: Vec<u8>) {
        assert_eq!(self.opening.channel, Channel::Upgradable, "STARTTLS where it is not offered");
        self.opening.channel = Channel::Encrypted;
        self.say(words);
        self.happened.push(Happened::Secured);
        self.at -= self.inbox.unread().len();
        self.inbox.clear();
        let words = self.dialogue.secured();
        self.say(words);
    }

    fn asked(&mut self, asked: ClientEvent) {
        match asked {
            ClientEvent::Attempt(attempt) => {
                self.attempts += 1;
                assert!(self.permits(&attempt), "a login that the connection does not permit");
                assert!(!shows(format!("{:?}", attempt.credential).as_bytes()), "a password is printed");
                let client_info = &attempt.client_info;
                assert!(client_info.id.len() <= 30, "more fields of an ID than RFC 2971 allows");
                assert!(self.opening.trusts_front || client_info.front.is_none(), "a stranger was believed");
                self.happened.push(Happened::ClientEvent(shown(&attempt)));
                let is_relayed = !matches!(attempt.mechanism(), Mechanism::Login | Mechanism::Plain);
                self.decide(is_relayed);
            }
            ClientEvent::Response(response) => {
                self.happened.push(Happened::ClientEvent(format!("response {}", text(&response))));
                self.decide(true);
            }
            ClientEvent::Cancelled => {
                self.happened.push(Happened::ClientEvent("cancelled".to_owned()));
                let words = self.dialogue.answer(Verdict::Cancelled);
                self.say(words);
            }
        }
    }

    fn permits(&self, attempt: &Attempt) -> bool {
        match &attempt.credential {
            Credential::Password { .. } => self.opening.takes_passwords(),
            Credential::Sasl { mechanism, .. } => {
                *mechanism != Mechanism::Login && self.opening.permits(*mechanism)
            }
        }
    }

    /// As a backend might, by the input's choice and the number of what was decided before.
    fn decide(&mut self, is_relayed: bool) {
        let reply = |last: &[u8]| Reply { before: Vec::new(), last: last.to_vec() };
        let number = usize::from(self.input.choice >> 4) + self.happened.len();
        let words = match number % 7 {
            0 if is_relayed => self.dialogue.challenge(b"a challenge"),
            1 if is_relayed => self.dialogue.challenge(b""),
            2 => self.dialogue.answer(Verdict::Refused(Some(reply(b"NO it is not\r\n")))),
            3 => self.dialogue.answer(Verdict::NotNow(reply(b"NO not now\r\n"))),
            4 => self.dialogue.answer(Verdict::Unavailable),
            5 => {
                let words = self.dialogue.answer(Verdict::Accepted(reply(b"OK you are in\r\n")));
                self.say(words);
                self.dialogue.farewell(CloseReason::Ended)
            }
            _ => self.dialogue.answer(Verdict::Refused(None)),
        };
        self.say(words);
    }
}

fn shown(attempt: &Attempt) -> String {
    match &attempt.credential {
        Credential::Password { user, password } => {
            format!("password {} {} {:?}", text(user), text(password), attempt.client_info)
        }
        Credential::Sasl { mechanism, initial } => {
            format!("{mechanism} {} {:?}", text(initial), attempt.client_info)
        }
    }
}

fn text(secret: &Secret) -> String {
    secret.expose().escape_ascii().to_string()
}

fn first_word(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b' ').next().unwrap_or_default()
}
