//! The demo's one folder: certificate, key, mapping file, configuration.
//!
//! Only its owner can read it, and it is gone when the [`Folder`] is dropped. The certificate authority's key
//! is never written: after the demo nobody can make another certificate that its file would vouch for.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use tempfile::TempDir;

use crate::date::{self, Day};

/// A temporary folder with what the proxy needs. Removed when dropped.
#[derive(Debug)]
#[must_use = "a folder that is dropped is removed"]
pub struct Folder {
    folder: TempDir,
}

/// What the mapping file holds at first: bob has moved already.
const MAPPING: &str = "# identifier destination\nbob@example.org new\n";

/// Days around now in which the certificate is valid: clocks differ, and a demo may run over a weekend.
const DAYS: i64 = 30;

// === impl Folder ===

impl Folder {
    /// Makes the folder (mode 0700) with certificate, key, authority and mapping file in it.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be written, or no key can be made.
    pub fn create() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("pointsman-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let folder = Self { folder };
        let identity = Identity::generate().map_err(io::Error::other)?;
        write_private(&folder.authority(), &identity.authority)?;
        write_private(&folder.certificate(), &identity.certificate)?;
        write_private(&folder.key(), &identity.key)?;
        write_private(&folder.mapping(), MAPPING)?;
        Ok(folder)
    }

    /// Writes the configuration file into the folder, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written, or was written already.
    pub fn write_configuration(&self, text: &str) -> io::Result<PathBuf> {
        write_private(&self.configuration(), text)?;
        Ok(self.configuration())
    }

    /// The configuration file, once it is written.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.path().join("pointsman.toml")
    }

    /// The token of the management API, once it is written.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.path().join("admin.token")
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The authority's certificate: what clients are told to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// The proxy's certificate, for localhost.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path().join("certificate.pem")
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.path().join("key.pem")
    }

    /// The mapping file.
    #[must_use]
    pub fn mapping(&self) -> PathBuf {
        self.path().join("mapping")
    }

    /// Removes the folder now, and tells if that is not possible. (Dropping does not tell.)
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// PEM texts.
struct Identity {
    authority: String,
    certificate: String,
    key: String,
}

// === impl Identity ===

impl Identity {
    fn generate() -> Result<Self, rcgen::Error> {
        let mut authority = params("Pointsman demo authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

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
        Ok(Self {
            authority: authority_certificate.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let today = date::day_of(date::now());
    if let (Some(from), Some(to)) = (calendar(today - DAYS), calendar(today + DAYS)) {
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
    }
    params
}

/// As rcgen wants it; `None` in years that no certificate can name.
fn calendar(day: Day) -> Option<(i32, u8, u8)> {
    let (year, month, date) = date::civil(day);
    Some((year.try_into().ok()?, month.try_into().ok()?, date.try_into().ok()?))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn is_private_and_leaves_nothing_behind() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        let configuration = folder.write_configuration("[server]\n").unwrap();
        assert_eq!(mode(&path), 0o700);
        let files = [folder.authority(), folder.certificate(), folder.key(), folder.mapping(), configuration];
        for file in &files {
            assert_eq!((file.parent(), mode(file)), (Some(&*path), 0o600), "{}", file.display());
        }
        assert_eq!(fs::read_dir(&path).unwrap().count(), files.len());
        assert_eq!(fs::read_to_string(folder.mapping()).unwrap(), MAPPING);
        folder.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn dropping_removes_what_was_added_too() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("audit.log"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_authority_vouches_for_localhost() {
        let folder = Folder::create().unwrap();
        let text = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert!(text(folder.authority()).starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(text(folder.certificate()).starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(text(folder.key()).starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_ne!(text(folder.authority()), text(folder.certificate()));
    }
}
