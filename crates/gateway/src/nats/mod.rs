//! The NATS door: the core client protocol, as nats-server speaks it. Not here: JetStream, operator accounts,
//! clusters, leaf nodes.
//!
//! `mod` accepts, [`peer`] is what others see of a connection (and how they write to it), [`connection`] drives its
//! socket, [`protocol`] carries out its operations.

mod connection;
mod delivery;
mod peer;
mod protocol;
mod refusal;
mod warm;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fabric::Hub;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use wire::nats::{Decoder, Info, encode};

use crate::options::NatsOptions;
use connection::Connection;
use peer::Peer;
use warm::Warm;

/// The release of nats-server whose client protocol this door speaks; clients decide by it what they may use.
pub const PROTOCOL_RELEASE: &str = "2.10.0";

/// What all connections of the door share.
pub struct Door {
    hub: Arc<Hub>,
    options: NatsOptions,
    info: Info,
    decoder: Decoder,
    tls: Option<TlsAcceptor>,
    lame: AtomicBool,
    warm: Warm,
    /// The wall clock in milliseconds, as of the last tick.
    wall_ms: AtomicU64,
}

impl Door {
    /// A door for `hub`. `tls`: demanded of every client when given.
    pub fn new(
        hub: Arc<Hub>,
        options: NatsOptions,
        server_id: String,
        server_name: String,
        tls: Option<TlsAcceptor>,
        address: SocketAddr,
    ) -> Arc<Door> {
        let info = Info {
            server_id,
            server_name,
            version: PROTOCOL_RELEASE.into(),
            proto: 1,
            go: "rust".into(),
            host: address.ip().to_string(),
            port: address.port(),
            headers: true,
            auth_required: hub.accounts.are_required(),
            tls_required: tls.is_some(),
            tls_verify: !options.tls_ca_file.as_os_str().is_empty(),
            max_payload: options.payload_bytes_max,
            ..Info::default()
        };
        let decoder = Decoder {
            control_line_bytes_max: options.control_line_bytes_max,
            payload_bytes_max: options.payload_bytes_max,
        };
        let (lame, warm, wall_ms) = (AtomicBool::new(false), Warm::default(), AtomicU64::new(0));
        Arc::new(Door { hub, options, info, decoder, tls, lame, warm, wall_ms })
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Relaxed);
    }

    /// From now on every `INFO` says that the node is about to stop.
    pub fn go_lame(&self) {
        self.lame.store(true, Relaxed);
    }

    /// Keeps the runtime awake for `nats.spin_us` after traffic, until the task is dropped.
    pub async fn keep_warm(self: Arc<Door>) {
        if self.options.spin_us > 0 {
            self.warm.keep(Duration::from_micros(self.options.spin_us)).await;
        }
    }

    /// Accepts clients until the task is dropped. Only a broken listener ends it.
    pub async fn accept(self: Arc<Door>, listener: TcpListener) -> io::Error {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => self.clone().begin(stream, address),
                Err(e) if is_passing(&e) => {
                    tracing::warn!(error = %e, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(e) => return e,
            }
        }
    }

    fn begin(self: Arc<Door>, stream: TcpStream, address: SocketAddr) {
        // Without it small answers wait for the other side's acknowledgement; failing costs only time.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => {
                let (reader, writer) = stream.into_split();
                let peer = Arc::new(Peer::new(self, address, Some(writer)));
                if let Some(connection) = Connection::open(peer, connection::Transport::Plain(reader), true) {
                    tokio::spawn(connection);
                }
            }
            Some(tls) => {
                tokio::spawn(async move {
                    if let Err(e) = Box::pin(self.begin_tls(tls, stream, address)).await {
                        tracing::debug!(%address, error = %e, "TLS handshake failed");
                    }
                });
            }
        }
    }

    async fn begin_tls(
        self: Arc<Door>,
        tls: TlsAcceptor,
        mut stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<()> {
        let peer = Arc::new(Peer::new(self.clone(), address, None));
        let first = self.options.tls_first;
        if !first {
            stream.write_all(&self.info_line(&peer)).await?;
        }
        let timeout = Duration::from_millis(self.options.auth_timeout_ms);
        let stream = tokio::time::timeout(timeout, tls.accept(stream)).await??;
        let transport = connection::Transport::Tls(Box::new(stream));
        if let Some(connection) = Connection::open(peer, transport, first) {
            tokio::spawn(connection);
        }
        Ok(())
    }

    /// The `INFO` line for one client.
    fn info_line(&self, peer: &Peer) -> Vec<u8> {
        let info = Info {
            client_id: peer.id.0,
            client_ip: peer.address.ip().to_string(),
            ldm: self.lame.load(Relaxed),
            ..self.info.clone()
        };
        let mut line = Vec::with_capacity(512);
        encode::info(&mut line, &info);
        line
    }
}

/// Errors of `accept` that concern one client, or pass when others leave.
fn is_passing(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(e.kind(), ConnectionAborted | ConnectionReset | Interrupted)
        || matches!(e.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS | ENOMEM))
}
