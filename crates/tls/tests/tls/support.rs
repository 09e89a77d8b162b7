//! Authorities, plans and loopback sockets for the tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_config as _;
use config::plan::{Certificate, Destination, Tls, Verify};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    SignatureAlgorithm,
};
use rustls::crypto::aws_lc_rs::{self, ALL_CIPHER_SUITES};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tls::{Acceptor, Certificates, Connector, PlatformRoots, Stream, Tickets, TlsError};
use tokio::net::{TcpListener, TcpStream};
