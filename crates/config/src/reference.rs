//! The reference page of the configuration.

use std::fmt::Write;

use crate::keys::{KEYS, Kind};

/// The page as Markdown, made from the table of keys: `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if table != section {
            section = table;
            let _ = write!(
                page,
                "\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                header(table)
            );
        }
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(page, "| `{name}` | {} | {default} | {} |", value(key.kind), key.doc);
    }
    page.push_str("\n`pointsman check` warns about keys that are accepted but not implemented yet.\n");
    page
}

const INTRODUCTION: &str = "# Configuration

This page lists every key of the configuration file, with its type, its default and its meaning. `pointsman check FILE` reports
every problem of a file in one run, with its line and column and how to fix it. `pointsman schema` prints a JSON Schema for editors.
This page is generated from the same table of keys.

A duration is an integer with the unit `ms`, `s`, `m`, `h` or `d`. A size is an integer of bytes, or a string with the unit `KB`,
`MB`, `KiB` or `MiB`. A secret may be written as `env:NAME` or `file:PATH`. Relative paths are relative to the folder of the
configuration file. `NAME` stands for a name that you choose. Unknown keys are errors.
";

fn header(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(list) => format!("`[[{list}]]`"),
        None => format!("`[{}]`", table.replace("[]", "").replace('*', "NAME")),
    }
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Texts => "list of strings".to_owned(),
        Kind::TextOrTexts => "string or list".to_owned(),
        Kind::Boolean => "true, false".to_owned(),
        Kind::Integer(least, most) => format!("{least} to {most}"),
        Kind::Duration => "duration".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
    }
}
