//! The demo's one folder: certificate, key, mapping file, configuration.
//!
//! Only its owner can read it, and it is gone when it is dropped. The certificate authority's key
//! is never written: after the demo no other certificate can be made that its file would vouch for.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// What the mapping file holds at first: bob has moved already.
const MAPPING: &str = "# identifier destination\nbob@example.org new\n";

/// The certificate is valid this long before and after now: clocks differ, and a demo may run over a weekend.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Makes the folder with certificate, key, authority and mapping file in it.
pub(crate) fn create() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let folder = builder.prefix("pointsman-demo-").permissions(Permissions::from_mode(0o700)).tempdir()?;
    let [authority, certificate, key] = certificates().map_err(io::Error::other)?;
    write(&folder.path().join("ca.pem"), &authority)?;
    write(&folder.path().join("certificate.pem"), &certificate)?;
    write(&folder.path().join("key.pem"), &key)?;
    write(&folder.path().join("mapping"), MAPPING)?;
    Ok(folder)
}

/// Writes a new file that only its owner can read.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// An authority, a certificate for localhost, and its key, as PEM.
fn certificates() -> Result<[String; 3], rcgen::Error> {
    let mut authority = params("Pointsman demo authority", &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let mut leaf = params("localhost", &["localhost", "127.0.0.1", "::1"])?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok([authority_pem, certificate.pem(), key.serialize_pem()])
}

fn params(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - VALIDITY).into();
    params.not_after = (SystemTime::now() + VALIDITY).into();
    Ok(params)
}
