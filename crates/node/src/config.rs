//! The node's configuration: defaults, then a profile, then a file, then the environment (`NEUROPLEX_…`), then
//! flags. All of them are laid over one another as tables, so that an unknown key is found whatever it came from.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use auth::options::{Options as AuthOptions, User};
use gateway::{HttpOptions, NatsOptions};
use kernel::{Code, NodeId};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::Error;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The node's name; empty: the data folder's, or a new one.
    pub node_id: String,
    /// Time that clients have to leave after SIGTERM, in milliseconds. 0 to 600000.
    pub lame_duck_ms: u64,
    /// Bytes that may wait for all slow clients together; 0: a quarter of the memory.
    pub outboxes_bytes_max: usize,
    /// Logs.
    pub log: LogOptions,
    /// The door for NATS clients.
    pub nats: NatsOptions,
    /// The door for operators.
    pub http: HttpOptions,
    /// Who may connect.
    pub auth: AuthOptions,
    /// What is opened on purpose.
    pub security: SecurityOptions,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: ".neuroplex".into(),
            node_id: String::new(),
            lame_duck_ms: 5000,
            outboxes_bytes_max: 0,
            log: LogOptions::default(),
            nats: NatsOptions::default(),
            http: HttpOptions::default(),
            auth: AuthOptions::default(),
            security: SecurityOptions::default(),
        }
    }
}

/// The section `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// `pretty` for people, `json` for machines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, also by module: `info,gateway=debug`.
    pub level: String,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { format: LogFormat::Pretty, level: "info".into() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(word: &str) -> Result<LogFormat, String> {
        match word {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("{other:?} is no log format; give pretty or json")),
        }
    }
}

/// The section `security`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityOptions {
    /// Doors that may speak without TLS and users on addresses that other machines reach: `nats`, `http`.
    pub allow_plaintext: Vec<String>,
}

/// Named sets of settings, laid over the defaults.
const PROFILES: &[(&str, &str)] = &[("default", "")];

/// Doors that `security.allow_plaintext` may name.
const DOORS: &[&str] = &["nats", "http"];

impl Config {
    /// Reads the configuration. `flags`: what the command line says, as a table of the same form.
    pub fn load(
        profile: Option<&str>,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Table,
    ) -> Result<Config, Error> {
        let mut all = Table::new();
        lay(&mut all, read_profile(profile.unwrap_or("default"))?);
        if let Some(path) = file {
            lay(&mut all, read_file(path)?);
        }
        lay(&mut all, read_environment(environment)?);
        lay(&mut all, flags);
        let config: Config =
            Value::Table(all).try_into().map_err(|e: toml::de::Error| invalid(e.message()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        self.nats.check().map_err(invalid)?;
        if self.lame_duck_ms > 600_000 {
            return Err(invalid(format!(
                "lame_duck_ms = {} is out of bounds: 0 to 600000",
                self.lame_duck_ms
            )));
        }
        if let Some(door) = self.security.allow_plaintext.iter().find(|d| !DOORS.contains(&d.as_str())) {
            return Err(invalid(format!(
                "security.allow_plaintext: there is no door {door:?}{}",
                nearest(door, DOORS)
            )));
        }
        self.node_id()?;
        auth::Accounts::new(&self.auth).map_err(|e| invalid(e.to_string()))?;
        Ok(())
    }

    /// The node's name, if it was given.
    pub fn node_id(&self) -> Result<Option<NodeId>, Error> {
        match self.node_id.as_str() {
            "" => Ok(None),
            text => match text.parse() {
                Ok(id) => Ok(Some(id)),
                Err(_) => Err(invalid(format!("node_id {text:?}: give 1 to 64 letters, digits, `-` or `_`"))),
            },
        }
    }

    /// The configuration as TOML, without its secrets.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.without_secrets()).unwrap_or_default()
    }

    /// The configuration as JSON, without its secrets.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.without_secrets()).unwrap_or_default()
    }

    fn without_secrets(&self) -> Config {
        let mut shown = self.clone();
        for user in &mut shown.auth.users {
            for secret in [&mut user.password, &mut user.token] {
                if !secret.is_empty() {
                    *secret = "(hidden)".into();
                }
            }
        }
        shown
    }
}

fn invalid(sentence: impl Into<String>) -> Error {
    Error::new(Code::ConfigInvalid, sentence)
}

fn read_profile(name: &str) -> Result<Table, Error> {
    match PROFILES.iter().find(|p| p.0 == name) {
        Some((_, text)) => text.parse().map_err(|e: toml::de::Error| invalid(e.message())),
        None => {
            let names: Vec<&str> = PROFILES.iter().map(|p| p.0).collect();
            Err(invalid(format!("there is no profile {name:?}; there are: {}", names.join(", "))))
        }
    }
}

fn read_file(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        invalid(format!("{} cannot be read: {e}; give a TOML file: --config FILE", path.display()))
    })?;
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].lines().count().max(1));
        invalid(format!("{}, line {line}: {}", path.display(), e.message().trim()))
    })?;
    check_keys(&table, &schema(), "").map_err(|e| invalid(format!("{}: {e}", path.display())))?;
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

fn nearest(word: &str, words: &[&str]) -> String {
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
        let Some(rest) = name.strip_prefix("NEUROPLEX_") else { continue };
        let key = rest.to_ascii_lowercase();
        let (section, leaf, default) = match known.get(&key) {
            Some(value) => (None, key.as_str(), value),
            None => {
                let Some((section, leaf)) = key.split_once('_') else { continue };
                // Other programs have variables with our prefix too, such as Kubernetes' service addresses.
                let Some(value) = known.get(section).and_then(|s| s.get(leaf)) else { continue };
                (Some(section), leaf, value)
            }
        };
        let value = read_value(&text, default).map_err(|e| invalid(format!("{name}: {e}")))?;
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
    fn values_out_of_bounds_are_refused() {
        for file in [
            "[nats]\npings_max = 0",
            "[nats]\npayload_bytes_max = 100000000",
            "[nats]\ntls_cert_file = \"a\"",
            "lame_duck_ms = 700000",
            "node_id = \"a b\"",
            "[security]\nallow_plaintext = [\"natz\"]",
            "[[auth.users]]\nuser = \"a\"",
        ] {
            assert_eq!(load(file, &[], "").unwrap_err().code, Code::ConfigInvalid, "{file}");
        }
        assert!(load("", &[("NEUROPLEX_NATS_PINGS_MAX", "many")], "").is_err());
        assert!(load("", &[("NEUROPLEX_SERVICE_HOST", "10.0.0.1"), ("NEUROPLEX_SERVER", "x")], "").is_ok());
    }

    #[test]
    fn what_is_shown_hides_secrets_and_can_be_read_again() {
        let c = load("[[auth.users]]\nuser = \"a\"\npassword = \"geheim\"", &[], "").unwrap();
        let shown = c.to_toml();
        assert!(!shown.contains("geheim"));
        let again = load(&shown, &[], "").unwrap();
        assert_eq!(again.nats, c.nats);
    }
}
