//! How a backend's certificate is verified: by roots, by pins, or not at all.
//!
//! Under every rule the signature in the handshake is verified: a certificate is public, so without the signature a pin
//! would prove nothing. A rule must never fall back to a weaker one.

use std::sync::Arc;

use aws_lc_rs::digest;
use plan::Verify;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use crate::error::Refusal;
use crate::roots::PlatformRoots;
use crate::setup::SetupError;

/// A destination's rule, as the engine's verifier.
#[derive(Debug)]
pub(crate) struct Verifier {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Rule {
    Chain(Arc<WebPkiServerVerifier>),
    Pins(Vec<[u8; 32]>),
    Nothing,
}

// === impl Verifier ===

impl Verifier {
    pub(crate) fn new(
        verify: &Verify,
        platform: &PlatformRoots,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, SetupError> {
        let rule = match verify {
            Verify::Platform => Rule::Chain(chain(platform.load()?, provider)?),
            Verify::Roots(roots) => Rule::Chain(chain(Arc::new(store(roots)?), provider)?),
            Verify::Pins(pins) => Rule::Pins(pins.clone()),
            Verify::Nothing => Rule::Nothing,
        };
        Ok(Self { rule, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Chain(chain) => chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map_err(|error| with_hash(error, end_entity)),
            Rule::Pins(pins) => {
                let found = sha256(end_entity);
                if pins.contains(&found) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(refusal(Refusal::Pin { found }))
                }
            }
            Rule::Nothing => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns the SHA-256 of a certificate's DER form, which pins are compared with.
pub(crate) fn sha256(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    hash
}

/// Adds the hash of the leaf, which the operator needs to pin it. Errors that carry data of their own are returned
/// unchanged, so that they also keep their alert.
fn with_hash(error: Error, end_entity: &CertificateDer<'_>) -> Error {
    match error {
        Error::InvalidCertificate(
            cause @ (CertificateError::NotValidForNameContext { .. }
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. }),
        ) => Error::InvalidCertificate(cause),
        Error::InvalidCertificate(cause) => refusal(Refusal::Chain { cause, sha256: sha256(end_entity) }),
        other => other,
    }
}

fn refusal(refusal: Refusal) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

fn chain(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, SetupError> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| SetupError::BadRoot { reason: error.to_string() })
}

fn store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, SetupError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| SetupError::BadRoot { reason: error.to_string() })?;
    }
    Ok(store)
}
