//! How to fix a syntax error, for the mistakes that people make. Help never quotes a value: it may be a secret.

use std::ops::Range;

/// Returns the help for the error with this message at `span`.
pub(super) fn help(text: &str, span: &Range<usize>, message: &str) -> String {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
    if message.starts_with("duplicate") {
        let first = text.lines().position(|other| other.trim() == line).map(|index| index + 1);
        let this = text.get(..start).map_or(1, |before| before.lines().count() + 1);
        return match first {
            Some(first) if first < this && line.starts_with('[') => {
                format!("the first {line} is in line {first}: move these keys there, and remove this line")
            }
            _ => "the key or table is already set above: keep one of them".to_owned(),
        };
    }
    let Some((_, value)) = line.split_once('=') else {
        return "the file must be TOML: https://toml.io".to_owned();
    };
    let value = value.trim();
    if value.matches('"').count() % 2 == 1 {
        return "a double quote is missing in this line".to_owned();
    }
    if value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return "put the value into double quotes; only numbers, true and false are written without"
            .to_owned();
    }
    "the file must be TOML: https://toml.io".to_owned()
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn common_mistakes() {
        let text = "[routing]\na = 1\n[routing]\nhost = old.example.org\nname = \"x\nb = [1,\nwhat\n";
        for (piece, message, expected) in [
            (
                "[routing]\nhost",
                "duplicate key",
                "the first [routing] is in line 1: move these keys there, and remove this line",
            ),
            (
                "old.example.org",
                "invalid",
                "put the value into double quotes; only numbers, true and false are written without",
            ),
            ("\"x", "invalid", "a double quote is missing in this line"),
            ("[1,", "invalid", "the file must be TOML: https://toml.io"),
            ("what", "invalid", "the file must be TOML: https://toml.io"),
        ] {
            let at = text.find(piece).expect("a piece");
            assert_eq!(help(text, &(at..at + 1), message), expected, "{piece}");
        }
    }
}
