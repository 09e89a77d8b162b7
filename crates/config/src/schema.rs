//! The JSON Schema of the configuration, for editors.

use serde_json::{Map, Value, json};

use crate::keys::{KEYS, Kind};

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
        put(&mut root, &key.path.split('.').collect::<Vec<_>>(), value);
    }
    // Newer published files have it; its contents are another program's.
    put(&mut root, &["admin", "allow"], json!({ "type": "object", "description": "Accepted, not used." }));
    root
}

fn table() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

/// Puts `value` where `path` leads, making the tables on the way.
fn put(at: &mut Value, path: &[&str], value: Value) {
    let [first, rest @ ..] = path else { return };
    let (name, is_list) = first.strip_suffix("[]").map_or((*first, false), |name| (name, true));
    let next = if name == "*" {
        // Names are the operator's; named ones beside them (protocol.http) keep their own entry.
        let Some(tables) = at.as_object_mut() else { return };
        tables.entry("additionalProperties").and_modify(|value| {
            if !value.is_object() {
                *value = if rest.is_empty() { json!({}) } else { table() };
            }
        })
    } else {
        let Some(properties) = at["properties"].as_object_mut() else { return };
        entry(properties, name, rest.is_empty(), is_list);
        properties.entry(name)
    };
    let next = next.or_insert_with(table);
    let next = if is_list { &mut next["items"] } else { next };
    if rest.is_empty() {
        *next = value;
    } else {
        put(next, rest, value);
    }
}

fn entry(properties: &mut Map<String, Value>, name: &str, is_leaf: bool, is_list: bool) {
    if !properties.contains_key(name) {
        let empty = if is_leaf { json!({}) } else { table() };
        let value = if is_list { json!({ "type": "array", "items": empty }) } else { empty };
        properties.insert(name.to_owned(), value);
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
        assert_eq!(at(&format!("{leg}/additionalProperties/properties/port/minimum")), 1);
        assert_eq!(at(&format!("{leg}/properties/http/properties/version/enum/0")), "1.1");
        assert_eq!(at("/properties/http/properties/route/items/properties/match/type"), "string");
        assert_eq!(at("/additionalProperties"), false);
    }
}
