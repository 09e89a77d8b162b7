//! SessionFilter a login names, and what of it a token shows.

use credentials::attempt::{Credential, Mechanism};
use credentials::names::{self, ClaimedAccount};
use credentials::sasl::{self, Exchange, LoginMethod, Offered, Progress, ResponseLine};
use credentials::token::{self, TokenAccount};
use identity::{Identifier, Identity, Rules};
use types::secret::Secret;

use crate::input::Input;

/// Base64 has one form for a message; an exchange ends with what was said in it; a credential that names somebody
/// names the same by whichever way it is replayed.
pub(crate) fn sasl(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let data = &input.data[..];
    canonical(data);
    let all: Vec<Mechanism> = Mechanism::all().collect();
    let mechanism = all[usize::from(input.choice & 7) % all.len()];
    let mut lines = data.split(|&byte| byte == b'\n');
    let initial = if input.has(3) { lines.next().and_then(sasl::decode_initial) } else { None };
    let has_initial = initial.is_some();
    let mut progress = Exchange::begin(mechanism, initial);
    let mut prompts = 0;
    let credential = loop {
        match progress {
            Progress::Done(credential) => break credential,
            Progress::Prompt(exchange, _) => {
                prompts += 1;
                let Some(ResponseLine::Message(message)) = lines.next().map(ResponseLine::read) else {
                    return;
                };
                progress = exchange.respond(message);
            }
        }
    };
    let needed = if mechanism == Mechanism::Login { 2 } else { 1 };
    assert_eq!(prompts + usize::from(has_initial), needed, "{mechanism}");
    named(&credential);
}

fn canonical(text: &[u8]) {
    if let Some(message) = sasl::decode(text) {
        let mut again = Secret::default();
        sasl::encode_into(&mut again, message.expose());
        assert_eq!(again.expose(), text, "two forms of one message");
    }
    let mut encoded = Secret::default();
    sasl::encode_initial_into(&mut encoded, text);
    let decoded = sasl::decode_initial(encoded.expose()).expect("our own base64");
    assert_eq!(decoded.expose(), text);
}

fn named(credential: &Credential) {
    let Ok(claimed) = names::claimed(credential) else { return };
    for offered in [
        Offered { sasl: Mechanism::all().collect(), native: true },
        Offered { sasl: vec![Mechanism::Login], native: true },
        Offered { sasl: vec![Mechanism::Login], native: false },
    ] {
        let said = match LoginMethod::choose(credential, &offered) {
            None => continue,
            Some(LoginMethod::Sasl { mechanism, initial, .. }) => Credential::Sasl { mechanism, initial },
            Some(LoginMethod::Native { user, password } | LoginMethod::Prompts { user, password }) => {
                Credential::Password { user, password }
            }
        };
        let again = names::claimed(&said).expect("still a credential");
        match (&claimed, &again) {
            (ClaimedAccount::Name(one), ClaimedAccount::Name(other)) => assert_eq!(one, other),
            (ClaimedAccount::Token(one), ClaimedAccount::Token(other)) => {
                assert!(!one.is_empty(), "a token of nothing");
                assert_eq!(one.expose(), other.expose());
            }
            _ => panic!("a name for a token"),
        }
    }
}

/// Whoever is found in a token, a header or a name could be an account; the same name said plainly is the same
/// account; and nothing of a refused one is in the refusal.
pub(crate) fn token(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let data = &input.data[..];
    let rules = Rules {
        default_domain: None,
        lowercase: input.has(0),
        separators: if input.has(1) { vec!["%".to_owned(), "*".to_owned()] } else { Vec::new() },
        domain_separators: if input.has(2) { vec!["+".to_owned()] } else { Vec::new() },
        claims: ["email", "preferred_username", "upn", "sub"].map(str::to_owned).to_vec(),
    };
    let bearer = [b"Bearer ", data].concat();
    for found in [rules.token(data), rules.authorization(data), rules.authorization(&bearer)] {
        account(&rules, found.ok().as_ref().and_then(Identity::identifier).map(Identifier::as_str));
    }
    account(&rules, rules.name(data).ok().as_ref().map(Identifier::as_str));
    if let TokenAccount::Account(name) = token::account(data, &rules.claims) {
        assert!(!name.is_empty() && (data.starts_with(b"sw1.") || name.contains('@')), "{name:?}");
    }
    if let Ok(trimmed) = names::bearer(&bearer)
        && !trimmed.expose().contains(&b' ')
    {
        let [one, other] = [&bearer[..], trimmed.expose()].map(|text| match text.starts_with(b"Bearer ") {
            true => rules.authorization(text),
            false => rules.token(text),
        });
        assert_eq!(one, other, "a token means another account in a header");
    }
}

fn account(rules: &Rules, name: Option<&str>) {
    let Some(name) = name else { return };
    assert!((1..=320).contains(&name.len()), "{} bytes", name.len());
    assert!(
        !name.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' ') || c == '"'),
        "{name:?}"
    );
    assert_eq!(name.trim_matches(' '), name);
    assert!(!rules.lowercase || name == name.to_lowercase(), "not folded: {name:?}");
    let plain = Rules { separators: Vec::new(), ..rules.clone() };
    let again = plain.name(name.as_bytes()).expect("an account's own name");
    assert_eq!(again.as_str(), name, "folding twice is not folding once");
}
