//! Configuration of the doors. Every field has its unit in its name, a default and bounds.

use std::path::PathBuf;

use kernel::limits;
use serde::{Deserialize, Serialize};

/// The section `nats`: the door for every NATS client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsOptions {
    /// Address and port, or `off`. Port 0 takes a free one. Other addresses than loopback need TLS and users.
    pub listen: String,
    /// Certificate chain in PEM; with it the door demands TLS. Empty: no TLS.
    pub tls_cert_file: PathBuf,
    /// Private key in PEM.
    pub tls_key_file: PathBuf,
    /// Certificates in PEM of those who sign clients' certificates; with it clients must show one.
    pub tls_ca_file: PathBuf,
    /// Whether TLS begins before the first line of the protocol (clients call it "handshake first").
    pub tls_first: bool,
    /// Largest message, headers and payload together, in bytes. 64 to 67108864.
    pub payload_bytes_max: usize,
    /// Longest line of the protocol, in bytes. 512 to 65536.
    pub control_line_bytes_max: usize,
    /// Most clients at once. 1 to 1000000.
    pub connections_max: usize,
    /// Most subscriptions of one client. 1 to 10000000.
    pub subscriptions_max: usize,
    /// Bytes that may wait for one client; above, it is cut as a slow consumer. 65536 to 4294967296.
    pub outbox_bytes_max: usize,
    /// Silence after which a client is asked whether it lives, in milliseconds. 1000 to 3600000.
    pub ping_interval_ms: u64,
    /// Unanswered questions after which it is cut. 1 to 100.
    pub pings_max: u32,
    /// Time to show credentials, and to finish a TLS handshake, in milliseconds. 100 to 60000.
    pub auth_timeout_ms: u64,
    /// How long the node stays awake for the answer to a request, in microseconds: shorter round trips for processor
    /// time. 0 to 1000; 0: it sleeps at once.
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
    /// What is out of bounds, in one sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        let bounds: [(&str, u64, u64, u64); 9] = [
            ("payload_bytes_max", self.payload_bytes_max as u64, 64, 64 << 20),
            ("control_line_bytes_max", self.control_line_bytes_max as u64, 512, 64 << 10),
            ("connections_max", self.connections_max as u64, 1, 1_000_000),
            ("subscriptions_max", self.subscriptions_max as u64, 1, 10_000_000),
            ("outbox_bytes_max", self.outbox_bytes_max as u64, 64 << 10, 4 << 30),
            ("ping_interval_ms", self.ping_interval_ms, 1000, 3_600_000),
            ("pings_max", self.pings_max.into(), 1, 100),
            ("auth_timeout_ms", self.auth_timeout_ms, 100, 60_000),
            ("spin_us", self.spin_us, 0, 1000),
        ];
        if let Some((key, value, least, most)) = bounds.iter().find(|b| b.1 < b.2 || b.1 > b.3) {
            return Err(format!("nats.{key} = {value} is out of bounds: {least} to {most}"));
        }
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

/// The section `http`: the door for everything that speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// Address and port, or `off`. Port 0 takes a free one. Other addresses than loopback need TLS and users.
    pub listen: String,
    /// Further names under which the door may be addressed, besides `localhost` and its own address.
    pub hosts: Vec<String>,
    /// Certificate chain in PEM; with it the door speaks TLS only. Empty: no TLS.
    pub tls_cert_file: PathBuf,
    /// Private key in PEM.
    pub tls_key_file: PathBuf,
    /// Certificates in PEM of those who sign clients' certificates; with it clients must show one.
    pub tls_ca_file: PathBuf,
    /// Most connections at once; fewer where the system allows fewer files. 1 to 1000000.
    pub connections_max: usize,
    /// Most requests at once on one connection of HTTP/2. 1 to 10000.
    pub streams_max: u32,
    /// Largest head of a request, address and headers together, in bytes. 8192 to 1048576.
    pub header_bytes_max: usize,
    /// Largest body that is a document, unpacked, in bytes; a body that is a message may be as large as a message.
    /// 1024 to 67108864.
    pub body_bytes_max: usize,
    /// Bytes of bodies that may be read at once for all requests together. 1048576 to 1099511627776.
    pub bodies_bytes_max: usize,
    /// Bytes of events that may wait for one reader; above, its events end. 65536 to 1073741824.
    pub outbox_bytes_max: usize,
    /// Time to finish a TLS handshake, to send the head of a request, and to stay silent between two requests, in
    /// milliseconds. 100 to 600000.
    pub header_timeout_ms: u64,
    /// Longest silence in the middle of a body, in milliseconds. 100 to 600000.
    pub body_timeout_ms: u64,
    /// Longest time that a whole body may take, in milliseconds; lines that are published may take longer. 100 to
    /// 3600000.
    pub request_timeout_ms: u64,
    /// Longest time in which a client takes nothing of an answer that waits for it, in milliseconds. 100 to 600000.
    pub write_timeout_ms: u64,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            listen: "127.0.0.1:7400".into(),
            hosts: Vec::new(),
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
    /// What is out of bounds, in one sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        let bounds: [(&str, u64, u64, u64); 10] = [
            ("connections_max", self.connections_max as u64, 1, 1_000_000),
            ("streams_max", self.streams_max.into(), 1, 10_000),
            ("header_bytes_max", self.header_bytes_max as u64, 8 << 10, 1 << 20),
            ("body_bytes_max", self.body_bytes_max as u64, 1 << 10, 64 << 20),
            ("bodies_bytes_max", self.bodies_bytes_max as u64, 1 << 20, 1 << 40),
            ("outbox_bytes_max", self.outbox_bytes_max as u64, 64 << 10, 1 << 30),
            ("header_timeout_ms", self.header_timeout_ms, 100, 600_000),
            ("body_timeout_ms", self.body_timeout_ms, 100, 600_000),
            ("request_timeout_ms", self.request_timeout_ms, 100, 3_600_000),
            ("write_timeout_ms", self.write_timeout_ms, 100, 600_000),
        ];
        if let Some((key, value, least, most)) = bounds.iter().find(|b| b.1 < b.2 || b.1 > b.3) {
            return Err(format!("http.{key} = {value} is out of bounds: {least} to {most}"));
        }
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
