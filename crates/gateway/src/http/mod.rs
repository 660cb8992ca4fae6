//! The HTTP door: one port for everything that speaks HTTP, in the versions 1.1 and 2. It serves messages, streams, and
//! operators (health, metrics, and the monitoring documents that tools for nats-server read).
//!
//! `route` is the table of what is served, `problem` how every route fails, `caller` who asks and for what, `visit` what
//! the requests of a connection share, `call` how a route asks the node, `intake` how bodies come, `flow` and `answer` how
//! they go, `hold` what waits for a client meanwhile, `trace` how a request is followed.

mod answer;
mod call;
mod caller;
mod encoded;
mod flow;
mod gate;
mod guard;
mod headers;
mod hold;
mod id;
mod info;
mod intake;
mod limits;
mod messages;
pub mod metrics;
mod monitor;
mod openapi;
mod problem;
mod publish;
mod rates;
mod request;
mod requests;
mod route;
mod stall;
mod stored;
mod streams;
mod subscribe;
pub mod trace;
mod visit;
mod ws;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use auth::{Accounts, Principal};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware;
use axum::response::IntoResponse;
use fabric::Hub;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use kernel::Code;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

pub use metrics::{Figure, Figures};
pub use monitor::resident_bytes;
pub use trace::Tracing;

use crate::options::{HttpOptions, Monitor};
use crate::{is_passing, nats};
use answer::Patience;
use gate::Gate;
use hold::Hold;
use limits::{Limit, Limits};
use problem::Problem;
use stall::Stall;
use visit::Visit;

/// Answers below this are not packed, in bytes.
const PACKED_BYTES_MIN: u64 = 1024;
/// How much larger than it may be a head is read, so that its sender is told with a code.
const HEAD_SLACK_BYTES: usize = 16 * 1024;
/// Silence after which a client that speaks HTTP/2 is asked whether it lives, and how long it has to answer.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// How long the door waits.
struct Times {
    header: Duration,
    body: Duration,
    request: Duration,
    write: Duration,
}

/// What the door tells of the node.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Identity of this start of the server.
    pub server_id: String,
    /// Name of the node.
    pub node_id: String,
    /// Where NATS clients connect.
    pub nats_address: Option<SocketAddr>,
    /// Largest message, in bytes.
    pub payload_bytes_max: usize,
    /// When the node started, in milliseconds since 1970.
    pub started_wall_ms: u64,
}

/// How far the node is, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Ready,
    /// What waits for something that may come is ended.
    Stopping,
    /// Connections end with the answer that they are giving.
    Closing,
}

/// See the module.
pub struct HttpDoor {
    hub: Arc<Hub>,
    identity: Identity,
    guard: RwLock<guard::Guard>,
    address: SocketAddr,
    /// Anybody may read metrics and the monitoring documents.
    is_monitor_open: AtomicBool,
    phase: watch::Sender<Phase>,
    /// Told when other accounts are in force.
    renewed: watch::Sender<()>,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
    connections_max: usize,
    header_bytes_max: usize,
    /// Largest body that is a document, in bytes.
    document_bytes_max: usize,
    /// Bytes of events that may wait for one reader.
    outbox_bytes_max: usize,
    streams_max: u32,
    times: Times,
    limits: Arc<Limits>,
    table: route::Table,
    tls: RwLock<Option<TlsAcceptor>>,
    /// Requests so far.
    requests: AtomicU64,
    wall_ms: AtomicU64,
    /// More numbers for operators, kept elsewhere.
    figures: Option<Figures>,
    /// What speaks over WebSocket.
    nats: OnceLock<Arc<nats::Door>>,
    tracing: Tracing,
    answers: requests::Requests,
    rates: rates::Rates,
}

impl HttpDoor {
    /// A door that listens on `address`. `tls`: it speaks TLS only. `figures`: more numbers for its metrics. `tracing`: who is
    /// told of its requests.
    pub fn new(
        hub: Arc<Hub>,
        identity: Identity,
        options: &HttpOptions,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        figures: Option<Figures>,
        tracing: Tracing,
    ) -> Arc<HttpDoor> {
        let ms = Duration::from_millis;
        let is_monitor_open = AtomicBool::new(is_open(options.monitor, address, &hub.accounts()));
        Arc::new(HttpDoor {
            hub,
            guard: RwLock::new(guard::Guard::new(address, &options.hosts)),
            address,
            is_monitor_open,
            phase: watch::Sender::new(Phase::Starting),
            renewed: watch::Sender::new(()),
            places: Arc::new(Semaphore::new(options.connections_max)),
            connections_max: options.connections_max,
            header_bytes_max: options.header_bytes_max,
            document_bytes_max: options.body_bytes_max,
            outbox_bytes_max: options.outbox_bytes_max,
            streams_max: options.streams_max,
            times: Times {
                header: ms(options.header_timeout_ms),
                body: ms(options.body_timeout_ms),
                request: ms(options.request_timeout_ms),
                write: ms(options.write_timeout_ms),
            },
            limits: Limits::new(options.bodies_bytes_max),
            table: route::Table::of(ROUTES),
            tls: RwLock::new(tls),
            requests: AtomicU64::new(0),
            wall_ms: AtomicU64::new(identity.started_wall_ms),
            identity,
            figures,
            nats: OnceLock::new(),
            tracing,
            answers: requests::Requests::default(),
            rates: rates::Rates::default(),
        })
    }

    /// From now on WebSockets are served, by `nats`, which need not listen itself.
    pub fn serve_nats(&self, nats: Arc<nats::Door>) {
        let _ = self.nats.set(nats);
    }

    /// Whether a request names this door, and comes from no other site.
    fn admits(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.guard.read().unwrap_or_else(PoisonError::into_inner).admits(uri, headers)
    }

    /// From now on the door goes by other names and is monitored by others, and new connections find this TLS. Whether there
    /// is TLS stays as it was. The hub has its new accounts before: what is given to somebody who was dismissed ends.
    pub fn renew(&self, options: &HttpOptions, tls: Option<TlsAcceptor>) {
        let guard = guard::Guard::new(self.address, &options.hosts);
        *self.guard.write().unwrap_or_else(PoisonError::into_inner) = guard;
        let is_open = is_open(options.monitor, self.address, &self.hub.accounts());
        self.is_monitor_open.store(is_open, Relaxed);
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        self.renewed.send_replace(());
    }

    /// Says whether the node takes work. From the first "no" after a "yes" on, nobody is kept waiting for what may come.
    pub fn set_ready(&self, ready: bool) {
        if !ready {
            let all = self.hub.clients.all();
            all.iter().filter(|c| c.info().protocol == subscribe::PROTOCOL).for_each(|c| c.warn());
        }
        self.phase.send_modify(|phase| {
            *phase = match ready {
                true => (*phase).max(Phase::Ready),
                false if *phase == Phase::Starting => Phase::Starting,
                false => (*phase).max(Phase::Stopping),
            }
        });
    }

    /// Ends: no new connections, and those that are here end with the answer that they are giving; at most so long is
    /// waited for them.
    pub async fn close(&self, limit: Duration) {
        self.phase.send_modify(|phase| *phase = Phase::Closing);
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        let _ = timeout(limit, self.places.acquire_many(all)).await;
    }

    fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Waits until the node is about to stop.
    async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Waits until what is given to `who` must end, and says why: the node is about to stop, or who it is was dismissed.
    async fn ending(&self, who: &Principal) -> Problem {
        let dismissed = async {
            // Before it is looked, so that nothing is missed in between.
            let mut renewed = self.renewed.subscribe();
            while !who.is_dismissed() {
                // The other end lives as long as the door.
                let _ = renewed.changed().await;
            }
        };
        tokio::select! {
            biased;
            () = self.stopping() => Problem::new(Code::ServiceUnavailable, "the node is about to stop"),
            () = dismissed => Problem::new(Code::PermissionDenied, call::DISMISSED),
        }
    }

    async fn reached(&self, phase: Phase) {
        // The other end lives as long as the door.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Relaxed);
        let stats = self.hub.clients.stats();
        self.rates.tick(wall_ms, [stats.in_bytes, stats.out_bytes]);
    }

    /// Serves until the door is closed or the task is dropped. Only a broken listener is an error.
    pub async fn serve(self: Arc<HttpDoor>, listener: TcpListener) -> std::io::Result<()> {
        let service = TowerToHyperService::new(self.clone().router());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.reached(Phase::Closing) => return Ok(()),
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(e) if is_passing(&e) => {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(e) => return Err(e),
            };
            // Beyond the limit a connection is closed; whoever asks again later finds room.
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                self.limits.count(Limit::Connections);
                continue;
            };
            tokio::spawn(self.clone().greet(stream, address, service.clone(), place));
        }
    }

    /// Lets a client in, through TLS where the door speaks it.
    async fn greet(
        self: Arc<HttpDoor>,
        stream: TcpStream,
        address: SocketAddr,
        service: TowerToHyperService<Router>,
        _place: OwnedSemaphorePermit,
    ) {
        // Without it small answers wait for the other side's acknowledgement; failing costs only time.
        let _ = stream.set_nodelay(true);
        let tls = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        let visit = Visit::new(address, tls.is_some(), Hold::new(self.hub.budget()));
        let _entered = self.hub.holders.enter(visit.hold.clone());
        let gate = Gate::new(self.clone(), service, visit);
        // How a client leaves is its own affair.
        match tls {
            None => self.serve_one(stream, gate).await,
            Some(tls) => match timeout(self.times.header, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.serve_one(stream, gate).await,
                Ok(Err(_)) => {}
                Err(_) => self.limits.count(Limit::HeaderTime),
            },
        }
    }

    async fn serve_one(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, gate: Gate) {
        let mut server =
            auto::Builder::new(Patience { limit: self.times.write, limits: self.limits.clone() });
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.header)
            .max_buf_size(self.header_bytes_max + HEAD_SLACK_BYTES);
        server
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .max_concurrent_streams(self.streams_max)
            .max_header_list_size(
                u32::try_from(self.header_bytes_max + HEAD_SLACK_BYTES).unwrap_or(u32::MAX),
            );
        let visit = gate.visit().clone();
        let stream = TokioIo::new(Stall::new(stream, self.times.write, &self.limits));
        let mut served = std::pin::pin!(server.serve_connection_with_upgrades(stream, gate));
        let mut patience = std::pin::pin!(sleep(self.times.header));
        let mut closing = std::pin::pin!(self.reached(Phase::Closing));
        let mut is_patient = true;
        loop {
            tokio::select! {
                biased;
                _ = served.as_mut() => return,
                () = patience.as_mut(), if is_patient => {
                    is_patient = false;
                    // Who does not even say which version it speaks is not kept.
                    if !visit.has_begun() {
                        self.limits.count(Limit::HeaderTime);
                        return;
                    }
                }
                () = visit.flooded() => {
                    self.limits.count(Limit::Streams);
                    return;
                }
                () = visit.hold.cut() => {
                    self.hub.clients.count_slow();
                    return;
                }
                () = closing.as_mut() => break,
            }
        }
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }

    fn router(self: Arc<HttpDoor>) -> Router {
        let is_worth_it =
            SizeAbove::new(PACKED_BYTES_MIN).and(NotForContentType::const_new("text/event-stream"));
        let packing = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_worth_it);
        self.table
            .router()
            .fallback(caller::no_route)
            .method_not_allowed_fallback(caller::no_method)
            .layer(packing)
            .layer(middleware::from_fn_with_state(self.clone(), trace::follow))
            .with_state(self)
    }
}

/// Whether anybody may monitor a door that listens there. Tenants of one machine are strangers to each other.
fn is_open(monitor: Monitor, address: SocketAddr, accounts: &Accounts) -> bool {
    match monitor {
        Monitor::Local => address.ip().to_canonical().is_loopback() && !accounts.are_of_many_tenants(),
        Monitor::Open => true,
        Monitor::Users => false,
    }
}

/// Everything that is served.
const ROUTES: &[&[route::Route]] = &[
    publish::ROUTES,
    request::ROUTES,
    subscribe::ROUTES,
    ws::ROUTES,
    messages::ROUTES,
    streams::ROUTES,
    info::ROUTES,
    monitor::ROUTES,
    openapi::ROUTES,
];

/// The process lives.
async fn healthz() -> impl IntoResponse {
    axum::Json(serde_json::json!({ "status": "ok" }))
}

/// The node takes work, streams included.
async fn readyz(State(door): State<Arc<HttpDoor>>) -> impl IntoResponse {
    let (status, word) = match *door.phase.borrow() == Phase::Ready {
        true if door.hub.has_store_failed() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the journal has failed: streams take nothing until the node starts again",
        ),
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping"),
    };
    (status, axum::Json(serde_json::json!({ "status": word })))
}
