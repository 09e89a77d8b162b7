//! SASL in a relay (RFC 4422): which messages the client must send before its login can be routed, and how the login is
//! replayed at a backend.
//!
//! No mechanism is verified here. PLAIN, OAUTHBEARER, XOAUTH2 and SCRAM need only the client's first message; LOGIN needs
//! the responses to its two prompts. Later challenges and responses are relayed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::attempt::{Credential, Mechanism};
use types::secret::Secret;

/// Longest line of a SASL exchange, in bytes: it has room for tokens, and bounds what is held for an unauthenticated
/// client.
pub const MAX_LINE: usize = 64 * 1024;

/// An exchange with a client, until its backend can be chosen.
#[derive(Debug)]
#[must_use]
pub enum Exchange {
    /// An empty challenge was sent; the first message is expected.
    ExpectInitial(Mechanism),
    /// `Username:` was sent.
    ExpectUser,
    /// `Password:` was sent.
    ExpectPassword {
        /// The response to `Username:`.
        user: Secret,
    },
}

/// The next step of an [`Exchange`].
#[derive(Debug)]
#[must_use]
pub enum Progress {
    /// Send this challenge (not encoded), and pass the response to [`Exchange::respond`].
    Prompt(Exchange, &'static [u8]),
    /// The login can be routed.
    Done(Credential),
}

/// A client's line in an exchange, without the framing of its protocol.
#[derive(Debug)]
#[must_use]
pub enum ResponseLine {
    /// A decoded message.
    Message(Secret),
    /// `*`: the client cancels the exchange.
    Cancelled,
    /// Not base64.
    Invalid,
}

/// How a credential can be replayed at a backend.
#[derive(Debug)]
pub enum LoginMethod {
    /// SASL with this first message.
    Sasl {
        /// The mechanism.
        mechanism: Mechanism,
        /// The first message, not encoded.
        initial: Secret,
        /// Whether later challenges are passed to the client. PLAIN has none.
        relayed: bool,
    },
    /// SASL LOGIN with its two prompts.
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

/// The login methods that a backend offers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its SASL mechanisms, without those that are not in the table.
    pub sasl: Vec<Mechanism>,
    /// Whether it offers the protocol's own login command.
    pub native: bool,
}

// === impl Exchange ===

impl Exchange {
    /// Starts an exchange. `None` is a command without an initial response; an empty response is `Some`.
    pub fn begin(mechanism: Mechanism, initial: Option<Secret>) -> Progress {
        match (mechanism, initial) {
            (Mechanism::Login, None) => Progress::Prompt(Self::ExpectUser, b"Username:"),
            (Mechanism::Login, Some(user)) => Self::ExpectUser.respond(user),
            (mechanism, None) => Progress::Prompt(Self::ExpectInitial(mechanism), b""),
            (mechanism, Some(initial)) => Self::ExpectInitial(mechanism).respond(initial),
        }
    }

    /// Continues with the client's decoded response.
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

// === impl Offered ===

impl Offered {
    /// Returns whether no login is possible at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sasl.is_empty() && !self.native
    }
}

// === impl ResponseLine ===

impl ResponseLine {
    /// Decodes the text of a line.
    pub fn read(text: &[u8]) -> Self {
        if text == b"*" {
            return Self::Cancelled;
        }
        match decode(text) {
            Some(message) => Self::Message(message),
            None => Self::Invalid,
        }
    }
}

// === impl LoginMethod ===

impl LoginMethod {
    /// Returns the best way to replay `credential` at a backend that offers `offered`; `None` when there is none.
    ///
    /// A user name and a password are sent with PLAIN where it is offered: one message, and no quoting. Where PLAIN is
    /// missing, a PLAIN message without a separate authorization identity is sent with the protocol's own login command.
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

/// Returns the user name and the password of a PLAIN message without a separate authorization identity.
fn split_plain(message: &Secret) -> Option<(&[u8], &[u8])> {
    let mut parts = message.expose().split(|&byte| byte == 0);
    let authzid = parts.next()?;
    let authcid = parts.next()?;
    let password = parts.next()?;
    let is_simple = parts.next().is_none() && (authzid.is_empty() || authzid == authcid);
    is_simple.then_some((authcid, password))
}

/// Decodes one base64 message. Alphabet, padding and zero trailing bits are required, so that a message has only one form
/// (RFC 4648 section 3.5); `None` for anything else.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Secret> {
    let mut bytes = vec![0; text.len() / 4 * 3 + 3];
    let decoded = STANDARD.decode_slice(text, &mut bytes);
    let mut secret = Secret::new(bytes);
    secret.truncate(decoded.ok()?);
    Some(secret)
}

/// Decodes an initial response, where `=` alone is an empty one (RFC 4959 section 3, RFC 4954 section 4).
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

/// Returns a line of an exchange with its line end, as in IMAP, POP3 and SMTP.
#[must_use]
pub fn line(message: &Secret) -> Secret {
    let mut line = Secret::with_capacity(message.len().div_ceil(3) * 4 + 2);
    encode_into(&mut line, message.expose());
    line.extend(b"\r\n");
    line
}

/// Returns a challenge as in IMAP, POP3 and SMTP: a prefix, base64, a line end. It comes from the server and is not
/// secret.
#[must_use]
pub fn challenge(prefix: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Secret::copy_of(prefix);
    encode_into(&mut out, data);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// Appends an initial response to `out`; `=` for an empty one.
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

    fn shown(method: Option<&LoginMethod>) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match method {
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
    fn encoded_messages_can_be_decoded() {
        for length in 0..100_u8 {
            let message: Vec<u8> = (0..length).map(|byte| byte ^ 0xa5).collect();
            let mut text = Secret::default();
            encode_into(&mut text, &message);
            assert_eq!(decode(text.expose()).expect("own encoding").expose(), message);
        }
    }

    #[test]
    fn login_has_two_prompts_and_plain_one() {
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
    fn login_methods() {
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
