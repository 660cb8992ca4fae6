//! A running node: what starts in which order, and how it stops.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::Accounts;
use fabric::{Hub, Limits};
use gateway::http::{HttpDoor, Identity};
use gateway::nats::Door;
use kernel::{Code, NodeId};
use net::tls;
use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::config::Config;
use crate::data::Data;
use crate::error::Error;
use crate::machine;

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
    hub: Arc<Hub>,
    data: Data,
    nats: Option<Arc<Door>>,
    nats_address: Option<SocketAddr>,
    nats_tls: bool,
    http: Option<Arc<HttpDoor>>,
    http_address: Option<SocketAddr>,
    /// What lets clients in: ended first.
    accepting: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    lame_duck: Duration,
}

impl Node {
    /// Starts everything, or nothing.
    pub async fn start(config: &Config) -> Result<Node, Error> {
        let files = machine::raise_file_limit();
        let accounts =
            Accounts::new(&config.auth).map_err(|e| Error::new(Code::ConfigInvalid, e.to_string()))?;
        let nats_listener = bind("nats", &config.nats.listen).await?;
        let http_listener = bind("http", &config.http.listen).await?;
        if let Some((_, address)) = &nats_listener {
            let safe = config.nats.has_tls() && accounts.are_required();
            check_exposure("nats", *address, safe, &config.security.allow_plaintext)?;
        }
        if let Some((_, address)) = &http_listener {
            check_exposure("http", *address, false, &config.security.allow_plaintext)?;
        }
        let tls = tls_acceptor(config)?;
        let data = Data::open(&config.data, config.node_id()?.as_ref())?;
        let outboxes_bytes_max = match config.outboxes_bytes_max {
            0 => (machine::memory_bytes() / 4) as usize,
            bytes => bytes,
        };
        let limits = Limits {
            // Some files are the node's own.
            connections_max: config.nats.connections_max.min(files.saturating_sub(64) as usize),
            subscriptions_max: config.nats.subscriptions_max,
            outbox_bytes_max: config.nats.outbox_bytes_max,
            outboxes_bytes_max,
        };
        let hub = Arc::new(Hub::new(accounts, limits, machine::random()));
        let mut node = Node {
            hub,
            nats: None,
            nats_address: nats_listener.as_ref().map(|l| l.1),
            nats_tls: tls.is_some(),
            http: None,
            http_address: http_listener.as_ref().map(|l| l.1),
            accepting: Vec::new(),
            tasks: Vec::new(),
            lame_duck: Duration::from_millis(config.lame_duck_ms),
            data,
        };
        node.open_doors(config, tls, nats_listener, http_listener);
        Ok(node)
    }

    fn open_doors(
        &mut self,
        config: &Config,
        tls: Option<TlsAcceptor>,
        nats: Option<(TcpListener, SocketAddr)>,
        http: Option<(TcpListener, SocketAddr)>,
    ) {
        let clock = Clock::start();
        let id = self.data.node_id.to_string();
        let server_id = format!("NP{:016X}{:016X}", machine::random(), machine::random());
        if let Some((listener, address)) = nats {
            let name = id.clone();
            let door =
                Door::new(self.hub.clone(), config.nats.clone(), server_id.clone(), name, tls, address);
            door.tick(clock.now().wall_ms);
            if !machine::is_single_processor() {
                self.tasks.push(tokio::spawn(door.clone().keep_warm()));
            }
            let accepting = door.clone();
            self.nats = Some(door);
            self.accepting.push(tokio::spawn(async move {
                let error = accepting.accept(listener).await;
                tracing::error!(%error, "the NATS door no longer accepts");
            }));
        }
        if let Some((listener, address)) = http {
            let identity = Identity {
                server_id,
                node_id: id,
                nats_address: self.nats_address,
                payload_bytes_max: config.nats.payload_bytes_max,
                started_wall_ms: clock.now().wall_ms,
            };
            let door = HttpDoor::new(self.hub.clone(), identity, &config.http, address);
            self.http = Some(door.clone());
            self.tasks.push(tokio::spawn(async move {
                if let Err(error) = door.serve(listener).await {
                    tracing::error!(%error, "the HTTP door is closed");
                }
            }));
        }
        self.tasks.push(tokio::spawn(tick(clock, self.hub.clone(), self.nats.clone(), self.http.clone())));
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
        let scheme = if self.nats_tls { "tls" } else { "nats" };
        Ready {
            event: "ready",
            node: self.data.node_id.to_string(),
            http: self.http_address.map(|a| format!("http://{a}")),
            nats: self.nats_address.map(|a| format!("{scheme}://{a}")),
            data: self.data.path.clone(),
            created: self.data.created,
            pid: std::process::id(),
        }
    }

    /// Stops: no new clients, a farewell to those who are here, then everything is closed. Ends earlier when all have
    /// left.
    pub async fn stop(self, how: Stop) {
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

/// Lets time pass for everything that counts it.
async fn tick(clock: Clock, hub: Arc<Hub>, nats: Option<Arc<Door>>, http: Option<Arc<HttpDoor>>) {
    let mut every = tokio::time::interval(Duration::from_millis(500));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now = clock.now();
        if let Some(nats) = &nats {
            nats.tick(now.wall_ms);
        }
        if let Some(http) = &http {
            http.tick(now.wall_ms);
        }
        hub.clients.tick(now);
        hub.keep_budget();
    }
}

/// Listens on an address; `off`: not at all.
async fn bind(door: &str, listen: &str) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    if listen == "off" {
        return Ok(None);
    }
    let wrong = || {
        let sentence =
            format!("{door}.listen {listen:?} is no address; give one such as 127.0.0.1:4222, or off");
        Error::new(Code::ConfigInvalid, sentence)
    };
    let address = listen.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)?;
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
        Ok(opened) => Ok(Some(opened)),
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

/// Refuses a door that other machines reach and that is not protected.
fn check_exposure(door: &str, address: SocketAddr, safe: bool, allowed: &[String]) -> Result<(), Error> {
    let loopback = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if loopback || safe || allowed.iter().any(|d| d == door) {
        return Ok(());
    }
    let protect = match door {
        "nats" => "give it nats.tls_cert_file, nats.tls_key_file and auth.users, or ",
        _ => "",
    };
    let sentence = format!(
        "the {door} door would be open to other machines on {address}: {protect}listen on 127.0.0.1, or open it on \
         purpose with NEUROPLEX_SECURITY_ALLOW_PLAINTEXT={door}"
    );
    Err(Error::new(Code::TlsRequired, sentence))
}

fn tls_acceptor(config: &Config) -> Result<Option<TlsAcceptor>, Error> {
    let nats = &config.nats;
    if !nats.has_tls() {
        return Ok(None);
    }
    let identity = tls::Identity { certificate: &nats.tls_cert_file, key: &nats.tls_key_file };
    let authority = (!nats.tls_ca_file.as_os_str().is_empty()).then_some(nats.tls_ca_file.as_path());
    let server = tls::server(identity, authority).map_err(|e| Error::new(e.code(), e.to_string()))?;
    Ok(Some(TlsAcceptor::from(server)))
}
