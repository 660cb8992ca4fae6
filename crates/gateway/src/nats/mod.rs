//! The NATS door: the core client protocol, as nats-server speaks it. Not here: JetStream, operator accounts,
//! clusters, leaf nodes.
//!
//! `mod` accepts, `protocol` carries out operations, `delivery` encodes messages; the connection itself is
//! `crate::link`'s. The same protocol runs in frames of WebSocket that come in by the HTTP door.

mod delivery;
mod protocol;
mod refusal;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
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
use crate::link::{Connection, Limits, Manner, Peer, Shared, Transport, Upgraded};
use crate::options::NatsOptions;
use protocol::Protocol;

/// Most TLS handshakes at once.
pub const HANDSHAKES_MAX: usize = 256;
/// Most refused connections that are told why.
pub const FAREWELLS_MAX: usize = 64;

const MANNER: Manner =
    Manner { protocol: "nats", ping: encode::PING, last_words: refusal::of_cut, has_deadlines: false };
/// The same in frames of WebSocket.
const FRAMED_MANNER: Manner = Manner { protocol: "nats-websocket", ..MANNER };

/// What all connections of the door share.
pub struct Door {
    shared: Arc<Shared>,
    options: RwLock<Arc<NatsOptions>>,
    info: Info,
    decoder: Decoder,
    tls: RwLock<Option<TlsAcceptor>>,
    /// Handshakes that are under way; those beyond are turned away.
    handshakes: Arc<Semaphore>,
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
            shared: Shared::new(hub, Limits::of(&options), FAREWELLS_MAX),
            options: RwLock::new(Arc::new(options)),
            info,
            decoder,
            tls: RwLock::new(tls),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        })
    }

    /// The options in force.
    fn options(&self) -> Arc<NatsOptions> {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these options are in force, and new connections find this TLS. What `INFO` has told clients is not
    /// taken back: largest message, longest line, and whether there is TLS stay what they were.
    pub fn renew(&self, options: NatsOptions, tls: Option<TlsAcceptor>) {
        self.shared.renew(Limits::of(&options));
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(options);
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, now: Now) {
        self.shared.tick(now);
    }

    /// From now on every `INFO` says that the node is about to stop.
    pub fn go_lame(&self) {
        self.shared.lame.store(true, Relaxed);
    }

    /// Keeps the runtime awake for `nats.spin_us` after traffic, until the task is dropped.
    pub async fn keep_warm(self: Arc<Door>) {
        let spin_us = self.options().spin_us;
        if spin_us > 0 {
            self.shared.warm.keep(Duration::from_micros(spin_us)).await;
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
                let peer = Peer::new(self.shared.clone(), &MANNER, address, Some(writer));
                self.open(peer, Transport::shared(reader), true);
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
        let peer = Peer::new(self.shared.clone(), &MANNER, address, None);
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
        self.open(peer, Transport::own(stream), first);
        Ok(())
    }

    /// A client in frames of WebSocket, on a socket in the clear or on a stream of its own.
    pub(crate) fn begin_framed(self: Arc<Door>, socket: Upgraded) {
        let (peer, transport) = socket.split(&self.shared, &FRAMED_MANNER);
        self.open(peer.framed(), transport.framed(), true);
    }

    /// What all connections share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn open(self: Arc<Door>, peer: Peer, transport: Transport, greet: bool) {
        let peer = Arc::new(peer);
        let greeting = if greet { self.info_line(&peer) } else { Vec::new() };
        let protocol = Protocol::new(self, peer.clone());
        if let Some(connection) = Connection::open(peer, transport, &greeting, protocol) {
            tokio::spawn(connection);
        }
    }

    /// The `INFO` line for one client.
    fn info_line(&self, peer: &Peer) -> Vec<u8> {
        // Behind the HTTP door whether there is TLS is that door's affair.
        let own_tls = !peer.is_framed();
        let info = Info {
            tls_required: self.info.tls_required && own_tls,
            tls_verify: own_tls && !self.options().tls_ca_file.as_os_str().is_empty(),
            client_id: peer.id.0,
            client_ip: peer.address.ip().to_string(),
            auth_required: self.shared.hub.accounts().are_required(),
            ldm: self.shared.lame.load(Relaxed),
            ..self.info.clone()
        };
        let mut line = Vec::with_capacity(512);
        encode::info(&mut line, &info);
        line
    }
}
