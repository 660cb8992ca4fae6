//! Where the configuration comes from: a profile, then a file, then the environment (`NEUROPLEX_…`), then flags. All of
//! them are laid over one another as tables, so that an unknown key is found whatever it came from. Whether the values
//! make sense is not asked here.

use std::path::Path;

use auth::options::User;
use toml::{Table, Value};

use crate::config::Config;
use crate::error::Error;

/// What our variables begin with.
const PREFIX: &str = "NEUROPLEX_";

/// Variables of the command line, and those that it sets for what it starts.
const COMMAND_LINE: &[&str] = &["SERVER", "CONFIG", "PROFILE", "SUBJECT", "REPLY"];

/// Named sets of settings, laid over the defaults.
const PROFILES: &[(&str, &str)] = &[("default", "")];

/// Every layer in one table: what the defaults do not say.
pub(crate) fn read(
    profile: Option<&str>,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: Table,
) -> Result<Table, Error> {
    let mut all = read_profile(profile.unwrap_or("default"))?;
    if let Some(path) = file {
        lay(&mut all, read_file(path)?);
    }
    lay(&mut all, read_environment(environment)?);
    lay(&mut all, flags);
    Ok(all)
}

fn read_profile(name: &str) -> Result<Table, Error> {
    match PROFILES.iter().find(|p| p.0 == name) {
        Some((_, text)) => text.parse().map_err(|e: toml::de::Error| Error::config(e.message())),
        None => {
            let names: Vec<&str> = PROFILES.iter().map(|p| p.0).collect();
            Err(Error::config(format!("there is no profile {name:?}; there are: {}", names.join(", "))))
        }
    }
}

fn read_file(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::config(format!("{} cannot be read: {e}; give a TOML file: --config FILE", path.display()))
    })?;
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].lines().count().max(1));
        Error::config(format!("{}, line {line}: {}", path.display(), e.message().trim()))
    })?;
    check_keys(&table, &schema(), "").map_err(|e| Error::config(format!("{}: {e}", path.display())))?;
    Ok(table)
}

/// Every key with its default, so that the type of each is known.
fn schema() -> Table {
    let mut all = Table::try_from(Config::default()).unwrap_or_default();
    let user = Table::try_from(User::default()).unwrap_or_default();
    if let Some(Value::Table(auth)) = all.get_mut("auth") {
        auth.insert("users".into(), Value::Array(vec![Value::Table(user)]));
    }
    all
}

/// Finds the first key that `known` does not have, and the nearest that it has.
fn check_keys(given: &Table, known: &Table, path: &str) -> Result<(), String> {
    for (key, value) in given {
        let Some(expected) = known.get(key) else {
            let keys: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(format!("unknown key `{path}{key}`{}", nearest(key, &keys)));
        };
        let below = format!("{path}{key}.");
        match (value, expected) {
            (Value::Table(given), Value::Table(known)) => check_keys(given, known, &below)?,
            (Value::Array(given), Value::Array(known)) => {
                let (Some(Value::Table(known)), tables) = (known.first(), given) else { continue };
                for table in tables.iter().filter_map(Value::as_table) {
                    check_keys(table, known, &below)?;
                }
            }
            (given, known) if given.type_str() == known.type_str() => {}
            (given, known) => {
                let (is, should) = (given.type_str(), known.type_str());
                return Err(format!("`{path}{key}` is of type {is}; it must be of type {should}"));
            }
        }
    }
    Ok(())
}

/// The end of a sentence about an unknown word: the known one most like it, or all of them.
pub(crate) fn nearest(word: &str, words: &[&str]) -> String {
    let near = words.iter().map(|w| (strsim::jaro_winkler(word, w), w)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, known)) if likeness > 0.7 => format!("; did you mean `{known}`?"),
        _ => format!("; known are: {}", words.join(", ")),
    }
}

/// `NEUROPLEX_NATS_LISTEN` is `nats.listen`; lists are separated by commas.
fn read_environment(environment: impl Iterator<Item = (String, String)>) -> Result<Table, Error> {
    let known = schema();
    let mut all = Table::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase();
        let in_section = || {
            let (section, leaf) = key.split_once('_')?;
            Some((Some(section), leaf, known.get(section)?.get(leaf)?))
        };
        let Some((section, leaf, default)) =
            known.get(&key).map(|value| (None, key.as_str(), value)).or_else(in_section)
        else {
            if !is_of_others(rest, &text) {
                check_variable(&name, &key, &known)?;
            }
            continue;
        };
        let value = read_value(&text, default).map_err(|e| Error::config(format!("{name}: {e}")))?;
        let table = match section {
            None => &mut all,
            Some(section) => match all.entry(section).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(table) => table,
                _ => continue,
            },
        };
        table.insert(leaf.to_owned(), value);
    }
    Ok(all)
}

/// Whether a variable with our prefix is not meant for the configuration: the command line's own, or an address that
/// Kubernetes gives every container of a service called `neuroplex` or `neuroplex-…`.
fn is_of_others(rest: &str, text: &str) -> bool {
    let name = format!("_{rest}");
    let protocols = ["_TCP", "_UDP", "_SCTP"];
    let is_port = |after: &str| {
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        protocols.iter().any(|p| after == *p || after.strip_prefix(p).is_some_and(|r| r.starts_with('_')))
    };
    COMMAND_LINE.contains(&rest)
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT") && text.contains("://")
        || name.match_indices("_PORT_").any(|(at, found)| is_port(&name[at + found.len()..]))
}

/// Refuses a variable that was meant to be one of ours; others may use the prefix for things of their own.
fn check_variable(name: &str, key: &str, known: &Table) -> Result<(), Error> {
    // As alike as `data_dir` and `data`, not as `database_url` and `data`.
    const ALIKE: f64 = 0.88;
    let of_section = |(section, value): (&String, &Value)| {
        value.is_table() && key.strip_prefix(section.as_str()).is_some_and(|rest| rest.starts_with('_'))
    };
    let keys = known.iter().flat_map(|(key, value)| match value {
        Value::Table(leaves) => leaves.keys().map(|leaf| format!("{key}_{leaf}")).collect(),
        _ => vec![key.clone()],
    });
    let near = keys.map(|k| (strsim::jaro_winkler(key, &k), k)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, near)) if likeness > ALIKE || known.iter().any(of_section) => {
            let near = near.to_ascii_uppercase();
            Err(Error::config(format!("{name} is no setting; did you mean `{PREFIX}{near}`?")))
        }
        _ => Ok(()),
    }
}

fn read_value(text: &str, default: &Value) -> Result<Value, String> {
    let wrong = |should: &str| format!("{text:?} is no {should}");
    Ok(match default {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("whole number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Value::Array(list) if list.first().is_some_and(Value::is_table) => {
            return Err("this list can only stand in the configuration file".into());
        }
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|t| !t.is_empty());
            Value::Array(items.map(|t| Value::String(t.into())).collect())
        }
        Value::Table(_) => return Err("this is a section, not a key".into()),
        _ => Value::String(text.into()),
    })
}

/// Lays `upper` over `lower`: sections are joined, everything else replaced.
fn lay(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            (_, value) => _ = lower.insert(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::HttpOptions;

    fn load(file: &str, environment: &[(&str, &str)], flags: &str) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load(None, Some(&path), environment, flags.parse().unwrap())
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file = "[nats]\nlisten = \"127.0.0.1:1\"\npings_max = 3\npayload_bytes_max = 1000\n";
        let environment = [("NEUROPLEX_NATS_LISTEN", "127.0.0.1:2"), ("NEUROPLEX_NATS_PINGS_MAX", "4")];
        let c = load(file, &environment, "[nats]\nlisten = \"127.0.0.1:3\"").unwrap();
        assert_eq!(
            (c.nats.listen.as_str(), c.nats.pings_max, c.nats.payload_bytes_max),
            ("127.0.0.1:3", 4, 1000)
        );
        assert_eq!(c.http, HttpOptions::default());
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let sentence = |file: &str| load(file, &[], "").unwrap_err().to_string();
        assert!(sentence("[nats]\nlisen = \"x\"").contains("`nats.lisen`; did you mean `listen`?"));
        assert!(sentence("dta = \"x\"").contains("did you mean `data`?"));
        assert!(
            sentence("[[auth.users]]\nuser = \"a\"\npasword = \"b\"").contains("did you mean `password`?")
        );
        assert!(sentence("[nats]\nlisten = 5").contains("must be of type string"));
        assert!(sentence("a = ").contains("line 1"));
    }

    #[test]
    fn an_unknown_variable_names_the_nearest_known_one() {
        for (name, near) in [
            ("NEUROPLEX_NATS_LISEN", "`NEUROPLEX_NATS_LISTEN`"),
            ("NEUROPLEX_NAT_LISTEN", "`NEUROPLEX_NATS_LISTEN`"),
            ("NEUROPLEX_NATS_PORT", "NEUROPLEX_NATS_"),
            ("NEUROPLEX_DATA_DIR", "`NEUROPLEX_DATA`"),
            ("NEUROPLEX_LOG_LEVL", "`NEUROPLEX_LOG_LEVEL`"),
            ("NEUROPLEX_LOG", "section"),
            ("NEUROPLEX_NATS_PINGS_MAX", "whole number"),
        ] {
            let sentence = load("", &[(name, "4222x")], "").unwrap_err().to_string();
            assert!(sentence.contains(name) && sentence.contains(near), "{sentence}");
        }
    }

    #[test]
    fn variables_of_kubernetes_of_the_command_line_and_of_others_are_left_alone() {
        for service in ["NEUROPLEX", "NEUROPLEX_NATS", "NEUROPLEX_HTTP_DOOR"] {
            for (rest, text) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_PORT", "4222"),
                ("SERVICE_PORT_NATS", "4222"),
                ("PORT", "tcp://10.0.0.1:4222"),
                ("PORT_4222_TCP", "tcp://10.0.0.1:4222"),
                ("PORT_4222_TCP_PROTO", "tcp"),
                ("PORT_4222_UDP_ADDR", "10.0.0.1"),
            ] {
                load("", &[(&format!("{service}_{rest}"), text)], "").unwrap();
            }
        }
        for name in ["SERVER", "CONFIG", "PROFILE", "SUBJECT", "REPLY", "DATABASE_URL", "VERSION", "TLS_CA"] {
            load("", &[(&format!("NEUROPLEX_{name}"), "x")], "").unwrap();
        }
    }
}
