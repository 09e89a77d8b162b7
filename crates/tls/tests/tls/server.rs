//! The server's side, seen by other clients: plain rustls, or no TLS at all.

use std::sync::Arc;

use plan::{Tls, Verify};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, HandshakeKind, ProtocolVersion, RootCertStore,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use tls::{Acceptor, Certificates, SetupError, Stream, Tickets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::*;

/// A mail client with these roots, versions and cipher suites.
struct Client {
    root: CertificateDer<'static>,
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
}

/// Accepts every certificate, but supports only these signature schemes.
#[derive(Debug)]
struct Schemes(Vec<SignatureScheme>);

// === impl Client ===

impl Client {
    fn new(root: CertificateDer<'static>) -> Self {
        Self { root, versions: vec![&TLS13, &TLS12], suites: aws_lc_rs::ALL_CIPHER_SUITES.to_vec() }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let provider = CryptoProvider { cipher_suites: self.suites.clone(), ..aws_lc_rs::default_provider() };
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&self.versions).unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Returns the results of both sides: client, server.
async fn meet(
    config: Arc<ClientConfig>,
    acceptor: &Acceptor,
) -> (std::io::Result<TlsStream<TcpStream>>, std::io::Result<Stream>) {
    let (client, server) = sockets().await;
    let connector = tokio_rustls::TlsConnector::from(config);
    tokio::join!(
        connector.connect(ServerName::try_from("mail.test").unwrap(), client),
        Stream::plain(server, Vec::new()).accept(acceptor),
    )
}

/// Returns the leaf that a client with these signature schemes gets.
pub(crate) async fn leaf_for_schemes(
    acceptor: &Acceptor,
    schemes: Vec<SignatureScheme>,
) -> CertificateDer<'static> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Schemes(schemes)))
        .with_no_client_auth();
    let (client, server) = meet(Arc::new(config), acceptor).await;
    server.unwrap();
    client.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn with(change: impl FnOnce(&mut Tls)) -> (Acceptor, CertificateDer<'static>) {
    let authority = Authority::new("any");
    let mut plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    change(&mut plan);
    (acceptor(&plan), authority.root())
}

#[tokio::test]
async fn an_old_client_is_served() {
    let (acceptor, root) = backend();
    let client = Client { versions: vec![&TLS12], ..Client::new(root) };
    let (client, server) = meet(client.config(), &acceptor).await;
    assert_eq!(client.unwrap().get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let info = server.unwrap().tls_info().unwrap();
    assert_eq!((info.version, info.resumed, info.alpn), ("TLSv1.2", false, None));
    assert!(info.cipher.starts_with("TLS_ECDHE_ECDSA_WITH_"), "{}", info.cipher);
}

/// 20 records each way, three times; in TLS 1.3 with new keys each time (RFC 8446 section 4.6.3).
#[tokio::test]
async fn records_follow_new_keys_and_fit_every_version() {
    let (acceptor, root) = backend();
    let data = vec![7; 20 * 16 * 1024];
    for version in [&TLS12, &TLS13] {
        let client = Client { versions: vec![version], ..Client::new(root.clone()) };
        let (client, server) = meet(client.config(), &acceptor).await;
        let mut client = client.unwrap();
        let mut server = server.unwrap();
        for _ in 0..3 {
            let mut received = vec![0; data.len()];
            let (sent, read) = tokio::join!(client.write_all(&data), server.read_exact(&mut received));
            sent.unwrap();
            read.unwrap();
            assert!(received == data);
            let (sent, read) = tokio::join!(
                async {
                    server.write_all(&data).await?;
                    server.flush().await
                },
                client.read_exact(&mut received)
            );
            sent.unwrap();
            read.unwrap();
            assert!(received == data);
            if *version == TLS13 {
                client.get_mut().1.refresh_traffic_keys().unwrap();
            }
        }
    }
}

/// The engine bounds the length of a message, but not what records of one byte add to it.
#[tokio::test]
async fn a_handshake_message_in_tiny_records_is_refused() {
    let (acceptor, _) = backend();
    let (mut client, server) = sockets().await;
    let length: u16 = 60_000;
    let [high, low] = length.to_be_bytes();
    let message = [1, 0, high, low].into_iter().chain(std::iter::repeat_n(0, usize::from(length)));
    let records: Vec<u8> = message.flat_map(|byte| [22, 3, 1, 0, 1, byte]).collect();
    let (_, accepted) = tokio::join!(client.write_all(&records), async {
        Stream::plain(server, Vec::new()).accept(&acceptor).await.map(drop)
    });
    let error = accepted.unwrap_err().to_string();
    assert_eq!(
        error,
        "the TLS handshake failed: unexpected error: a handshake message is longer than 64 KiB"
    );
}

#[tokio::test]
async fn min_version_refuses_an_old_client() {
    let (acceptor, root) = with(|tls| tls.only_tls13 = true);
    let old = Client { versions: vec![&TLS12], ..Client::new(root.clone()) };
    let (client, server) = meet(old.config(), &acceptor).await;
    assert_eq!(client.unwrap_err().to_string(), "received fatal alert: ProtocolVersion");
    assert_eq!(server.unwrap_err().to_string(), "the client is incompatible: no TLS version in common");
    let (client, server) = meet(Client::new(root).config(), &acceptor).await;
    client.unwrap();
    assert_eq!(server.unwrap().tls_info().unwrap().version, "TLSv1.3");
}

#[tokio::test]
async fn a_disabled_suite_is_not_negotiated() {
    let (acceptor, root) = with(|tls| tls.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384]);
    let only = |suite| Client { versions: vec![&TLS13], suites: vec![suite], ..Client::new(root.clone()) };
    let (client, server) = meet(only(cipher_suite::TLS13_AES_128_GCM_SHA256).config(), &acceptor).await;
    assert_eq!(client.unwrap_err().to_string(), "received fatal alert: HandshakeFailure");
    assert_eq!(server.unwrap_err().to_string(), "the client is incompatible: no cipher suite in common");
    let (client, server) = meet(only(cipher_suite::TLS13_AES_256_GCM_SHA384).config(), &acceptor).await;
    client.unwrap();
    assert_eq!(server.unwrap().tls_info().unwrap().cipher, "TLS_AES_256_GCM_SHA384");
}

/// The host name is handed over on the thread; another connection must never get it.
#[tokio::test]
async fn a_failed_handshake_leaves_no_host_name_behind() {
    let (acceptor, root) = with(|tls| tls.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384]);
    let refused = Client { suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256], ..Client::new(root) };
    let refused = Client { versions: vec![&TLS13], ..refused };
    let (_, server) = meet(refused.config(), &acceptor).await;
    server.unwrap_err();
    let (client, server) = handshake(&connector(Verify::Nothing), "127.0.0.1", &acceptor).await;
    client.unwrap();
    assert_eq!(server.unwrap().tls_info().unwrap().sni, None);
}

#[tokio::test]
async fn ignore_client_order_decides_whose_order_of_suites_counts() {
    let (ours, theirs) =
        (cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256);
    for (ignore_client_order, expected) in
        [(false, "TLS_CHACHA20_POLY1305_SHA256"), (true, "TLS_AES_256_GCM_SHA384")]
    {
        let (acceptor, root) = with(|tls| {
            tls.cipher_suites = vec![ours, theirs];
            tls.ignore_client_order = ignore_client_order;
        });
        let client = Client { suites: vec![theirs, ours], versions: vec![&TLS13], ..Client::new(root) };
        let (client, server) = meet(client.config(), &acceptor).await;
        client.unwrap();
        assert_eq!(server.unwrap().tls_info().unwrap().cipher, expected);
    }
}

#[test]
fn versions_and_suites_that_exclude_each_other_are_an_error() {
    let mut plan = plan(Vec::new());
    plan.only_tls13 = true;
    plan.cipher_suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let certificates = Certificates::self_signed(&[]).unwrap();
    let error = Acceptor::new(&plan, &certificates, &Tickets::new().unwrap(), &[]).unwrap_err();
    assert!(matches!(error, SetupError::NoCipherSuite { .. }), "{error}");
}

#[tokio::test]
async fn clients_resume_on_every_listener_and_after_a_reload() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new("any");
        let plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
        let certificates = Certificates::new(&plan, &[]).unwrap();
        let tickets = Tickets::new().unwrap();
        // A reload and another listener use another acceptor with the same tickets.
        let acceptors = [0, 1].map(|_| Acceptor::new(&plan, &certificates, &tickets, &[]).unwrap());
        let config = Client { versions: vec![version], ..Client::new(authority.root()) }.config();
        for (acceptor, expected) in acceptors.iter().zip([false, true]) {
            let (client, server) = meet(Arc::clone(&config), acceptor).await;
            let mut client = client.unwrap();
            let mut server = server.unwrap();
            server.write_all(b"!").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            assert_eq!(server.tls_info().unwrap().resumed, expected, "{version:?}, on the server");
            let kind = client.get_ref().1.handshake_kind();
            assert_eq!(kind == Some(HandshakeKind::Resumed), expected, "{version:?}: {kind:?}");
        }
    }
}

#[tokio::test]
async fn alpn_is_negotiated() {
    let authority = Authority::new("any");
    let plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    let certificates = Certificates::new(&plan, &[]).unwrap();
    let tickets = Tickets::new().unwrap();
    let http = Acceptor::new(&plan, &certificates, &tickets, &[b"h2", b"http/1.1"]).unwrap();
    let mut config = (*Client::new(authority.root()).config()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (client, server) = meet(Arc::new(config), &http).await;
    client.unwrap();
    assert_eq!(server.unwrap().tls_info().unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn data_that_is_not_tls_is_described() {
    let (acceptor, _) = backend();
    for (sent, expected) in [
        (
            &b"a001 CAPABILITY\r\n"[..],
            "the client sent data that is not TLS; it may be set to cleartext or STARTTLS",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: mail.test\r\n\r\n",
            "the client sent data that is not TLS; it may be set to cleartext or STARTTLS",
        ),
        (
            b"\x17\x03\x03\x00\x05hello",
            "the client sent data that is not TLS; it may be set to cleartext or STARTTLS",
        ),
        (b"\x16\x03\x01\x00\x05", "the client closed the connection during the TLS handshake"),
        (b"", "the client closed the connection during the TLS handshake"),
    ] {
        let (mut client, server) = sockets().await;
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let error = Stream::plain(server, Vec::new()).accept(&acceptor).await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{:?}", String::from_utf8_lossy(sent));
    }
}

#[tokio::test]
async fn a_client_that_refuses_the_certificate_is_recognised() {
    let (acceptor, _) = backend();
    let stranger = Authority::new("another authority").root();
    let (client, server) = handshake(&connector(Verify::Roots(vec![stranger])), "mail.test", &acceptor).await;
    client.unwrap_err();
    assert_eq!(
        server.unwrap_err().to_string(),
        "the client refused the handshake with the alert certificate_unknown"
    );
}

// === impl Schemes ===

impl ServerCertVerifier for Schemes {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("this client speaks TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
