//! Plays transcripts against a machine, so that a test reads like the conversation.
//!
//! ```text
//! S: * OK ready              what the machine sends (for a replay: what the backend sends)
//! C: a LOGIN alice secret    what the client sends (for a replay: what the machine sends)
//! C| a LOGIN {5}\r\nali      the same without a line end, with escapes
//! = LOGIN alice secret       the event that the machine reports
//! > refused                  what its caller answers
//! TLS                        it asked for a handshake, which is done
//! END                        it closed the connection
//! ```

use crate::inbox::Inbox;
use crate::step::{BackendEvent, ClientEvent, Dialogue, Machine, Replay, Step};
use crate::verdict::{CloseReason, Reply, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Credential};
use types::secret::Secret;

/// Plays `script` with a server's machine, once with whole lines and once byte by byte.
pub(crate) fn play_dialogue(make: impl Fn() -> Box<dyn Dialogue>, script: &str) {
    for chunk in [usize::MAX, 1] {
        let mut dialogue = make();
        let mut player = Player::new(script, chunk, "C");
        player.said.extend(dialogue.greet());
        player.play(&mut *dialogue, shown_client_event, answer);
    }
}

/// Plays `script` with a client's machine, once with whole lines and once byte by byte.
pub(crate) fn play_replay(make: impl Fn() -> Box<dyn Replay>, script: &str) {
    for chunk in [usize::MAX, 1] {
        let mut replay = make();
        let mut player = Player::new(script, chunk, "S");
        player.play(&mut *replay, shown_backend_event, command);
    }
}

/// Plays a backend that sends each of `pieces` in one write. Returns the last event, or what the replay wrote last. Once
/// ready, the replay logs in.
pub(crate) fn in_one_write(replay: &mut dyn Replay, pieces: &[&[u8]]) -> String {
    let mut inbox = Inbox::new(64 * 1024);
    let mut last = String::new();
    for piece in pieces {
        assert_eq!(inbox.receive(piece), piece.len(), "the inbox is full");
        loop {
            match replay.feed(&mut inbox) {
                Step::NeedMore => break,
                Step::Write(bytes) => last = bytes.expose().escape_ascii().to_string(),
                Step::Event(event) => {
                    last = shown_backend_event(&event);
                    if !matches!(event, BackendEvent::Ready { .. }) {
                        return last;
                    }
                    let Step::Write(bytes) = replay.authenticate(&password("alice", "secret")) else {
                        panic!("no way to log in")
                    };
                    last = bytes.expose().escape_ascii().to_string();
                }
                Step::StartTls(_) => return "TLS".to_owned(),
                Step::Close(_) => return "END".to_owned(),
            }
        }
    }
    last
}

/// An attempt with a user name and a password.
pub(crate) fn password(user: &str, password: &str) -> Attempt {
    let secret = |text: &str| Secret::copy_of(&unescape(text));
    Attempt {
        credential: Credential::Password { user: secret(user), password: secret(password) },
        client_info: ClientInfo::default(),
    }
}

struct Player<'a> {
    lines: Vec<&'a str>,
    chunk: usize,
    /// The side whose lines are fed to the machine.
    peer: &'static str,
    inbox: Inbox,
    said: Vec<u8>,
}

impl<'a> Player<'a> {
    fn new(script: &'a str, chunk: usize, peer: &'static str) -> Self {
        let lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
        Self { lines, chunk, peer, inbox: Inbox::new(64 * 1024), said: Vec::new() }
    }

    fn play<M: Machine + ?Sized>(
        &mut self,
        machine: &mut M,
        shown: impl Fn(&M::Event) -> String,
        act: impl Fn(&mut M, &str) -> Vec<u8>,
    ) {
        let mut happened: Option<String> = None;
        for (index, line) in std::mem::take(&mut self.lines).into_iter().enumerate() {
            let place =
                format!("line {} of the script ({line}), fed {} bytes at a time", index + 1, self.chunk);
            let (mark, rest) = line.split_at(line.len().min(1));
            match (mark, line) {
                (_, "TLS" | "END") => {
                    assert_eq!(
                        happened.take().as_deref(),
                        Some(line),
                        "{place}; it said {}",
                        self.said.escape_ascii()
                    );
                    if line == "TLS" {
                        self.said.extend(machine.secured());
                        happened = self.go_on(machine, &shown);
                    }
                }
                ("=", _) => assert_eq!(
                    happened.take().as_deref(),
                    Some(rest.trim_start()),
                    "{place}; it said {}",
                    self.said.escape_ascii()
                ),
                (">", _) => {
                    self.said.extend(act(machine, rest.trim_start()));
                    happened = self.go_on(machine, &shown);
                }
                (who, _) if who == self.peer => {
                    let bytes = if let Some(raw) = rest.strip_prefix("| ") {
                        unescape(raw)
                    } else {
                        [&unescape(rest.strip_prefix(": ").unwrap_or_default())[..], b"\r\n"].concat()
                    };
                    for piece in bytes.chunks(self.chunk.min(bytes.len()).max(1)) {
                        assert_eq!(happened, None, "{place}");
                        assert_eq!(self.inbox.receive(piece), piece.len(), "{place}: the inbox is full");
                        happened = self.go_on(machine, &shown);
                    }
                }
                _ => {
                    let expected =
                        [&unescape(rest.strip_prefix(": ").unwrap_or_default())[..], b"\r\n"].concat();
                    let said = self.said.get(..expected.len()).unwrap_or(&self.said);
                    assert_eq!(
                        said.escape_ascii().to_string(),
                        expected.escape_ascii().to_string(),
                        "{place}"
                    );
                    self.said.drain(..expected.len());
                }
            }
        }
        assert_eq!(happened, None, "after the script");
        assert_eq!(self.said.escape_ascii().to_string(), "", "said after the script");
    }

    fn go_on<M: Machine + ?Sized>(
        &mut self,
        machine: &mut M,
        shown: &impl Fn(&M::Event) -> String,
    ) -> Option<String> {
        loop {
            match machine.feed(&mut self.inbox) {
                Step::NeedMore => return None,
                Step::Write(bytes) => self.said.extend_from_slice(bytes.expose()),
                Step::StartTls(bytes) => {
                    self.said.extend_from_slice(bytes.expose());
                    return Some("TLS".to_owned());
                }
                Step::Event(event) => return Some(shown(&event)),
                Step::Close(bytes) => {
                    self.said.extend(bytes);
                    return Some("END".to_owned());
                }
            }
        }
    }
}

fn shown_client_event(event: &ClientEvent) -> String {
    let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
    match event {
        ClientEvent::Attempt(attempt) => match &attempt.credential {
            Credential::Password { user, password } => format!("LOGIN {} {}", text(user), text(password)),
            Credential::Sasl { mechanism, initial } => format!("{mechanism} {}", text(initial)),
        },
        ClientEvent::Response(response) => format!("RESPONSE {}", text(response)),
        ClientEvent::Cancelled => "CANCELLED".to_owned(),
    }
}

fn shown_backend_event(event: &BackendEvent) -> String {
    let reply = |reply: &Reply| format!("{}|{}", reply.before.escape_ascii(), reply.last.escape_ascii());
    match event {
        BackendEvent::Ready { introduced } => format!("READY {introduced}"),
        BackendEvent::Challenge(data) => format!("CHALLENGE {}", data.escape_ascii()),
        BackendEvent::Accepted(words) => format!("ACCEPTED {}", reply(words)),
        BackendEvent::Refused(words) => format!("REFUSED {}", reply(words)),
        BackendEvent::NotNow(words) => format!("NOT NOW {}", reply(words)),
        BackendEvent::MechanismUnavailable => "MECHANISM UNAVAILABLE".to_owned(),
        BackendEvent::Broken(fault) => format!("BROKEN {}", fault.label()),
    }
}

fn answer(dialogue: &mut (dyn Dialogue + 'static), words: &str) -> Vec<u8> {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let reply = || {
        let (before, last) = rest.split_once('|').unwrap_or(("", rest));
        Reply { before: unescape(before), last: [&unescape(last)[..], b"\r\n"].concat() }
    };
    match verb {
        "accepted" => dialogue.answer(Verdict::Accepted(reply())),
        "refused" if rest.is_empty() => dialogue.answer(Verdict::Refused(None)),
        "refused" => dialogue.answer(Verdict::Refused(Some(reply()))),
        "not-now" => dialogue.answer(Verdict::NotNow(reply())),
        "unavailable" => dialogue.answer(Verdict::Unavailable),
        "mechanism-unavailable" => dialogue.answer(Verdict::MechanismUnavailable),
        "cancelled" => dialogue.answer(Verdict::Cancelled),
        "challenge" => dialogue.challenge(&unescape(rest)),
        "timed-out" => dialogue.farewell(CloseReason::TimedOut),
        "too-many-failures" => dialogue.farewell(CloseReason::TooManyFailures),
        "too-busy" => dialogue.farewell(CloseReason::TooBusy),
        "shutting-down" => dialogue.farewell(CloseReason::ShuttingDown),
        other => panic!("no such answer: {other}"),
    }
}

fn command(replay: &mut (dyn Replay + 'static), words: &str) -> Vec<u8> {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let step = match verb {
        "cancel" => return replay.cancel().expose().to_vec(),
        "respond" => return replay.respond(Secret::copy_of(&unescape(rest))).expose().to_vec(),
        "login" => {
            let (user, word) = rest.split_once(' ').expect("login USER PASSWORD");
            replay.authenticate(&password(user, word))
        }
        name => {
            let mechanism = credentials::attempt::Mechanism::from_name(name.as_bytes()).expect("a mechanism");
            let initial = Secret::copy_of(&unescape(rest));
            replay.authenticate(&Attempt {
                credential: Credential::Sasl { mechanism, initial },
                client_info: ClientInfo::default(),
            })
        }
    };
    match step {
        Step::Write(bytes) => bytes.expose().to_vec(),
        Step::Event(event) => format!("{}\r\n", shown_backend_event(&event)).into_bytes(),
        step => panic!("authenticate gave {step:?}"),
    }
}

/// `\r`, `\n`, `\0`, `\\` and `\xNN` in a script.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'0') => bytes.push(0),
            Some(b'\\') => bytes.push(b'\\'),
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.map_or('?', char::from));
                let digits: String = digits.iter().collect();
                bytes.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
            }
            other => panic!("no such escape: {other:?}"),
        }
    }
    bytes
}
