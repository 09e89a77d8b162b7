//! The parts of a backend's replies that a login needs (RFC 5321 section 4.2).

use credentials::attempt::Mechanism;
use credentials::sasl::Offered;

/// Most lines of one reply.
const MAX_LINES: usize = 100;
/// Longest reply with all of its lines, in bytes.
const MAX_WHOLE: usize = 64 * 1024;

/// Assembles the lines of a reply.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    /// The lines of a reply that is incomplete.
    partial: Option<Response>,
}

/// A complete reply.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Response {
    /// The three digits.
    pub code: [u8; 3],
    /// The text of each line.
    pub texts: Vec<Vec<u8>>,
    /// All lines with their ends, for the client.
    pub whole: Vec<u8>,
}

/// The result of adding a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextReply {
    NeedMore,
    Whole(Response),
    /// Not an SMTP reply, or longer than the limits.
    Invalid,
}

/// The keywords of a backend that a login needs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Keywords {
    pub offered: Offered,
    pub starttls: bool,
    /// The attributes of `XCLIENT`, where it is announced.
    pub xclient: Option<Vec<u8>>,
}

// === impl ReplyReader ===

impl ReplyReader {
    /// Adds one line without its end.
    ///
    /// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`
    pub(super) fn line(&mut self, line: &[u8]) -> NextReply {
        let Some((code, rest)) = line.split_first_chunk::<3>().filter(|(code, _)| is_code(code)) else {
            return NextReply::Invalid;
        };
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return NextReply::Invalid,
        };
        let mut response =
            self.partial.take().unwrap_or_else(|| Response { code: *code, ..Response::default() });
        let has_room = response.texts.len() < MAX_LINES && response.whole.len() + line.len() + 2 <= MAX_WHOLE;
        // RFC 5321 section 4.2.1: the code of every line must be the same.
        if response.code != *code || !has_room {
            return NextReply::Invalid;
        }
        response.texts.push(text.to_vec());
        response.whole.extend_from_slice(line);
        response.whole.extend_from_slice(b"\r\n");
        if is_last {
            return NextReply::Whole(response);
        }
        self.partial = Some(response);
        NextReply::NeedMore
    }
}

/// Reply-code = %x32-35 %x30-35 %x30-39; servers use all ten digits in the second place.
fn is_code(code: &[u8; 3]) -> bool {
    (b'2'..=b'5').contains(&code[0]) && code.iter().all(u8::is_ascii_digit)
}

// === impl Keywords ===

impl Keywords {
    /// Parses the reply to `EHLO`: the first line is the server's name, every other one a keyword.
    pub(super) fn parse(response: &Response) -> Self {
        let mut found = Self::default();
        for text in response.texts.iter().skip(1) {
            found.add(text);
        }
        found
    }

    /// ehlo-line = ehlo-keyword *( SP ehlo-param ). `AUTH=` predates RFC 2554, and some servers write a tab for the space.
    fn add(&mut self, text: &[u8]) {
        let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'=')).unwrap_or(text.len());
        let arguments = text.get(end + 1..).unwrap_or_default();
        match &text[..end].to_ascii_uppercase()[..] {
            b"STARTTLS" => self.starttls = true,
            b"XCLIENT" => self.xclient = Some(arguments.to_vec()),
            b"AUTH" => {
                for mechanism in arguments.split(u8::is_ascii_whitespace).filter_map(Mechanism::from_name) {
                    if !self.offered.sasl.contains(&mechanism) {
                        self.offered.sasl.push(mechanism);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(lines: &[&[u8]]) -> NextReply {
        let mut reply_reader = ReplyReader::default();
        let mut last = NextReply::NeedMore;
        for line in lines {
            assert_eq!(last, NextReply::NeedMore);
            last = reply_reader.line(line);
        }
        last
    }

    fn whole(code: &[u8; 3], texts: &[&[u8]], whole: &[u8]) -> NextReply {
        let texts = texts.iter().map(|text| text.to_vec()).collect();
        NextReply::Whole(Response { code: *code, texts, whole: whole.to_vec() })
    }

    #[test]
    fn replies() {
        for (lines, expected) in [
            (&[&b"220 mail ESMTP"[..]][..], whole(b"220", &[b"mail ESMTP"], b"220 mail ESMTP\r\n")),
            (&[b"235"], whole(b"235", &[b""], b"235\r\n")),
            (&[b"334 "], whole(b"334", &[b""], b"334 \r\n")),
            (
                &[b"250-mail", b"250-", b"250"],
                whole(b"250", &[b"mail", b"", b""], b"250-mail\r\n250-\r\n250\r\n"),
            ),
            (&[b"250-mail"], NextReply::NeedMore),
            (&[b"250-mail", b"251 x"], NextReply::Invalid),
            (&[b"250-mail", b""], NextReply::Invalid),
            (&[b"* OK imap"], NextReply::Invalid),
            (&[b"+OK pop"], NextReply::Invalid),
            (&[b"22"], NextReply::Invalid),
            (&[b"2200 x"], NextReply::Invalid),
            (&[b"150 x"], NextReply::Invalid),
            (&[b"650 x"], NextReply::Invalid),
            (&[b""], NextReply::Invalid),
        ] {
            assert_eq!(next(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_reply_has_bounds() {
        let lines = vec![&b"250-x"[..]; MAX_LINES];
        assert_eq!(next(&lines), NextReply::NeedMore);
        assert_eq!(next(&[&lines[..], &[b"250 x"]].concat()), NextReply::Invalid);
        let half = [&b"250-"[..], &vec![b'x'; MAX_WHOLE / 2 - 6]].concat();
        assert_eq!(next(&[&half, &half]), NextReply::NeedMore);
        assert_eq!(next(&[&half, &half, b"250"]), NextReply::Invalid);
    }

    #[test]
    fn keywords() {
        let texts: [&[u8]; 8] = [
            b"STARTTLS is my name",
            b"SIZE 1000",
            b"auth PLAIN  plain NTLM xoauth2",
            b"AUTH=\tLOGIN",
            b"XCLIENT NAME ADDR",
            b"",
            b"AUTHX SCRAM-SHA-256",
            b"starttls",
        ];
        let texts: Vec<Vec<u8>> = texts.into_iter().map(<[u8]>::to_vec).collect();
        let sasl = vec![Mechanism::Plain, Mechanism::XOAuth2, Mechanism::Login];
        let mut expected = Keywords {
            offered: Offered { sasl, native: false },
            starttls: true,
            xclient: Some(b"NAME ADDR".to_vec()),
        };
        let mut response = Response { texts, ..Response::default() };
        assert_eq!(Keywords::parse(&response), expected);
        response.texts.pop();
        expected.starttls = false;
        assert_eq!(Keywords::parse(&response), expected);
    }
}
