//! What the destinations announce, and what all of them have in common.
//!
//! A client is offered capabilities before its backend is known. What must never happen here: a capability is offered that
//! one of the destinations lacks. A client that trusts `LITERAL+` sends a message after its command without waiting; a server
//! without it reads the message as commands.

use std::collections::HashMap;
use std::sync::Arc;

use credentials::attempt::Mechanism;
use plan::{Name, Plan};
use types::protocol::Protocol;

/// One server: a host and port of a destination's leg.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) destination: Name,
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a server announced before the login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// IMAP capabilities, EHLO keywords with their parameters, or Sieve extensions; in the server's spelling.
    words: Vec<String>,
    /// ManageSieve's `NOTIFY` methods (RFC 5804 section 1.7).
    notify: Vec<String>,
    /// SASL mechanisms, in upper case.
    mechanisms: Vec<String>,
}

/// The last announcement of every server that has answered.
pub(crate) type Announcements = HashMap<Server, Arc<Announcement>>;

/// What every server of a protocol has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Common {
    pub(crate) words: Vec<String>,
    pub(crate) notify: Vec<String>,
    /// The mechanisms with a token that a server lacks.
    lacking: Vec<Mechanism>,
}

/// IMAP capabilities that are ours to offer, or that must not be: their commands would leave the session's account or its
/// destination.
const NOT_LEARNT_IMAP: &[&str] = &["STARTTLS", "LOGINDISABLED", "UNAUTHENTICATE", "LOGIN-REFERRALS"];
/// What our own dialogue provides, whatever the backend has.
const OWN_IMAP: &[&str] = &["IMAP4rev1", "SASL-IR", "ID"];
/// EHLO keywords that are ours to offer, or that a server grants to us and not to the client.
const NOT_LEARNT_EHLO: &[&str] = &["STARTTLS", "AUTH", "XCLIENT", "XFORWARD"];

/// Returns every server that a login over `protocol` may reach.
pub(crate) fn servers(plan: &Plan, protocol: Protocol) -> Vec<Server> {
    let mut servers = Vec::new();
    for (name, destination) in &plan.destinations {
        let Some(leg) = destination.leg(protocol) else { continue };
        for host in &destination.hosts {
            let destination = Arc::clone(name);
            servers.push(Server { destination, protocol, host: host.clone(), port: leg.port });
        }
    }
    servers
}

// === impl Announcement ===

impl Announcement {
    /// Reads what a server has sent up to the credential; `None` when no capability is in it.
    pub(crate) fn read(protocol: Protocol, received: &[u8]) -> Option<Self> {
        let announced = probe::announced(protocol, received);
        let mechanisms = probe::mechanisms(protocol, &announced);
        let mut announcement = Self { mechanisms, ..Self::default() };
        match protocol {
            Protocol::ManageSieve => {
                announcement.words = sieve_value(&announced, "SIEVE")?;
                announcement.notify = sieve_value(&announced, "NOTIFY").unwrap_or_default();
            }
            // What POP3 servers can do without a login is the same everywhere.
            Protocol::Pop3 => {}
            _ => announcement.words = announced,
        }
        let is_empty = announcement.words.is_empty() && protocol == Protocol::Imap;
        (!is_empty).then_some(announcement)
    }

    /// Returns whether the server has `word`.
    pub(crate) fn has(&self, protocol: Protocol, word: &str) -> bool {
        self.words.iter().any(|own| keyword(own).eq_ignore_ascii_case(keyword(word)))
            // RFC 7888 section 5: LITERAL- is the half of LITERAL+.
            || protocol == Protocol::Imap && word.eq_ignore_ascii_case("LITERAL-") && self.has(protocol, "LITERAL+")
    }

    /// Returns whether the server accepts `mechanism`, as far as can be known: one that hides its password mechanisms from
    /// us, such as Dovecot on an unencrypted leg, hides the tokens too.
    fn may_accept(&self, mechanism: Mechanism) -> bool {
        let shows_passwords = self.lists(Mechanism::Plain) || self.lists(Mechanism::Login);
        !shows_passwords || self.lists(mechanism)
    }

    fn lists(&self, mechanism: Mechanism) -> bool {
        self.mechanisms.iter().any(|name| name == mechanism.name())
    }
}

/// Returns the words of a ManageSieve capability's value.
fn sieve_value(lines: &[String], name: &str) -> Option<Vec<String>> {
    lines.iter().find_map(|line| {
        let mut strings = line.split('"').skip(1).step_by(2);
        if !strings.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        Some(strings.next()?.split_whitespace().map(str::to_owned).collect())
    })
}

/// Returns what two servers must share of `word`: of `SIZE` the keyword, of others the parameters too.
fn keyword(word: &str) -> &str {
    match word.get(..4) {
        Some(name) if name.eq_ignore_ascii_case("SIZE") => name,
        _ => word,
    }
}

// === impl Common ===

impl Common {
    /// Returns what all of `servers` have; `None` while one of them has not answered yet.
    pub(crate) fn of(servers: &[Server], announcements: &Announcements) -> Option<Self> {
        let protocol = servers.first()?.protocol;
        let mut all = Vec::new();
        for server in servers {
            all.push(&**announcements.get(server)?);
        }
        let words = match protocol {
            Protocol::Imap => imap(&all),
            Protocol::Submission => ehlo(&all),
            _ => shared(&all, protocol, &[]),
        };
        let mut common = Self { words, notify: notify(&all), lacking: Vec::new() };
        if common.notify.is_empty() {
            // RFC 5804 section 1.7: a server with enotify lists its methods.
            common.words.retain(|word| !word.eq_ignore_ascii_case("enotify"));
        }
        for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
            if !all.iter().all(|announcement| announcement.may_accept(mechanism)) {
                common.lacking.push(mechanism);
            }
        }
        Some(common)
    }

    /// Returns `mechanisms` without the tokens that a server lacks. A password can be replayed by any login command, so its
    /// mechanisms stay.
    pub(crate) fn usable(&self, mechanisms: &[Mechanism]) -> Vec<Mechanism> {
        mechanisms.iter().copied().filter(|mechanism| !self.lacking.contains(mechanism)).collect()
    }
}

/// Returns the words of the first server that all have, without those in `excluded`.
fn shared(all: &[&Announcement], protocol: Protocol, excluded: &[&str]) -> Vec<String> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut words: Vec<String> = Vec::new();
    for word in &first.words {
        let name = word.split([' ', '=']).next().unwrap_or_default();
        let is_excluded = excluded.iter().any(|excluded| excluded.eq_ignore_ascii_case(name));
        let is_new = !words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if !is_excluded && is_new && others.iter().all(|other| other.has(protocol, word)) {
            words.push(word.clone());
        }
    }
    words
}

fn imap(all: &[&Announcement]) -> Vec<String> {
    let mut words = shared(all, Protocol::Imap, NOT_LEARNT_IMAP);
    words.retain(|word| !word.to_ascii_uppercase().starts_with("AUTH="));
    for own in OWN_IMAP {
        if !words.iter().any(|word| word.eq_ignore_ascii_case(own)) {
            words.push((*own).to_owned());
        }
    }
    let has = |word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    let all_have_half = all.iter().all(|announcement| announcement.has(Protocol::Imap, "LITERAL-"));
    if all_have_half && !has("LITERAL+") && !has("LITERAL-") {
        words.push("LITERAL-".to_owned());
    }
    words
}

fn ehlo(all: &[&Announcement]) -> Vec<String> {
    let mut words = shared(all, Protocol::Submission, NOT_LEARNT_EHLO);
    for word in &mut words {
        if keyword(word).eq_ignore_ascii_case("SIZE") {
            *word = size(all);
        }
    }
    words
}

/// Returns `SIZE` with the smallest limit; 0 and no number mean that there is none (RFC 1870 section 4).
fn size(all: &[&Announcement]) -> String {
    let sizes = all.iter().flat_map(|announcement| &announcement.words);
    let limits = sizes.filter_map(|word| word.strip_prefix("SIZE ")?.trim().parse::<u64>().ok());
    match limits.filter(|&limit| limit > 0).min() {
        Some(limit) => format!("SIZE {limit}"),
        None => "SIZE".to_owned(),
    }
}

fn notify(all: &[&Announcement]) -> Vec<String> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let mut methods = first.notify.clone();
    methods.retain(|method| {
        others.iter().all(|other| other.notify.iter().any(|own| own.eq_ignore_ascii_case(method)))
    });
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is common to servers that have sent `received`; a server that sent nothing has not answered.
    fn common(protocol: Protocol, received: &[&str]) -> Option<Common> {
        let mut servers = Vec::new();
        let mut announcements = Announcements::new();
        for (index, text) in received.iter().enumerate() {
            let server = Server { destination: "old".into(), protocol, host: index.to_string(), port: 1 };
            servers.push(server.clone());
            if let Some(announcement) = Announcement::read(protocol, text.as_bytes()) {
                announcements.insert(server, Arc::new(announcement));
            }
        }
        Common::of(&servers, &announcements)
    }

    fn words(protocol: Protocol, received: &[&str]) -> Option<String> {
        common(protocol, received).map(|common| common.words.join(" "))
    }

    #[test]
    fn imap_offers_what_all_have() {
        let dovecot =
            "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] hi\r\n";
        let courier = "* OK [CAPABILITY IMAP4rev1 UIDPLUS IDLE AUTH=PLAIN STARTTLS] hi\r\n";
        let minus = "* OK [CAPABILITY IMAP4rev1 LITERAL- UNAUTHENTICATE] hi\r\n";
        for (received, expected) in [
            (&[dovecot][..], Some("IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+")),
            (&[dovecot, courier], Some("IMAP4rev1 IDLE SASL-IR ID")),
            (&[dovecot, minus], Some("IMAP4rev1 SASL-IR ID LITERAL-")),
            (&[minus, dovecot], Some("IMAP4rev1 LITERAL- SASL-IR ID")),
            (&[minus], Some("IMAP4rev1 LITERAL- SASL-IR ID")),
            (&[dovecot, ""], None),
            (&[], None),
        ] {
            assert_eq!(words(Protocol::Imap, received).as_deref(), expected, "{received:?}");
        }
    }

    #[test]
    fn ehlo_keywords_keep_the_smallest_size() {
        let postfix = "220 x\r\n250-a\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-DSN\r\n250-XCLIENT ADDR\r\n250 CHUNKING\r\n";
        let other =
            "220 x\r\n250-b\r\n250-size 0\r\n250-SIZE 0\r\n250-DSN\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n";
        let lacking = "220 x\r\n250-c\r\n250 PIPELINING\r\n";
        for (received, expected) in [
            (&[postfix][..], "PIPELINING/SIZE 1000/DSN/CHUNKING"),
            (&[postfix, other], "PIPELINING/SIZE 1000/DSN"),
            (&[postfix, lacking], "PIPELINING"),
        ] {
            let found = common(Protocol::Submission, received).expect("all have answered");
            assert_eq!(found.words.join("/"), expected, "{received:?}");
        }
    }

    #[test]
    fn enotify_needs_a_method() {
        let with = "\"SIEVE\" \"fileinto enotify\"\r\n\"NOTIFY\" \"mailto xmpp\"\r\nOK\r\n";
        let mailto = "\"NOTIFY\" \"mailto\"\r\n\"SIEVE\" \"enotify fileinto copy\"\r\nOK\r\n";
        let without = "\"SIEVE\" \"fileinto enotify\"\r\nOK\r\n";
        let both = common(Protocol::ManageSieve, &[with, mailto]).expect("both have answered");
        assert_eq!(
            (both.words.join(" "), both.notify.join(" ")),
            ("fileinto enotify".into(), "mailto".into())
        );
        let none = common(Protocol::ManageSieve, &[with, without]).expect("both have answered");
        assert_eq!((none.words.join(" "), none.notify.len()), ("fileinto".into(), 0));
        assert_eq!(common(Protocol::ManageSieve, &["\"SASL\" \"PLAIN\"\r\nOK\r\n"]), None);
    }

    #[test]
    fn tokens_are_offered_where_every_server_that_shows_its_mechanisms_has_them() {
        use Mechanism::{OAuthBearer, Plain, XOAuth2};
        let offered = [Plain, OAuthBearer, XOAuth2];
        let capable = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2] hi\r\n";
        let half = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2] hi\r\n";
        let hiding = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=SCRAM-SHA-256] hi\r\n";
        for (received, expected) in [
            (&[capable, hiding][..], &[Plain, OAuthBearer, XOAuth2][..]),
            (&[capable, half], &[Plain, XOAuth2]),
        ] {
            let common = common(Protocol::Imap, received).expect("all have answered");
            assert_eq!(common.usable(&offered), expected, "{received:?}");
        }
    }
}
