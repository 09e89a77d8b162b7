//! What proxies tell each other: [`Event`], and how it is written.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use plan::Name;
use serde_json::{Value, json};

/// Something that happened at one proxy and has to be done at every other one too. Accounts are normalised
/// identifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The entries of these keys (accounts, or `@domain`) were changed: what is cached of them is asked anew,
    /// logins under way of them are routed afresh.
    Changed(Vec<Arc<str>>),
    /// Anything may have changed: everything cached is asked anew, every login under way is routed afresh.
    Flush,
    /// Sessions are ended, logins under way routed afresh.
    Kick(SessionFilter),
    /// New logins of the account wait; zero ends that.
    Delay {
        /// Whose.
        account: Arc<str>,
        /// How long.
        delay: Duration,
    },
    /// From now on no login of these accounts completes. Told again for the same hold, it lasts anew.
    Hold {
        /// Names the hold for its release; the sender's own numbering.
        hold: u64,
        /// The group.
        accounts: Vec<Arc<str>>,
        /// Ends by itself after this time, should the release never come.
        lasts: Duration,
    },
    /// A hold of the same sender is over.
    Release {
        /// The hold's number.
        hold: u64,
    },
}

/// Whose sessions are meant: those that fit everything that is given. With nothing given it is nobody: a slip in
/// a script must not send everybody away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The account; `*@example.org` = every account of the domain.
    pub account: Option<Arc<str>>,
    /// Bridged to this destination.
    pub destination: Option<Name>,
    /// From this client.
    pub client: Option<IpAddr>,
}

/// The largest event that [`Event::parts`] makes, as JSON; what is signed around it has its own room.
pub(super) const MAX_EVENT: usize = 7_400;

/// Changes that come to more messages than this are told as a flush.
const MAX_PARTS: usize = 16;

// === impl Event ===

impl Event {
    /// Name in logs and metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Changed(_) => "changed",
            Self::Flush => "flush",
            Self::Kick(_) => "kick",
            Self::Delay { .. } => "delay",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
        }
    }

    /// The same in events that each fit into a message (PostgreSQL's `NOTIFY` carries less than 8000 bytes).
    pub(super) fn parts(self) -> Vec<Self> {
        match self {
            Self::Changed(keys) => {
                let groups = groups(keys);
                if groups.len() > MAX_PARTS {
                    return vec![Self::Flush];
                }
                groups.into_iter().map(Self::Changed).collect()
            }
            Self::Hold { hold, accounts, lasts } => {
                let groups = groups(accounts).into_iter();
                groups.map(|accounts| Self::Hold { hold, accounts, lasts }).collect()
            }
            small => vec![small],
        }
    }

    /// Its name and contents in a message.
    pub(super) fn write(&self) -> (&'static str, Value) {
        let contents = match self {
            Self::Changed(keys) => json!(strings(keys)),
            Self::Flush => Value::Bool(true),
            Self::Kick(filter) => {
                let client = filter.client.map(|client| client.to_string());
                json!({ "account": filter.account.as_deref(), "destination": filter.destination.as_deref(), "client": client })
            }
            Self::Delay { account, delay } => json!({ "account": &**account, "ms": millis(*delay) }),
            Self::Hold { hold, accounts, lasts } => {
                json!({ "hold": hold, "accounts": strings(accounts), "ms": millis(*lasts) })
            }
            Self::Release { hold } => json!({ "hold": hold }),
        };
        (self.label(), contents)
    }

    /// The event of that name; `None` when the contents are not what it has.
    pub(super) fn read(name: &str, contents: &Value) -> Option<Self> {
        match name {
            "changed" => Some(Self::Changed(texts(contents)?)),
            "flush" => contents.as_bool().filter(|is| *is).map(|_| Self::Flush),
            "kick" => Some(Self::Kick(SessionFilter {
                account: optional(contents, "account")?,
                destination: optional(contents, "destination")?,
                client: match optional(contents, "client")? {
                    Some(text) => Some(text.parse().ok()?),
                    None => None,
                },
            })),
            "delay" => Some(Self::Delay {
                account: contents.get("account")?.as_str()?.into(),
                delay: Duration::from_millis(contents.get("ms")?.as_u64()?),
            }),
            "hold" => Some(Self::Hold {
                hold: contents.get("hold")?.as_u64()?,
                accounts: texts(contents.get("accounts")?)?,
                lasts: Duration::from_millis(contents.get("ms")?.as_u64()?),
            }),
            "release" => Some(Self::Release { hold: contents.get("hold")?.as_u64()? }),
            _ => None,
        }
    }
}

// === impl SessionFilter ===

impl SessionFilter {
    /// The sessions of an account, or of a domain's accounts: `*@example.org`.
    #[must_use]
    pub fn account(identifier: impl Into<Arc<str>>) -> Self {
        Self { account: Some(identifier.into()), ..Self::default() }
    }

    /// Whether nothing is given.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        self.account.is_none() && self.destination.is_none() && self.client.is_none()
    }

    /// The one account that this is, when it is nothing but that.
    #[must_use]
    pub fn one_account(&self) -> Option<&Arc<str>> {
        let is_only = self.destination.is_none() && self.client.is_none();
        self.account.as_ref().filter(|account| is_only && of_domain(account).is_none())
    }

    /// Whether a session of `account` at `destination` from `client` is meant. The account is compared as it
    /// stands: normalise it first.
    #[must_use]
    pub fn matches(&self, account: Option<&str>, destination: &str, client: IpAddr) -> bool {
        let is_account = |wanted: &Arc<str>| match (account, of_domain(wanted)) {
            (Some(account), Some(domain)) => account.len() > domain.len() && account.ends_with(domain),
            (Some(account), None) => *account == **wanted,
            (None, _) => false,
        };
        !self.is_nobody()
            && self.account.as_ref().is_none_or(is_account)
            && self.destination.as_deref().is_none_or(|wanted| wanted == destination)
            && self.client.is_none_or(|wanted| wanted.to_canonical() == client.to_canonical())
    }
}

/// `@example.org` of `*@example.org`. A `*` alone is no pattern: it would be everybody.
fn of_domain(account: &str) -> Option<&str> {
    account.strip_prefix('*').filter(|rest| rest.len() > 1 && rest.starts_with('@'))
}

/// Keys in groups of which each fits into a message; no key, no group.
fn groups(keys: Vec<Arc<str>>) -> Vec<Vec<Arc<str>>> {
    let mut groups: Vec<Vec<Arc<str>>> = Vec::new();
    let mut room = 0;
    for key in keys {
        // Two for each byte that has to be escaped, the quotes, the comma.
        let size = 2 * key.len() + 3;
        match groups.last_mut() {
            Some(group) if size <= room => group.push(key),
            _ => {
                room = MAX_EVENT - 100;
                groups.push(vec![key]);
            }
        }
        room = room.saturating_sub(size);
    }
    groups
}

fn strings(keys: &[Arc<str>]) -> Vec<&str> {
    keys.iter().map(|key| &**key).collect()
}

fn texts(value: &Value) -> Option<Vec<Arc<str>>> {
    value.as_array()?.iter().map(|text| text.as_str().map(Arc::from)).collect()
}

/// A text that may be missing; `None` when it is something else.
fn optional(value: &Value, key: &str) -> Option<Option<Arc<str>>> {
    match value.as_object()?.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(text) => text.as_str().map(|text| Some(text.into())),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize, length: usize) -> Vec<Arc<str>> {
        (0..count).map(|number| format!("{number:0length$}").into()).collect()
    }

    #[test]
    fn every_event_is_read_as_it_was_written() {
        let accounts = vec![Arc::from("alice@example.org"), Arc::from("\"\\ärger\u{1f600}")];
        let lasts = Duration::from_millis(60_001);
        let everything = SessionFilter {
            account: Some("*@example.org".into()),
            destination: Some("new".into()),
            client: Some("2001:db8::1".parse().expect("an address")),
        };
        for event in [
            Event::Changed(accounts.clone()),
            Event::Flush,
            Event::Kick(SessionFilter::default()),
            Event::Kick(everything),
            Event::Delay { account: "alice".into(), delay: Duration::ZERO },
            Event::Hold { hold: u64::MAX, accounts, lasts },
            Event::Release { hold: 1 },
        ] {
            let (name, contents) = event.write();
            let text = contents.to_string();
            let contents = serde_json::from_str(&text).expect("what was written");
            assert_eq!(Event::read(name, &contents), Some(event), "{text}");
        }
    }

    #[test]
    fn contents_of_another_shape_are_no_event() {
        for (name, contents) in [
            ("changed", json!("alice")),
            ("changed", json!([1])),
            ("flush", json!(false)),
            ("flush", json!(null)),
            ("kick", json!([])),
            ("kick", json!({ "client": "example.org" })),
            ("kick", json!({ "account": 1 })),
            ("delay", json!({ "account": "alice", "ms": -1 })),
            ("hold", json!({ "hold": 1, "accounts": [], "ms": 1.5 })),
            ("release", json!({ "hold": "1" })),
            ("drain", json!(true)),
        ] {
            assert_eq!(Event::read(name, &contents), None, "{name} {contents}");
        }
    }

    #[test]
    fn large_events_come_in_parts_that_fit() {
        let whole = names(300, 320);
        let hold = Event::Hold { hold: 7, accounts: whole.clone(), lasts: Duration::MAX };
        let parts = hold.parts();
        assert!(parts.iter().all(|part| part.write().1.to_string().len() <= MAX_EVENT));
        let accounts = parts.iter().flat_map(|part| match part {
            Event::Hold { accounts, hold: 7, .. } => accounts.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(accounts.collect::<Vec<_>>(), whole);
        // What escapes to twice its length still fits.
        let quotes = Event::Changed(vec!["\"".repeat(320).into(); 30]);
        assert!(quotes.parts().iter().all(|part| part.write().1.to_string().len() <= MAX_EVENT));
    }

    #[test]
    fn a_great_many_changes_are_a_flush_and_none_are_nothing() {
        assert_eq!(Event::Changed(names(10_000, 100)).parts(), [Event::Flush]);
        assert_eq!(Event::Changed(Vec::new()).parts(), []);
    }

    #[test]
    fn who_is_meant() {
        let client: IpAddr = "192.0.2.1".parse().expect("an address");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        let filter = |account: &str| SessionFilter::account(account);
        for (filter, account, is_meant) in [
            (SessionFilter::default(), None, false),
            (filter("alice@a.example"), Some("alice@a.example"), true),
            (filter("alice@a.example"), Some("alice@a.example.org"), false),
            (filter("alice@a.example"), None, false),
            (filter("*@a.example"), Some("alice@a.example"), true),
            (filter("*@a.example"), Some("alice@b.a.example"), false),
            (filter("*@a.example"), Some("@a.example"), false),
            (filter("*"), Some("alice"), false),
            (filter("*@"), Some("alice@"), false),
            (SessionFilter { destination: Some("new".into()), ..filter("alice") }, Some("alice"), true),
            (SessionFilter { destination: Some("old".into()), ..filter("alice") }, Some("alice"), false),
            (SessionFilter { client: Some(mapped), ..SessionFilter::default() }, None, true),
            (
                SessionFilter {
                    client: Some("192.0.2.2".parse().expect("an address")),
                    ..SessionFilter::default()
                },
                None,
                false,
            ),
        ] {
            assert_eq!(filter.matches(account, "new", client), is_meant, "{filter:?} {account:?}");
        }
    }
}
