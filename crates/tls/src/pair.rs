//! interim: until config::certificate is there
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;
pub(crate) struct Leaf {
    pub(crate) subjects: Vec<String>,
    pub(crate) sha256: [u8; 32],
    pub(crate) not_after: i64,
}
pub(crate) fn read_pair(cert: &Path, key: &Path) -> Result<(Arc<CertifiedKey>, Leaf), String> {
    let chain = CertificateDer::pem_file_iter(cert)
        .map_err(|e| e.to_string())?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| e.to_string())?;
    if chain.is_empty() {
        return Err("no certificate".to_owned());
    }
    let sha256 = crate::verify::sha256(&chain[0]);
    let key = CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|e| e.to_string())?;
    Ok((Arc::new(key), Leaf { subjects: Vec::new(), sha256, not_after: 0 }))
}
