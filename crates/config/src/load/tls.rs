//! `[tls]`.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{SupportedCipherSuite, crypto::aws_lc_rs};

use crate::exposure;
use crate::read::{Located, Table};
use crate::suggest::closest;
use crate::value;
use plan::{Certificate, Tls};
use tls::certificate;

/// `[tls]`, which may be missing, and the name of every certificate, those that could not be read included.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> (Tls, Vec<String>) {
    let mut tls = Tls {
        certificates: Vec::new(),
        only_tls13: false,
        ignore_client_order: false,
        cipher_suites: aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec(),
    };
    let mut names = Vec::new();
    let Some(table) = root.table("tls") else { return (tls, names) };
    if let Some(certificates) = table.table("certificate") {
        for (name, entry) in certificates.named() {
            tls.certificates.extend(pair(&name, &entry, folder).map(Arc::new));
            entry.finish();
            names.push(name);
        }
        check_defaults(&tls.certificates, &certificates);
    }
    if let Some(protocols) = table.table("protocols") {
        let versions = [("1.2", false), ("1.3", true)];
        tls.only_tls13 = protocols.word("min_version", &versions).is_some_and(|at| at.value);
        tls.ignore_client_order = protocols.boolean("ignore_client_order", false);
        if let Some(disabled) = protocols.strings("disable_cipher_suites") {
            disable(&mut tls, &disabled, &protocols);
        }
        protocols.finish();
    }
    table.finish();
    (tls, names)
}

fn pair(name: &str, entry: &Table<'_>, folder: &Path) -> Option<Certificate> {
    let cert = entry.string("cert");
    let key = entry.string("key");
    let subjects = entry.strings("subjects");
    let is_default = entry.boolean("default", false);
    for (missing, at) in [("cert", &cert), ("key", &key)] {
        if at.is_none() && !entry.has(missing) {
            entry.missing(missing, "give the path of a PEM file");
        }
    }
    let cert = cert?;
    let key = key?;
    let cert_path = folder.join(&cert.value);
    let key_path = value::key_path(&key.value, folder);
    let (pair, leaf) = match certificate::read_pair(&cert_path, &key_path) {
        Ok(read) => read,
        Err(why) => {
            let is_certificate = certificate::read_chain(&cert_path).is_err()
                || why.starts_with(&format!("{}: ", cert_path.display()));
            let at = if is_certificate { cert } else { key };
            let help = "check both paths (they are relative to this file's folder), that they are readable, and that they were issued together";
            entry.problems.error(&at.key, at.span, why, help);
            return None;
        }
    };
    exposure::warn(entry, &key_path, &key.key, key.span);
    warn_of_expiry(entry, &cert, leaf.not_after);
    if let Some(list) = &subjects {
        check_subjects(entry, list, &leaf.subjects);
    }
    Some(Certificate {
        name: name.into(),
        cert_path,
        key_path,
        subjects_are_set: subjects.is_some(),
        subjects: subjects
            .map_or(leaf.subjects, |list| list.into_iter().map(|at| at.value.to_ascii_lowercase()).collect()),
        is_default,
        key: pair,
        sha256: leaf.sha256,
        not_after: leaf.not_after,
    })
}

/// A warning and not an error: a proxy that does not start helps its clients less than one with an expired certificate.
fn warn_of_expiry(entry: &Table<'_>, cert: &Located<String>, not_after: i64) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    if let Some(expiry) = certificate::expiry_warning(not_after, now) {
        let message = format!("the certificate {expiry}: clients refuse an expired certificate");
        let help = "renew it; the proxy picks up the new files without a reload";
        entry.problems.warning(&cert.key, cert.span.clone(), message, help);
    }
}

/// Names that a client can ask for: `mail.example.org`, `*.example.org`.
fn check_subjects(entry: &Table<'_>, list: &[Located<String>], own: &[String]) {
    if list.is_empty() {
        let message = "found an empty list: no client could request this certificate";
        let help = "remove the key to use the names in the certificate";
        entry.problems.error(&entry.key("subjects"), entry.place("subjects"), message, help);
    }
    for at in list {
        let name = at.value.to_ascii_lowercase();
        let host = name.strip_prefix("*.").unwrap_or(&name);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if host.len() > 253 || !host.split('.').all(is_label) {
            let message = format!("found \"{}\", expected a host name", at.value.escape_debug());
            let help = "write one such as \"mail.example.org\" or \"*.example.org\"; non-ASCII names in their xn-- form";
            entry.problems.error(&at.key, at.span.clone(), message, help);
            continue;
        }
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        if !own.iter().any(|own| *own == name || Some(own) == wildcard.as_ref()) {
            let message = format!(
                "the certificate is not valid for \"{name}\": clients that connect to that name will not trust it"
            );
            let help = format!("the certificate is for {}", own.join(", "));
            entry.problems.warning(&at.key, at.span.clone(), message, help);
        }
    }
}

fn check_defaults(certificates: &[Arc<Certificate>], table: &Table<'_>) {
    let defaults: Vec<_> = certificates.iter().filter(|one| one.is_default).map(|one| &*one.name).collect();
    if defaults.len() > 1 {
        let message =
            format!("found {} defaults ({}), expected at most one", defaults.len(), defaults.join(", "));
        table.problems.error(
            &table.path,
            table.span.clone(),
            message,
            "keep `default = true` on one certificate only",
        );
    }
}

fn disable(tls: &mut Tls, disabled: &[Located<String>], table: &Table<'_>) {
    let suites = &mut tls.cipher_suites;
    let name = |suite: &SupportedCipherSuite| suite_name(suite);
    for at in disabled {
        let known: Vec<String> = aws_lc_rs::ALL_CIPHER_SUITES.iter().map(name).collect();
        if known.contains(&at.value) {
            suites.retain(|suite| name(suite) != at.value);
            continue;
        }
        let help = closest(&at.value, known.iter().map(String::as_str)).map_or_else(
            || format!("known are {}", known.join(", ")),
            |word| format!("did you mean \"{word}\"?"),
        );
        let message =
            format!("found \"{}\", expected the standard name of a cipher suite", at.value.escape_debug());
        table.problems.error(&at.key, at.span.clone(), message, help);
    }
    let is_usable = |suite: &SupportedCipherSuite| !tls.only_tls13 || suite.tls13().is_some();
    if !suites.iter().any(is_usable)
        && let Some(first) = disabled.first()
    {
        table.problems.error(
            &first.key,
            first.span.clone(),
            "every cipher suite of the versions in use is disabled",
            "leave at least one",
        );
    }
}

/// The IANA name: rustls writes TLS 1.3's as `TLS13_…`, the registry as `TLS_…`.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name,
    }
}
