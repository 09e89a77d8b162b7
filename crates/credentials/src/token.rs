//! The account name inside a bearer token.
//!
//! The name only decides which backend receives the token. That backend verifies it, and rejects a forged one. So no token
//! grants access to anything here, and none is stored or printed.

use std::str;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use types::secret::Secret;

/// Longest token that is parsed, in bytes; a longer one is opaque. The text protocols accept no longer line (see
/// [`crate::sasl::MAX_LINE`]). It also bounds the JSON that is parsed.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The account of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAccount {
    /// The account's name as written in the token; not validated yet.
    Account(String),
    /// The token holds no name: only its issuer knows the account.
    Opaque,
}

/// Returns the account in `token`: the footer of `sw1.BODY.FOOTER`, or in a JWT (RFC 7519) the first of `claims` whose
/// value contains an `@`.
#[must_use]
pub fn account(token: &[u8], claims: &[String]) -> TokenAccount {
    if token.len() > MAX_LENGTH {
        return TokenAccount::Opaque;
    }
    let found = match token.strip_prefix(SW1) {
        Some(rest) => footer(rest),
        None => claim(token, claims),
    };
    found.map_or(TokenAccount::Opaque, TokenAccount::Account)
}

/// Parses `BODY.FOOTER`: the footer is the account's name in UTF-8, in base64url without padding.
fn footer(rest: &[u8]) -> Option<String> {
    let [_, footer] = segments(rest)?;
    let bytes = decode(footer)?;
    let name = str::from_utf8(bytes.expose()).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Parses a JWT (RFC 7515 section 7.1): three base64url segments, the middle one a JSON object of claims.
fn claim(token: &[u8], claims: &[String]) -> Option<String> {
    let [header, payload, signature] = segments(token)?;
    if header.is_empty() || !is_base64url(header) || !is_base64url(signature) {
        return None;
    }
    let payload = decode(payload)?;
    // serde_json stops at a depth of 128, and the size is bounded above.
    let payload: Value = serde_json::from_slice(payload.expose()).ok()?;
    let object = payload.as_object()?;
    claims
        .iter()
        .filter_map(|name| object.get(name)?.as_str())
        .find(|value| value.contains('@'))
        .map(str::to_owned)
}

/// Splits `token` at its dots into exactly `N` segments.
fn segments<const N: usize>(token: &[u8]) -> Option<[&[u8]; N]> {
    let mut parts = token.split(|&byte| byte == b'.');
    let mut segments = [&token[..0]; N];
    for segment in &mut segments {
        *segment = parts.next()?;
    }
    parts.next().is_none().then_some(segments)
}

fn is_base64url(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Decodes a segment. The result is wiped like the token itself.
fn decode(text: &[u8]) -> Option<Secret> {
    let mut bytes = vec![0; text.len() / 4 * 3 + 3];
    let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
    let mut secret = Secret::new(bytes);
    secret.truncate(decoded.ok()?);
    Some(secret)
}

/// The prefix of tokens with the account in a footer.
const SW1: &[u8] = b"sw1.";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims() -> Vec<String> {
        ["email", "preferred_username", "upn", "sub"].map(str::to_owned).to_vec()
    }

    fn base64url(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn jwt(payload: &str) -> String {
        format!("{}.{}.c2ln", base64url(r#"{"alg":"RS256"}"#), base64url(payload))
    }

    fn shown(token: &str) -> Option<String> {
        match account(token.as_bytes(), &claims()) {
            TokenAccount::Account(name) => Some(name),
            TokenAccount::Opaque => None,
        }
    }

    #[test]
    fn sw1_has_a_footer() {
        for (token, expected) in [
            ("sw1.Ym9keQ.YWxpY2VAZXhhbXBsZS5vcmc", Some("alice@example.org")),
            ("sw1.Ym9keQ.YWxpY2U", Some("alice")), // no `@` needed: the issuer says that it is the account
            ("sw1..YWxpY2U", Some("alice")),
            ("sw1.Ym9keQ.w7xAYi5kZQ", Some("ü@b.de")),
            ("sw1.Ym9keQ", None),
            ("sw1.Ym9keQ.", None),
            ("sw1.Ym9keQ.YWxpY2U=", None), // padding
            ("sw1.Ym9keQ.YWxpY2V", None),  // trailing bits
            ("sw1.Ym9keQ.YWx+Y2U", None),  // not the url alphabet
            ("sw1.Ym9keQ._w", None),       // not UTF-8
            ("sw1.Ym9keQ.YWxpY2U.YWxpY2U", None),
            ("sw1.", None),
            ("SW1.Ym9keQ.YWxpY2U", None),
        ] {
            assert_eq!(shown(token).as_deref(), expected, "{token}");
        }
    }

    #[test]
    fn jwt_claims_in_order_and_with_an_at_sign() {
        for (payload, expected) in [
            (r#"{"email":"alice@example.org","sub":"bob@example.org"}"#, Some("alice@example.org")),
            (r#"{"sub":"bob@example.org","email":"alice@example.org"}"#, Some("alice@example.org")),
            (r#"{"email":"alice","upn":"alice@example.org"}"#, Some("alice@example.org")),
            (r#"{"email":["a@b"],"preferred_username":7,"sub":"s@b"}"#, Some("s@b")),
            (r#"{"email":"\u00fc@example.org"}"#, Some("ü@example.org")),
            (r#"{"sub":"4711"}"#, None),
            (r#"{"name":"alice@example.org"}"#, None),
            (r#"{"a":{"email":"alice@example.org"}}"#, None),
            (r#"["alice@example.org"]"#, None),
            (r#"{"email":"alice@example.org""#, None),
            ("", None),
        ] {
            assert_eq!(shown(&jwt(payload)).as_deref(), expected, "{payload}");
        }
    }

    #[test]
    fn jwt_shape() {
        let payload = base64url(r#"{"email":"a@b"}"#);
        for (token, expected) in [
            (format!("e30.{payload}.c2ln"), Some("a@b")),
            (format!("e30.{payload}."), Some("a@b")), // RFC 7519 section 6: unsecured
            (format!("e30.{payload}"), None),
            (format!(".{payload}.c2ln"), None),
            (format!("e30.{payload}=.c2ln"), None),
            (format!("e30.{payload}.c2+n"), None),
            (format!("e 0.{payload}.c2ln"), None),
            (format!("e30.{payload}.c2ln.c2ln.c2ln"), None), // a JWE has five
            (String::new(), None),
            (payload, None),
        ] {
            assert_eq!(shown(&token).as_deref(), expected, "{token}");
        }
    }

    #[test]
    fn other_claims_when_configured() {
        let token = jwt(r#"{"email":"a@b","account":"c@d"}"#);
        let found = account(token.as_bytes(), &["account".to_owned(), "email".to_owned()]);
        assert_eq!(found, TokenAccount::Account("c@d".to_owned()));
        assert_eq!(account(token.as_bytes(), &[]), TokenAccount::Opaque);
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let of_padding = |length: usize| jwt(&format!(r#"{{"p":"{}","sub":"a@b"}}"#, "x".repeat(length)));
        assert_eq!(shown(&of_padding(40_000)).as_deref(), Some("a@b"));
        let too_long = of_padding(50_000);
        assert!(too_long.len() > MAX_LENGTH);
        assert_eq!(shown(&too_long), None);

        let of_depth = |n: usize| jwt(&format!(r#"{{"x":{}{},"sub":"a@b"}}"#, "[".repeat(n), "]".repeat(n)));
        assert_eq!(shown(&of_depth(100)).as_deref(), Some("a@b"));
        assert_eq!(shown(&of_depth(20_000)), None);
    }

    proptest! {
        #[test]
        fn never_panics(token in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut marked = SW1.to_vec();
            marked.extend(&token);
            let _ = (account(&token, &claims()), account(&marked, &claims()));
        }

        #[test]
        fn never_panics_at_any_payload(payload in "\\PC{0,60}|[\\[\\]{}\":,a-z@0-9]{0,60}") {
            if let Some(name) = shown(&jwt(&payload)) {
                prop_assert!(name.contains('@'));
            }
        }

        #[test]
        fn a_footer_is_decoded(name in "\\PC{1,40}") {
            prop_assert_eq!(shown(&format!("sw1.x.{}", base64url(&name))), Some(name));
        }
    }
}
