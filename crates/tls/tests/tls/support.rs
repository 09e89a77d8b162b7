//! Authorities, plans and loopback sockets for the tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use plan::{Certificate, Destination, Tls, Verify};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::{self, ALL_CIPHER_SUITES};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tls::{Acceptor, Certificates, Connector, PlatformRoots, Stream, Tickets, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A private authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A leaf and its key.
pub(crate) struct Issued {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A leaf for these names, valid now.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_as(&params(names), KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_as(&self, params: &CertificateParams, key: KeyPair) -> Issued {
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { der: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

pub(crate) fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
}

// === impl Issued ===

impl Issued {
    pub(crate) fn sha256(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    /// Returns what the configuration's loader returns; the files need not exist unless they are reloaded.
    pub(crate) fn configured(&self, name: &str, subjects: &[&str], is_default: bool) -> Certificate {
        let key = CertifiedKey::from_der(
            vec![self.der.clone()],
            self.private_key(),
            &aws_lc_rs::default_provider(),
        );
        Certificate {
            name: Arc::from(name),
            cert_path: PathBuf::from("/nonexistent/cert.pem"),
            key_path: PathBuf::from("/nonexistent/key.pem"),
            subjects: subjects.iter().map(|&name| name.to_owned()).collect(),
            subjects_are_set: true,
            is_default,
            key: Arc::new(key.unwrap()),
            sha256: self.sha256(),
            not_after: 0,
        }
    }

    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), &self.pem).unwrap();
        std::fs::write(folder.join("key.pem"), self.key.serialize_pem()).unwrap();
    }
}

pub(crate) fn sha256(der: &[u8]) -> [u8; 32] {
    digest(&SHA256, der).as_ref().try_into().unwrap()
}

/// `[tls]` with its defaults.
pub(crate) fn plan(certificates: Vec<Certificate>) -> Tls {
    Tls {
        certificates: certificates.into_iter().map(Arc::new).collect(),
        only_tls13: false,
        ignore_client_order: false,
        cipher_suites: ALL_CIPHER_SUITES.to_vec(),
    }
}

/// An acceptor for `plan` alone.
pub(crate) fn acceptor(plan: &Tls) -> Acceptor {
    let certificates = Certificates::new(plan, &["proxy.test".to_owned()]).unwrap();
    Acceptor::new(plan, &certificates, &Tickets::new().unwrap(), &[]).unwrap()
}

/// A backend with one certificate for `mail.test`, and its authority's root.
pub(crate) fn backend() -> (Acceptor, CertificateDer<'static>) {
    let authority = Authority::new("backend's authority");
    let plan = plan(vec![authority.issue(&["mail.test"]).configured("only", &["mail.test"], false)]);
    (acceptor(&plan), authority.root())
}

pub(crate) fn destination(verify: Verify) -> Destination {
    Destination::outside("old", "mail.test", verify)
}

pub(crate) fn connector(verify: Verify) -> Connector {
    Connector::new(&destination(verify), &PlatformRoots::of(Vec::new()), &[]).unwrap()
}

/// Two ends of a connection: client, server.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// Returns the results of both sides of a handshake: client, server.
pub(crate) async fn handshake(
    connector: &Connector,
    host: &str,
    acceptor: &Acceptor,
) -> (Result<Stream, TlsError>, io::Result<Stream>) {
    let (client, server) = sockets().await;
    tokio::join!(
        Stream::plain(client, Vec::new()).connect(connector, host),
        Stream::plain(server, Vec::new()).accept(acceptor),
    )
}

/// Performs a handshake that must succeed and sends a byte each way, so that session tickets have arrived.
pub(crate) async fn connected(connector: &Connector, host: &str, acceptor: &Acceptor) -> (Stream, Stream) {
    let (client, server) = handshake(connector, host, acceptor).await;
    let mut client = client.unwrap();
    let mut server = server.unwrap();
    pass(&mut client, &mut server, b"?").await;
    pass(&mut server, &mut client, b"!").await;
    (client, server)
}

/// Sends `data` from one end and reads it at the other.
pub(crate) async fn pass(from: &mut Stream, to: &mut Stream, data: &[u8]) {
    from.write_all(data).await.unwrap();
    from.flush().await.unwrap();
    let mut received = vec![0; data.len()];
    to.read_exact(&mut received).await.unwrap();
    assert_eq!(received, data);
}
