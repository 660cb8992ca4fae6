//! The JSON Schema (draft 2020-12) of the configuration file, made from the options structs of all crates, and what
//! follows from it: which keys there are, whether values are within bounds, what is secret, what a running node takes,
//! and the guide's table. How a key is added stands in the doors' `options.rs`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::layers::{self, PREFIX};

/// Units by the word of a key that names them.
const UNITS: &[(&str, &str)] = &[
    ("bytes", "bytes"),
    ("us", "microseconds"),
    ("ms", "milliseconds"),
    ("s", "seconds"),
    ("hours", "hours"),
    ("days", "days"),
    ("percent", "percent"),
    ("ratio", "a fraction of 1"),
];

/// One key of the configuration.
#[derive(Clone, Debug)]
pub struct Key {
    /// As the file says it, with its section: `nats.listen`; `auth.users[].user` is a key of each entry of a list.
    pub path: String,
    /// Its variable, if it can stand in the environment.
    pub variable: Option<String>,
    /// What it means.
    pub description: String,
    /// The unit of a number, if its name says one.
    pub unit: Option<&'static str>,
    /// Whether a running node takes a new value.
    pub reload: bool,
    /// Whether it is never shown.
    pub secret: bool,
    default: Value,
    schema: Map<String, Value>,
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let (mut root, mut keys) = (generate(), Vec::new());
    complete(&mut root, "", true, &mut keys);
    // Those without a section first, as in the file.
    keys.sort_by_key(|key: &Key| (key.path.contains('.'), key.path.clone()));
    keys
});

/// The schema of the file.
pub fn schema() -> Value {
    let mut root = generate();
    complete(&mut root, "", true, &mut Vec::new());
    root.insert("title".into(), json!("The configuration of a neuroplex node"));
    Value::Object(root)
}

/// Every key, in the order of the file.
pub fn keys() -> &'static [Key] {
    &KEYS
}

/// The table of the guide.
pub fn table() -> String {
    let mut table = String::from("| key | default | bounds | reload | meaning |\n|---|---|---|---|---|\n");
    for key in keys() {
        let bounds = key.bounds().unwrap_or_default();
        let reload = if key.reload { "yes" } else { "" };
        let (path, description) = (&key.path, key.description.replace('|', "\\|"));
        let default = match shown(&key.default) {
            text if text.is_empty() => "none".to_owned(),
            text => format!("`{text}`"),
        };
        _ = writeln!(table, "| `{path}` | {default} | {bounds} | {reload} | {description} |");
    }
    table
}

/// Finds the first value out of bounds; the sentence names the key.
pub(crate) fn check(config: &Value) -> Result<(), String> {
    for key in keys() {
        for (path, value) in values(config, &key.path) {
            key.check(&path, value)?;
        }
    }
    Ok(())
}

/// Replaces every secret that is there.
pub(crate) fn hide(config: &mut Value, mask: &str) {
    for key in keys().iter().filter(|key| key.secret) {
        let at: Vec<String> = values(config, &key.path)
            .filter(|(_, value)| value.as_str().is_none_or(|text| !text.is_empty()) && **value != json!([]))
            .map(|(path, _)| format!("/{}", path.replace(['.', '['], "/").replace(']', "")))
            .collect();
        for pointer in at {
            if let Some(secret) = config.pointer_mut(&pointer) {
                // Of a secret in a list, its name stays.
                *secret = match secret.as_array() {
                    Some(list) => list.iter().map(|item| json!(masked(item, mask))).collect(),
                    None => Value::String(mask.into()),
                };
            }
        }
    }
}

/// A secret of the form `name=value` without its value.
fn masked(item: &Value, mask: &str) -> String {
    match item.as_str().and_then(|text| text.split_once('=')) {
        Some((name, _)) => format!("{name}={mask}"),
        None => mask.to_owned(),
    }
}

impl Key {
    /// What a value may be, for people; none: anything of its type.
    pub fn bounds(&self) -> Option<String> {
        let words = |list: &Vec<Value>| list.iter().map(shown).collect::<Vec<_>>().join(", ");
        let own = self.schema.get("items").and_then(Value::as_object).unwrap_or(&self.schema);
        if let Some(list) = allowed(own) {
            return Some(words(&list));
        }
        if let Some(Value::Array(ways)) = own.get("anyOf") {
            let ways: Vec<String> = ways.iter().filter_map(Value::as_object).map(interval).collect();
            return Some(ways.join(", or "));
        }
        // What every unsigned number has is no bound worth naming.
        let has_bounds = own.contains_key("maximum") || own.get("minimum").is_some_and(|m| *m != json!(0));
        has_bounds.then(|| interval(own))
    }

    fn check(&self, path: &str, value: &Value) -> Result<(), String> {
        if let (Some(items), Value::Array(list)) =
            (self.schema.get("items").and_then(Value::as_object), value)
        {
            return list.iter().try_for_each(|item| check_one(items, item, path));
        }
        let within = match self.schema.get("anyOf") {
            Some(Value::Array(ways)) => {
                ways.iter().filter_map(Value::as_object).any(|way| is_within(way, value))
            }
            _ => is_within(&self.schema, value),
        };
        match within {
            true => check_one(&self.schema, value, path),
            false => {
                let bounds = self.bounds().unwrap_or_default();
                Err(format!("{path} = {} is out of bounds: {bounds}", shown(value)))
            }
        }
    }
}

/// Whether a word is one of those that are allowed.
fn check_one(schema: &Map<String, Value>, value: &Value, path: &str) -> Result<(), String> {
    let Some(list) = allowed(schema).filter(|list| !list.contains(value)) else { return Ok(()) };
    let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    Err(format!("{path}: there is no {}{}", value, layers::nearest(&shown(value), &words)))
}

/// The words of an enumeration, whether its variants have descriptions of their own or not.
fn allowed(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    if let Some(Value::Array(list)) = schema.get("enum") {
        return Some(list.clone());
    }
    match schema.get("oneOf") {
        Some(Value::Array(variants)) => Some(
            variants
                .iter()
                .filter_map(|v| v.get("const").or_else(|| v.get("enum")?.get(0)).cloned())
                .collect(),
        ),
        _ => None,
    }
}

fn is_within(schema: &Map<String, Value>, value: &Value) -> bool {
    let Some(number) = value.as_f64() else { return true };
    let bound = |name| schema.get(name).and_then(Value::as_f64);
    bound("minimum").is_none_or(|least| number >= least)
        && bound("maximum").is_none_or(|most| number <= most)
        && bound("const").is_none_or(|only| number == only)
}

fn interval(schema: &Map<String, Value>) -> String {
    match (schema.get("const"), schema.get("minimum"), schema.get("maximum")) {
        (Some(only), _, _) => shown(only),
        (_, Some(least), Some(most)) => format!("{least} to {most}"),
        (_, Some(least), None) => format!("{least} and more"),
        (_, None, Some(most)) => format!("up to {most}"),
        _ => String::new(),
    }
}

/// As a person writes it: text without quotes, lists with commas.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Every value that a key's path leads to: one, or one for each entry of a list.
fn values<'a>(config: &'a Value, path: &str) -> Box<dyn Iterator<Item = (String, &'a Value)> + 'a> {
    let step = |from: &'a Value, path: &str| from.pointer(&format!("/{}", path.replace('.', "/")));
    match path.split_once("[].") {
        None => Box::new(step(config, path).map(|value| (path.to_owned(), value)).into_iter()),
        Some((list, leaf)) => {
            let (list, leaf) = (list.to_owned(), leaf.to_owned());
            let entries = step(config, &list).and_then(Value::as_array).into_iter().flatten().enumerate();
            Box::new(
                entries.filter_map(move |(at, entry)| {
                    Some((format!("{list}[{at}].{leaf}"), step(entry, &leaf)?))
                }),
            )
        }
    }
}

fn generate() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    match settings.into_generator().into_root_schema_for::<Config>().to_value() {
        Value::Object(root) => root,
        _ => Map::new(),
    }
}

/// Adds what the structs do not say by themselves, and collects the keys.
fn complete(object: &mut Map<String, Value>, path: &str, in_environment: bool, keys: &mut Vec<Key>) {
    object.remove("title");
    let Some(Value::Object(properties)) = object.get_mut("properties") else { return };
    for (name, property) in properties {
        let Value::Object(property) = property else { continue };
        let path = format!("{path}{name}");
        if let Some(Value::String(text)) = property.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        // Of Rust, not of JSON Schema.
        property.remove("format");
        if property.contains_key("properties") {
            property.remove("default");
            complete(property, &format!("{path}."), in_environment, keys);
            continue;
        }
        let entries = property.get_mut("items").and_then(Value::as_object_mut);
        let entries = entries.filter(|items| items.contains_key("properties"));
        let is_table = entries.is_some();
        let mut below = Vec::new();
        if let Some(entries) = entries {
            complete(entries, &format!("{path}[]."), false, &mut below);
        }
        let key = key(path, property, in_environment && !is_table);
        let given = |property: &mut Map<String, Value>, name: &str, value: Value| {
            property.insert(name.into(), value);
        };
        // An entry of a list comes and goes with its list.
        if !is_of_entry(&key.path) {
            given(property, "x-reload", json!(key.reload));
        }
        if let Some(unit) = key.unit {
            given(property, "x-unit", json!(unit));
        }
        if let Some(variable) = &key.variable {
            given(property, "x-variable", json!(variable));
        }
        for key in &mut below {
            key.reload = property.get("x-reload") == Some(&json!(true));
        }
        keys.push(key);
        keys.append(&mut below);
    }
}

fn is_of_entry(path: &str) -> bool {
    path.contains("[]")
}

fn key(path: String, schema: &Map<String, Value>, in_environment: bool) -> Key {
    let name = path.rsplit('.').next().unwrap_or_default();
    let is_number = schema.get("type").is_some_and(|t| t == "integer" || t == "number");
    let named = |unit: &&(&str, &'static str)| name.split('_').any(|word| word == unit.0);
    let text = |field: &str| schema.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let says = |field: &str| schema.get(field) == Some(&json!(true));
    Key {
        variable: in_environment.then(|| format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())),
        description: text("description"),
        unit: UNITS.iter().find(named).filter(|_| is_number).map(|unit| unit.1),
        reload: says("x-reload"),
        secret: says("writeOnly"),
        default: schema.get("default").cloned().unwrap_or_default(),
        schema: schema.clone(),
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, value: Value) -> Value {
        let mut config = serde_json::to_value(Config::default()).unwrap();
        *config.pointer_mut(&format!("/{}", path.replace('.', "/"))).unwrap() = value;
        config
    }

    #[test]
    fn a_value_at_a_bound_passes_and_one_beyond_is_refused_with_its_key() {
        let mut bounds = 0;
        for key in keys() {
            let mut try_one = |value: i128, good: bool| {
                let Ok(value) = u64::try_from(value) else { return };
                bounds += 1;
                let checked = check(&with(&key.path, json!(value)));
                assert_eq!(checked.is_ok(), good, "{} = {value}: {checked:?}", key.path);
                if let Err(sentence) = checked {
                    assert!(sentence.starts_with(&format!("{} = {value} is out of bounds: ", key.path)));
                }
            };
            let bound =
                |schema: &Map<String, Value>, name| schema.get(name).and_then(Value::as_i64).map(i128::from);
            if let Some(Value::Array(ways)) = key.schema.get("anyOf") {
                for way in ways.iter().filter_map(Value::as_object) {
                    bound(way, "const")
                        .into_iter()
                        .for_each(|only| (try_one(only, true), try_one(only + 1, false)).0);
                    bound(way, "minimum")
                        .into_iter()
                        .for_each(|l| (try_one(l - 1, false), try_one(l, true)).0);
                }
                continue;
            }
            bound(&key.schema, "minimum")
                .into_iter()
                .for_each(|l| (try_one(l - 1, false), try_one(l, true)).0);
            bound(&key.schema, "maximum")
                .into_iter()
                .for_each(|m| (try_one(m, true), try_one(m + 1, false)).0);
        }
        assert!(bounds > 20, "only {bounds} bounds were tried");
    }

    #[test]
    fn every_key_says_what_it_means_and_every_default_is_within_its_bounds() {
        for key in keys() {
            assert!(key.description.ends_with('.'), "{}: {:?}", key.path, key.description);
            let is_number = key.default.is_number();
            let is_count = key.path.ends_with("_max") || key.default == json!(0);
            assert!(!is_number || key.unit.is_some() || is_count, "{} has no unit in its name", key.path);
            assert!(
                !is_number || key.bounds().is_some(),
                "{}: a number has bounds; give them in #[schemars(range(…))]",
                key.path
            );
        }
        check(&serde_json::to_value(Config::default()).unwrap()).unwrap();
    }

    #[test]
    fn the_schema_knows_the_same_keys_as_the_file() {
        let known = serde_json::to_value(Config::default()).unwrap();
        fn leaves(value: &Value, path: &str, all: &mut Vec<String>) {
            match value {
                Value::Object(fields) if !fields.is_empty() => {
                    for (name, value) in fields {
                        leaves(value, &format!("{path}.{name}"), all);
                    }
                }
                _ => all.push(path.trim_start_matches('.').to_owned()),
            }
        }
        let mut all = Vec::new();
        leaves(&known, "", &mut all);
        let mut named: Vec<&str> =
            keys().iter().map(|k| k.path.as_str()).filter(|p| !p.contains("[]")).collect();
        all.sort();
        named.sort_unstable();
        assert_eq!(all, named);
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        let pings = &schema["properties"]["nats"]["properties"]["ping_interval_ms"];
        assert_eq!(
            (&pings["x-unit"], &pings["x-reload"], &pings["x-variable"]),
            (&json!("milliseconds"), &json!(true), &json!("NEUROPLEX_NATS_PING_INTERVAL_MS"))
        );
    }

    #[test]
    fn the_guides_table_and_the_written_schema_are_those_of_the_code() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let guide = std::fs::read_to_string(format!("{root}/docs/guide/configuration.md")).unwrap();
        assert!(guide.contains(&table()), "docs/guide/configuration.md is behind: cargo xtask pages");
        let written = std::fs::read_to_string(format!("{root}/schema/config.json")).unwrap_or_default();
        let written: Value = serde_json::from_str(&written).unwrap_or_default();
        assert!(written == schema(), "schema/config.json is behind: cargo xtask pages");
    }
}
