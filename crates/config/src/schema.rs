//! The JSON Schema of the configuration, for editors.

use serde_json::{Value, json};
use types::protocol::Protocol;

use crate::keys::{KEYS, Kind};

/// How the sentence of a key ends that must be written.
const REQUIRED: &str = "required.";

/// The schema (draft 2020-12), made from the table of keys.
#[must_use]
pub fn schema() -> Value {
    let mut root = table();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Pointsman configuration");
    root["required"] = json!(["listener", "destination", "routing", "mapping"]);
    for key in KEYS {
        let mut value = of(key.kind);
        value["description"] = json!(key.doc);
        if let Some(default) = default(key.kind, key.default) {
            value["default"] = default;
        }
        for path in paths(key.path) {
            put(&mut root, &path.split('.').collect::<Vec<_>>(), &value, key.doc.ends_with(REQUIRED));
        }
    }
    // Newer published files have it; its contents are another program's.
    let allow = json!({ "type": "object", "description": "Accepted, not used." });
    put(&mut root, &["admin", "allow"], &allow, false);
    root
}

/// The path itself, or one for each protocol: their names are not the operator's to choose.
fn paths(path: &str) -> Vec<String> {
    for star in ["capabilities.*", "protocol.*"] {
        if let Some((before, after)) = path.split_once(star) {
            let table = star.trim_end_matches('*');
            return Protocol::ALL.map(|protocol| format!("{before}{table}{protocol}{after}")).to_vec();
        }
    }
    vec![path.to_owned()]
}

fn table() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

/// Puts `value` where `path` leads, making the tables on the way.
fn put(at: &mut Value, path: &[&str], value: &Value, is_required: bool) {
    match path {
        [] => {}
        [name] => {
            at["properties"][name] = value.clone();
            if is_required {
                require(at, name);
            }
        }
        ["*", rest @ ..] => {
            let inner = &mut at["additionalProperties"];
            if !inner.is_object() {
                *inner = table();
            }
            put(inner, rest, value, is_required);
        }
        [name, rest @ ..] => {
            let (name, is_list) = name.strip_suffix("[]").map_or((*name, false), |name| (name, true));
            let next = &mut at["properties"][name];
            if next.is_null() {
                *next = if is_list { json!({ "type": "array", "items": table() }) } else { table() };
            }
            put(if is_list { &mut next["items"] } else { next }, rest, value, is_required);
        }
    }
}

fn require(table: &mut Value, name: &str) {
    match table["required"].as_array_mut() {
        Some(names) => names.push(json!(name)),
        None => table["required"] = json!([name]),
    }
}

fn of(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Secret => json!({ "type": "string", "writeOnly": true }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextOrTexts => {
            json!({ "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1 })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(minimum, maximum) => {
            json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
        }
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$" }),
        Kind::Size => {
            json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+ *(KB|MB|KiB|MiB)?$" })
        }
        Kind::Word(words) => json!({ "enum": words }),
    }
}

fn default(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        _ if text.is_empty() => None,
        Kind::Boolean | Kind::Integer(..) | Kind::Texts => serde_json::from_str(text).ok(),
        _ => Some(json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_where_its_path_says() {
        let schema = schema();
        let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is there"));
        assert_eq!(at("/properties/server/properties/proxy_ttl/maximum"), 255);
        assert_eq!(at("/properties/server/properties/bridge_idle/default"), "1800s");
        assert_eq!(at("/properties/listener/additionalProperties/properties/tls/enum/1"), "starttls");
        assert_eq!(at("/properties/listener/additionalProperties/additionalProperties"), false);
        let leg = "/properties/destination/additionalProperties/properties/protocol";
        assert_eq!(at(&format!("{leg}/properties/imap/properties/port/minimum")), 1);
        assert_eq!(at(&format!("{leg}/properties/http/properties/port/minimum")), 1);
        assert_eq!(at(&format!("{leg}/properties/http/required")), &json!(["port", "tls"]));
        assert_eq!(at(&format!("{leg}/additionalProperties")), false);
        assert_eq!(at(&format!("{leg}/properties/http/properties/version/enum/0")), "1.1");
        assert_eq!(at("/properties/http/properties/route/items/properties/match/type"), "string");
        assert_eq!(at("/additionalProperties"), false);
    }
}
