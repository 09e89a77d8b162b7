//! The demo's one folder: certificate, key, mapping file, configuration.
//!
//! Only its owner can read it, and it is gone when the [`Folder`] is dropped. The certificate authority's key
//! is never written: after the demo no other certificate can be made that its file would vouch for.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;

/// A temporary folder with what the proxy needs. Removed when dropped.
#[derive(Debug)]
#[must_use = "a folder that is dropped is removed"]
pub struct Folder(TempDir);

/// What the mapping file holds at first: bob has moved already.
const MAPPING: &str = "# identifier destination\nbob@example.org new\n";

/// The certificate is valid this long before and after now: clocks differ, and a demo may run over a weekend.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

// === impl Folder ===

impl Folder {
    /// Makes the folder (mode 0700) with certificate, key, authority and mapping file in it.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be written, or no key can be made.
    pub fn create() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let folder =
            builder.prefix("pointsman-demo-").permissions(Permissions::from_mode(0o700)).tempdir()?;
        let folder = Self(folder);
        let [authority, certificate, key] = certificates().map_err(io::Error::other)?;
        folder.write("ca.pem", &authority)?;
        folder.write("certificate.pem", &certificate)?;
        folder.write("key.pem", &key)?;
        folder.write("mapping", MAPPING)?;
        Ok(folder)
    }

    /// Writes the configuration file, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written, or was written already.
    pub fn write_configuration(&self, text: &str) -> io::Result<PathBuf> {
        self.write("pointsman.toml", text)
    }

    /// Where the token of the management API belongs.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.path().join("admin.token")
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the folder now, and reports if that is not possible. (Dropping does not report it.)
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        self.0.close()
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// An authority, a certificate for localhost, and its key, as PEM.
fn certificates() -> Result<[String; 3], rcgen::Error> {
    let mut authority = params("Pointsman demo authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let mut leaf = params("localhost");
    leaf.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok([authority_pem, certificate.pem(), key.serialize_pem()])
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - VALIDITY).into();
    params.not_after = (SystemTime::now() + VALIDITY).into();
    params
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn is_private_and_leaves_nothing_behind() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        folder.write_configuration("[server]\n").unwrap();
        assert_eq!(mode(&path), 0o700);
        let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() == 5 && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
        // What was added meanwhile is removed, too.
        fs::write(folder.token(), "x").unwrap();
        folder.remove().unwrap();
        assert!(!path.exists());
        let dropped = Folder::create().unwrap().path().to_owned();
        assert!(!dropped.exists());
    }
}
