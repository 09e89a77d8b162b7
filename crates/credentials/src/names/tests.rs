//! One table per mechanism, then: nothing panics, and nothing prints a token.

use crate::mechanism::Mechanism;
use proptest::prelude::*;

use super::*;

const MECHANISMS: [Mechanism; 6] = [
    Mechanism::Plain,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
    Mechanism::ScramSha1,
    Mechanism::ScramSha256,
    Mechanism::ScramSha512,
];

fn sasl(mechanism: Mechanism, initial: &[u8]) -> Credential {
    Credential::Sasl { mechanism, initial: Secret::copy_of(initial) }
}

/// What a test table can hold: the name, `token:` and the token, or the label of the refusal.
fn shown(claimed: Result<ClaimedAccount, BadCredential>) -> String {
    match claimed {
        Ok(ClaimedAccount::Name(name)) => name.escape_ascii().to_string(),
        Ok(ClaimedAccount::Token(token)) => format!("token:{}", token.expose().escape_ascii()),
        Err(bad) => bad.label().to_owned(),
    }
}

fn check(mechanism: Mechanism, rows: &[(&[u8], &str)]) {
    for (initial, expected) in rows {
        assert_eq!(shown(claimed(&sasl(mechanism, initial))), *expected, "{}", initial.escape_ascii());
    }
}

#[test]
fn a_password_names_its_user() {
    for (user, password, expected) in [
        (&b"alice"[..], &b"secret"[..], "alice"),
        (b"alice%master", b"", "alice%master"),
        (b" alice ", b"secret", " alice "),
        (b"", b"secret", ""),
        (b"ali\0ce", b"secret", "credential_nul"),
        (b"alice", b"sec\0ret", "credential_nul"),
    ] {
        let credential =
            Credential::Password { user: Secret::copy_of(user), password: Secret::copy_of(password) };
        assert_eq!(shown(claimed(&credential)), expected);
    }
}

#[test]
fn plain_names_the_mailbox_that_is_opened() {
    check(
        Mechanism::Plain,
        &[
            (b"\0alice\0secret", "alice"),
            (b"alice\0alice\0secret", "alice"),
            (b"alice\0admin\0secret", "alice"),
            (b"\0alice%admin\0secret", "alice%admin"),
            (b"\0\0secret", ""),
            (b"\0alice\0", "alice"),
            (b"", "credential_nul"),
            (b"alice", "credential_nul"),
            (b"\0alice", "credential_nul"),
            (b"\0alice\0secret\0", "credential_nul"),
            (b"a\0b\0c\0d", "credential_nul"),
        ],
    );
}

#[test]
fn oauthbearer_names_its_authzid_else_holds_a_token() {
    check(
        Mechanism::OAuthBearer,
        &[
            // RFC 7628 section 4.1
            (
                b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9d\x01\x01",
                "user@example.com",
            ),
            (b"n,a=a=2Cb=3Dc@example.org,\x01auth=Bearer t\x01\x01", "a,b=c@example.org"),
            (b"n,a=a=2cb=3dc@example.org,\x01auth=Bearer t\x01\x01", "a,b=c@example.org"),
            (b"y,a=alice,\x01auth=Bearer t\x01\x01", "alice"),
            (b"n,a= alice,\x01auth=Bearer t\x01\x01", " alice"),
            (b"n,,\x01auth=Bearer abc.def\x01\x01", "token:abc.def"),
            (b"n,a=,\x01auth=bearer  abc\x01\x01", "token:abc"),
            (b"n,,\x01auth=Bearer abc", "token:abc"),
            (b"n,,\x01host=x\x01AUTH=Bearer abc\x01\x01", "token:abc"),
            (b"n,,\x01auth=Bearer \x01\x01", "credential_unknown"),
            (b"n,,\x01auth=Basic YTpi\x01\x01", "credential_unknown"),
            (b"n,,\x01authority=Bearer abc\x01\x01", "credential_without_name"),
            (b"n,,\x01\x01", "credential_without_name"),
            (b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", "credential_repeated_key"),
            (b"p=tls-exporter,a=alice,\x01auth=Bearer t\x01\x01", "credential_channel_binding"),
            (b"n,a=al=ice,\x01auth=Bearer t\x01\x01", "credential_escape"),
            (b"n,a=alice=2,\x01auth=Bearer t\x01\x01", "credential_escape"),
            (b"n,alice,\x01auth=Bearer t\x01\x01", "credential_malformed"),
            (b"n,a=alice,auth=Bearer t\x01\x01", "credential_malformed"),
            (b"F,n,a=alice,\x01auth=Bearer t\x01\x01", "credential_malformed"),
            (b"n,a=alice", "credential_malformed"),
            (b"\x01", "credential_malformed"),
            (b"", "credential_malformed"),
        ],
    );
}

#[test]
fn xoauth2_names_its_user_else_holds_a_token() {
    check(
        Mechanism::XOAuth2,
        &[
            (b"user=alice@example.org\x01auth=Bearer t\x01\x01", "alice@example.org"),
            (b"user= alice \x01auth=Bearer t\x01\x01", " alice "),
            (b"user=a=2Cb\x01auth=Bearer t\x01\x01", "a=2Cb"),
            (b"user=alice", "alice"),
            (b"user=\x01auth=Bearer abc\x01\x01", "token:abc"),
            (b"auth=Bearer abc\x01\x01", "token:abc"),
            (b"username=alice\x01auth=Bearer abc\x01\x01", "token:abc"),
            (b"user=alice\x01user=bob\x01auth=Bearer t\x01\x01", "credential_repeated_key"),
            (b"user=alice\x01USER=bob\x01auth=Bearer t\x01\x01", "credential_repeated_key"),
            (b"auth=abc\x01\x01", "credential_unknown"),
            (b"", "credential_without_name"),
        ],
    );
}

#[test]
fn scram_names_its_user() {
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        check(
            mechanism,
            &[
                (b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "user"), // RFC 5802 section 5
                (b"y,,n=user,r=abc", "user"),
                (b"n,,n=a=2Cb=3D,r=abc", "a,b="),
                (b"n,a=alice,n=admin,r=abc", "alice"),
                (b"n,a=alice,n=alice,r=abc", "alice"),
                (b"n,a=,n=alice,r=abc", "alice"),
                (b"n,,n=alice,r=abc,x=ext", "alice"),
                (b"n,,n=,r=abc", ""),
                (b"p=tls-unique,,n=alice,r=abc", "credential_channel_binding"),
                (b"n,,m=ext,n=alice,r=abc", "credential_malformed"),
                (b"n,,a=alice,r=abc", "credential_malformed"),
                (b"n,,n=alice", "credential_malformed"),
                (b"n,,n=alice,", "credential_malformed"),
                (b"n,n=alice,r=abc", "credential_malformed"),
                (b"x,,n=alice,r=abc", "credential_malformed"),
                (b"", "credential_malformed"),
                (b"n,,n=al=ice,r=abc", "credential_escape"),
                (b"n,a=b=,n=alice,r=abc", "credential_escape"),
            ],
        );
    }
}

#[test]
fn login_is_no_relayed_mechanism() {
    check(Mechanism::Login, &[(b"alice", "credential_unknown")]);
}

#[test]
fn an_authorization_header_names_a_user_or_holds_a_token() {
    for (value, expected) in [
        (&b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="[..], "Aladdin"), // RFC 7617 section 2
        (b"basic  YTpiOmM=", "a"),
        (b"Basic OmI=", ""),
        (b"Basic YQ==", "credential_malformed"), // no colon
        (b"Basic YTpi=", "credential_malformed"),
        (b"Basic YTpj YTpj", "credential_malformed"),
        (b"Bearer mF_9.B5f-4.1JqM", "token:mF_9.B5f-4.1JqM"), // RFC 6750 section 2.1
        (b" BEARER   abc ", "token:abc"),
        (b"Bearer", "credential_unknown"),
        (b"Bearer ", "credential_unknown"),
        (b"Digest username=\"a\"", "credential_unknown"),
        (b"", "credential_unknown"),
    ] {
        assert_eq!(shown(authorization(value)), expected, "{}", value.escape_ascii());
    }
    assert_eq!(bearer(b"Bearer t").expect("a token").expose(), b"t");
    assert_eq!(bearer(b"Basic YTpi").expect_err("another scheme"), BadCredential::Unknown);
}

#[test]
fn a_token_is_never_printed() {
    let token = claimed(&sasl(Mechanism::XOAuth2, b"auth=Bearer very-secret\x01\x01")).expect("a token");
    assert_eq!(format!("{token:?}"), "Token([redacted])");
}

#[test]
fn labels_differ() {
    use BadCredential::{ChannelBinding, Escape, Malformed, NoName, Nul, Repeated, Unknown};
    let all = [Nul, Malformed, ChannelBinding, Escape, Repeated, NoName, Unknown];
    let mut labels = all.map(BadCredential::label);
    labels.sort_unstable();
    assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    // The bytes that the grammars turn on, so that the search gets past the first comma.
    let pieces = proptest::sample::select(vec![
        &b"n,"[..],
        b"y,",
        b"p=",
        b"a=",
        b"n=",
        b"r=",
        b",",
        b"=",
        b"=2C",
        b"=3d",
        b"\0",
        b"\x01",
        b"user=",
        b"auth=",
        b"Bearer ",
        b"alice",
        b" ",
        b"\xff",
        b"Basic ",
        b"YTpi",
    ]);
    proptest::collection::vec(pieces, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics(message in prop_oneof![hostile(), proptest::collection::vec(any::<u8>(), 0..64)]) {
        for mechanism in MECHANISMS {
            // A name is made of the message's bytes alone, so it cannot be longer.
            if let Ok(ClaimedAccount::Name(name)) = claimed(&sasl(mechanism, &message)) {
                prop_assert!(name.len() <= message.len());
            }
        }
        if let Ok(ClaimedAccount::Token(token)) = authorization(&message) {
            prop_assert!(!token.is_empty());
        }
    }

    #[test]
    fn names_come_back_out_of_their_escapes(name in "[ -~]{1,40}") {
        let escaped = name.replace('=', "=3D").replace(',', "=2C");
        let scram = format!("n,,n={escaped},r=x");
        prop_assert_eq!(
            shown(claimed(&sasl(Mechanism::ScramSha256, scram.as_bytes()))),
            name.as_bytes().escape_ascii().to_string()
        );
    }
}
