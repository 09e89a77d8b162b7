//! No text makes the loader panic, and none makes it silent.

use proptest::prelude::*;

use crate::support::{BASE, Folder};

const EXAMPLES: [&str; 3] = [
    BASE,
    include_str!("../../../../resources/config.stalwart-upgrade.toml"),
    include_str!("../../../../resources/config.dovecot-postfix.toml"),
];

/// Parses, and shows everything that can be shown.
fn judge(folder: &Folder, text: &str) -> Result<(), TestCaseError> {
    let report = match config::parse(&folder.path("c.toml"), text.to_owned()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => {
            prop_assert!(report.errors() > 0, "refused without a word");
            report
        }
    };
    let lines = text.matches('\n').count() + 1;
    for diagnostic in &report.diagnostics {
        let (line, column) = report.position(diagnostic);
        prop_assert!((1..=lines).contains(&line) && column >= 1, "{line}:{column} {diagnostic:?}");
        prop_assert!(
            !diagnostic.message.is_empty() && !diagnostic.help.is_empty() && !diagnostic.key.is_empty()
        );
        prop_assert!(
            !diagnostic.message.chars().any(|c| c.is_control() && c != '\n'),
            "{:?}",
            diagnostic.message
        );
        prop_assert!(!diagnostic.key.chars().any(char::is_control), "{:?}", diagnostic.key);
    }
    let _ = (report.render(true), report.render(false), report.to_json());
    Ok(())
}

#[test]
fn arbitrary_text() {
    let folder = Folder::new();
    proptest!(ProptestConfig::with_cases(300), |(text in "(?s).{0,200}")| {
        judge(&folder, &text)?;
    });
}

/// Text that is TOML more often than not, with the words of the file.
#[test]
fn arbitrary_tables() {
    let folder = Folder::new();
    let word = "server|listener|destination|old|protocol|imap|bind|tls|mapping|file|http|route|extract|admin|\"\\\\u001b\"";
    let value = "\"x\"|1|-1|0x1F|1.5|true|\\[\\]|\\[\"x\", 1\\]|\\{\\}|\\{ port = 1 \\}|'x'|1979-05-27|\"file:x\"|\"env:PATH\"";
    let line = prop_oneof![
        (word, word, word).prop_map(|(a, b, c)| format!("[{a}.{b}.{c}]")),
        (word, word).prop_map(|(a, b)| format!("[[{a}.{b}]]")),
        (word, value).prop_map(|(key, value)| format!("{key} = {value}")),
        (word, word, value).prop_map(|(a, b, value)| format!("{a}.{b} = {value}")),
    ];
    proptest!(ProptestConfig::with_cases(500), |(lines in prop::collection::vec(line, 0..12))| {
        judge(&folder, &lines.join("\n"))?;
    });
}

#[test]
fn examples_with_pieces_changed() {
    let folder = Folder::new();
    let piece = "\\PC{0,12}|[\\[\\]=\"#.\\n{}',]{0,6}|\r\n|\u{feff}";
    let cases = (0..EXAMPLES.len(), any::<prop::sample::Index>(), piece, 0_usize..60);
    proptest!(ProptestConfig::with_cases(300), |((example, at, piece, cut) in cases)| {
        let example = EXAMPLES[example];
        let floor = |at: usize| (0..=at.min(example.len())).rev().find(|at| example.is_char_boundary(*at));
        let start = floor(at.index(example.len())).unwrap_or(0);
        let end = floor(start + cut).unwrap_or(start).max(start);
        judge(&folder, &format!("{}{piece}{}", &example[..start], &example[end..]))?;
    });
}

/// Depth is bounded: what is too deep is an error of the syntax.
#[test]
fn depth() {
    let folder = Folder::new();
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x = {}", "{x=".repeat(100_000)),
        format!("{}x = 1", "x.".repeat(100_000)),
        format!("[{}x]", "x.".repeat(100_000)),
    ] {
        let report = config::parse(&folder.path("c.toml"), text).expect_err("too deep, or unknown");
        assert!(report.errors() > 0);
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = Folder::new();
    let path = folder.path("c.toml");
    std::fs::write(&path, "#".repeat((8 << 20) + 1)).expect("write");
    let report = config::load(&path).expect_err("too large");
    assert_eq!(report.errors(), 1);
    assert!(report.to_string().contains("it is larger than 8388608 bytes"), "{report}");
    let report = config::load(&folder.path("none.toml")).expect_err("not there");
    assert!(report.to_string().contains("the configuration file cannot be read"), "{report}");
}

/// Files of other systems: a byte order mark, CRLF.
#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let folder = Folder::new();
    for text in [BASE.to_owned(), BASE.replace('\n', "\r\n"), format!("\u{feff}{BASE}")] {
        config::parse(&folder.path("c.toml"), text).unwrap_or_else(|report| panic!("{report}"));
    }
}

/// Integers as TOML writes them.
#[test]
fn integers_in_every_notation() {
    let folder = Folder::new();
    for notation in ["4096", "4_096", "0x1000", "0o10000", "0b1000000000000", "+4096"] {
        let text = BASE.replace("#imap", &format!("max_connections = {notation}"));
        let plan =
            config::parse(&folder.path("c.toml"), text).unwrap_or_else(|report| panic!("{report}")).plan;
        assert_eq!(plan.listeners[0].max_connections, 4096, "{notation}");
    }
}
