//! `[tls]`.

use std::path::Path;
use std::sync::Arc;

use rustls::{SupportedCipherSuite, crypto::aws_lc_rs};

use crate::certificate;
use crate::plan::{Certificate, Tls};
use crate::read::{At, Table, closest};

/// `None` when nothing could be made of it; the problems say why.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> Option<Tls> {
    let mut tls = Tls {
        certificates: Vec::new(),
        only_tls13: false,
        ignore_client_order: false,
        cipher_suites: aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec(),
    };
    let Some(table) = root.table("tls") else { return Some(tls) };
    if let Some(certificates) = table.table("certificate") {
        for (name, entry) in certificates.named() {
            tls.certificates.extend(pair(&name, &entry, folder).map(Arc::new));
            entry.finish();
        }
        check_defaults(&tls.certificates, &certificates);
    }
    if let Some(protocols) = table.table("protocols") {
        let versions = [("1.2", false), ("1.3", true)];
        tls.only_tls13 = protocols.word("min_version", &versions).is_some_and(|at| at.value);
        tls.ignore_client_order = protocols.boolean("ignore_client_order", false);
        if let Some(disabled) = protocols.strings("disable_cipher_suites") {
            disable(&mut tls.cipher_suites, &disabled, &protocols);
        }
        protocols.finish();
    }
    table.finish();
    Some(tls)
}

fn pair(name: &str, entry: &Table<'_>, folder: &Path) -> Option<Certificate> {
    let (cert, key) = (entry.string("cert"), entry.string("key"));
    let subjects = entry.strings("subjects");
    let is_default = entry.boolean("default", false);
    for (missing, at) in [("cert", &cert), ("key", &key)] {
        if at.is_none() && !entry.has(missing) {
            entry.missing(missing, "give the path of a PEM file");
        }
    }
    let (cert, key) = (cert?, key?);
    let (cert_path, key_path) = (folder.join(&cert.value), folder.join(&key.value));
    let (pair, leaf) = match certificate::read_pair(&cert_path, &key_path) {
        Ok(read) => read,
        Err(why) => {
            let at = if why.contains(&*key_path.to_string_lossy()) { key } else { cert };
            let help = "check both paths (they are relative to this file's folder), that they are readable, and that they were issued together";
            entry.problems.error(&at.key, at.span, why, help);
            return None;
        }
    };
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

fn disable(suites: &mut Vec<SupportedCipherSuite>, disabled: &[At<String>], table: &Table<'_>) {
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
    if suites.is_empty()
        && let Some(first) = disabled.first()
    {
        table.problems.error(
            &first.key,
            first.span.clone(),
            "every cipher suite is disabled",
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
