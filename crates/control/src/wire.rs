//! An order as JSON, in messages that each fit into the channel.
//!
//! The names and contents stay as they are: proxies of different versions share a channel during an upgrade.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster::{MAX_ORDER, OrderMessage};
use serde_json::{Value, json};
use sessions::SessionFilter;

use crate::order::{HoldNumber, Order};

/// An invalidation in more messages than this is sent as a flush.
const MAX_PARTS: usize = 16;

// === impl Order ===

impl Order {
    /// Returns the messages that carry the order; `None` for an order that other proxies do not understand.
    pub(crate) fn write(&self) -> Option<Vec<OrderMessage>> {
        let contents = match self {
            Self::Invalidate(keys) => {
                let groups = groups(keys);
                if groups.len() > MAX_PARTS {
                    return Self::Flush.write();
                }
                return Some(groups.iter().map(|keys| message("changed", json!(strings(keys)))).collect());
            }
            Self::Hold { number, accounts, lasts } => {
                let mut parts = Vec::new();
                for accounts in groups(accounts) {
                    let contents =
                        json!({ "hold": number.0, "accounts": strings(&accounts), "ms": millis(*lasts) });
                    parts.push(message("hold", contents));
                }
                return Some(parts);
            }
            Self::Flush => message("flush", Value::Bool(true)),
            Self::Kick(filter) => message("kick", write_filter(filter)?),
            Self::Delay { account, delay } => {
                message("delay", json!({ "account": &**account, "ms": millis(*delay) }))
            }
            Self::EndSessions { number } => message("end_sessions", json!({ "hold": number.0 })),
            Self::Release { number } => message("release", json!({ "hold": number.0 })),
            Self::Change(_) | Self::Reload | Self::Drain { .. } => return None,
        };
        Some(vec![contents])
    }

    /// Returns the order that a message carries; `None` when the contents do not fit the name.
    pub(crate) fn read(message: &OrderMessage) -> Option<Self> {
        let contents = &message.contents;
        match &*message.name {
            "changed" => Some(Self::Invalidate(texts(contents)?)),
            "flush" => contents.as_bool().filter(|is| *is).map(|_| Self::Flush),
            "kick" => Some(Self::Kick(read_filter(contents)?)),
            "delay" => Some(Self::Delay {
                account: contents.get("account")?.as_str()?.into(),
                delay: Duration::from_millis(contents.get("ms")?.as_u64()?),
            }),
            "hold" => Some(Self::Hold {
                number: HoldNumber(contents.get("hold")?.as_u64()?),
                accounts: texts(contents.get("accounts")?)?,
                lasts: Duration::from_millis(contents.get("ms")?.as_u64()?),
            }),
            "end_sessions" => Some(Self::EndSessions { number: HoldNumber(contents.get("hold")?.as_u64()?) }),
            "release" => Some(Self::Release { number: HoldNumber(contents.get("hold")?.as_u64()?) }),
            _ => None,
        }
    }
}

const fn message(name: &'static str, contents: Value) -> OrderMessage {
    OrderMessage { name: Cow::Borrowed(name), contents }
}

/// Returns `None` for a filter with a network of several addresses, or with a protocol: older proxies would not apply
/// these conditions.
fn write_filter(filter: &SessionFilter) -> Option<Value> {
    if filter.protocol.is_some() {
        return None;
    }
    let client = match filter.client {
        Some(network) => Some(network.single()?.to_string()),
        None => None,
    };
    Some(json!({
        "account": filter.account.as_deref(),
        "destination": filter.destination.as_deref(),
        "client": client,
    }))
}

fn read_filter(contents: &Value) -> Option<SessionFilter> {
    let client = match optional(contents, "client")? {
        Some(text) => {
            text.parse::<IpAddr>().ok()?;
            Some(text.parse().ok()?)
        }
        None => None,
    };
    Some(SessionFilter {
        account: optional(contents, "account")?,
        destination: optional(contents, "destination")?,
        client,
        protocol: None,
    })
}

/// Returns the keys in groups that each fit into a message.
fn groups(keys: &[Arc<str>]) -> Vec<Vec<Arc<str>>> {
    let mut groups: Vec<Vec<Arc<str>>> = Vec::new();
    let mut room = 0;
    for key in keys {
        // Two for each byte that has to be escaped, the quotes, the comma.
        let size = 2 * key.len() + 3;
        match groups.last_mut() {
            Some(group) if size <= room => group.push(Arc::clone(key)),
            _ => {
                room = MAX_ORDER - 100;
                groups.push(vec![Arc::clone(key)]);
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

/// Returns a text that may be missing; `None` when the value is not a text.
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

    fn fits(message: &OrderMessage) -> bool {
        message.contents.to_string().len() <= MAX_ORDER
    }

    #[test]
    fn every_order_is_read_as_it_was_written() {
        let accounts = vec![Arc::from("alice@example.org"), Arc::from("\"\\ärger\u{1f600}")];
        let lasts = Duration::from_millis(60_001);
        let everything = SessionFilter {
            account: Some("*@example.org".into()),
            destination: Some("new".into()),
            client: Some("2001:db8::1".parse().expect("an address")),
            protocol: None,
        };
        for order in [
            Order::Invalidate(accounts.clone()),
            Order::Flush,
            Order::Kick(SessionFilter::default()),
            Order::Kick(everything),
            Order::Delay { account: "alice".into(), delay: Duration::ZERO },
            Order::Hold { number: HoldNumber(u64::MAX), accounts, lasts },
            Order::Release { number: HoldNumber(1) },
        ] {
            for message in order.write().expect("other proxies understand it") {
                let text = message.contents.to_string();
                let contents = serde_json::from_str(&text).expect("what was written");
                let read = OrderMessage { name: message.name, contents };
                assert_eq!(Order::read(&read), Some(order.clone()), "{text}");
            }
        }
    }

    #[test]
    fn orders_of_one_proxy_are_not_written() {
        let network = "192.0.2.0/24".parse().expect("a network");
        for order in [
            Order::Reload,
            Order::Drain { spread: Duration::ZERO },
            Order::Kick(SessionFilter { client: Some(network), ..SessionFilter::default() }),
            Order::Kick(SessionFilter {
                protocol: Some(types::protocol::Protocol::Imap),
                ..SessionFilter::account("alice")
            }),
        ] {
            assert_eq!(order.write(), None, "{order:?}");
        }
    }

    #[test]
    fn contents_of_another_shape_are_not_read() {
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
            assert_eq!(Order::read(&message(name, contents.clone())), None, "{name} {contents}");
        }
    }

    #[test]
    fn large_orders_come_in_parts_that_fit() {
        let whole = names(300, 320);
        let number = HoldNumber(7);
        let hold = Order::Hold { number, accounts: whole.clone(), lasts: Duration::MAX };
        let parts = hold.write().expect("other proxies understand it");
        assert!(parts.iter().all(fits));
        let accounts = parts.iter().flat_map(|part| match Order::read(part) {
            Some(Order::Hold { accounts, number: HoldNumber(7), .. }) => accounts,
            other => panic!("{other:?}"),
        });
        assert_eq!(accounts.collect::<Vec<_>>(), whole);
        // What escapes to twice its length still fits.
        let quotes = Order::Invalidate(vec!["\"".repeat(320).into(); 30]);
        assert!(quotes.write().expect("other proxies understand it").iter().all(fits));
    }

    #[test]
    fn a_great_many_changes_are_a_flush_and_none_are_nothing() {
        assert_eq!(Order::Invalidate(names(10_000, 100)).write(), Order::Flush.write());
        assert_eq!(Order::Invalidate(Vec::new()).write(), Some(Vec::new()));
    }
}
