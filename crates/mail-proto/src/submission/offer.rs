//! What is advertised on a connection, and the replies to commands that need a login first.
//!
//! Both depend on encryption: without TLS a mechanism that reveals the password is neither advertised nor accepted,
//! unless the configuration allows it.

use crate::step::{Channel, DialogueContext};
use crate::xclient;
use credentials::attempt::Mechanism;

/// Returns the greeting.
pub(super) fn greeting(context: &DialogueContext) -> String {
    format!("220 {} {}", context.offer.hostname, context.offer.banner)
}

/// Returns the lines of the reply to `EHLO`: the hostname and the keywords. Keywords that depend on the connection are
/// removed from a configured list and added here where they apply.
pub(super) fn keywords(context: &DialogueContext) -> Vec<String> {
    let is_ours = |keyword: &str| {
        let name = keyword.split([' ', '=']).next().unwrap_or_default();
        ["STARTTLS", "AUTH", "XCLIENT"].iter().any(|ours| ours.eq_ignore_ascii_case(name))
    };
    let mut lines = vec![context.offer.hostname.clone()];
    lines.extend(context.offer.capabilities.iter().filter(|keyword| !is_ours(keyword)).cloned());
    if context.channel == Channel::Upgradable {
        lines.push("STARTTLS".to_owned());
    }
    let sasl: Vec<&str> = context.permitted().map(Mechanism::name).collect();
    if !sasl.is_empty() {
        // The second form is for clients that predate RFC 2554.
        lines.push(format!("AUTH {}", sasl.join(" ")));
        lines.push(format!("AUTH={}", sasl.join(" ")));
    }
    if context.peer_is_trusted {
        lines.push(format!("XCLIENT {}", xclient::ACCEPTED_ATTRIBUTES));
    }
    lines
}

/// Returns what a mail transaction needs first. RFC 3207 section 4 and RFC 4954 section 6 use one code for both.
pub(super) fn login_required(context: &DialogueContext) -> &'static str {
    let needs_tls = context.channel == Channel::Upgradable && context.permitted().next().is_none();
    if needs_tls { "530 5.7.0 Use STARTTLS first" } else { "530 5.7.0 Log in first" }
}
