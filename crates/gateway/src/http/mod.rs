//! The HTTP door: one port for everything that speaks HTTP. Today it serves operators (health, metrics, and the
//! monitoring documents that tools for nats-server read) and streams.
//!
//! `problem` is how every route fails, `caller` who asks and for what, `call` how a route asks the node, `flow` how bodies
//! come and go.

mod call;
mod caller;
mod flow;
mod guard;
mod metrics;
mod monitor;
mod problem;
mod streams;
mod ws;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use fabric::Hub;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use metrics::{Figure, Figures};

use crate::{is_passing, nats};
use crate::options::HttpOptions;

/// Most connections at once.
pub const CONNECTIONS_MAX: usize = 256;
/// Time that a client has to say what it wants, and that a silent one is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

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
    guard: guard::Guard,
    phase: watch::Sender<Phase>,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
    wall_ms: AtomicU64,
    /// More numbers for operators, kept elsewhere.
    figures: Option<Figures>,
    /// What speaks over WebSocket.
    nats: OnceLock<Arc<nats::Door>>,
}

impl HttpDoor {
    /// A door that listens on `address`. `figures`: more numbers for its metrics.
    pub fn new(
        hub: Arc<Hub>,
        identity: Identity,
        options: &HttpOptions,
        address: SocketAddr,
        figures: Option<Figures>,
    ) -> Arc<HttpDoor> {
        let guard = guard::Guard::new(address, &options.hosts);
        let wall_ms = AtomicU64::new(identity.started_wall_ms);
        let (phase, places) =
            (watch::Sender::new(Phase::Starting), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        Arc::new(HttpDoor { hub, identity, guard, phase, places, wall_ms, figures, nats: OnceLock::new() })
    }

    /// From now on WebSockets are served, by `nats`, which need not listen itself.
    pub fn serve_nats(&self, nats: Arc<nats::Door>) {
        let _ = self.nats.set(nats);
    }

    /// Says whether the node takes work. From the first "no" after a "yes" on, nobody is kept waiting for what may come.
    pub fn set_ready(&self, ready: bool) {
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
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(limit, self.places.acquire_many(all)).await;
    }

    fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Waits until the node is about to stop.
    async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    async fn reached(&self, phase: Phase) {
        // The other end lives as long as the door.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Relaxed);
    }

    /// Serves until the door is closed or the task is dropped. Only a broken listener is an error.
    pub async fn serve(self: Arc<HttpDoor>, listener: TcpListener) -> std::io::Result<()> {
        let service = TowerToHyperService::new(self.clone().router());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.reached(Phase::Closing) => return Ok(()),
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(e) if is_passing(&e) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(e) => return Err(e),
            };
            // Beyond the limit a connection is closed; whoever asks again later finds room.
            let Ok(place) = self.places.clone().try_acquire_owned() else { continue };
            tokio::spawn(self.clone().serve_one(stream, service.clone(), place));
        }
    }

    async fn serve_one(
        self: Arc<HttpDoor>,
        stream: TcpStream,
        service: TowerToHyperService<Router>,
        _place: OwnedSemaphorePermit,
    ) {
        // Without it small answers wait for the other side's acknowledgement; failing costs only time.
        let _ = stream.set_nodelay(true);
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut served = std::pin::pin!(served);
        // How a client leaves is its own affair.
        tokio::select! {
            _ = served.as_mut() => return,
            () = self.reached(Phase::Closing) => served.as_mut().graceful_shutdown(),
        }
        let _ = served.await;
    }

    fn router(self: Arc<HttpDoor>) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics::metrics))
            .route("/varz", get(monitor::varz))
            .route("/connz", get(monitor::connz))
            .route("/subsz", get(monitor::subsz))
            .merge(streams::routes())
            .merge(ws::routes())
            .fallback(caller::no_route)
            .method_not_allowed_fallback(caller::no_method)
            .layer(middleware::from_fn_with_state(self.clone(), guard::check))
            .with_state(self)
    }
}

/// The process lives.
async fn healthz() -> impl IntoResponse {
    axum::Json(serde_json::json!({ "status": "ok" }))
}

/// The node takes work.
async fn readyz(State(door): State<Arc<HttpDoor>>) -> impl IntoResponse {
    match *door.phase.borrow() == Phase::Ready {
        true => (StatusCode::OK, axum::Json(serde_json::json!({ "status": "ready" }))),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            axum::Json(serde_json::json!({ "status": "starting or stopping" })),
        ),
    }
}
