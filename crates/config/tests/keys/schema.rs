//! The schema says of a file what the loader says: the examples and a file with every key fit, misspelt keys
//! and wrong kinds do not.

use serde_json::Value;

use crate::whole;

/// Where `value` does not fit `schema`: as much of draft 2020-12 as ours uses.
fn misfits(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let is_in = |words: &Value| words.as_array().is_none_or(|words| words.contains(value));
    let fits = (types.is_empty() || types.iter().any(|one| one == kind))
        && is_in(&schema["enum"])
        && schema["minimum"].as_u64().is_none_or(|least| value.as_u64().is_none_or(|number| number >= least))
        && schema["maximum"].as_u64().is_none_or(|most| value.as_u64().is_none_or(|number| number <= most))
        && schema["pattern"].as_str().is_none_or(|pattern| {
            let regex = regex::Regex::new(pattern).expect("a pattern");
            value.as_str().is_none_or(|text| regex.is_match(text))
        });
    if !fits {
        found.push(path.to_owned());
    }
    for item in value.as_array().into_iter().flatten() {
        misfits(&schema["items"], item, &format!("{path}[]"), found);
    }
    let Some(table) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !table.contains_key(name) {
            found.push(format!("{path}.{name} is missing"));
        }
    }
    for (name, inner) in table {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(property), _) => misfits(property, inner, &path, found),
            (None, Value::Bool(false)) => found.push(format!("{path} is unknown")),
            (None, others) => misfits(others, inner, &path, found),
        }
    }
}

fn judge(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().expect("TOML");
    let mut found = Vec::new();
    misfits(&config::schema(), &json(&toml::Value::Table(table)), "", &mut found);
    found
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        toml::Value::Array(array) => array.iter().map(json).collect(),
        toml::Value::Boolean(boolean) => (*boolean).into(),
        toml::Value::Integer(integer) => (*integer).into(),
        other => other.as_str().into(),
    }
}

#[test]
fn examples_fit() {
    for text in [
        include_str!("../../../../resources/config.stalwart-upgrade.toml"),
        include_str!("../../../../resources/config.dovecot-postfix.toml"),
        &whole::text(),
    ] {
        assert_eq!(judge(text), [""; 0]);
    }
}

#[test]
fn mistakes_do_not_fit() {
    let whole = whole::text();
    for (change, with, misfit) in [
        ("proxy_ttl = 255", "proxy_ttl = 256", ".server.proxy_ttl"),
        ("proxy_ttl = 255", "proxy_tll = 255", ".server.proxy_tll is unknown"),
        ("bridge_idle = \"90s\"", "bridge_idle = \"90\"", ".server.bridge_idle"),
        ("log_format = \"text\"", "log_format = \"xml\"", ".server.log_format"),
        ("default_destination = \"old\"\n", "", ".routing.default_destination is missing"),
        ("protocol = \"imap\"\n", "", ".listener.imap.protocol is missing"),
        (
            "[destination.old.protocol.imap]",
            "[destination.old.protocol.imaps]",
            ".destination.old.protocol.imaps is unknown",
        ),
        ("max_head_size = \"128KiB\"", "max_head_size = \"128GB\"", ".http.max_head_size"),
        ("proxy_tlvs = true", "proxy_tlvs = \"yes\"", ".destination.new.proxy_tlvs"),
        ("param = \"user\"", "parm = \"user\"", ".http.route[].extract.parm is unknown"),
    ] {
        assert!(whole.contains(change), "{change} is in the file");
        assert_eq!(judge(&whole.replacen(change, with, 1)), [misfit], "{with}");
    }
}
