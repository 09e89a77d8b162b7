//! SASL as a relay sees it (RFC 4422): what to ask the client before its login can be routed, and how to
//! say it again to a backend.
//!
//! No mechanism is carried out here. PLAIN, OAUTHBEARER, XOAUTH2 and SCRAM need the client's first message
//! and nothing else; LOGIN's two prompts are answered with a user name and a password. Whatever a backend
//! says after that is passed on message by message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::attempt::{Credential, Mechanism};
use types::secret::Secret;

/// The longest line of a SASL exchange, in bytes: room for tokens, and the bound of what an
/// unauthenticated client can make us hold.
pub const MAX_LINE: usize = 64 * 1024;

/// The client's side of an exchange, up to the point where its backend can be chosen.
#[derive(Debug)]
#[must_use]
pub enum Exchange {
    /// An empty challenge was sent: the first message comes.
    ExpectInitial(Mechanism),
    /// `Username:` was sent.
    ExpectUser,
    /// `Password:` was sent.
    ExpectPassword {
        /// The answer to `Username:`.
        user: Secret,
    },
}

/// What to do next in an [`Exchange`].
#[derive(Debug)]
#[must_use]
pub enum Progress {
    /// Send this challenge (not yet encoded), and hand the answer to [`Exchange::respond`].
    Prompt(Exchange, &'static [u8]),
    /// Enough is known.
    Done(Credential),
}

/// A line of a client's within an exchange, as every protocol has it once its own framing is undone.
#[derive(Debug)]
#[must_use]
pub enum ResponseLine {
    /// A decoded message.
    Message(Secret),
    /// `*`: the client gives up.
    Cancelled,
    /// No base64.
    Invalid,
}

/// How a credential can be replayed at a backend.
#[derive(Debug)]
pub enum LoginMethod {
    /// `AUTH` with this first message; what follows is relayed when `relayed`.
    Sasl {
        /// The mechanism named.
        mechanism: Mechanism,
        /// The first message, not encoded.
        initial: Secret,
        /// Whether later challenges go to the client. PLAIN has none.
        relayed: bool,
    },
    /// `AUTH LOGIN`: two prompts.
    Prompts {
        /// For the first prompt.
        user: Secret,
        /// For the second prompt.
        password: Secret,
    },
    /// The protocol's own command: IMAP `LOGIN`, POP3 `USER` and `PASS`.
    Native {
        /// The user name.
        user: Secret,
        /// The password.
        password: Secret,
    },
}

/// What a backend offers for logging in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its SASL mechanisms, as far as we know them.
    pub sasl: Vec<Mechanism>,
    /// Whether it takes the protocol's own command.
    pub native: bool,
}

// === impl Exchange ===

impl Exchange {
    /// Starts with what came on the command line. `None` is no initial response; an empty one is `Some`.
    pub fn begin(mechanism: Mechanism, initial: Option<Secret>) -> Progress {
        match (mechanism, initial) {
            (Mechanism::Login, None) => Progress::Prompt(Self::ExpectUser, b"Username:"),
            (Mechanism::Login, Some(user)) => Self::ExpectUser.respond(user),
            (mechanism, None) => Progress::Prompt(Self::ExpectInitial(mechanism), b""),
            (mechanism, Some(initial)) => Self::ExpectInitial(mechanism).respond(initial),
        }
    }

    /// Goes on with the client's decoded answer.
    pub fn respond(self, response: Secret) -> Progress {
        match self {
            Self::ExpectInitial(mechanism) => {
                Progress::Done(Credential::Sasl { mechanism, initial: response })
            }
            Self::ExpectUser => Progress::Prompt(Self::ExpectPassword { user: response }, b"Password:"),
            Self::ExpectPassword { user } => {
                Progress::Done(Credential::Password { user, password: response })
            }
        }
    }
}

// === impl ResponseLine ===

impl ResponseLine {
    /// Reads the text of a line.
    pub fn read(text: &[u8]) -> Self {
        if text == b"*" { Self::Cancelled } else { decode(text).map_or(Self::Invalid, Self::Message) }
    }
}

// === impl LoginMethod ===

impl LoginMethod {
    /// The best way to replay `credential` at a backend that offers `offered`; `None` when there is none.
    ///
    /// A user name and a password go as PLAIN where that is offered: one message, and no quoting. PLAIN
    /// without a separate authorization identity can go by the backend's own login where PLAIN is missing.
    #[must_use]
    pub fn choose(credential: &Credential, offered: &Offered) -> Option<Self> {
        let has = |mechanism| offered.sasl.contains(&mechanism);
        match credential {
            Credential::Password { user, password } if has(Mechanism::Plain) => {
                Some(Self::plain(user, password))
            }
            Credential::Password { user, password } => {
                Self::without_plain(user.expose(), password.expose(), offered)
            }
            Credential::Sasl { mechanism, initial } if has(*mechanism) => Some(Self::Sasl {
                mechanism: *mechanism,
                initial: Secret::copy_of(initial.expose()),
                relayed: *mechanism != Mechanism::Plain,
            }),
            Credential::Sasl { mechanism: Mechanism::Plain, initial } => {
                let (user, password) = split_plain(initial)?;
                Self::without_plain(user, password, offered)
            }
            Credential::Sasl { .. } => None,
        }
    }

    fn plain(user: &Secret, password: &Secret) -> Self {
        // RFC 4616: message = [authzid] UTF8NUL authcid UTF8NUL passwd
        let mut initial = Secret::with_capacity(user.len() + password.len() + 2);
        initial.extend(b"\0");
        initial.extend(user.expose());
        initial.extend(b"\0");
        initial.extend(password.expose());
        Self::Sasl { mechanism: Mechanism::Plain, initial, relayed: false }
    }

    fn without_plain(user: &[u8], password: &[u8], offered: &Offered) -> Option<Self> {
        let user = Secret::copy_of(user);
        let password = Secret::copy_of(password);
        if offered.native {
            Some(Self::Native { user, password })
        } else if offered.sasl.contains(&Mechanism::Login) {
            Some(Self::Prompts { user, password })
        } else {
            None
        }
    }
}

/// User and password of a PLAIN message that names no other authorization identity.
fn split_plain(message: &Secret) -> Option<(&[u8], &[u8])> {
    let mut parts = message.expose().split(|&byte| byte == 0);
    let authzid = parts.next()?;
    let authcid = parts.next()?;
    let password = parts.next()?;
    let is_simple = parts.next().is_none() && (authzid.is_empty() || authzid == authcid);
    is_simple.then_some((authcid, password))
}

/// Decodes one base64 message: strict alphabet, padding and zero trailing bits demanded, so that one message
/// has one form only (RFC 4648 section 3.5). `None` for anything else.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Secret> {
    let mut bytes = vec![0; text.len() / 4 * 3 + 3];
    let decoded = STANDARD.decode_slice(text, &mut bytes);
    let mut secret = Secret::new(bytes);
    secret.truncate(decoded.ok()?);
    Some(secret)
}

/// Decodes an initial response, where `=` alone stands for an empty one (RFC 4959 section 3, RFC 4954
/// section 4).
#[must_use]
pub fn decode_initial(text: &[u8]) -> Option<Secret> {
    if text == b"=" { Some(Secret::default()) } else { decode(text) }
}

/// Appends the base64 form of `message` to `out`.
pub fn encode_into(out: &mut Secret, message: &[u8]) {
    let mut text = vec![0; message.len().div_ceil(3) * 4];
    // The slice has exactly the room that the encoding needs, so this cannot fail.
    let n = STANDARD.encode_slice(message, &mut text).unwrap_or(0);
    let text = Secret::new(text);
    out.extend(&text.expose()[..n]);
}

/// A line of an exchange, with its line end, as IMAP, POP3 and SMTP have it.
#[must_use]
pub fn line(message: &Secret) -> Secret {
    let mut line = Secret::with_capacity(message.len().div_ceil(3) * 4 + 2);
    encode_into(&mut line, message.expose());
    line.extend(b"\r\n");
    line
}

/// A challenge as IMAP, POP3 and SMTP have it: a mark, base64, a line end. It is the server's, and no secret.
#[must_use]
pub fn challenge(mark: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Secret::copy_of(mark);
    encode_into(&mut out, data);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// Appends an initial response: `=` for an empty one.
pub fn encode_initial_into(out: &mut Secret, message: &[u8]) {
    if message.is_empty() {
        out.extend(b"=");
    } else {
        encode_into(out, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl(mechanism: Mechanism, initial: &[u8]) -> Credential {
        Credential::Sasl { mechanism, initial: Secret::copy_of(initial) }
    }

    fn shown(way: Option<&LoginMethod>) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match way {
            None => "none".to_owned(),
            Some(LoginMethod::Sasl { mechanism, initial, relayed }) => {
                format!("{mechanism} {} {relayed}", text(initial))
            }
            Some(LoginMethod::Prompts { user, password }) => {
                format!("prompts {} {}", text(user), text(password))
            }
            Some(LoginMethod::Native { user, password }) => {
                format!("native {} {}", text(user), text(password))
            }
        }
    }

    #[test]
    fn decoding_is_strict_and_canonical() {
        for (text, expected) in [
            (&b""[..], Some(&b""[..])),
            (b"AGEAYg==", Some(b"\0a\0b")),
            (b"AGEAYh==", None), // trailing bits
            (b"AGEAYg", None),   // padding missing
            (b"AGEA Yg==", None),
            (b"AGEAYg==\r", None),
            (b"=", None),
            (b"*", None),
            (b"-_-_", None),
        ] {
            assert_eq!(decode(text).as_ref().map(Secret::expose), expected, "{}", text.escape_ascii());
        }
        assert_eq!(decode_initial(b"=").expect("empty").len(), 0);
    }

    #[test]
    fn encoding_comes_back() {
        for length in 0..100_u8 {
            let message: Vec<u8> = (0..length).map(|byte| byte ^ 0xa5).collect();
            let mut text = Secret::default();
            encode_into(&mut text, &message);
            assert_eq!(decode(text.expose()).expect("own encoding").expose(), message);
        }
    }

    #[test]
    fn login_asks_twice_plain_once() {
        let Progress::Prompt(exchange, b"Username:") = Exchange::begin(Mechanism::Login, None) else {
            panic!("no prompt")
        };
        let Progress::Prompt(exchange, b"Password:") = exchange.respond(Secret::copy_of(b"a")) else {
            panic!("no second prompt")
        };
        let Progress::Done(Credential::Password { user, password }) = exchange.respond(Secret::copy_of(b"b"))
        else {
            panic!("not done")
        };
        assert_eq!((user.expose(), password.expose()), (&b"a"[..], &b"b"[..]));

        let first = Exchange::begin(Mechanism::Login, Some(Secret::copy_of(b"a")));
        assert!(matches!(first, Progress::Prompt(Exchange::ExpectPassword { .. }, b"Password:")));
        let plain = Exchange::begin(Mechanism::Plain, None);
        assert!(matches!(plain, Progress::Prompt(Exchange::ExpectInitial(Mechanism::Plain), b"")));
        let plain = Exchange::begin(Mechanism::Plain, Some(Secret::default()));
        assert!(matches!(plain, Progress::Done(Credential::Sasl { .. })));
    }

    #[test]
    fn ways_to_replay() {
        use Mechanism::{Login, OAuthBearer, Plain, ScramSha256};
        let password =
            || Credential::Password { user: Secret::copy_of(b"u"), password: Secret::copy_of(b"p") };
        for (credential, offered, native, expected) in [
            (password(), &[Plain, Login][..], true, "PLAIN \\x00u\\x00p false"),
            (password(), &[Login], true, "native u p"),
            (password(), &[Login], false, "prompts u p"),
            (password(), &[OAuthBearer], false, "none"),
            (sasl(Plain, b"\0u\0p"), &[Plain], true, "PLAIN \\x00u\\x00p false"),
            (sasl(Plain, b"\0u\0p"), &[], true, "native u p"),
            (sasl(Plain, b"u\0u\0p"), &[], true, "native u p"),
            (sasl(Plain, b"v\0u\0p"), &[Login], true, "none"),
            (sasl(Plain, b"\0u\0p\0"), &[Login], true, "none"),
            (sasl(ScramSha256, b"n,,n=u,r=x"), &[ScramSha256], true, "SCRAM-SHA-256 n,,n=u,r=x true"),
            (sasl(ScramSha256, b"n,,n=u,r=x"), &[Plain], true, "none"),
        ] {
            let offered = Offered { sasl: offered.to_vec(), native };
            assert_eq!(shown(LoginMethod::choose(&credential, &offered).as_ref()), expected);
        }
    }
}
