//! The NATS door: the core client protocol, as nats-server speaks it. Not here: JetStream, operator accounts,
//! clusters, leaf nodes.
//!
//! `mod` accepts, `peer` is what others see of a connection (and how they write to it), `connection` drives its
//! socket, `protocol` carries out its operations.

mod connection;
mod delivery;
mod peer;
mod protocol;
mod refusal;
mod warm;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fabric::Hub;
use kernel::Now;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use wire::nats::{Decoder, Info, encode};

use crate::is_passing;
use crate::options::NatsOptions;
use connection::Connection;
use peer::Peer;
use warm::Warm;

/// Most TLS handshakes at once.
pub const HANDSHAKES_MAX: usize = 256;
/// Most refused connections that are told why.
pub const FAREWELLS_MAX: usize = 64;

/// What all connections of the door share.
pub struct Door {
    hub: Arc<Hub>,
    options: RwLock<Arc<NatsOptions>>,
    info: Info,
    decoder: Decoder,
    tls: RwLock<Option<TlsAcceptor>>,
    lame: AtomicBool,
    warm: Warm,
    /// Handshakes that are under way; those beyond are turned away.
    handshakes: Arc<Semaphore>,
    /// Connections that were refused and are being told; those beyond are closed at once.
    farewells: Arc<Semaphore>,
    /// The clocks in milliseconds, as of the last tick.
    wall_ms: AtomicU64,
    mono_ms: AtomicU64,
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
            version: wire::nats::RELEASE.into(),
            proto: 1,
            go: "rust".into(),
            jetstream: true,
            host: address.ip().to_string(),
            port: address.port(),
            headers: true,
            tls_required: tls.is_some(),
            max_payload: options.payload_bytes_max,
            ..Info::default()
        };
        let decoder = Decoder {
            control_line_bytes_max: options.control_line_bytes_max,
            payload_bytes_max: options.payload_bytes_max,
        };
        Arc::new(Door {
            hub,
            options: RwLock::new(Arc::new(options)),
            info,
            decoder,
            tls: RwLock::new(tls),
            lame: AtomicBool::new(false),
            warm: Warm::default(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)),
            wall_ms: AtomicU64::new(0),
            mono_ms: AtomicU64::new(0),
        })
    }

    /// The options in force.
    fn options(&self) -> Arc<NatsOptions> {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these options are in force, and new connections find this TLS. What `INFO` has told clients is not
    /// taken back: largest message, longest line, and whether there is TLS stay what they were.
    pub fn renew(&self, options: NatsOptions, tls: Option<TlsAcceptor>) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(options);
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, now: Now) {
        self.wall_ms.store(now.wall_ms, Relaxed);
        self.mono_ms.store(now.mono_ns / 1_000_000, Relaxed);
    }

    /// From now on every `INFO` says that the node is about to stop.
    pub fn go_lame(&self) {
        self.lame.store(true, Relaxed);
    }

    /// Keeps the runtime awake for `nats.spin_us` after traffic, until the task is dropped.
    pub async fn keep_warm(self: Arc<Door>) {
        let spin_us = self.options().spin_us;
        if spin_us > 0 {
            self.warm.keep(Duration::from_micros(spin_us)).await;
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
        let tls = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        match tls {
            None => {
                let (reader, writer) = stream.into_split();
                let peer = Arc::new(Peer::new(self, address, Some(writer)));
                if let Some(connection) = Connection::open(peer, connection::Transport::Plain(reader), true) {
                    tokio::spawn(connection);
                }
            }
            Some(tls) => {
                let Ok(place) = self.handshakes.clone().try_acquire_owned() else { return };
                tokio::spawn(async move {
                    let _place = place;
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
        let options = self.options();
        let first = options.tls_first;
        let handshake = async {
            if !first {
                stream.write_all(&self.info_line(&peer)).await?;
            }
            tls.accept(stream).await
        };
        let timeout = Duration::from_millis(options.auth_timeout_ms);
        let stream = tokio::time::timeout(timeout, handshake).await??;
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
            auth_required: self.hub.accounts().are_required(),
            tls_verify: !self.options().tls_ca_file.as_os_str().is_empty(),
            ldm: self.lame.load(Relaxed),
            ..self.info.clone()
        };
        let mut line = Vec::with_capacity(512);
        encode::info(&mut line, &info);
        line
    }
}
