//! One table per rule, and one login per form of credential.

use credentials::attempt::Mechanism;
use proptest::prelude::*;
use types::secret::Secret;

use super::*;

fn rules(lowercase: bool, separators: &[&str]) -> Rules {
    Rules {
        lowercase,
        default_domain: None,
        separators: separators.iter().map(|&it| it.to_owned()).collect(),
        domain_separators: Vec::new(),
        claims: ["email", "sub"].map(str::to_owned).to_vec(),
    }
}

/// The identifier, `(opaque)`, or the label of the refusal.
fn shown(result: Result<Identity, IdentityRefusal>) -> String {
    match result {
        Ok(Identity::Known(identifier)) => identifier.to_string(),
        Ok(Identity::Opaque) => "(opaque)".to_owned(),
        Err(refusal) => refusal.label().to_owned(),
    }
}

fn named(rules: &Rules, name: &[u8]) -> String {
    shown(rules.name(name).map(Identity::Known))
}

fn password(user: &[u8]) -> Credential {
    Credential::Password { user: Secret::copy_of(user), password: Secret::copy_of(b"secret") }
}

fn sasl(mechanism: Mechanism, initial: &[u8]) -> Credential {
    Credential::Sasl { mechanism, initial: Secret::copy_of(initial) }
}

#[test]
fn a_login_without_a_domain_gets_the_default_domain() {
    let rules = Rules { default_domain: Some("example.org".to_owned()), ..rules(true, &["*"]) };
    for (name, login, extracted) in [
        ("Alice", "alice@example.org", "alice"),
        ("alice@example.net", "alice@example.net", "alice@example.net"),
        ("alice*master", "alice@example.org", "alice"),
        ("webadmin", "webadmin@example.org", "webadmin"),
    ] {
        assert_eq!(named(&rules, name.as_bytes()), login);
        assert_eq!(shown(rules.identify(&password(name.as_bytes()))), login);
        assert_eq!(shown(rules.extracted(name.as_bytes()).map(Identity::Known)), extracted);
    }
    assert_eq!(shown(rules.authorization(b"Basic QWxpY2U6c2VjcmV0")), "alice@example.org");
    // With the domain it is longer than an identifier may be.
    assert_ne!(named(&rules, &[b'a'; 320]), "a".repeat(320));
}

#[test]
fn the_master_user_is_removed() {
    for (separators, name, expected) in [
        (&["%"][..], "alice%master", "alice"),
        (&["%"], "alice", "alice"),
        (&["%"], "alice%m%n", "alice"),
        (&["%"], "alice%", "alice"),
        (&["%"], "%master", "identifier_empty"),
        (&["%"], "alice%the master", "alice"),
        (&["%", "*"], "alice*m%n", "alice"),
        (&["%", "*"], "alice%m*n", "alice"),
        (&["*", "%"], "alice%m*n", "alice"),
        (&["::"], "a:lice::master", "a:lice"),
        (&["::", ":"], "a:lice::master", "a"),
        (&["ü"], "aliceümaster", "alice"),
        (&[""], "alice", "alice"),
        (&[], "alice%master", "alice%master"),
    ] {
        assert_eq!(named(&rules(false, separators), name.as_bytes()), expected, "{separators:?} {name}");
    }
}

#[test]
fn the_domain_separator_is_read_as_an_at_sign() {
    for (separators, name, expected) in [
        (&["%"][..], "Alice%Example.org", "alice@example.org"),
        (&["%"], "alice%example.org*master", "alice@example.org"),
        (&["%"], "a%b%example.org", "a%b@example.org"),
        (&["%"], "a%b@example.org", "a%b@example.org"),
        (&["%"], "alice", "alice"),
        (&["%"], "alice%", "alice%"),
        (&["%"], "%example.org", "%example.org"),
        (&["%", "+"], "alice+example.org", "alice@example.org"),
        (&["%", "+"], "alice+a%example.org", "alice+a@example.org"),
        (&[], "alice%example.org", "alice%example.org"),
    ] {
        let mut rules = rules(true, &["*"]);
        rules.domain_separators = separators.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(named(&rules, name.as_bytes()), expected, "{separators:?} {name}");
    }
}

#[test]
fn names_are_folded_when_configured() {
    for (lowercase, name, expected) in [
        (false, "Alice@Example.ORG", "Alice@Example.ORG"),
        (true, "Alice@Example.ORG", "alice@example.org"),
        (true, "ÜBER@ПРИМЕР.рф", "über@пример.рф"),
        (true, "alice%MASTER", "alice"),
    ] {
        assert_eq!(named(&rules(lowercase, &["%"]), name.as_bytes()), expected);
    }
    // The master user is removed before folding, so a separator matches as written.
    assert_eq!(named(&rules(true, &["X"]), b"aliceXmaster"), "alice");
    assert_eq!(named(&rules(true, &["x"]), b"aliceXmaster"), "alicexmaster");
}

#[test]
fn bad_names_are_refused() {
    let longest = [b'a'; 320];
    // U+0130 has two bytes, and three in lower case: the length is checked after folding.
    let grows = "\u{130}".repeat(160);
    for (name, expected) in [
        (&b""[..], "identifier_empty"),
        (&[b'a'; 321], "identifier_too_long"),
        (&[b'a'; 70_000], "identifier_too_long"),
        (grows.as_bytes(), "identifier_too_long"),
        (b"al\xffice", "identifier_not_utf8"),
        (b"al\0ice", "identifier_control"),
        (b"alice\r\n", "identifier_control"),
        (b"alice%m\r\nDELE 1", "identifier_control"),
        ("alice\u{9b}".as_bytes(), "identifier_control"),
        (b" alice", "identifier_space"),
        ("al\u{a0}ice".as_bytes(), "identifier_space"),
        (b"alice\"", "identifier_quote"),
    ] {
        assert_eq!(named(&rules(true, &["%"]), name), expected, "{}", name.escape_ascii());
    }
    assert_eq!(named(&rules(true, &["%"]), &longest).len(), 320);
    assert_eq!(named(&rules(false, &["%"]), grows.as_bytes()), grows);
    // The suffix does not count, because it is not part of the identifier.
    let suffixed = [&longest[..], b"%", &longest].concat();
    assert_eq!(named(&rules(false, &["%"]), &suffixed).len(), 320);
}

#[test]
fn every_form_of_credential_yields_the_identifier() {
    let rules = rules(true, &["%"]);
    for (credential, expected) in [
        (password(b"Alice%admin"), "alice"),
        (password(b" alice"), "identifier_space"),
        (password(b"Jane Doe/Sales/Example"), "jane doe/sales/example"),
        (sasl(Mechanism::Plain, b"\0Jane Doe\0secret"), "jane doe"),
        (password(b"al\0ice"), "credential_nul"),
        (sasl(Mechanism::Plain, b"\0Alice\0secret"), "alice"),
        (sasl(Mechanism::Plain, b"Alice\0admin\0secret"), "alice"),
        (sasl(Mechanism::Plain, b"\0\0secret"), "identifier_empty"),
        (sasl(Mechanism::Plain, b""), "credential_nul"),
        (sasl(Mechanism::OAuthBearer, b"n,a=Alice,\x01auth=Bearer t\x01\x01"), "alice"),
        (sasl(Mechanism::OAuthBearer, b"n,,\x01auth=Bearer sw1.eA.QWxpY2U\x01\x01"), "alice"),
        (sasl(Mechanism::OAuthBearer, b"n,,\x01auth=Bearer t\x01\x01"), "(opaque)"),
        (sasl(Mechanism::XOAuth2, b"user= Alice \x01auth=Bearer t\x01\x01"), "identifier_space"),
        (sasl(Mechanism::XOAuth2, b"user=Alice\x01auth=Bearer t\x01\x01"), "alice"),
        (sasl(Mechanism::XOAuth2, b"auth=Bearer e30.eyJzdWIiOiJBQEIifQ.\x01\x01"), "a@b"),
        (sasl(Mechanism::ScramSha256, b"n,,n=Alice=2C,r=x"), "alice,"),
        (sasl(Mechanism::ScramSha256, b"p=tls-exporter,,n=alice,r=x"), "credential_channel_binding"),
    ] {
        assert_eq!(shown(rules.identify(&credential)), expected);
    }
}

#[test]
fn http_authorization() {
    // A Basic user name is folded even if other names are not; a token's name is not.
    let rules = rules(false, &["%"]);
    for (value, expected) in [
        (&b"Basic QWxpY2U6c2VjcmV0"[..], "alice"),
        (b"Basic QWxpY2UlbTpzZWNyZXQ=", "alice"),
        (b"Basic OnNlY3JldA==", "identifier_empty"),
        (b"Bearer sw1.eA.QWxpY2U", "Alice"),
        (b"Bearer sw1.eA.YSBi", "a b"),
        (b"Bearer opaque", "(opaque)"),
        (b"Negotiate abc", "credential_unknown"),
    ] {
        assert_eq!(shown(rules.authorization(value)), expected, "{}", value.escape_ascii());
    }
}

#[test]
fn a_refusal_holds_the_reason_and_nothing_of_the_name() {
    let refusal = rules(true, &["%"]).name(b"very\"secret").expect_err("a quote");
    assert_eq!(refusal.to_string(), "the account name contains a double quote");
    assert_eq!(format!("{refusal:?}"), "Identifier(Quote)");
    assert_eq!(Identity::Opaque.identifier(), None);
}

proptest! {
    #[test]
    fn never_panics_and_is_stable(name in prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]) {
        let rules = rules(true, &["%", "::"]);
        if let Ok(identifier) = rules.name(&name) {
            prop_assert!(!identifier.as_str().contains('%') && !identifier.as_str().contains("::"));
            // A login with the identifier itself yields the same identifier.
            prop_assert_eq!(rules.name(identifier.as_str().as_bytes()), Ok(identifier));
        }
    }

    #[test]
    fn hostile_credentials_never_panic(message in proptest::collection::vec(any::<u8>(), 0..80)) {
        let rules = rules(true, &["%"]);
        for mechanism in Mechanism::all() {
            let _ = rules.identify(&sasl(mechanism, &message));
        }
        let _ = (rules.identify(&password(&message)), rules.authorization(&message), rules.token(&message));
    }
}
