//! The messages on the channel: `MAC JSON`, signed with a key that is derived from the admin token.
//!
//! The key is HKDF-SHA-256 of the token with the channel's name as the info, so a message of one channel is not valid on
//! another, and the token cannot be computed from a message. A client of the store that does not know the token can only
//! replay messages; their numbers and dates (`peers`) prevent that.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use serde_json::{Map, Value, json};
use types::secret::Secret;

use crate::channel::{ChannelError, MAX_MESSAGE};

/// The key that signs and verifies the messages of one channel. Its `Debug` output does not show it.
pub struct ChannelKey(hmac::Key);

/// One message of any proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) header: Header,
    pub(super) body: Body,
}

/// The sender of a message, and its number and date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The sender's name.
    pub(super) node: Arc<str>,
    /// A random number that the sender chose at its start; a restart changes it.
    pub(super) run: u64,
    /// 1, 2, 3 … within the run. A message that could not be sent uses up its number.
    pub(super) number: u64,
    /// The time of sending by the sender's clock, in milliseconds since 1970.
    pub(super) sent: u64,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The sender is alive.
    Heartbeat {
        /// The sender has just subscribed; the other proxies answer with a heartbeat.
        wants_reply: bool,
    },
    /// The sender leaves the channel: no order needs to wait for it.
    Leave,
    /// The sender has carried out the order that run `run` sent as its message `number`.
    Done { run: u64, number: u64 },
    /// An order for every other proxy.
    Order(OrderMessage),
}

/// An order as it is sent: its name and contents, which only crate `control` understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderMessage {
    /// The order's name, a key of the message's JSON.
    pub name: Cow<'static, str>,
    /// The value under that key.
    pub contents: Value,
}

/// The largest contents of an order, as JSON; the head and the signature have their own room in [`MAX_MESSAGE`].
pub const MAX_ORDER: usize = 7_400;

/// The longest name of a node; a longer one is cut.
pub(super) const MAX_NODE: usize = 64;

/// The salt of the key. Another message format gets another one, and thereby other keys.
const PURPOSE: &[u8] = b"pointsman change events 1";

const MAC_HEX: usize = 64;

// === impl ChannelKey ===

impl ChannelKey {
    /// Derives the key for `channel` from the admin token.
    ///
    /// # Errors
    /// If the cryptographic library fails, which it does only for keys of another length.
    pub fn derive(token: &Secret, channel: &str) -> Result<Self, ChannelError> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, PURPOSE).extract(token.expose());
        let info = [channel.as_bytes()];
        let key = extracted.expand(&info, hmac::HMAC_SHA256).map(hmac::Key::from);
        key.map(Self).map_err(|_| ChannelError("no key could be derived from the admin token".into()))
    }

    /// Returns the message as it is sent, with its signature.
    pub(super) fn seal(&self, message: &Message) -> String {
        let json = message.write();
        let mac = hmac::sign(&self.0, json.as_bytes());
        let mut sealed = String::with_capacity(MAC_HEX + 1 + json.len());
        for byte in mac.as_ref() {
            // Writing to a `String` cannot fail.
            let _ = write!(sealed, "{byte:02x}");
        }
        sealed.push(' ');
        sealed.push_str(&json);
        sealed
    }

    /// Returns the message if it was signed with this key, and `None` for everything else.
    pub(super) fn open(&self, sealed: &str) -> Option<Message> {
        if sealed.len() > MAX_MESSAGE {
            return None;
        }
        let (mac, json) = sealed.split_once(' ')?;
        hmac::verify(&self.0, json.as_bytes(), &unhex(mac)?).ok()?;
        // Parsed only now: nothing that is not signed is parsed.
        Message::read(json)
    }
}

impl std::fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelKey([redacted])")
    }
}

// === impl Message ===

impl Message {
    fn write(&self) -> String {
        let Header { node, run, number, sent } = &self.header;
        let (name, contents) = match &self.body {
            Body::Heartbeat { wants_reply } => ("beat", json!({ "greets": wants_reply })),
            Body::Leave => ("leave", Value::Bool(true)),
            Body::Done { run, number } => ("done", json!({ "run": run, "number": number })),
            Body::Order(order) => (&*order.name, order.contents.clone()),
        };
        let mut object = Map::new();
        object.insert("node".to_owned(), json!(&**node));
        object.insert("run".to_owned(), json!(run));
        object.insert("number".to_owned(), json!(number));
        object.insert("sent".to_owned(), json!(sent));
        object.insert(name.to_owned(), contents);
        Value::Object(object).to_string()
    }

    fn read(json: &str) -> Option<Self> {
        let Value::Object(object) = serde_json::from_str(json).ok()? else { return None };
        let number = |key: &str| object.get(key)?.as_u64();
        let node = object.get("node")?.as_str().filter(|node| node.len() <= MAX_NODE)?;
        let header = Header {
            node: node.into(),
            run: number("run")?,
            number: number("number")?,
            sent: number("sent")?,
        };
        let mut bodies =
            object.iter().filter(|(key, _)| !matches!(key.as_str(), "node" | "run" | "number" | "sent"));
        let (name, contents) = bodies.next()?;
        let body = match name.as_str() {
            "beat" => Body::Heartbeat { wants_reply: contents.get("greets")?.as_bool()? },
            "leave" => Body::Leave,
            "done" => {
                Body::Done { run: contents.get("run")?.as_u64()?, number: contents.get("number")?.as_u64()? }
            }
            name => {
                Body::Order(OrderMessage { name: Cow::Owned(name.to_owned()), contents: contents.clone() })
            }
        };
        bodies.next().is_none().then_some(Self { header, body })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != MAC_HEX || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..MAC_HEX).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(token: &str, channel: &str) -> ChannelKey {
        ChannelKey::derive(&Secret::copy_of(token.as_bytes()), channel).expect("a key")
    }

    fn order(name: &'static str, contents: Value) -> OrderMessage {
        OrderMessage { name: name.into(), contents }
    }

    fn message(body: Body) -> Message {
        Message {
            header: Header { node: "a".into(), run: u64::MAX, number: 1, sent: 1_700_000_000_000 },
            body,
        }
    }

    #[test]
    fn every_body_survives_sealing_and_opening() {
        let key = key("token", "pointsman");
        for body in [
            Body::Heartbeat { wants_reply: true },
            Body::Leave,
            Body::Done { run: 7, number: 8 },
            Body::Order(order("flush", json!(true))),
            Body::Order(order("changed", json!(["ä\""]))),
        ] {
            let message = message(body);
            assert_eq!(key.open(&key.seal(&message)), Some(message));
        }
    }

    #[test]
    fn only_whole_messages_of_the_same_token_and_channel_are_opened() {
        let ours = key("token", "pointsman");
        let message = message(Body::Order(order("flush", json!(true))));
        let sealed = ours.seal(&message);
        for (sealed, why) in [
            (key("token.", "pointsman").seal(&message), "another token"),
            (key("token", "pointsman2").seal(&message), "another channel"),
            (sealed.replace("\"number\":1", "\"number\":2"), "changed"),
            (sealed.replacen(' ', "", 1), "no space"),
            (sealed[1..].to_owned(), "a digit is missing"),
            (sealed[64..].to_owned(), "no signature"),
            (format!("{}{}", "0".repeat(64), &sealed[64..]), "another signature"),
            (format!("{}{}", "é".repeat(32), &sealed[64..]), "not hexadecimal"),
            (format!("{sealed} "), "longer"),
            (String::new(), "empty"),
        ] {
            assert_eq!(ours.open(&sealed), None, "{why}");
        }
        assert_eq!(ours.open(&sealed), Some(message));
    }

    #[test]
    fn signed_text_of_another_form_is_not_a_message() {
        let key = key("token", "pointsman");
        let head = r#""node":"a","run":1,"number":1,"sent":1"#;
        let seal = |json: &str| {
            let mac = hmac::sign(&key.0, json.as_bytes());
            let hex: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex} {json}")
        };
        assert!(key.open(&seal(&format!("{{{head},\"flush\":true}}"))).is_some());
        let long = "n".repeat(MAX_NODE + 1);
        for json in [
            "",
            "[]",
            &format!("{{{head}}}"),
            &format!("{{{head},\"flush\":true,\"leave\":true}}"),
            r#"{"node":"a","run":1,"number":1,"flush":true}"#,
            r#"{"node":"a","run":-1,"number":1,"sent":1,"flush":true}"#,
            &format!(r#"{{"node":"{long}","run":1,"number":1,"sent":1,"flush":true}}"#),
            &"[".repeat(MAX_MESSAGE - 100),
        ] {
            assert_eq!(key.open(&seal(json)), None, "{json:.100}");
        }
        let padded = format!("{{{head},\"flush\":true{}}}", " ".repeat(MAX_MESSAGE));
        assert_eq!(key.open(&seal(&padded)), None, "too long");
    }

    #[test]
    fn debug_output_does_not_show_the_key() {
        assert_eq!(format!("{:?}", key("token", "pointsman")), "ChannelKey([redacted])");
    }

    proptest! {
        #[test]
        fn unsigned_messages_are_rejected(sealed in ".{0,200}|[0-9a-f]{64} \\{.{0,100}\\}") {
            prop_assert_eq!(key("token", "pointsman").open(&sealed), None);
        }

        /// A peer that knows the token may still be of another version, or defective.
        #[test]
        fn a_message_that_was_read_is_written_in_the_same_way(
            name in "changed|flush|kick|delay|hold|release|beat|leave|done|node|\\PC{0,6}",
            contents in "true|null|\\[(\"[ab@*]{0,3}\"(,\"\\\\u00e9\"){0,2})?\\]|\
                \\{(\"account\":(null|\"[*@a.]{0,4}\"|7),)?(\"client\":(null|\"(::1|192\\.0\\.2\\.1|::ffff:192\\.0\\.2\\.1|x)\"),)?\
                (\"hold\":(1|-1|18446744073709551615|1e3),)?(\"accounts\":\\[\"a\"\\],)?(\"greets\":true,)?\
                (\"run\":1,\"number\":2,)?\"ms\":(0|18446744073709551615|1\\.5)\\}",
            more in "(,\"number\":[0-9]{1,21})?(,\"leave\":true)?",
        ) {
            let json = format!(r#"{{"node":"a","run":1,"number":1,"sent":1,"{name}":{contents}{more}}}"#);
            if let Some(message) = Message::read(&json) {
                prop_assert_eq!(Message::read(&message.write()), Some(message), "{}", json);
            }
        }
    }
}
