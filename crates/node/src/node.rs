//! A running node: what starts in which order, and how it stops.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::Accounts;
use fabric::{Hub, Limits, PlaneOptions};
use gateway::HttpOptions;
use gateway::http::{Figures, HttpDoor, Identity, resident_bytes};
use gateway::nats::{self, Door};
use kernel::{Code, NodeId};
use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::config::Config;
use crate::data::Data;
use crate::doors::Doors;
use crate::error::Error;
use crate::figures::memory_usage;
use crate::machine;
use crate::plane::Driver;
use crate::telemetry::Telemetry;

/// How a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Clients are told and have time to leave.
    Gently,
    /// What waits is written, then everything is closed.
    Now,
}

/// What a node says when it is ready.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Always `ready`.
    pub event: &'static str,
    /// The node's name.
    pub node: String,
    /// URL of the HTTP door; none: it is off.
    pub http: Option<String>,
    /// URL of the NATS door; none: it is off.
    pub nats: Option<String>,
    /// The data folder.
    pub data: PathBuf,
    /// Whether the folder was made just now.
    pub created: bool,
    /// This process.
    pub pid: u32,
}

/// See the module.
pub struct Node {
    /// What is in force.
    pub(crate) config: Config,
    pub(crate) hub: Arc<Hub>,
    /// Most NATS clients that the files of the process allow.
    pub(crate) nats_files: usize,
    /// Identity of this start.
    server_id: String,
    data: Data,
    pub(crate) nats: Option<Arc<Door>>,
    nats_address: Option<SocketAddr>,
    nats_tls: bool,
    pub(crate) http: Option<Arc<HttpDoor>>,
    http_tls: bool,
    http_address: Option<SocketAddr>,
    /// What lets clients in: ended first.
    accepting: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    pub(crate) lame_duck: Duration,
    plane: Driver,
}

impl Node {
    /// Starts everything, or nothing.
    pub async fn start(config: &Config, telemetry: &Telemetry) -> Result<Node, Error> {
        let files = machine::raise_file_limit();
        let accounts =
            Accounts::new(&config.auth).map_err(|e| Error::new(Code::ConfigInvalid, e.to_string()))?;
        let Doors { nats, http, tls, http_tls } = Doors::of(config, &accounts)?;
        let nats_listener = nats.map(|address| bind("nats", address)).transpose()?;
        let http_listener = http.map(|address| bind("http", address)).transpose()?;
        let data = Data::open(&config.data, config.node_id()?.as_ref())?;
        let outboxes_bytes_max = match config.outboxes_bytes_max {
            0 => (machine::memory_bytes() / 4) as usize,
            bytes => bytes,
        };
        let (nats_files, http_files) = files_for_clients(files, config.http.connections_max);
        let limits = Limits {
            connections_max: config.nats.connections_max.min(nats_files),
            subscriptions_max: config.nats.subscriptions_max,
            outbox_bytes_max: config.nats.outbox_bytes_max,
            outboxes_bytes_max,
            interest_bytes_max: (machine::memory_bytes() / 4) as usize,
        };
        let hub = Arc::new(Hub::new(accounts, limits, machine::random()));
        let clock = telemetry.clock.node;
        let _ = telemetry.name.set(data.node_id.to_string());
        let options = PlaneOptions {
            streams_max: config.streams.streams_max,
            consumers_max: config.streams.consumers_max,
            payload_bytes_max: config.nats.payload_bytes_max,
            stream_idle_ms: Some(config.streams.idle_ms).filter(|ms| *ms > 0),
            node: data.node_id.to_string(),
        };
        let (seed, spans) = (machine::random(), telemetry.spans());
        let plane = Driver::start(&data.path, &data.node_id, hub.clone(), options, seed, clock, spans)?;
        let mut node = Node {
            config: config.clone(),
            nats_files,
            hub,
            nats: None,
            nats_address: nats_listener.as_ref().map(|l| l.1),
            nats_tls: tls.is_some(),
            http: None,
            http_tls: false,
            server_id: format!("NP{:016X}{:016X}", machine::random(), machine::random()),
            http_address: http_listener.as_ref().map(|l| l.1),
            accepting: Vec::new(),
            tasks: Vec::new(),
            lame_duck: Duration::from_millis(config.lame_duck_ms),
            data,
            plane,
        };
        node.open_nats(clock, config, tls, nats_listener);
        let http = HttpOptions { connections_max: http_files, ..config.http.clone() };
        node.open_http(telemetry, clock, &http, config.nats.payload_bytes_max, http_tls, http_listener);
        let (nats, http) = (node.nats.clone(), node.http.clone());
        node.tasks.push(tokio::spawn(tick(clock, node.hub.clone(), nats, http)));
        Ok(node)
    }

    fn open_nats(
        &mut self,
        clock: Clock,
        config: &Config,
        tls: Option<TlsAcceptor>,
        opened: Option<(TcpListener, SocketAddr)>,
    ) {
        // WebSockets speak through it even where it does not listen.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = opened.as_ref().map_or(nowhere, |(_, address)| *address);
        let (hub, options) = (self.hub.clone(), config.nats.clone());
        let door =
            Door::new(hub, options, self.server_id.clone(), self.data.node_id.to_string(), tls, address);
        door.tick(clock.now());
        if !machine::is_single_processor() {
            self.tasks.push(tokio::spawn(door.clone().keep_warm()));
        }
        self.nats = Some(door.clone());
        let Some((listener, _)) = opened else { return };
        self.accepting.push(tokio::spawn(async move {
            let error = door.accept(listener).await;
            tracing::error!(%error, "the NATS door no longer accepts");
        }));
    }

    fn open_http(
        &mut self,
        telemetry: &Telemetry,
        clock: Clock,
        options: &HttpOptions,
        payload_bytes_max: usize,
        tls: Option<TlsAcceptor>,
        opened: Option<(TcpListener, SocketAddr)>,
    ) {
        let Some((listener, address)) = opened else { return };
        let identity = Identity {
            server_id: self.server_id.clone(),
            node_id: self.data.node_id.to_string(),
            nats_address: self.nats_address,
            payload_bytes_max,
            started_wall_ms: clock.now().wall_ms,
        };
        self.http_tls = tls.is_some();
        let (of_plane, export) = (self.plane.figures(), telemetry.export.clone());
        let (hub, node, memory) = (self.hub.clone(), self.data.node_id.to_string(), machine::memory_bytes());
        let usage = move || {
            let budget = hub.budget();
            let outboxes = ("outboxes", budget.used_bytes() as u64, budget.limit_bytes() as u64);
            memory_usage(&node, &[("process", resident_bytes(), memory), outboxes])
        };
        let figures: Figures = Arc::new(move || {
            let of_export = export.iter().flat_map(|e| e.figures());
            of_plane().into_iter().chain(of_export).chain([usage()]).collect()
        });
        let tracing = telemetry.tracing();
        let door = HttpDoor::new(self.hub.clone(), identity, options, address, tls, Some(figures), tracing);
        if let Some(export) = &telemetry.export {
            let door = Arc::downgrade(&door);
            export.metrics_from(Arc::new(move || door.upgrade().map(|d| d.figures()).unwrap_or_default()));
        }
        if let Some(nats) = &self.nats {
            door.serve_nats(nats.clone());
        }
        self.http = Some(door.clone());
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = door.serve(listener).await {
                tracing::error!(%error, "the HTTP door no longer accepts");
            }
        }));
    }

    /// The node's name.
    pub fn id(&self) -> &NodeId {
        &self.data.node_id
    }

    /// Says that everything is open.
    pub fn ready(&self) -> Ready {
        if let Some(http) = &self.http {
            http.set_ready(true);
        }
        let web = if self.http_tls { "https" } else { "http" };
        let scheme = if self.nats_tls { "tls" } else { "nats" };
        Ready {
            event: "ready",
            node: self.data.node_id.to_string(),
            http: self.http_address.map(|a| format!("{web}://{a}")),
            nats: self.nats_address.map(|a| format!("{scheme}://{a}")),
            data: self.data.path.clone(),
            created: self.data.created,
            pid: std::process::id(),
        }
    }

    /// Stops: no new clients, a farewell to those who are here, then everything is closed. Ends earlier when all have
    /// left.
    pub async fn stop(mut self, how: Stop) {
        if let Some(http) = &self.http {
            http.set_ready(false);
        }
        self.accepting.iter().for_each(JoinHandle::abort);
        if how == Stop::Gently {
            if let Some(nats) = &self.nats {
                nats.go_lame();
            }
            self.hub.clients.all().iter().for_each(|c| c.warn());
            self.until_empty(self.lame_duck).await;
        }
        if let Some(http) = &self.http {
            http.close(Duration::from_secs(2)).await;
        }
        let plane = &mut self.plane;
        tokio::task::block_in_place(|| plane.stop());
        self.tasks.iter().for_each(JoinHandle::abort);
        self.hub.clients.all().iter().for_each(|c| c.cut(Code::ServiceUnavailable));
        self.until_empty(Duration::from_secs(2)).await;
    }

    async fn until_empty(&self, limit: Duration) {
        let start = Instant::now();
        while !self.hub.clients.is_empty() && start.elapsed() < limit {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How many clients may be connected through the NATS door and how many through the HTTP door, which wants `http_max`,
/// when so many files may be open: the others are for handshakes and farewells, and for the node itself.
fn files_for_clients(files: u64, http_max: usize) -> (usize, usize) {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let http = http_max.min(files / 4).max(1);
    let others = 64 + http + nats::HANDSHAKES_MAX + nats::FAREWELLS_MAX;
    (files - others.min(files / 2), http)
}

/// Lets time pass for everything that counts it.
async fn tick(clock: Clock, hub: Arc<Hub>, nats: Option<Arc<Door>>, http: Option<Arc<HttpDoor>>) {
    let mut every = tokio::time::interval(Duration::from_millis(500));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now = clock.now();
        if let Some(nats) = &nats {
            nats.tick(now);
        }
        if let Some(http) = &http {
            http.tick(now.wall_ms);
        }
        hub.clients.tick(now);
        hub.holders.tick();
        hub.keep_budget();
    }
}

/// Listens on an address.
fn bind(door: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let open = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        // Thousands of clients may come back at once after a restart.
        let listener = socket.listen(4096)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    match open() {
        Ok(opened) => Ok(opened),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(Error::new(
            Code::AddressInUse,
            format!(
                "another program listens on {address}; stop it, or give another address: --{door} 127.0.0.1:0"
            ),
        )),
        Err(e) => Err(Error::new(
            Code::ConfigInvalid,
            format!("cannot listen on {address}: {e}; give another address: --{door} ADDR"),
        )),
    }
}
