//! A new configuration for a running node: what it takes at once, and what waits for a restart. Which key is which stands
//! in the schema (`x-reload`).

use std::sync::Arc;
use std::time::Duration;

use auth::Accounts;
use kernel::Code;

use crate::config::Config;
use crate::doors::Doors;
use crate::error::Error;
use crate::node::Node;
use crate::{schema, telemetry};

/// What became of a new configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys with a new value that is in force.
    pub changed: Vec<String>,
    /// Keys with a new value that needs a restart; the old one stays in force.
    pub waiting: Vec<String>,
    /// Clients that were cut because their account is gone or has changed.
    pub cut: usize,
}

/// The keys of the files of a door's TLS.
fn tls_keys(door: &str) -> [String; 3] {
    ["cert", "key", "ca"].map(|file| format!("{door}.tls_{file}_file"))
}

impl Config {
    /// This configuration with the values of `new` that a running node takes.
    fn reloaded(&self, new: &Config, has_new_tenant: bool) -> Result<(Config, Reloaded), Error> {
        let (mut values, wanted) = (self.values(), new.values());
        let mut done = Reloaded::default();
        // Whether a door speaks TLS at all is told to clients and shows in its address: that is for a restart.
        let mut held = Vec::new();
        if self.nats.has_tls() != new.nats.has_tls() {
            held.extend(tls_keys("nats"));
        }
        if self.http.has_tls() != new.http.has_tls() {
            held.extend(tls_keys("http"));
        }
        if has_new_tenant {
            held.push("auth.users".into());
        }
        for key in schema::keys().iter().filter(|key| !key.path.contains("[]")) {
            let pointer = format!("/{}", key.path.replace('.', "/"));
            let (Some(now), Some(then)) = (values.pointer_mut(&pointer), wanted.pointer(&pointer)) else {
                continue;
            };
            if now == then {
                continue;
            }
            match key.reload && !held.contains(&key.path) {
                true => {
                    *now = then.clone();
                    done.changed.push(key.path.clone());
                }
                false => done.waiting.push(key.path.clone()),
            }
        }
        let config: Config = serde_json::from_value(values).map_err(|e| {
            Error::new(Code::InternalError, format!("the configuration cannot be joined: {e}"))
        })?;
        // New values may not go with those that wait.
        config.check()?;
        Ok((config, done))
    }
}

impl Node {
    /// Takes what it can of a new configuration. Errors with a sentence, and then nothing has changed. Certificates are
    /// read again whether their names have changed or not; connections that are there keep what they have.
    pub fn reload(&mut self, new: &Config) -> Result<Reloaded, Error> {
        let wrong = |e: auth::accounts::Error| Error::new(Code::ConfigInvalid, e.to_string());
        let before = self.hub.accounts();
        let tenants = |accounts: &Accounts| accounts.tenants().len();
        let renewed = before.renewed(&new.auth).map_err(wrong)?;
        let has_new_tenant = tenants(&renewed) > tenants(&before);
        let (config, mut done) = self.config.reloaded(new, has_new_tenant)?;
        let accounts = if has_new_tenant { before.renewed(&config.auth).map_err(wrong)? } else { renewed };
        let Doors { tls, http_tls, .. } = Doors::of(&config, &accounts)?;
        telemetry::set_level(&config.log)?;
        // From here on nothing fails.
        let gone = before.departed(&accounts);
        let mut limits = self.hub.limits();
        limits.connections_max = config.nats.connections_max.min(self.nats_files);
        limits.subscriptions_max = config.nats.subscriptions_max;
        limits.outbox_bytes_max = config.nats.outbox_bytes_max;
        self.hub.renew(Arc::new(accounts), limits);
        done.cut = self.cut(&gone);
        if let Some(nats) = &self.nats {
            nats.renew(config.nats.clone(), tls);
        }
        if let Some(http) = &self.http {
            http.renew(&config.http, http_tls);
        }
        self.lame_duck = Duration::from_millis(config.lame_duck_ms);
        self.config = config;
        Ok(done)
    }

    /// Cuts the clients of these accounts. Who came in this very moment with an account's new secret comes back.
    fn cut(&self, gone: &[auth::accounts::Name]) -> usize {
        let all = self.hub.clients.all();
        let of_them = all.iter().filter(|client| {
            let info = client.info();
            gone.iter().any(|name| name.tenant == info.tenant && name.user == info.user)
        });
        of_them.map(|client| client.cut(Code::PermissionDenied)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_a_running_node_cannot_take_waits_and_the_rest_does_not() {
        let now = config("[nats]\nlisten = '127.0.0.1:1'\npings_max = 2");
        let new =
            config("lame_duck_ms = 1\n[nats]\nlisten = '127.0.0.1:2'\npings_max = 3\n[log]\nformat = 'json'");
        let (merged, done) = now.reloaded(&new, false).unwrap();
        assert_eq!(done.changed, ["lame_duck_ms", "nats.pings_max"]);
        assert_eq!(done.waiting, ["log.format", "nats.listen"]);
        assert_eq!((merged.nats.pings_max, merged.nats.listen.as_str()), (3, "127.0.0.1:1"));
    }

    #[test]
    fn a_new_value_that_does_not_go_with_an_old_one_is_refused() {
        let now = config("[nats]\noutbox_bytes_max = 8000000\npayload_bytes_max = 4000000");
        let new = config("[nats]\noutbox_bytes_max = 65536\npayload_bytes_max = 1000");
        assert!(now.reloaded(&new, false).unwrap_err().sentence.contains("outbox_bytes_max"));
    }

    #[test]
    fn a_new_tenant_waits() {
        let new = config("[[auth.users]]\nuser = 'a'\npassword = 'b'\ntenant = 't'");
        let (merged, done) = config("").reloaded(&new, true).unwrap();
        assert_eq!((merged.auth.users.len(), done.waiting), (0, vec!["auth.users".to_owned()]));
    }
}
