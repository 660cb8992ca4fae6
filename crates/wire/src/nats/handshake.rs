//! The two JSON documents of the handshake. Unknown fields are ignored, as every client and server does.

use serde::{Deserialize, Serialize};

/// What a server says first, and again when something changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the protocol's")]
pub struct Info {
    pub server_id: String,
    pub server_name: String,
    /// The release of nats-server whose client protocol is spoken: clients compare it to decide what to use.
    pub version: String,
    pub proto: u8,
    pub go: String,
    pub host: String,
    pub port: u16,
    pub headers: bool,
    #[serde(skip_serializing_if = "not")]
    pub auth_required: bool,
    #[serde(skip_serializing_if = "not")]
    pub tls_required: bool,
    #[serde(skip_serializing_if = "not")]
    pub tls_available: bool,
    #[serde(skip_serializing_if = "not")]
    pub tls_verify: bool,
    pub max_payload: usize,
    #[serde(skip_serializing_if = "not")]
    pub jetstream: bool,
    pub client_id: u64,
    pub client_ip: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// Lame duck: the server is about to stop.
    #[serde(skip_serializing_if = "not")]
    pub ldm: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn not(b: &bool) -> bool {
    !b
}

/// What a client says of itself. Fields that are missing have the protocol's defaults: verbose, pedantic, echo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the protocol's")]
pub struct Connect {
    pub verbose: bool,
    pub pedantic: bool,
    pub echo: bool,
    pub headers: bool,
    pub no_responders: bool,
    pub tls_required: bool,
    pub protocol: u8,
    pub name: String,
    pub lang: String,
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pass: String,
}

impl Default for Connect {
    fn default() -> Connect {
        Connect {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            tls_required: false,
            protocol: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            account: String::new(),
            auth_token: String::new(),
            user: String::new(),
            pass: String::new(),
        }
    }
}

impl Connect {
    /// Reads the document as nats-server does: what is `null` has its default, unknown fields are ignored.
    pub fn parse(json: &[u8]) -> Result<Connect, serde_json::Error> {
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json)?;
        fields.retain(|_, value| !value.is_null());
        serde_json::from_value(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_connect_has_the_protocol_defaults() {
        let c: Connect = serde_json::from_str("{}").unwrap();
        assert!(c.verbose && c.pedantic && c.echo && !c.headers && !c.no_responders);
        let c: Connect =
            serde_json::from_str(r#"{"verbose":false,"echo":false,"jwt":"x","nonsense":[1]}"#).unwrap();
        assert!(!c.verbose && !c.echo);
    }
}
