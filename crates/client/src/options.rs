//! How to connect: every field with a default, set by the method of its name.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kernel::limits::PAYLOAD_BYTES_MAX;
use net::tls::{self, Identity, Trust};

use crate::{Credentials, Error, Event};

/// How to connect. `Options::new("nats://a,nats://b").name("planner")`; text alone makes one, too.
#[derive(Clone)]
pub struct Options {
    pub(crate) servers: String,
    pub(crate) name: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) inbox_prefix: String,
    pub(crate) echo: bool,
    pub(crate) tls_first: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) reconnect_delay: Duration,
    pub(crate) reconnect_delay_max: Duration,
    pub(crate) reconnects_max: Option<u32>,
    pub(crate) write_buffer_bytes: usize,
    pub(crate) reconnect_buffer_bytes: usize,
    pub(crate) queued_messages_max: usize,
    pub(crate) queued_bytes_max: usize,
    pub(crate) on_event: Option<Arc<dyn Fn(Event) + Send + Sync>>,
    tls_config: Option<Arc<rustls::ClientConfig>>,
    tls_ca: Option<PathBuf>,
    tls_identity: Option<(PathBuf, PathBuf)>,
}

impl Options {
    /// Options for one server, or several joined by commas, which are tried in this order.
    pub fn new(servers: impl Into<String>) -> Options {
        Options {
            servers: servers.into(),
            name: String::new(),
            credentials: None,
            inbox_prefix: "_INBOX".into(),
            echo: true,
            tls_first: false,
            connect_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            reconnect_delay: Duration::from_millis(100),
            reconnect_delay_max: Duration::from_secs(8),
            reconnects_max: None,
            write_buffer_bytes: PAYLOAD_BYTES_MAX,
            reconnect_buffer_bytes: 8 * 1024 * 1024,
            queued_messages_max: 65_536,
            queued_bytes_max: 64 * 1024 * 1024,
            on_event: None,
            tls_config: None,
            tls_ca: None,
            tls_identity: None,
        }
    }

    /// What operators see in the server's list of connections. Default: nothing.
    pub fn name(self, name: impl Into<String>) -> Options {
        Options { name: name.into(), ..self }
    }

    /// Who the client is, where the address does not say so.
    pub fn credentials(self, credentials: Credentials) -> Options {
        Options { credentials: Some(credentials), ..self }
    }

    /// What the subjects begin with that answers come to, for users who may not subscribe to others. Default: `_INBOX`.
    pub fn inbox_prefix(self, prefix: impl Into<String>) -> Options {
        Options { inbox_prefix: prefix.into(), ..self }
    }

    /// Whether this client's subscriptions hear what it publishes itself. Default: yes.
    pub fn echo(self, echo: bool) -> Options {
        Options { echo, ..self }
    }

    /// Speak TLS from the first byte, for servers that want it so. Default: when the server has said hello.
    pub fn tls_first(self, tls_first: bool) -> Options {
        Options { tls_first, ..self }
    }

    /// Trust the authorities in this PEM file, and nobody else. Default: those of the operating system. It makes TLS a
    /// must, whatever the address says, and so do [`Options::tls_identity`] and [`Options::tls_config`].
    pub fn tls_ca(self, path: impl Into<PathBuf>) -> Options {
        Options { tls_ca: Some(path.into()), ..self }
    }

    /// Show the server this certificate. Both are PEM files.
    pub fn tls_identity(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Options {
        Options { tls_identity: Some((certificate.into(), key.into())), ..self }
    }

    /// A TLS configuration of your own, instead of files.
    pub fn tls_config(self, config: Arc<rustls::ClientConfig>) -> Options {
        Options { tls_config: Some(config), ..self }
    }

    /// How long one server may take from the first packet to the end of the handshake. Default: 5 s.
    pub fn connect_timeout(self, timeout: Duration) -> Options {
        Options { connect_timeout: timeout, ..self }
    }

    /// How often an idle server is asked whether it is still there; after two questions without answer the
    /// connection counts as lost. Default: 60 s; at least 10 ms.
    pub fn ping_interval(self, interval: Duration) -> Options {
        Options { ping_interval: interval.max(Duration::from_millis(10)), ..self }
    }

    /// How long [`crate::Client::drain`] and [`crate::Client::close`] may take. Default: 30 s.
    pub fn drain_timeout(self, timeout: Duration) -> Options {
        Options { drain_timeout: timeout, ..self }
    }

    /// The first and the longest wait between attempts to come back; they double in between. Default: 100 ms, 8 s.
    pub fn reconnect_delay(self, first: Duration, longest: Duration) -> Options {
        Options { reconnect_delay: first, reconnect_delay_max: longest, ..self }
    }

    /// How many rounds over all servers an attempt to come back has. 0: it never comes back. Default: no limit.
    pub fn reconnects_max(self, rounds: u32) -> Options {
        Options { reconnects_max: Some(rounds), ..self }
    }

    /// While so many bytes wait to be written, publishers wait, too. Default: 1 MiB.
    pub fn write_buffer_bytes(self, bytes: usize) -> Options {
        Options { write_buffer_bytes: bytes.max(1), ..self }
    }

    /// How many bytes may gather while the connection is away; beyond it publishers get an error. Default: 8 MiB.
    pub fn reconnect_buffer_bytes(self, bytes: usize) -> Options {
        Options { reconnect_buffer_bytes: bytes, ..self }
    }

    /// How much may wait in a subscription before messages for it are dropped. Default: 65,536 messages, 64 MiB.
    pub fn queue_limits(self, messages: usize, bytes: usize) -> Options {
        // tokio's channels end at this many.
        let messages = messages.clamp(1, usize::MAX >> 3);
        Options { queued_messages_max: messages, queued_bytes_max: bytes, ..self }
    }

    /// Hear what happens to the connection. The function runs on the connection's task: it must not block.
    pub fn on_event(self, hear: impl Fn(Event) + Send + Sync + 'static) -> Options {
        Options { on_event: Some(Arc::new(hear)), ..self }
    }

    /// Whether files or a configuration for TLS were named: then nothing goes in the clear.
    pub(crate) fn has_tls(&self) -> bool {
        self.tls_first || self.tls_config.is_some() || self.tls_ca.is_some() || self.tls_identity.is_some()
    }

    /// The TLS configuration that they ask for.
    pub(crate) fn tls(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        if let Some(config) = &self.tls_config {
            return Ok(config.clone());
        }
        let trust = self.tls_ca.as_deref().map_or(Trust::System, Trust::File);
        let identity = self.tls_identity.as_ref().map(|(certificate, key)| Identity { certificate, key });
        Ok(tls::client(trust, identity)?)
    }

    pub(crate) fn tell(&self, event: Event) {
        if let Some(hear) = &self.on_event {
            hear(event);
        }
    }
}

impl<T: Into<String>> From<T> for Options {
    fn from(servers: T) -> Options {
        Options::new(servers)
    }
}

impl fmt::Debug for Options {
    /// Without the addresses, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("name", &self.name).finish_non_exhaustive()
    }
}
