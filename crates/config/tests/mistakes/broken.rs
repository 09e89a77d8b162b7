//! A file that is not whole TOML: what else is wrong is told too, and nothing that is right is called wrong.

use crate::support::{BASE, Folder, found};

/// A slip in one section, mistakes in others: all in one run.
#[test]
fn mistakes_beside_a_syntax_error_are_told_in_the_same_run() {
    let text = BASE
        .replacen("hostname = \"mail.example.org\"", "hostname = \"mail.example.org", 1)
        .replacen("#imap", "preauth_timout = \"30s\"", 1)
        .replacen("source = \"file\"", "source = \"fil\"", 1);
    let said = found(&text, config::Severity::Error);
    let said: Vec<_> = said.iter().map(|(place, key, _)| format!("{place} {key}")).collect();
    assert_eq!(said, ["3:29 syntax", "9:1 listener.imap.preauth_timout", "20:10 mapping.source"]);
}

/// Each character of a good file left out, and pieces of syntax put in everywhere: where that breaks the
/// syntax, nothing but the syntax is complained of.
#[test]
fn a_slip_in_a_good_file_is_called_a_slip_and_nothing_else() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    let mut broken = 0;
    for text in slips(BASE, 0) {
        let Err(report) = config::parse(&folder.path("c.toml"), text.clone()) else { continue };
        if !report.diagnostics.iter().any(|one| one.key == "syntax") {
            continue;
        }
        broken += 1;
        if let Some(other) = report.diagnostics.iter().find(|one| one.key != "syntax") {
            wrong.push(format!("{text}\n{other:#?}\n{:#?}", report.diagnostics));
        }
    }
    assert!(broken > 3000, "{broken}");
    let shown = wrong.iter().take(4).cloned().collect::<Vec<_>>().join("\n-----\n");
    assert!(wrong.is_empty(), "{} of {broken}:\n{shown}", wrong.len());
}

/// The same slips in a file with a token: whatever is made of the broken part, none of it is quoted.
#[test]
fn a_slip_never_shows_a_secret() {
    let folder = Folder::new();
    let base = BASE.replacen(
        "#admin",
        "[admin]\nbind = \"127.0.0.1:1\"\nbearer_token = \"hunter2hunter2hunter2hunter2hunter2\"\nmin_token_len = 99",
        1,
    );
    let mut shown = Vec::new();
    for text in slips(&base, base.find("[admin]").expect("the table")) {
        let report = match config::parse(&folder.path("c.toml"), text.clone()) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let all = format!("{report:?} {} {}", report.render(false), report.to_json());
        // Pieces put into the token leave shorter runs of it.
        if all.contains("hunter2h") {
            shown.push(format!("{text}\n{report}"));
        }
    }
    let first = shown.iter().take(3).cloned().collect::<Vec<_>>().join("\n---\n");
    assert!(shown.is_empty(), "{}:\n{first}", shown.len());
}

/// From a place on, each character left out, and pieces of syntax put in everywhere.
fn slips(base: &str, from: usize) -> impl Iterator<Item = String> {
    (from..base.len()).flat_map(move |at| {
        let left_out = format!("{}{}", &base[..at], &base[at + 1..]);
        let pieces = ["\"", "'", "[", "]", "{", "}", "=", "\n", "#", ",", "\"\"\"", "'''", "[\n"];
        let put_in = pieces.map(|piece| format!("{}{piece}{}", &base[..at], &base[at..]));
        std::iter::once(left_out).chain(put_in)
    })
}
