//! The client's side: how a backend's certificate is verified, and how an error is described.

use std::sync::Arc;

use plan::{ClientCertificate, Verify};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tls::{Acceptor, Connector, PlatformRoots, SetupError, Stream, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Returns our verdict on a backend with the certificate `issued`.
async fn verdict(issued: &Issued, verify: Verify, host: &str) -> Result<(), String> {
    let acceptor = acceptor(&plan(vec![issued.configured("only", &["mail.test"], false)]));
    let (client, _) = handshake(&connector(verify), host, &acceptor).await;
    client.map(drop).map_err(|error| error.to_string())
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    let issued = ours.issue(&["mail.test", "*.pool.test"]);
    let both = Verify::Roots(vec![theirs.root(), ours.root()]);
    assert_eq!(verdict(&issued, both.clone(), "mail.test").await, Ok(()));
    assert_eq!(verdict(&issued, both, "one.pool.test").await, Ok(()));
    assert_eq!(
        verdict(&issued, Verify::Roots(vec![theirs.root()]), "mail.test").await,
        Err(format!(
            "the certificate is not issued by a trusted authority; set tls_ca to its authority, or, if the server's \
             own certificate has SHA-256 {}, pin it with tls_pinned_cert_sha256",
            hex(issued.sha256())
        ))
    );
}

#[tokio::test]
async fn the_platforms_authorities_are_trusted_by_default() {
    let authority = Authority::new("a public one");
    let plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    let platform = PlatformRoots::of(vec![authority.root()]);
    let connector = Connector::new(&destination(Verify::Platform), &platform, &[]).unwrap();
    connected(&connector, "mail.test", &acceptor(&plan)).await;

    let none = PlatformRoots::of(Vec::new());
    let error = Connector::new(&destination(Verify::Platform), &none, &[]).unwrap_err();
    assert!(matches!(error, SetupError::NoPlatformRoots { .. }), "{error}");
    // Without a need for roots, their absence is not an error.
    Connector::new(&destination(Verify::Nothing), &none, &[]).unwrap();
}

#[tokio::test]
async fn the_certificate_must_contain_the_name() {
    let authority = Authority::new("any");
    let roots = Verify::Roots(vec![authority.root()]);
    let two = authority.issue(&["imap.test", "192.0.2.7"]);
    assert_eq!(
        verdict(&two, roots.clone(), "mail.test").await,
        Err("the certificate is for imap.test, 192.0.2.7, not for `mail.test`; set tls_server_name to one of its \
             names, or issue one for `mail.test`"
            .to_owned())
    );
    assert_eq!(verdict(&two, roots.clone(), "192.0.2.7").await, Ok(()));

    // The common name is not a host name (RFC 9525 section 2).
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "mail.test");
    let common_name = authority.issue_as(&params, KeyPair::generate().unwrap());
    assert_eq!(
        verdict(&common_name, roots, "mail.test").await,
        Err("the certificate is for no host name at all, not for `mail.test`; set tls_server_name to one of its \
             names, or issue one for `mail.test`"
            .to_owned())
    );
}

#[tokio::test]
async fn a_backend_that_lets_the_client_choose_uses_aes_128() {
    let authority = Authority::new("any");
    let mut plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    let connector = connector(Verify::Roots(vec![authority.root()]));
    for expected in ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"] {
        let (client, _server) = connected(&connector, "mail.test", &acceptor(&plan)).await;
        assert_eq!(client.tls_info().unwrap().cipher, expected);
        plan.cipher_suites.retain(|suite| suite.tls13().is_none());
    }
}

#[tokio::test]
async fn tls_server_name_overrides_the_host() {
    let (acceptor, root) = backend();
    let mut destination = destination(Verify::Roots(vec![root]));
    destination.tls_server_name = Some("mail.test".to_owned());
    let connector = Connector::new(&destination, &PlatformRoots::default(), &[]).unwrap();
    let (client, server) = connected(&connector, "127.0.0.1", &acceptor).await;
    for side in [client, server] {
        assert_eq!(side.tls_info().unwrap().sni.as_deref(), Some("mail.test"));
    }

    destination.tls_server_name = Some("mail test".to_owned());
    let error = Connector::new(&destination, &PlatformRoots::default(), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`mail test` is not a server name: neither a DNS name nor an IP address; set tls_server_name \
         (internationalised names in their xn-- form)"
    );
}

#[tokio::test]
async fn the_validity_period_is_checked() {
    let authority = Authority::new("any");
    let roots = Verify::Roots(vec![authority.root()]);
    for (from, to, expected) in [
        ((2001, 1, 1), (2002, 1, 1), "the certificate expired "),
        ((4001, 1, 1), (4002, 1, 1), "the certificate becomes valid in "),
    ] {
        let mut params = params(&["mail.test"]);
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let issued = authority.issue_as(&params, KeyPair::generate().unwrap());
        let error = verdict(&issued, roots.clone(), "mail.test").await.unwrap_err();
        assert!(error.starts_with(expected) && error.contains(" days"), "{error}");
        // A pin accepts the certificate whatever its validity period.
        assert_eq!(verdict(&issued, Verify::Pins(vec![issued.sha256()]), "mail.test").await, Ok(()));
    }
}

#[tokio::test]
async fn a_pin_accepts_exactly_one_certificate() {
    let authority = Authority::new("any");
    let old = authority.issue(&["a.test"]);
    let new = authority.issue(&["a.test"]);
    let rotation = Verify::Pins(vec![[0; 32], new.sha256()]);
    assert_eq!(verdict(&new, rotation.clone(), "mail.test").await, Ok(()));
    assert_eq!(verdict(&new, rotation.clone(), "127.0.0.1").await, Ok(()));
    assert_eq!(
        verdict(&old, rotation, "mail.test").await,
        Err(format!(
            "the certificate has SHA-256 {}, which is not pinned; if the server's certificate was renewed, add the \
             new hash to tls_pinned_cert_sha256, otherwise suspect an interception",
            hex(old.sha256())
        ))
    );
    assert!(verdict(&old, Verify::Pins(Vec::new()), "mail.test").await.is_err());
}

#[tokio::test]
async fn an_authority_used_as_a_leaf_must_be_pinned() {
    let mut params = params(&["mail.test"]);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let issued = Issued { der: certificate.der().clone(), pem: certificate.pem(), key };
    let error = verdict(&issued, Verify::Roots(vec![issued.der.clone()]), "mail.test").await.unwrap_err();
    assert!(error.starts_with("the certificate is invalid: "), "{error}");
    assert!(error.contains("CaUsedAsEndEntity") && error.contains(&hex(issued.sha256())), "{error}");
    assert_eq!(verdict(&issued, Verify::Pins(vec![issued.sha256()]), "mail.test").await, Ok(()));
}

/// A server that presents a certificate whose key it does not have.
fn impostor(issued: &Issued, versions: &[&'static SupportedProtocolVersion]) -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let other = Authority::new("any").issue(&["mail.test"]);
    let key = provider.key_provider.load_private_key(other.private_key()).unwrap();
    let shown = Arc::new(CertifiedKey::new(vec![issued.der.clone()], key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_copied_certificate_is_not_enough_under_any_rule() {
    let authority = Authority::new("any");
    let issued = authority.issue(&["mail.test"]);
    for verify in
        [Verify::Roots(vec![authority.root()]), Verify::Pins(vec![issued.sha256()]), Verify::Nothing]
    {
        for version in [&TLS12, &TLS13] {
            let (client, server) = sockets().await;
            let impostor = impostor(&issued, &[version]);
            let connector = connector(verify.clone());
            let (client, _) = tokio::join!(
                Stream::plain(client, Vec::new()).connect(&connector, "mail.test"),
                impostor.accept(server)
            );
            let error = client.unwrap_err();
            assert!(matches!(error, TlsError::BadSignature { .. }), "{verify:?}, {version:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn without_verification_any_certificate_is_accepted() {
    let issued = Authority::new("any").issue(&["something.else"]);
    assert_eq!(verdict(&issued, Verify::Nothing, "mail.test").await, Ok(()));
    assert_eq!(verdict(&issued, Verify::Nothing, "192.0.2.1").await, Ok(()));
}

/// A backend that requires a client certificate issued by `root`.
fn demanding(
    root: CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let own = Authority::new("backend's").issue(&["mail.test"]);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.der.clone()], own.private_key())
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// Connects, reads a greeting of one byte, and returns the client certificate that the backend received.
async fn greeted(
    acceptor: tokio_rustls::TlsAcceptor,
    own: Option<&Issued>,
) -> Result<Option<Vec<u8>>, TlsError> {
    let mut destination = destination(Verify::Nothing);
    destination.client_certificate =
        own.map(|own| Arc::new(ClientCertificate { chain: vec![own.der.clone()], key: own.private_key() }));
    let connector = Connector::new(&destination, &PlatformRoots::default(), &[]).unwrap();
    let (client, server) = sockets().await;
    let backend = tokio::spawn(async move {
        let mut tls = acceptor.accept(server).await.ok()?;
        tls.write_all(b"*").await.unwrap();
        tls.get_ref().1.peer_certificates().map(|shown| shown[0].to_vec())
    });
    let mut stream = Stream::plain(client, Vec::new()).connect(&connector, "mail.test").await?;
    stream.read_exact(&mut [0]).await.map_err(TlsError::of_backend)?;
    Ok(backend.await.unwrap())
}

#[tokio::test]
async fn a_client_certificate_is_sent_where_it_is_required() {
    let authority = Authority::new("clients'");
    let mut params = params(&["proxy.test"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let own = authority.issue_as(&params, KeyPair::generate().unwrap());
    let stranger = Authority::new("strangers'").issue(&["proxy.test"]);
    for (version, without, with_stranger) in
        [(&TLS12, "certificate_required", "unknown_ca"), (&TLS13, "certificate_required", "unknown_ca")]
    {
        let known = greeted(demanding(authority.root(), version), Some(&own)).await.unwrap();
        assert_eq!(known.as_deref(), Some(&own.der[..]), "{version:?}");
        let error = greeted(demanding(authority.root(), version), None).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "the server refused the handshake with the alert {without}; it requires a client certificate: set \
                 tls_client_cert and tls_client_key"
            ),
            "{version:?}"
        );
        let error =
            greeted(demanding(authority.root(), version), Some(&stranger)).await.unwrap_err().to_string();
        assert!(
            error.contains(with_stranger) && error.contains("check tls_client_cert"),
            "{version:?}: {error}"
        );
    }
}

#[test]
fn a_client_key_of_another_certificate_is_an_error() {
    let one = Authority::new("a").issue(&["a.test"]);
    let other = Authority::new("b").issue(&["b.test"]);
    let mut destination = destination(Verify::Nothing);
    destination.client_certificate =
        Some(Arc::new(ClientCertificate { chain: vec![one.der.clone()], key: other.private_key() }));
    let error = Connector::new(&destination, &PlatformRoots::default(), &[]).unwrap_err();
    assert!(matches!(error, SetupError::ClientCertificate { .. }), "{error}");
}

#[tokio::test]
async fn only_the_same_connector_resumes_a_session() {
    for only_tls13 in [false, true] {
        let authority = Authority::new("any");
        let mut plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
        plan.only_tls13 = only_tls13;
        if !only_tls13 {
            plan.cipher_suites.retain(|suite| suite.version().version == TLS12.version);
        }
        let acceptor = acceptor(&plan);
        let ours = connector(Verify::Roots(vec![authority.root()]));
        for expected in [false, true, true] {
            let (client, server) = connected(&ours, "mail.test", &acceptor).await;
            let client = client.tls_info().unwrap();
            let server = server.tls_info().unwrap();
            assert_eq!(client, server);
            assert_eq!((client.resumed, client.version == "TLSv1.3"), (expected, only_tls13));
        }
        let other = connector(Verify::Roots(vec![authority.root()]));
        let (client, _) = connected(&other, "mail.test", &acceptor).await;
        assert!(!client.tls_info().unwrap().resumed);
    }
}

#[tokio::test]
async fn alpn_is_sent_when_it_is_configured() {
    let authority = Authority::new("any");
    let plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    let certificates = tls::Certificates::new(&plan, &[]).unwrap();
    let tickets = tls::Tickets::new().unwrap();
    let acceptor = Acceptor::new(&plan, &certificates, &tickets, &[b"h2", b"http/1.1"]).unwrap();
    let roots = || Verify::Roots(vec![authority.root()]);
    for (offer, expected) in [(&[&b"h2"[..]][..], Some(b"h2".to_vec())), (&[], None)] {
        let connector = Connector::new(&destination(roots()), &PlatformRoots::default(), offer).unwrap();
        let (client, server) = connected(&connector, "mail.test", &acceptor).await;
        assert_eq!(client.tls_info().unwrap().alpn, expected);
        assert_eq!(server.tls_info().unwrap().alpn, expected);
    }
}

#[tokio::test]
async fn a_backend_that_does_not_speak_tls_is_recognised() {
    let connector = connector(Verify::Nothing);
    for (sent, expected) in [
        (
            &b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n"[..],
            "the server sent data that is not TLS; if the port is for STARTTLS, set tls = \"starttls\", and if it is for \
             cleartext, tls = \"plain\"",
        ),
        (b"", "the connection failed during the TLS handshake: the peer closed the connection"),
    ] {
        let (client, mut server) = sockets().await;
        server.write_all(sent).await.unwrap();
        server.shutdown().await.unwrap();
        let error = Stream::plain(client, Vec::new()).connect(&connector, "mail.test").await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_invalid_host_name_is_an_error_before_any_byte_is_sent() {
    let connector = connector(Verify::Nothing);
    for host in ["", "mail test", "zwölf.example", "mail..test"] {
        let (client, mut server) = sockets().await;
        let error = Stream::plain(client, Vec::new()).connect(&connector, host).await.unwrap_err();
        assert!(matches!(&error, TlsError::BadName { host: found } if found == host), "{error}");
        assert_eq!(server.read(&mut [0; 16]).await.unwrap(), 0);
    }
}
