//! Configuration of the doors. Every field has its unit in its name, a default and bounds.
//!
//! A key is one field: its doc line is its description, its name ends with its unit, its default stands in `Default`, and
//! its bounds in `#[schemars(range(…))]`. `#[schemars(extend("x-reload" = true))]` says that a running node takes a new
//! value; then `Node::reload` must give it on. Everything else is made from that: the check of bounds, the schema, the
//! guide's table (`cargo xtask pages` writes it).

use std::path::PathBuf;

use kernel::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `nats`: the door for every NATS client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NatsOptions {
    /// Address and port, or `off`. Port 0 takes a free one. Other addresses than loopback need TLS and users.
    pub listen: String,
    /// Certificate chain in PEM; with it the door demands TLS. Empty: no TLS.
    #[schemars(extend("x-reload" = true))]
    pub tls_cert_file: PathBuf,
    /// Private key in PEM.
    #[schemars(extend("x-reload" = true))]
    pub tls_key_file: PathBuf,
    /// Certificates in PEM of those who sign clients' certificates; with it clients must show one.
    #[schemars(extend("x-reload" = true))]
    pub tls_ca_file: PathBuf,
    /// Whether TLS begins before the first line of the protocol (clients call it "handshake first").
    pub tls_first: bool,
    /// Largest message, headers and payload together, in bytes.
    #[schemars(range(min = 64, max = 67_108_864))]
    pub payload_bytes_max: usize,
    /// Longest line of the protocol, in bytes.
    #[schemars(range(min = 512, max = 65_536))]
    pub control_line_bytes_max: usize,
    /// Most clients at once. The process's file limit, which is raised at the start, bounds it, too.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-reload" = true))]
    pub connections_max: usize,
    /// Most subscriptions of one client.
    #[schemars(range(min = 1, max = 10_000_000), extend("x-reload" = true))]
    pub subscriptions_max: usize,
    /// Bytes that may wait for one client; above, it is cut as a slow consumer.
    #[schemars(range(min = 65_536, max = 4_294_967_296_u64), extend("x-reload" = true))]
    pub outbox_bytes_max: usize,
    /// Silence after which a client is asked whether it lives, in milliseconds.
    #[schemars(range(min = 1000, max = 3_600_000), extend("x-reload" = true))]
    pub ping_interval_ms: u64,
    /// Unanswered questions after which it is cut.
    #[schemars(range(min = 1, max = 100), extend("x-reload" = true))]
    pub pings_max: u32,
    /// Time to show credentials, and to finish a TLS handshake, in milliseconds.
    #[schemars(range(min = 100, max = 60_000), extend("x-reload" = true))]
    pub auth_timeout_ms: u64,
    /// How long the node stays awake for the answer to a request, in microseconds: shorter round trips for processor
    /// time. 0: it sleeps at once.
    #[schemars(range(min = 0, max = 1000))]
    pub spin_us: u64,
}

impl Default for NatsOptions {
    fn default() -> NatsOptions {
        NatsOptions {
            listen: "127.0.0.1:4222".into(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls_ca_file: PathBuf::new(),
            tls_first: false,
            payload_bytes_max: limits::PAYLOAD_BYTES_MAX,
            control_line_bytes_max: limits::CONTROL_LINE_BYTES_MAX,
            connections_max: 65_536,
            subscriptions_max: 100_000,
            outbox_bytes_max: limits::OUTBOX_BYTES_MAX,
            ping_interval_ms: 120_000,
            pings_max: 2,
            auth_timeout_ms: 2000,
            spin_us: 20,
        }
    }
}

impl NatsOptions {
    /// What does not go together, in one sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        if self.outbox_bytes_max < 2 * self.payload_bytes_max {
            return Err("nats.outbox_bytes_max must be at least twice nats.payload_bytes_max".into());
        }
        let (cert, key) = (has(&self.tls_cert_file), has(&self.tls_key_file));
        if cert != key {
            return Err("nats.tls_cert_file and nats.tls_key_file go together: give both or neither".into());
        }
        if !cert && (self.tls_first || has(&self.tls_ca_file)) {
            return Err(
                "nats.tls_first and nats.tls_ca_file need nats.tls_cert_file and nats.tls_key_file".into()
            );
        }
        Ok(())
    }

    /// Whether the door demands TLS.
    pub fn has_tls(&self) -> bool {
        has(&self.tls_cert_file)
    }
}

fn has(path: &std::path::Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Who may read `/metrics`, `/varz`, `/connz` and `/subsz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Monitor {
    /// Anybody where the door listens on loopback and there is one tenant, else users.
    #[default]
    Local,
    /// Anybody who reaches the door.
    Open,
    /// Users of the node's own tenant who may publish on `$NP.monitor`.
    Users,
}

/// The section `http`: the door for everything that speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// Address and port, or `off`. Port 0 takes a free one. Other addresses than loopback need TLS and users.
    pub listen: String,
    /// Further names under which the door may be addressed, besides `localhost` and its own address.
    #[schemars(extend("x-reload" = true))]
    pub hosts: Vec<String>,
    /// Who may read metrics and the monitoring documents where there are users: `local` (anybody where the door listens on
    /// loopback and there is one tenant, else users), `open` (anybody) or `users` (those of the node's own tenant who may
    /// publish on `$NP.monitor`).
    #[schemars(extend("x-reload" = true))]
    pub monitor: Monitor,
    /// Certificate chain in PEM; with it the door speaks TLS only. Empty: no TLS.
    #[schemars(extend("x-reload" = true))]
    pub tls_cert_file: PathBuf,
    /// Private key in PEM.
    #[schemars(extend("x-reload" = true))]
    pub tls_key_file: PathBuf,
    /// Certificates in PEM of those who sign clients' certificates; with it clients must show one.
    #[schemars(extend("x-reload" = true))]
    pub tls_ca_file: PathBuf,
    /// Most connections at once; fewer where the system allows fewer files.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_max: usize,
    /// Most requests at once on one connection of HTTP/2.
    #[schemars(range(min = 1, max = 10_000))]
    pub streams_max: u32,
    /// Largest head of a request, address and headers together, in bytes.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub header_bytes_max: usize,
    /// Largest body that is a document, unpacked, in bytes; a body that is a message may be as large as a message.
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub body_bytes_max: usize,
    /// Bytes of bodies that may be read at once for all requests together.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub bodies_bytes_max: usize,
    /// Bytes of events that may wait for one reader; above, its events end.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub outbox_bytes_max: usize,
    /// Time to finish a TLS handshake, to send the head of a request, and to stay silent between two requests, in
    /// milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub header_timeout_ms: u64,
    /// Longest silence in the middle of a body, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub body_timeout_ms: u64,
    /// Longest time that a whole body may take, in milliseconds; lines that are published may take longer.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub request_timeout_ms: u64,
    /// Longest time in which a client takes nothing of an answer that waits for it, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub write_timeout_ms: u64,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            listen: "127.0.0.1:7400".into(),
            hosts: Vec::new(),
            monitor: Monitor::default(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls_ca_file: PathBuf::new(),
            connections_max: 10_000,
            streams_max: 100,
            header_bytes_max: 64 << 10,
            body_bytes_max: 2 * limits::PAYLOAD_BYTES_MAX,
            bodies_bytes_max: 256 << 20,
            outbox_bytes_max: 8 << 20,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            request_timeout_ms: 120_000,
            write_timeout_ms: 30_000,
        }
    }
}

impl HttpOptions {
    /// What does not go together, in one sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        let (cert, key) = (has(&self.tls_cert_file), has(&self.tls_key_file));
        if cert != key {
            return Err("http.tls_cert_file and http.tls_key_file go together: give both or neither".into());
        }
        if !cert && has(&self.tls_ca_file) {
            return Err("http.tls_ca_file needs http.tls_cert_file and http.tls_key_file".into());
        }
        Ok(())
    }

    /// Whether the door speaks TLS.
    pub fn has_tls(&self) -> bool {
        has(&self.tls_cert_file)
    }
}
