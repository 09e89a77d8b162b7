//! What must hold for whatever a stranger sends: one function for each reader of hostile bytes.
//!
//! The crate exists so that a property is written once and asked twice: by the fuzz targets in `fuzz/`, with input
//! that libFuzzer makes up, and by `cargo test`, with the committed corpus and every input that once broke
//! something. A property panics when it does not hold. None of them opens a socket, waits, or is no more than
//! "it does not panic".
//!
//! An input is four bytes and what is read: see `input`.

mod body;
mod dialogue;
mod exchange;
mod follow;
mod head;
mod input;
mod leaks;
mod mapping;
mod names;
mod path;
mod replay;
mod settings;
mod small;

/// A property: panics when it does not hold for these bytes.
pub type Property = fn(&[u8]);

/// Every property with the name of its fuzz target, its corpus and its dictionary.
pub const ALL: [(&str, Property); 23] = [
    ("imap", dialogue::imap),
    ("pop3", dialogue::pop3),
    ("managesieve", dialogue::managesieve),
    ("submission", dialogue::submission),
    ("imap_replay", replay::imap),
    ("pop3_replay", replay::pop3),
    ("managesieve_replay", replay::managesieve),
    ("submission_replay", replay::submission),
    ("passthrough_replay", replay::passthrough),
    ("exchange", exchange::exchange),
    ("follow", follow::follow),
    ("proxy", small::proxy),
    ("xclient", small::xclient),
    ("sasl", names::sasl),
    ("token", names::token),
    ("http_request", head::request),
    ("http_response", head::response),
    ("http_h2", head::h2),
    ("http_chunked", body::chunked),
    ("http_path", path::path),
    ("http_forwarded", path::forwarded),
    ("mapping", mapping::mapping),
    ("config", settings::config),
];

/// Asks the property of that name.
///
/// # Panics
/// When it does not hold, or there is none of that name.
pub fn check(name: &str, bytes: &[u8]) {
    let found = ALL.iter().find(|(known, _)| *known == name);
    let (_, property) = found.expect("a property of that name");
    property(bytes);
}
