//! `[capabilities.PROTO]`: what is advertised before the backend is known.

use credentials::attempt::Mechanism;
use types::protocol::Protocol;

use crate::read::{Located, Table};
use crate::suggest::closest;
use plan::Capabilities;

/// One for each protocol, by [`Protocol::index`].
pub(super) fn read(root: &Table<'_>) -> Vec<Capabilities> {
    let table = root.table("capabilities");
    let read = |protocol: Protocol| {
        let entry = table.as_ref().and_then(|table| table.table(protocol.name()));
        entry.map_or_else(|| defaults(protocol), |entry| one(protocol, &entry))
    };
    let all = Protocol::ALL.into_iter().map(read).collect();
    if let Some(table) = table {
        table.finish();
    }
    all
}

/// Returns the defaults: until the servers have answered, the least that a client can rely on.
fn defaults(protocol: Protocol) -> Capabilities {
    let advertise = match protocol {
        // Without LITERAL+: a server that lacks it reads the literal, which the client has sent already, as commands.
        Protocol::Imap => "IMAP4rev1 SASL-IR ID",
        Protocol::Submission => "PIPELINING 8BITMIME SIZE",
        Protocol::ManageSieve => "fileinto",
        _ => "",
    };
    Capabilities {
        sasl: vec![Mechanism::Plain, Mechanism::Login, Mechanism::OAuthBearer, Mechanism::XOAuth2],
        cleartext_without_tls: false,
        banner: match protocol {
            Protocol::Submission => "ESMTP ready".to_owned(),
            _ => "Server ready".to_owned(),
        },
        advertise: advertise.split_whitespace().map(str::to_owned).collect(),
        advertise_is_set: false,
        sasl_is_set: false,
        implementation: "Pointsman".to_owned(),
        learn: true,
    }
}

fn one(protocol: Protocol, entry: &Table<'_>) -> Capabilities {
    let mut capabilities = defaults(protocol);
    if let Some(names) = entry.strings("sasl") {
        if names.is_empty() {
            let message = "found an empty list: no client could log in";
            let help =
                "list the mechanisms that both servers offer, or remove the key to use the default list";
            entry.problems.error(&entry.key("sasl"), entry.place("sasl"), message, help);
        }
        capabilities.sasl = mechanisms(entry, &names);
        capabilities.sasl_is_set = true;
    }
    capabilities.cleartext_without_tls = entry.boolean("allow_plain_auth_without_tls", false);
    if let Some(banner) = entry.string("banner") {
        capabilities.banner = line(entry, banner).unwrap_or(capabilities.banner);
    }
    let key = match protocol {
        Protocol::Imap => Some("advertise"),
        Protocol::Submission => Some("ehlo"),
        Protocol::ManageSieve => Some("sieve"),
        _ => None,
    };
    if let Some(words) = key.and_then(|key| entry.strings(key)) {
        capabilities.advertise = words.into_iter().filter_map(|at| line(entry, at)).collect();
        capabilities.advertise_is_set = true;
    }
    if protocol == Protocol::ManageSieve
        && let Some(name) = entry.string("implementation")
    {
        capabilities.implementation = line(entry, name).unwrap_or(capabilities.implementation);
    }
    capabilities.learn = entry.boolean("learn", true);
    entry.finish();
    capabilities
}

fn mechanisms(entry: &Table<'_>, names: &[Located<String>]) -> Vec<Mechanism> {
    let mut found: Vec<Mechanism> = Vec::new();
    for at in names {
        match Mechanism::from_name(at.value.as_bytes()) {
            Some(mechanism) if found.contains(&mechanism) => {
                let message = format!("found \"{}\" twice", at.value.escape_debug());
                entry.problems.error(&at.key, at.span.clone(), message, "keep it once");
            }
            Some(mechanism) => found.push(mechanism),
            None => {
                let names: Vec<_> = Mechanism::all().map(Mechanism::name).collect();
                let help = match closest(&at.value.to_ascii_uppercase(), names.iter().copied()) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => format!("expected one of {}", names.join(", ")),
                };
                let message = format!("found \"{}\", expected a SASL mechanism", at.value.escape_debug());
                entry.problems.error(&at.key, at.span.clone(), message, help);
            }
        }
    }
    found
}

/// Returns text for a protocol line, if it can be sent there.
fn line(entry: &Table<'_>, at: Located<String>) -> Option<String> {
    let is_fit =
        at.value.len() <= 400 && at.value.chars().all(|c| (' '..='~').contains(&c) && c != '"' && c != '\\');
    if is_fit {
        return Some(at.value);
    }
    let message = "found text that a protocol line cannot contain";
    entry.problems.error(
        &at.key,
        at.span,
        message,
        "use printable ASCII without quotes and backslashes, at most 400 characters",
    );
    None
}
