//! The configuration in force, written out: TOML for people, each line with who said it, or JSON. Secrets are hidden
//! before they come here.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::layers::{Origin, Origins};

/// Origins stand in this column, where the line leaves room.
const COLUMN: usize = 44;

/// The values as TOML that can be read again.
pub(crate) fn toml(values: &Value, origins: &Origins) -> String {
    let mut text = String::new();
    let Value::Object(all) = values else { return text };
    let (sections, keys): (Vec<_>, Vec<_>) = all.iter().partition(|(_, value)| value.is_object());
    for (key, value) in keys {
        line(&mut text, key, value, origin(origins, key));
    }
    for (section, fields) in sections {
        let Value::Object(fields) = fields else { continue };
        _ = writeln!(text, "\n[{section}]");
        let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().any(Value::is_object));
        for (key, value) in fields.iter().filter(|(_, value)| !is_list(value)) {
            line(&mut text, key, value, origin(origins, &format!("{section}.{key}")));
        }
        for (key, list) in fields.iter().filter(|(_, value)| is_list(value)) {
            for (at, entry) in list.as_array().into_iter().flatten().enumerate() {
                let path = format!("{section}.{key}");
                let from = origins.get(&format!("{path}[{at}]")).or_else(|| origins.get(&path));
                _ = writeln!(text, "\n{}", padded(&format!("[[{path}]]"), from.unwrap_or(&Origin::Default)));
                for (key, value) in entry.as_object().into_iter().flatten() {
                    if let Some(value) = of_toml(value) {
                        _ = writeln!(text, "{key} = {value}");
                    }
                }
            }
        }
    }
    text
}

/// `{"config": …, "origins": {"nats.listen": "default", …}}`.
pub(crate) fn json(values: Value, origins: &Origins) -> Value {
    let mut named = Map::new();
    for key in crate::schema::keys().iter().filter(|key| !key.path.contains("[]")) {
        named.insert(key.path.clone(), json!(origin(origins, &key.path).to_string()));
    }
    for (path, origin) in origins.iter().filter(|(path, _)| path.ends_with(']')) {
        named.insert(path.clone(), json!(origin.to_string()));
    }
    json!({ "config": values, "origins": named })
}

fn origin<'a>(origins: &'a Origins, path: &str) -> &'a Origin {
    origins.get(path).unwrap_or(&Origin::Default)
}

fn line(text: &mut String, key: &str, value: &Value, origin: &Origin) {
    // What TOML cannot say is not there.
    let Some(value) = of_toml(value) else { return };
    _ = writeln!(text, "{}", padded(&format!("{key} = {value}"), origin));
}

fn padded(line: &str, origin: &Origin) -> String {
    format!("{line:<COLUMN$} # {origin}")
}

fn of_toml(value: &Value) -> Option<toml::Value> {
    toml::Value::try_from(value).ok()
}
