//! The selection as a table.

use std::path::PathBuf;

use super::*;
use crate::self_signed;

/// A certificate with these subjects; the first one is its name.
fn certificate(subjects: &[&str], is_default: bool) -> Arc<Certificate> {
    Arc::new(Certificate {
        name: Arc::from(subjects[0]),
        cert_path: PathBuf::new(),
        key_path: PathBuf::new(),
        subjects: subjects.iter().map(|&name| name.to_owned()).collect(),
        subjects_are_set: true,
        is_default,
        key: self_signed::generate(&[]).unwrap().pair().unwrap(),
        sha256: [0; 32],
        not_after: 0,
    })
}

fn selected(table: &[Arc<Certificate>], sni: Option<&str>) -> Option<usize> {
    select(table, sni, |_| true)
}

#[test]
fn the_most_specific_name_wins() {
    let table = [
        certificate(&["example.com"], false),
        certificate(&["*.example.com"], false),
        certificate(&["mail.example.com", "imap.example.com"], false),
        certificate(&["fallback.example"], true),
        certificate(&["example.net"], false),
        certificate(&["*.lan"], false),
    ];
    for (sni, expected, why) in [
        ("mail.example.com", 2, "exact"),
        ("imap.example.com", 2, "exact, second subject"),
        ("MAIL.Example.COM", 2, "case does not matter"),
        ("mail.example.com.", 2, "the dot of the root does not matter"),
        ("pop.example.com", 1, "wildcard before parent domain"),
        ("example.com", 0, "exact: the wildcard does not serve its own domain"),
        ("host.example.net", 4, "parent domain"),
        ("a.host.example.net", 3, "one label only"),
        ("a.b.example.com", 3, "one label only"),
        ("host.lan", 5, "a wildcard of one label"),
        ("*.example.com", 1, "a wildcard in the SNI"),
        ("example.org", 3, "default"),
        ("notexample.com", 3, "not a suffix match"),
        (".example.com", 1, "an empty label is a label"),
        ("", 3, "empty"),
        (".", 3, "a dot alone"),
    ] {
        assert_eq!(selected(&table, Some(sni)), Some(expected), "{sni:?}: {why}");
    }
    assert_eq!(selected(&table, None), Some(3), "no SNI: default");
}

#[test]
fn without_a_default_the_only_one_or_none() {
    let two = [certificate(&["one.example"], false), certificate(&["two.example"], false)];
    for (table, sni, expected) in [
        (&two[..1], Some("other.example"), Some(0)),
        (&two[..1], None, Some(0)),
        (&two[..], Some("two.example"), Some(1)),
        (&two[..], Some("other.example"), None),
        (&two[..], None, None),
        (&two[..0], Some("one.example"), None),
        (&two[..0], None, None),
    ] {
        assert_eq!(selected(table, sni), expected, "{sni:?} of {}", table.len());
    }
}

#[test]
fn a_key_that_the_client_supports_wins_among_those_with_the_name() {
    let table = [
        certificate(&["mail.example.com"], false),
        certificate(&["mail.example.com"], false),
        certificate(&["*.example.com"], false),
        certificate(&["fallback.example"], true),
    ];
    for (usable, expected) in [
        (&[0, 1, 2, 3][..], 0), // the file's order
        (&[1, 2, 3], 1),        // the second key of the same name
        (&[2, 3], 2),           // less specific, but it works
        (&[3], 0),              // no key is usable, and a wrong name would not help: the handshake fails
    ] {
        let index = select(&table, Some("mail.example.com"), |index| usable.contains(&index));
        assert_eq!(index, Some(expected), "{usable:?}");
    }
}
