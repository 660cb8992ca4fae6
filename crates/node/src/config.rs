//! What can be configured, and whether it makes sense. Where the values come from is another idea: `layers.rs`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use auth::options::{HIDDEN, Options as AuthOptions};
use fabric::StreamsOptions;
use gateway::{HttpOptions, NatsOptions};
use kernel::NodeId;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::doors::Doors;
use crate::error::Error;
use crate::{layers, telemetry};

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
    /// Bytes that may wait for all slow clients together. 16777216 and more, or 0: a quarter of the memory.
    pub outboxes_bytes_max: usize,
    /// Logs.
    pub log: LogOptions,
    /// The door for NATS clients.
    pub nats: NatsOptions,
    /// The door for operators.
    pub http: HttpOptions,
    /// Durable streams.
    pub streams: StreamsOptions,
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
            streams: StreamsOptions::default(),
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

/// Less than this would cut clients that are not slow.
const OUTBOXES_BYTES_LEAST: usize = 16 << 20;

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
        let all = layers::read(profile, file, environment, flags)?;
        let config: Config =
            Value::Table(all).try_into().map_err(|e: toml::de::Error| Error::config(e.message()))?;
        config.check()?;
        Ok(config)
    }

    /// Everything that can be said before a socket is opened, files included: what passes here starts, unless
    /// the address is taken or the data folder cannot be used.
    fn check(&self) -> Result<(), Error> {
        self.nats.check().map_err(Error::config)?;
        self.http.check().map_err(Error::config)?;
        self.streams.check().map_err(Error::config)?;
        telemetry::filter(&self.log)?;
        if self.lame_duck_ms > 600_000 {
            return Err(Error::config(format!(
                "lame_duck_ms = {} is out of bounds: 0 to 600000",
                self.lame_duck_ms
            )));
        }
        if self.outboxes_bytes_max != 0 && self.outboxes_bytes_max < OUTBOXES_BYTES_LEAST {
            return Err(Error::config(format!(
                "outboxes_bytes_max = {} is out of bounds: {OUTBOXES_BYTES_LEAST} and more, or 0",
                self.outboxes_bytes_max
            )));
        }
        if let Some(door) = self.security.allow_plaintext.iter().find(|d| !DOORS.contains(&d.as_str())) {
            return Err(Error::config(format!(
                "security.allow_plaintext: there is no door {door:?}{}",
                layers::nearest(door, DOORS)
            )));
        }
        self.node_id()?;
        let accounts = auth::Accounts::new(&self.auth).map_err(|e| Error::config(e.to_string()))?;
        Doors::of(self, &accounts).map(drop)
    }

    /// The node's name, if it was given.
    pub fn node_id(&self) -> Result<Option<NodeId>, Error> {
        match self.node_id.as_str() {
            "" => Ok(None),
            text => match text.parse() {
                Ok(id) => Ok(Some(id)),
                Err(_) => {
                    Err(Error::config(format!("node_id {text:?}: give 1 to 64 letters, digits, `-` or `_`")))
                }
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
                    *secret = HIDDEN.into();
                }
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Error> {
        Config::load(None, None, std::iter::empty(), text.parse().unwrap())
    }

    #[test]
    fn what_would_not_start_is_refused() {
        for (text, key) in [
            ("[nats]\npings_max = 0", "nats.pings_max"),
            ("[nats]\npayload_bytes_max = 100000000", "nats.payload_bytes_max"),
            ("[nats]\ntls_cert_file = \"a\"", "nats.tls_key_file"),
            ("[nats]\ntls_cert_file = \"/no/cert\"\ntls_key_file = \"/no/key\"", "/no/cert"),
            ("[nats]\nlisten = \"nonsense\"", "nats.listen"),
            ("[http]\nlisten = \"127.0.0.1\"", "http.listen"),
            ("lame_duck_ms = 700000", "lame_duck_ms"),
            ("outboxes_bytes_max = 1000", "outboxes_bytes_max"),
            ("node_id = \"a b\"", "node_id"),
            ("[log]\nlevel = \"a=b=c\"", "log.level"),
            ("[log]\nlevel = \"inof\"", "log.level"),
            ("[security]\nallow_plaintext = [\"natz\"]", "did you mean `nats`?"),
            ("[[auth.users]]\nuser = \"a\"", "auth.users[0]"),
        ] {
            let refused = load(text).unwrap_err();
            assert_eq!(refused.code, kernel::Code::ConfigInvalid, "{text}");
            assert!(refused.sentence.contains(key), "{text}: {refused}");
        }
        for text in ["outboxes_bytes_max = 16777216", "[log]\nlevel = \"warn,gateway=debug\"", ""] {
            load(text).unwrap();
        }
    }

    #[test]
    fn a_door_that_others_reach_is_refused_before_it_opens() {
        for text in ["[nats]\nlisten = \"0.0.0.0:0\"", "[http]\nlisten = \"[::]:0\""] {
            assert_eq!(load(text).unwrap_err().code, kernel::Code::TlsRequired, "{text}");
            load(&format!("{text}\n[security]\nallow_plaintext = [\"nats\", \"http\"]")).unwrap();
        }
        load("[nats]\nlisten = \"off\"\n[http]\nlisten = \"[::1]:0\"").unwrap();
    }

    #[test]
    fn what_is_shown_hides_secrets_and_nobody_can_log_in_with_what_hides_them() {
        for (given, secret) in [("user = \"a\"\npassword", "geheim"), ("token", "auch geheim")] {
            let shown = load(&format!("[[auth.users]]\n{given} = {secret:?}")).unwrap().to_toml();
            assert!(!shown.contains(secret), "{shown}");
            let refused = load(&shown).unwrap_err().to_string();
            assert!(refused.contains("put the real"), "{refused}");
            let repaired = load(&shown.replace(HIDDEN, secret)).unwrap();
            assert_eq!(repaired.to_toml(), shown);
        }
    }
}
