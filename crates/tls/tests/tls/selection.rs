//! The certificate that a client gets, identified by its pin.

use plan::Verify;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use rustls::SignatureScheme;
use tls::{Acceptor, Certificates, SetupError, Tickets};

use crate::support::*;

#[tokio::test]
async fn the_sni_decides() {
    let authority = Authority::new("any");
    let (exact, wide, other) =
        (authority.issue(&["a.test"]), authority.issue(&["b.test"]), authority.issue(&["c.test"]));
    let acceptor = acceptor(&plan(vec![
        wide.configured("wide", &["*.example.test"], false),
        exact.configured("exact", &["mail.example.test"], false),
        other.configured("other", &["other.test"], true),
    ]));
    for (host, expected) in [
        ("mail.example.test", &exact),
        ("MAIL.example.TEST", &exact),
        ("imap.example.test", &wide),
        ("a.b.example.test", &other),
        ("nothing.like.it", &other),
        ("127.0.0.1", &other), // an address is not sent as SNI
    ] {
        let (client, server) =
            handshake(&connector(Verify::Pins(vec![expected.sha256()])), host, &acceptor).await;
        client.unwrap_or_else(|error| panic!("{host}: {error}"));
        let sni = server.unwrap().tls_info().unwrap().sni;
        assert_eq!(sni, (host != "127.0.0.1").then(|| host.to_lowercase()), "{host}");
    }
}

#[tokio::test]
async fn without_certificates_a_self_signed_one_is_generated() {
    let plan = plan(Vec::new());
    let certificates = Certificates::new(&plan, &["proxy.test".to_owned()]).unwrap();
    let info = certificates.list().remove(0);
    assert_eq!((info.name, info.is_default, info.not_after), (None, true, None));
    let acceptor = Acceptor::new(&plan, &certificates, &Tickets::new().unwrap(), &[]).unwrap();
    connected(&connector(Verify::Pins(vec![info.sha256])), "mail.test", &acceptor).await;

    // It contains the host name, so that an operator can choose to trust it.
    let (client, _) =
        handshake(&connector(Verify::Roots(vec![Authority::new("x").root()])), "proxy.test", &acceptor).await;
    let error = client.unwrap_err().to_string();
    assert!(error.starts_with("the certificate is not issued by a trusted authority;"), "{error}");
}

#[tokio::test]
async fn the_admin_listener_presents_the_named_certificate() {
    let authority = Authority::new("any");
    let first = authority.issue(&["a.test"]);
    let second = authority.issue(&["b.test"]);
    let plan = plan(vec![
        first.configured("first", &["a.test"], true),
        second.configured("second", &["b.test"], false),
    ]);
    let certificates = Certificates::new(&plan, &[]).unwrap();
    let tickets = Tickets::new().unwrap();
    let acceptor = Acceptor::named(&plan, &certificates, "second", &tickets, &[]).unwrap();
    connected(&connector(Verify::Pins(vec![second.sha256()])), "a.test", &acceptor).await;

    let error = Acceptor::named(&plan, &certificates, "third", &tickets, &[]).unwrap_err();
    assert!(matches!(error, SetupError::NoSuchCertificate { ref name } if name == "third"), "{error}");
}

#[tokio::test]
async fn a_client_gets_a_key_that_it_supports() {
    let authority = Authority::new("any");
    let modern =
        authority.issue_as(&params(&["mail.test"]), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    let plain =
        authority.issue_as(&params(&["mail.test"]), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let acceptor = acceptor(&plan(vec![
        modern.configured("modern", &["mail.test"], false),
        plain.configured("plain", &["mail.test"], false),
    ]));
    for (schemes, expected) in [
        (vec![SignatureScheme::ECDSA_NISTP256_SHA256], &plain),
        (vec![SignatureScheme::ECDSA_NISTP384_SHA384], &modern),
        (vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384], &modern),
    ] {
        let shown = crate::server::leaf_for_schemes(&acceptor, schemes.clone()).await;
        assert_eq!(sha256(&shown), expected.sha256(), "{schemes:?}");
    }
}
