//! What can be configured, and whether it makes sense. Where the values come from is another idea: `layers.rs`.

use std::path::PathBuf;
use std::str::FromStr;

use auth::options::{HIDDEN, Options as AuthOptions};
use fabric::StreamsOptions;
use gateway::{HttpOptions, NatsOptions};
use kernel::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::doors::Doors;
use crate::error::Error;
use crate::layers::{self, Origins, Sources};
use crate::telemetry::options::TelemetryOptions;
use crate::{schema, show, telemetry};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder; one process at a time.
    pub data: PathBuf,
    /// The node's name, 1 to 64 letters, digits, `-` or `_`; empty: the data folder's, or a new one.
    pub node_id: String,
    /// Time that clients have to leave after SIGTERM, in milliseconds.
    #[schemars(range(min = 0, max = 600_000), extend("x-reload" = true))]
    pub lame_duck_ms: u64,
    /// Bytes that may wait for all slow clients together. 0: a quarter of the memory, which is the machine's, or what its
    /// control group allows. Less than 16 MiB would cut clients that are not slow.
    #[schemars(extend("anyOf" = [{"const": 0}, {"minimum": 16_777_216}]))]
    pub outboxes_bytes_max: usize,
    /// Logs.
    pub log: LogOptions,
    /// Traces, and where telemetry is sent.
    pub telemetry: TelemetryOptions,
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
            telemetry: TelemetryOptions::default(),
            nats: NatsOptions::default(),
            http: HttpOptions::default(),
            streams: StreamsOptions::default(),
            auth: AuthOptions::default(),
            security: SecurityOptions::default(),
        }
    }
}

/// The section `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// `pretty` for people, `json` for machines. Lines go to standard error; those that nobody reads in time are lost.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, also by module: `info,gateway=debug`.
    #[schemars(extend("x-reload" = true))]
    pub level: String,
    /// A file for the lines in place of standard error: a new one each day, with the date behind its name. Empty: none.
    pub file: PathBuf,
    /// How long log files are kept, in days. 0: 90, and 30 where the level is debug or trace.
    #[schemars(range(min = 0, max = 3650))]
    pub keep_days: u32,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { format: LogFormat::Pretty, level: "info".into(), file: PathBuf::new(), keep_days: 0 }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityOptions {
    /// Doors that may speak without TLS and users on addresses that other machines reach.
    #[schemars(extend("items" = {"type": "string", "enum": ["nats", "http"]}, "x-reload" = true))]
    pub allow_plaintext: Vec<String>,
}

impl Config {
    /// Reads the configuration from where it comes, and checks it.
    pub fn load(sources: &Sources) -> Result<Config, Error> {
        Config::load_with_origins(sources).map(|loaded| loaded.0)
    }

    /// The same, with who said each value that is no default.
    pub fn load_with_origins(sources: &Sources) -> Result<(Config, Origins), Error> {
        let (all, origins) = layers::read(sources)?;
        let config: Config =
            Value::Table(all).try_into().map_err(|e: toml::de::Error| Error::config(e.message()))?;
        config.check()?;
        Ok((config, origins))
    }

    /// Everything that can be said before a socket is opened, files included: what passes here starts, unless
    /// the address is taken or the data folder cannot be used.
    pub(crate) fn check(&self) -> Result<(), Error> {
        schema::check(&self.values()).map_err(Error::config)?;
        self.nats.check().map_err(Error::config)?;
        self.http.check().map_err(Error::config)?;
        self.telemetry.check().map_err(Error::config)?;
        telemetry::filter(&self.log)?;
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

    /// Every value, secrets too.
    pub(crate) fn values(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The configuration as TOML, without its secrets, each line with its origin as a comment.
    pub fn to_toml(&self, origins: &Origins) -> String {
        let mut values = self.values();
        schema::hide(&mut values, HIDDEN);
        show::toml(&values, origins)
    }

    /// The configuration as JSON, without its secrets, and the origin of each key.
    pub fn to_json(&self, origins: &Origins) -> serde_json::Value {
        let mut values = self.values();
        schema::hide(&mut values, HIDDEN);
        show::json(values, origins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(&Sources { file: Some(file.path().into()), ..Sources::default() })
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
            let shown =
                load(&format!("[[auth.users]]\n{given} = {secret:?}")).unwrap().to_toml(&Origins::new());
            assert!(!shown.contains(secret), "{shown}");
            let refused = load(&shown).unwrap_err().to_string();
            assert!(refused.contains("put the real"), "{refused}");
            let repaired = load(&shown.replace(HIDDEN, secret)).unwrap();
            assert_eq!(repaired.to_toml(&Origins::new()), shown);
        }
    }
}
