//! Where the configuration comes from: a profile, then a file, then the environment (`NEUROPLEX_…`), then flags. All of
//! them are laid over one another as tables, so that an unknown key is found whatever it came from. Whether the values
//! make sense is not asked here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use auth::options::User;
use percent_encoding::percent_decode_str;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::config::Config;
use crate::error::Error;
use crate::telemetry::options::STANDARD;

/// What our variables begin with.
pub(crate) const PREFIX: &str = "NEUROPLEX_";

/// Variables of the command line, and those that it sets for what it starts.
const COMMAND_LINE: &[&str] = &["SERVER", "CONTEXT", "CONFIG", "PROFILE", "SUBJECT", "REPLY"];

/// Named sets of settings, laid over the defaults.
const PROFILES: &[(&str, &str)] = &[
    ("default", ""),
    ("development", "[telemetry]\ntrace_ratio = 1.0\n"),
    ("production", "[telemetry]\ntrace_ratio = 0.01\n"),
];

/// Where a configuration comes from. It is kept, so that a running node can read it again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A named set of settings; none: the default one.
    pub profile: Option<String>,
    /// The file.
    pub file: Option<PathBuf>,
    /// Variables; those that are not ours are passed over.
    pub environment: Vec<(String, String)>,
    /// What the command line says.
    pub flags: Vec<Flag>,
}

/// A setting of the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is written there: `--nats`.
    pub name: &'static str,
    /// The key that it sets: `nats.listen`.
    pub key: &'static str,
    /// To what.
    pub value: Value,
}

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A profile, by name.
    Profile(String),
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// Where in it; lines count from 1.
        line: usize,
    },
    /// A variable, by name.
    Variable(String),
    /// A flag, by name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::Profile(name) => write!(f, "profile {name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "env {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Who said what, by key; an entry of a list of tables has an origin of its own: `auth.users[0]`.
pub type Origins = BTreeMap<String, Origin>;

/// Every layer in one table: what the defaults do not say, and who said it.
pub(crate) fn read(sources: &Sources) -> Result<(Table, Origins), Error> {
    let (mut all, mut origins) = (Table::new(), Origins::new());
    let profile = sources.profile.as_deref().unwrap_or("default");
    let table = read_profile(profile)?;
    for path in leaves(&table, "") {
        origins.insert(path, Origin::Profile(profile.to_owned()));
    }
    lay(&mut all, table);
    if let Some(path) = &sources.file {
        let (table, lines) = read_file(path)?;
        origins.extend(lines.into_iter().map(|(key, line)| (key, Origin::File { path: path.clone(), line })));
        lay(&mut all, table);
    }
    for (name, key, value) in read_environment(&sources.environment)? {
        lay(&mut all, entry(&key, value));
        origins.insert(key, Origin::Variable(name));
    }
    for Flag { name, key, value } in &sources.flags {
        lay(&mut all, entry(key, value.clone()));
        origins.insert((*key).to_owned(), Origin::Flag(name));
    }
    Ok((all, origins))
}

/// A table that says nothing but this.
fn entry(key: &str, value: Value) -> Table {
    let (name, value) = match key.split_once('.') {
        None => (key, value),
        Some((section, leaf)) => (section, Value::Table(entry(leaf, value))),
    };
    Table::from_iter([(name.to_owned(), value)])
}

fn leaves(table: &Table, path: &str) -> Vec<String> {
    let below = |(key, value): (&String, &Value)| match value {
        Value::Table(section) => leaves(section, &format!("{path}{key}.")),
        _ => vec![format!("{path}{key}")],
    };
    table.iter().flat_map(below).collect()
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

/// The file, and the line of each key that stands in it.
fn read_file(path: &Path) -> Result<(Table, Vec<(String, usize)>), Error> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::config(format!("{} cannot be read: {e}; give a TOML file: --config FILE", path.display()))
    })?;
    let line_of = |at: usize| 1 + text.bytes().take(at).filter(|b| *b == b'\n').count();
    let wrong = |e: toml::de::Error| {
        let line = e.span().map_or(1, |s| line_of(s.start));
        Error::config(format!("{}, line {line}: {}", path.display(), e.message().trim()))
    };
    let table: Table = text.parse().map_err(wrong)?;
    check_keys(&table, &known(), "").map_err(|e| Error::config(format!("{}: {e}", path.display())))?;
    let mut lines = Vec::new();
    let spans = DeTable::parse(&text).map_err(wrong)?;
    find_lines(spans.get_ref(), "", &line_of, &mut lines);
    Ok((table, lines))
}

fn find_lines(
    table: &DeTable<'_>,
    path: &str,
    line_of: &impl Fn(usize) -> usize,
    lines: &mut Vec<(String, usize)>,
) {
    for (key, value) in table {
        let path = format!("{path}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(section) => find_lines(section, &format!("{path}."), line_of, lines),
            DeValue::Array(list) => {
                lines.push((path.clone(), line_of(key.span().start)));
                let tables = list.iter().enumerate().filter(|(_, item)| item.get_ref().is_table());
                lines.extend(tables.map(|(at, item)| (format!("{path}[{at}]"), line_of(item.span().start))));
            }
            _ => lines.push((path, line_of(key.span().start))),
        }
    }
}

/// Every key with its default, so that the type of each is known.
fn known() -> Table {
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
            // A whole number is a number.
            (Value::Integer(_), Value::Float(_)) => {}
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
    match gateway::nearest(word, words) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => format!("; known are: {}", words.join(", ")),
    }
}

/// `NEUROPLEX_NATS_LISTEN` is `nats.listen`; lists are separated by commas. Each with its name and its key.
fn read_environment(environment: &[(String, String)]) -> Result<Vec<(String, String, Value)>, Error> {
    let known = known();
    let mut all = Vec::new();
    // What every OpenTelemetry program knows; ours count before them.
    for (name, leaf) in STANDARD {
        let given = environment.iter().find(|(given, text)| given == name && !text.is_empty());
        let default = known.get("telemetry").and_then(|section| section.get(leaf));
        let Some(((name, text), default)) = given.zip(default) else { continue };
        let value = read_value(text, default).and_then(|value| match value {
            Value::Array(items) => {
                let items: Result<_, _> = items.iter().filter_map(Value::as_str).map(decoded).collect();
                items.map(Value::Array)
            }
            value => Ok(value),
        });
        let value = value.map_err(|e| Error::config(format!("{name}: {e}")))?;
        all.push((name.clone(), format!("telemetry.{leaf}"), value));
    }
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase();
        let in_section = || {
            let (section, leaf) = key.split_once('_')?;
            Some((format!("{section}.{leaf}"), known.get(section)?.get(leaf)?))
        };
        let Some((path, default)) = known.get(&key).map(|value| (key.clone(), value)).or_else(in_section)
        else {
            if !is_of_others(rest, text) {
                check_variable(name, &key, &known)?;
            }
            continue;
        };
        let value = read_value(text, default).map_err(|e| Error::config(format!("{name}: {e}")))?;
        all.push((name.clone(), path, value));
    }
    Ok(all)
}

/// An item `name=value` without its percent-encoding. What is wrong is not shown: it may be a secret.
fn decoded(item: &str) -> Result<Value, String> {
    let decode =
        |text| percent_decode_str(text).decode_utf8().map_err(|_| "an item is not UTF-8 when decoded");
    Ok(Value::String(match item.split_once('=') {
        // Later the first `=` divides it again.
        Some((name, _)) if decode(name)?.contains('=') => return Err("a name has a `=` in it".into()),
        Some((name, value)) => format!("{}={}", decode(name)?, decode(value)?),
        None => decode(item)?.into_owned(),
    }))
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
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("number"))?),
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

    fn load(file: &str, environment: &[(&str, &str)], flags: &[Flag]) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::load(&Sources { profile: None, file: Some(path), environment, flags: flags.to_vec() })
    }

    fn flag(key: &'static str, value: &str) -> Flag {
        Flag { name: "--flag", key, value: Value::String(value.into()) }
    }

    #[test]
    fn every_value_knows_who_said_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let text = "# first\ndata = 'd'\n[nats]\npings_max = 3\nspin_us = 5\n\n[[auth.users]]\nuser = 'a'\npassword = \
                    'b'\n\n[[auth.users]]\ntoken = 'c'\n";
        std::fs::write(&path, text).unwrap();
        let sources = Sources {
            profile: None,
            file: Some(path.clone()),
            environment: vec![("NEUROPLEX_NATS_PINGS_MAX".into(), "4".into())],
            flags: vec![flag("nats.listen", "off")],
        };
        let (_, origins) = read(&sources).unwrap();
        let file = |line| Some(Origin::File { path: path.clone(), line });
        for (key, origin) in [
            ("data", file(2)),
            ("nats.spin_us", file(5)),
            ("auth.users", file(7)),
            ("auth.users[0]", file(7)),
            ("auth.users[1]", file(11)),
            ("nats.pings_max", Some(Origin::Variable("NEUROPLEX_NATS_PINGS_MAX".into()))),
            ("nats.listen", Some(Origin::Flag("--flag"))),
            ("http.listen", None),
        ] {
            assert_eq!(origins.get(key).cloned(), origin, "{key}");
        }
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file = "[nats]\nlisten = \"127.0.0.1:1\"\npings_max = 3\npayload_bytes_max = 1000\n";
        let environment = [("NEUROPLEX_NATS_LISTEN", "127.0.0.1:2"), ("NEUROPLEX_NATS_PINGS_MAX", "4")];
        let c = load(file, &environment, &[flag("nats.listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(
            (c.nats.listen.as_str(), c.nats.pings_max, c.nats.payload_bytes_max),
            ("127.0.0.1:3", 4, 1000)
        );
        assert_eq!(c.http, HttpOptions::default());
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let sentence = |file: &str| load(file, &[], &[]).unwrap_err().to_string();
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
            let sentence = load("", &[(name, "4222x")], &[]).unwrap_err().to_string();
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
                load("", &[(&format!("{service}_{rest}"), text)], &[]).unwrap();
            }
        }
        for name in ["SERVER", "CONFIG", "PROFILE", "SUBJECT", "REPLY", "DATABASE_URL", "VERSION", "TLS_CA"] {
            load("", &[(&format!("NEUROPLEX_{name}"), "x")], &[]).unwrap();
        }
    }

    #[test]
    fn lists_of_opentelemetry_are_percent_encoded_and_ours_are_not() {
        let c = load(
            "",
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YW5uOnM%3D, x-k%65y=50%"),
                ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,who=J%C3%BCrgen+x=y"),
            ],
            &[],
        );
        let c = c.unwrap().telemetry;
        assert_eq!(c.otlp_headers, ["authorization=Basic YW5uOnM=", "x-key=50%"]);
        assert_eq!(c.resource, ["team=a,b", "who=Jürgen+x=y"]);
        let c = load("", &[("NEUROPLEX_TELEMETRY_RESOURCE", "team=a%2Cb")], &[]).unwrap();
        assert_eq!(c.telemetry.resource, ["team=a%2Cb"]);
        for wrong in ["geheim=%FF", "a%3Dgeheim=b"] {
            let sentence = load("", &[("OTEL_EXPORTER_OTLP_HEADERS", wrong)], &[]).unwrap_err().to_string();
            assert!(
                sentence.contains("OTEL_EXPORTER_OTLP_HEADERS") && !sentence.contains("geheim"),
                "{sentence}"
            );
        }
    }
}
