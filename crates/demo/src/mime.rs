//! What is inside a message, by `mailparse`: sections, BODYSTRUCTURE, ENVELOPE (RFC 3501 sections 6.4.5, 7.4.2).
//!
//! `mailparse` bounds the nesting of parts; how many parts and addresses a response shows is bounded here. A
//! message inside a message is shown as a file: the demo does without looking into it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use imap_codec::imap_types::body::{
    BasicFields, Body, BodyStructure, Disposition, MultiPartExtensionData, SinglePartExtensionData,
    SpecificFields,
};
use imap_codec::imap_types::core::{AString, IString, Literal, NString, Vec1};
use imap_codec::imap_types::envelope::{Address, Envelope};
use imap_codec::imap_types::fetch::Section;
use mailparse::{MailAddr, MailHeaderMap, ParsedMail, SingleInfo, addrparse, parse_header};

/// Parts of one multipart, and addresses of one field, that a response shows.
const MAX_SHOWN: usize = 100;
const NIL: NString<'static> = NString(None);

/// Splits a message after the empty line that ends its header.
pub(crate) fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        length += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
    }
    raw.split_at(length)
}

/// Takes a message apart. One whose header makes no sense is taken for text without a header.
pub(crate) fn parse(raw: &[u8]) -> Option<ParsedMail<'_>> {
    let header = split(raw).0.trim_ascii_end();
    mailparse::parse_mail(raw).or_else(|_| mailparse::parse_mail(&raw[header.len()..])).ok()
}

/// The bytes of a section; `None` when the message does not have it.
pub(crate) fn section<'a>(mail: &ParsedMail<'a>, section: &Section<'_>) -> Option<Cow<'a, [u8]>> {
    let (header, text) = split(mail.raw_bytes);
    Some(match section {
        Section::Part(part) => split(find(mail, part.0.as_ref())?).1.into(),
        Section::Mime(part) => split(find(mail, part.0.as_ref())?).0.into(),
        Section::Header(None) => header.into(),
        Section::Text(None) => text.into(),
        Section::HeaderFields(None, names) => fields(header, names.as_ref(), true).into(),
        Section::HeaderFieldsNot(None, names) => fields(header, names.as_ref(), false).into(),
        // These are of a message inside a message.
        _ => return None,
    })
}

/// The part of that path. What is not a multipart has one part, which is itself.
fn find<'a>(mail: &ParsedMail<'a>, path: &[NonZeroU32]) -> Option<&'a [u8]> {
    let mut part = mail;
    for number in path {
        part = match part.subparts.get(usize::try_from(number.get()).ok()? - 1) {
            Some(inner) => inner,
            None if part.subparts.is_empty() && number.get() == 1 => part,
            None => return None,
        };
    }
    Some(part.raw_bytes)
}

/// The fields that have one of these names, or none of them, and an empty line.
fn fields(mut header: &[u8], names: &[AString<'_>], is_wanted: bool) -> Vec<u8> {
    let mut block = Vec::new();
    while let Ok((field, length)) = parse_header(header)
        && !field.get_key_raw().trim_ascii().is_empty()
    {
        if names.iter().any(|name| field.get_key_raw().eq_ignore_ascii_case(name.as_ref())) == is_wanted {
            block.extend_from_slice(&header[..length]);
        }
        header = &header[length..];
    }
    block.extend_from_slice(b"\r\n");
    block
}

/// BODYSTRUCTURE, and BODY when it is not `extended`.
pub(crate) fn structure(mail: &ParsedMail<'_>, extended: bool) -> BodyStructure<'static> {
    let disposition = value(mail, "Content-Disposition").map(|value| {
        let kind = value.split(';').next().unwrap_or_default().trim();
        (upper(kind), parameters(&mail.get_content_disposition().params))
    });
    let tail = Some(Disposition { disposition, tail: None });
    let mut parameter_list = parameters(&mail.ctype.params);
    let (kind, subtype) = mail.ctype.mimetype.split_once('/').unwrap_or(("text", "plain"));
    let parts = mail.subparts.iter().take(MAX_SHOWN).map(|part| structure(part, extended));
    if let Ok(bodies) = Vec1::try_from(parts.collect::<Vec<_>>()) {
        let extension_data = extended.then_some(MultiPartExtensionData { parameter_list, tail });
        return BodyStructure::Multi { bodies, subtype: upper(subtype), extension_data };
    }
    let body = split(mail.raw_bytes).1;
    let basic = |kind, subtype| SpecificFields::Basic { r#type: upper(kind), subtype: upper(subtype) };
    let specific = match kind {
        "text" => {
            if !mail.ctype.params.contains_key("charset") {
                parameter_list.push((upper("charset"), string(&mail.ctype.charset)));
            }
            let lines = body.iter().filter(|&&byte| byte == b'\n').count();
            SpecificFields::Text { subtype: upper(subtype), number_of_lines: count(lines) }
        }
        "message" | "multipart" => basic("application", "octet-stream"),
        _ => basic(kind, subtype),
    };
    let basic = BasicFields {
        parameter_list,
        id: nstring(value(mail, "Content-ID")),
        description: nstring(value(mail, "Content-Description")),
        content_transfer_encoding: string(
            value(mail, "Content-Transfer-Encoding").as_deref().unwrap_or("7BIT"),
        ),
        size: count(body.len()),
    };
    let extension_data = extended.then_some(SinglePartExtensionData { md5: NIL, tail });
    BodyStructure::Single { body: Body { basic, specific }, extension_data }
}

pub(crate) fn envelope(mail: &ParsedMail<'_>) -> Envelope<'static> {
    let from = addresses(mail, "From");
    let or_from = |list: Vec<_>| if list.is_empty() { from.clone() } else { list };
    Envelope {
        date: nstring(value(mail, "Date")),
        subject: nstring(value(mail, "Subject")),
        sender: or_from(addresses(mail, "Sender")),
        reply_to: or_from(addresses(mail, "Reply-To")),
        to: addresses(mail, "To"),
        cc: addresses(mail, "Cc"),
        bcc: addresses(mail, "Bcc"),
        in_reply_to: nstring(value(mail, "In-Reply-To")),
        message_id: nstring(value(mail, "Message-ID")),
        from,
    }
}

/// The addresses of a field, those of groups among them.
fn addresses(mail: &ParsedMail<'_>, name: &str) -> Vec<Address<'static>> {
    let parsed = value(mail, name).and_then(|value| addrparse(&value).ok());
    let mut singles = Vec::new();
    for entry in parsed.iter().flat_map(|list| list.iter()) {
        match entry {
            MailAddr::Single(single) => singles.push(single),
            MailAddr::Group(group) => singles.extend(&group.addrs),
        }
    }
    let address = |single: &SingleInfo| {
        // `mailparse` keeps the comma after a group.
        let address = single.addr.trim_start_matches([',', ' ']);
        let mut halves = address.rsplitn(2, '@').map(str::to_owned);
        let host = nstring(halves.next());
        let mailbox = nstring(halves.next());
        Address { name: nstring(single.display_name.clone()), adl: NIL, mailbox, host }
    };
    singles.into_iter().take(MAX_SHOWN).map(address).collect()
}

fn parameters(parameters: &BTreeMap<String, String>) -> Vec<(IString<'static>, IString<'static>)> {
    parameters.iter().map(|(name, value)| (upper(name), string(value))).collect()
}

/// The value of the first field of that name, unfolded and not decoded; `None` when it is empty.
fn value(mail: &ParsedMail<'_>, name: &str) -> Option<String> {
    let value = String::from_utf8_lossy(mail.headers.get_first_header(name)?.get_value_raw()).into_owned();
    let value = value.replace(['\r', '\n'], "").trim().to_owned();
    (!value.is_empty()).then_some(value)
}

fn upper(text: &str) -> IString<'static> {
    string(&text.to_ascii_uppercase())
}

/// Quoted where that is possible, else a literal, which cannot have a NUL.
fn string(text: &str) -> IString<'static> {
    let text = text.replace('\0', "");
    IString::try_from(text.clone()).unwrap_or_else(|_| Literal::unvalidated(text.into_bytes()).into())
}

fn nstring(text: Option<String>) -> NString<'static> {
    NString(text.map(|text| string(&text)))
}

pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
