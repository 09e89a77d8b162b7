//! The reference page of the configuration.

use std::fmt::Write;

use crate::built;
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
            let _ =
                write!(page, "\n## {}\n\n| key | value | default | |\n|---|---|---|---|\n", header(table));
        }
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(page, "| `{name}` | {} | {default} | {} |", value(key.kind), key.doc);
    }
    let names: Vec<_> = built::PROTOCOLS.iter().map(|protocol| format!("`{protocol}`")).collect();
    let _ = write!(
        page,
        "\n## Built so far\n\nListeners: {}. Mapping stores: `{}`. What is accepted and not built yet is told by `pointsman check`.\n",
        names.join(", "),
        built::STORES.join("`, `")
    );
    page
}

const INTRODUCTION: &str = "# Configuration

One TOML file describes a deployment. `pointsman check FILE` names every problem in one run, with line, column and remedy;
`pointsman schema` prints a JSON Schema for editors. This page is made from the same table.

Durations are an integer and `ms`, `s`, `m`, `h` or `d`; sizes an integer of bytes, or a string with `KB`, `MB`, `KiB` or `MiB`.
Secrets may be written as `env:NAME` or `file:PATH`. Relative paths are relative to the file's folder. `NAME` stands for a name that
you choose. Unknown keys are errors.
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
