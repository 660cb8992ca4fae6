//! The HTTP door: one port for everything that speaks HTTP. Today it serves operators: health, metrics, and the
//! monitoring documents that tools for nats-server read.

mod guard;
mod metrics;
mod monitor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
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
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::is_passing;
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

/// See the module.
pub struct HttpDoor {
    hub: Arc<Hub>,
    identity: Identity,
    guard: guard::Guard,
    ready: AtomicBool,
    wall_ms: AtomicU64,
}

impl HttpDoor {
    /// A door that listens on `address`.
    pub fn new(
        hub: Arc<Hub>,
        identity: Identity,
        options: &HttpOptions,
        address: SocketAddr,
    ) -> Arc<HttpDoor> {
        let guard = guard::Guard::new(address, &options.hosts);
        let wall_ms = AtomicU64::new(identity.started_wall_ms);
        Arc::new(HttpDoor { hub, identity, guard, ready: AtomicBool::new(false), wall_ms })
    }

    /// Says whether the node takes work.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    /// Tells the door what time it is, about once a second.
    pub fn tick(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Relaxed);
    }

    /// Serves until the task is dropped. Only a broken listener ends it.
    pub async fn serve(self: Arc<HttpDoor>, listener: TcpListener) -> std::io::Error {
        let service = TowerToHyperService::new(self.router());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) if is_passing(&e) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(e) => return e,
            };
            // Beyond the limit a connection is closed; whoever asks again later finds room.
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(async move {
                let _place = place;
                // How a client leaves is its own affair.
                let _ = served.await;
            });
        }
    }

    fn router(self: Arc<HttpDoor>) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics::metrics))
            .route("/varz", get(monitor::varz))
            .route("/connz", get(monitor::connz))
            .route("/subsz", get(monitor::subsz))
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
    match door.ready.load(Relaxed) {
        true => (StatusCode::OK, axum::Json(serde_json::json!({ "status": "ready" }))),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            axum::Json(serde_json::json!({ "status": "starting or stopping" })),
        ),
    }
}
