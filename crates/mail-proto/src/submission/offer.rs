//! What is offered on a connection, and what is said where something is not.
//!
//! It depends on the connection's encryption alone: a mechanism that shows the password is neither
//! advertised nor taken in the clear, unless the configuration says so.

use crate::step::{Channel, DialogueContext};
use crate::xclient;
use credentials::attempt::Mechanism;

/// The greeting.
pub(super) fn greeting(context: &DialogueContext) -> String {
    format!("220 {} {}", context.offer.hostname, context.offer.banner)
}

/// The lines of the answer to `EHLO`: our name, and what we offer. Of a configured list, what depends on the
/// connection is left out: that is added here, where it holds.
pub(super) fn keywords(context: &DialogueContext) -> Vec<String> {
    let is_ours = |keyword: &str| {
        let name = keyword.split([' ', '=']).next().unwrap_or_default();
        ["STARTTLS", "AUTH", "XCLIENT"].iter().any(|ours| ours.eq_ignore_ascii_case(name))
    };
    let mut words = vec![context.offer.hostname.clone()];
    words.extend(context.offer.capabilities.iter().filter(|keyword| !is_ours(keyword)).cloned());
    if context.channel == Channel::Upgradable {
        words.push("STARTTLS".to_owned());
    }
    let sasl: Vec<&str> = context.permitted().map(Mechanism::name).collect();
    if !sasl.is_empty() {
        // The second form is for clients older than RFC 2554.
        words.push(format!("AUTH {}", sasl.join(" ")));
        words.push(format!("AUTH={}", sasl.join(" ")));
    }
    if context.peer_is_trusted {
        words.push(format!("XCLIENT {}", xclient::ACCEPTED_ATTRIBUTES));
    }
    words
}

/// What a mail transaction needs first: RFC 3207 section 4 and RFC 4954 section 6 have one code for both.
pub(super) fn login_required(context: &DialogueContext) -> &'static str {
    let needs_tls = context.channel == Channel::Upgradable && context.permitted().next().is_none();
    if needs_tls { "530 5.7.0 Use STARTTLS first" } else { "530 5.7.0 Log in first" }
}
