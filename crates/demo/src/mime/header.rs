//! Header fields: where they end, what they say (RFC 5322 section 2.2, RFC 2045 section 5.1).

/// `name=value` pairs; names in capitals.
pub(crate) type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// Parameters of one field.
const MAX_PARAMETERS: usize = 32;

/// One field of a block, with its folded lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Before the colon.
    pub(crate) name: &'a [u8],
    /// Behind the colon, still folded.
    pub(crate) value: &'a [u8],
    /// All of it, line end included.
    pub(crate) whole: &'a [u8],
}

/// Length of the header block at the front, with the empty line that ends it.
pub(crate) fn length(raw: &[u8]) -> usize {
    let mut at = 0;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
    }
    at
}

/// A line without its end.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The fields of a block. Lines that are no field are skipped.
pub(crate) fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        loop {
            let whole = next_unfolded(&mut rest)?;
            if let Some(colon) = whole.iter().position(|&byte| byte == b':') {
                let name = whole[..colon].trim_ascii_end();
                return Some(Field { name, value: trim_line_end(&whole[colon + 1..]), whole });
            }
        }
    })
}

/// The value of the first field of that name, unfolded and trimmed.
pub(crate) fn find(block: &[u8], name: &str) -> Option<Vec<u8>> {
    fields(block)
        .find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|field| unfold(field.value))
}

/// A value without its line ends, trimmed.
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
    text.trim_ascii().to_vec()
}

/// value *(";" attribute "=" (token / quoted-string)), from an unfolded value. Comments are not looked for.
pub(crate) fn parameterised(value: &[u8]) -> (Vec<u8>, Parameters) {
    let mut pieces = split_unquoted(value, b';').into_iter();
    let main = pieces.next().unwrap_or_default().trim_ascii().to_vec();
    let parameters = pieces
        .filter_map(|piece| {
            let at = piece.iter().position(|&byte| byte == b'=')?;
            let name = piece[..at].trim_ascii().to_ascii_uppercase();
            (!name.is_empty()).then(|| (name, unquote(piece[at + 1..].trim_ascii())))
        })
        .take(MAX_PARAMETERS)
        .collect();
    (main, parameters)
}

/// A token as it is, a quoted string without its quotes and backslashes.
pub(crate) fn unquote(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        return text.to_vec();
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(byte),
        }
    }
    plain
}

/// A field with the lines that continue it.
fn next_unfolded<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for line in rest.split_inclusive(|&byte| byte == b'\n') {
        if end > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            break;
        }
        end += line.len();
    }
    let (whole, behind) = rest.split_at(end);
    *rest = behind;
    (!whole.is_empty()).then_some(whole)
}

fn split_unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_at_the_empty_line() {
        for (raw, expected) in [
            (&b""[..], 0),
            (b"A: b", 4),
            (b"A: b\r\n\r\nbody", 8),
            (b"A: b\n\nbody", 6),
            (b"\r\nbody", 2),
            (b"A: b\r\n \r\nC: d\r\n", 15),
        ] {
            assert_eq!(length(raw), expected, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn fields_unfold() {
        let block = b"Subject: a\r\n  long\r\n\tone\r\nnonsense\r\nTo : b\r\nsubject: second\r\n\r\n";
        assert_eq!(find(block, "SUBJECT").unwrap(), b"a  long\tone");
        assert_eq!(find(block, "to").unwrap(), b"b");
        assert_eq!(find(block, "Cc"), None);
        let names: Vec<&[u8]> = fields(block).map(|field| field.name).collect();
        assert_eq!(names, [&b"Subject"[..], b"To", b"subject"]);
        assert_eq!(fields(block).next().unwrap().whole, b"Subject: a\r\n  long\r\n\tone\r\n");
    }

    #[test]
    fn parameters() {
        let (main, parameters) = parameterised(b"text/plain; charset=utf-8;name=\"a;\\\"b\\\\\" ; ;x; =y");
        assert_eq!(main, b"text/plain");
        assert_eq!(
            parameters,
            [(b"CHARSET".to_vec(), b"utf-8".to_vec()), (b"NAME".to_vec(), b"a;\"b\\".to_vec())]
        );
        assert_eq!(parameterised("x;a=b".repeat(100).as_bytes()).1.len(), MAX_PARAMETERS);
        assert_eq!(parameterised(b""), (Vec::new(), Vec::new()));
    }
}
