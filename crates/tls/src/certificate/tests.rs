//! What is read from a leaf, and the errors for files that are not a pair.

use std::fs;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::*;

/// Writes a self-signed pair as `cert.pem` and `key.pem`.
fn write(folder: &Path, params: &CertificateParams) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

#[test]
fn a_leaf_has_names_a_hash_and_an_end_of_validity() {
    for (names, common_name, expected) in [
        (
            &["Mail.Example.org", "*.example.org"][..],
            "ignored.test",
            &["mail.example.org", "*.example.org"][..],
        ),
        (&["192.0.2.1", "2001:db8::1"], "ignored.test", &["192.0.2.1", "2001:db8::1"]),
        (&[], "Old.Example.org", &["old.example.org"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_after = date_time_ymd(2030, 1, 1);
        let der = write(folder.path(), &params);
        let (key, leaf) = read_pair(&folder.path().join("cert.pem"), &folder.path().join("key.pem")).unwrap();
        assert_eq!(key.cert, std::slice::from_ref(&der));
        let subjects = expected.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(leaf, Leaf { subjects, sha256: sha256(&der), not_after: 1_893_456_000 });
    }
}

#[test]
fn files_that_are_not_a_pair_are_described() {
    let params = CertificateParams::new(vec!["mail.test".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    write(other.path(), &params);
    let other_key = fs::read(other.path().join("key.pem")).unwrap();
    let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for (file, content, expected) in [
        ("cert.pem", Some(Vec::new()), "CERT holds no certificate"),
        ("cert.pem", Some(b"-----BEGIN CERTIFICATE-----\nMIIB".to_vec()), "CERT is not valid PEM: "),
        ("cert.pem", Some(no_certificate), "CERT: not a certificate: "),
        (
            "cert.pem",
            Some(vec![b'\n'; 1 << 21]),
            "CERT is larger than 1048576 bytes; expected a certificate chain or a key in PEM",
        ),
        ("cert.pem", None, "CERT cannot be read: No such file or directory"),
        ("key.pem", Some(other_key), "the key in KEY does not match the certificate in CERT"),
        ("key.pem", Some(b"secret".to_vec()), "KEY holds no private key in PEM: "),
        ("key.pem", None, "KEY cannot be read: No such file or directory"),
    ] {
        write(folder.path(), &params);
        let cert = folder.path().join("cert.pem");
        let key = folder.path().join("key.pem");
        match content {
            Some(content) => fs::write(folder.path().join(file), content).unwrap(),
            None => fs::remove_file(folder.path().join(file)).unwrap(),
        }
        let error = read_pair(&cert, &key).map(|(_, leaf)| leaf).unwrap_err();
        let message = error.replace(cert.to_str().unwrap(), "CERT").replace(key.to_str().unwrap(), "KEY");
        assert!(message.starts_with(expected) && !message.contains("secret"), "{file}: {message}");
    }
}
