//! `/varz`, `/connz` and `/subsz`: the monitoring documents of nats-server, with the fields that mean something
//! here, so that its tools work.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::routing::get;
use kernel::{Code, TenantId};
use serde::{Deserialize, Serialize};

use super::HttpDoor;
use super::caller::{Caller, Params};
use super::info::check;
use super::problem::Problem;
use super::route::{self, Gives, Kind, Param, Route, TEXT};
use wire::nats::RELEASE;

/// Most connections in one answer.
const PAGE_MAX: usize = 1024;

const PAGE: &[Param] = &[
    Param::query(
        "offset",
        Kind::Number { least: 0, most: u32::MAX as u64, default: Some(0) },
        "How many to pass over.",
    ),
    Param::query(
        "limit",
        Kind::Number { least: 0, most: u32::MAX as u64, default: Some(PAGE_MAX as u64) },
        "How many at most; no more than 1024 are answered.",
    ),
];

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route::get("/healthz", "healthz", "The process lives", || get(super::healthz))
        .gives(&[route::json(200, "Status", "It does.")])
        .open(),
    Route::get("/readyz", "readyz", "The node takes work", || get(super::readyz))
        .gives(&[route::json(200, "Status", "It does."), route::json(503, "Status", "It starts or stops.")])
        .open(),
    Route::get("/metrics", "metrics", "Metrics as Prometheus reads them", || get(super::metrics::metrics))
        .gives(&[Gives { status: 200, media: TEXT, schema: "", what: "The metrics." }])
        .watched(),
    Route::get("/varz", "varz", "The node, as nats-server says it", || get(varz))
        .gives(&[route::json(200, "Varz", "The node.")])
        .watched(),
    Route::get("/connz", "connz", "Clients, as nats-server says it", || get(connz))
        .params(PAGE)
        .gives(&[route::json(200, "Connz", "The clients, oldest first.")])
        .watched(),
    Route::get("/subsz", "subsz", "Subscriptions, as nats-server says it", || get(subsz))
        .gives(&[route::json(200, "Subsz", "How many there are.")])
        .watched(),
];

/// What a user who monitors must be allowed to publish on.
pub(super) const SUBJECT: &str = "$NP.monitor";

/// Somebody who may read what operators read.
pub(super) struct Watcher;

impl FromRequestParts<Arc<HttpDoor>> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<HttpDoor>) -> Result<Watcher, Problem> {
        if door.is_monitor_open.load(Relaxed) {
            return Ok(Watcher);
        }
        let caller = Caller::from_request_parts(parts, door).await?;
        check(&caller, SUBJECT)?;
        match caller.who.tenant == TenantId::default() {
            true => Ok(Watcher),
            false => {
                let detail =
                    "this speaks of all tenants: a user of the node's own (`tenant = \"\"`) may read it";
                Err(Problem::new(Code::PermissionDenied, detail))
            }
        }
    }
}

#[derive(Serialize)]
pub(super) struct Varz {
    server_id: String,
    server_name: String,
    version: &'static str,
    neuroplex_version: &'static str,
    proto: u8,
    go: &'static str,
    host: String,
    port: u16,
    max_connections: usize,
    max_payload: usize,
    max_pending: usize,
    start_unix_ms: u64,
    now_unix_ms: u64,
    uptime: String,
    mem: u64,
    cores: usize,
    cpu_seconds: f64,
    connections: usize,
    total_connections: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    slow_consumers: u64,
    subscriptions: u64,
    outbox_buffer_bytes: usize,
}

pub(super) async fn varz(_: Watcher, State(door): State<Arc<HttpDoor>>) -> Json<Varz> {
    let HttpDoor { hub, identity, .. } = &*door;
    let stats = hub.clients.stats();
    let now = door.wall_ms.load(Relaxed);
    Json(Varz {
        server_id: identity.server_id.clone(),
        server_name: identity.node_id.clone(),
        version: RELEASE,
        neuroplex_version: env!("CARGO_PKG_VERSION"),
        proto: 1,
        go: "rust",
        host: identity.nats_address.map(|a| a.ip().to_string()).unwrap_or_default(),
        port: identity.nats_address.map(|a| a.port()).unwrap_or_default(),
        max_connections: hub.limits().connections_max,
        max_payload: identity.payload_bytes_max,
        max_pending: hub.limits().outbox_bytes_max,
        start_unix_ms: identity.started_wall_ms,
        now_unix_ms: now,
        uptime: span(now.saturating_sub(identity.started_wall_ms)),
        mem: resident_bytes(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu_seconds: cpu_seconds(),
        connections: hub.clients.len(),
        total_connections: hub.clients.total(),
        in_msgs: stats.in_messages,
        out_msgs: stats.out_messages,
        in_bytes: stats.in_bytes,
        out_bytes: stats.out_bytes,
        slow_consumers: hub.clients.slow(),
        subscriptions: hub.subscriptions(),
        outbox_buffer_bytes: hub.budget().used_bytes(),
    })
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    offset: u32,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Connz {
    server_id: String,
    now_unix_ms: u64,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    cid: u64,
    kind: &'static str,
    ip: String,
    port: u16,
    start_unix_ms: u64,
    last_activity_unix_ms: u64,
    uptime: String,
    idle: String,
    pending_bytes: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    subscriptions: u64,
    name: String,
    lang: String,
    version: String,
    authorized_user: String,
    tls: bool,
    tenant: u32,
}

/// Pages with `offset` and `limit`, oldest connection first.
pub(super) async fn connz(
    _: Watcher,
    State(door): State<Arc<HttpDoor>>,
    Params(page): Params<Page>,
) -> Json<Connz> {
    let limit = page.limit.map_or(PAGE_MAX, |limit| limit as usize).min(PAGE_MAX);
    let offset = page.offset as usize;
    let now = door.wall_ms.load(Relaxed);
    let all = door.hub.clients.all();
    let connections: Vec<Connection> =
        all.iter().skip(offset).take(limit).map(|c| connection(&**c, now)).collect();
    Json(Connz {
        server_id: door.identity.server_id.clone(),
        now_unix_ms: now,
        num_connections: connections.len(),
        total: all.len(),
        offset,
        limit,
        connections,
    })
}

fn connection(client: &dyn kernel::Client, now: u64) -> Connection {
    let (info, stats) = (client.info(), client.stats());
    let (ip, port) = info.address.rsplit_once(':').unwrap_or((&info.address, "0"));
    Connection {
        cid: client.id().0,
        kind: info.protocol,
        ip: ip.to_owned(),
        port: port.parse().unwrap_or_default(),
        start_unix_ms: info.connected_wall_ms,
        last_activity_unix_ms: stats.active_wall_ms,
        uptime: span(now.saturating_sub(info.connected_wall_ms)),
        idle: span(now.saturating_sub(stats.active_wall_ms)),
        pending_bytes: stats.pending_bytes,
        in_msgs: stats.in_messages,
        out_msgs: stats.out_messages,
        in_bytes: stats.in_bytes,
        out_bytes: stats.out_bytes,
        subscriptions: stats.subscriptions,
        name: info.name,
        lang: info.lang,
        version: info.version,
        authorized_user: info.user,
        tls: info.tls,
        tenant: info.tenant.0,
    }
}

#[derive(Serialize)]
pub(super) struct Subsz {
    server_id: String,
    num_subscriptions: u64,
}

pub(super) async fn subsz(_: Watcher, State(door): State<Arc<HttpDoor>>) -> Json<Subsz> {
    Json(Subsz { server_id: door.identity.server_id.clone(), num_subscriptions: door.hub.subscriptions() })
}

/// A span as nats-server writes it: `1d2h3m4s`.
fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{}m{}s", s / 3600, s / 60 % 60, s % 60),
        _ => format!("{}d{}h{}m{}s", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60),
    }
}

/// Resident memory of this process; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let field = || {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find(|l| l.starts_with("VmRSS:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    field().unwrap_or_default() * 1024
}

/// Processor time of this process in seconds; 0 where the system does not tell.
pub(super) fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let field = || {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let after_name = text.rsplit_once(')')?.1;
        let mut fields = after_name.split_ascii_whitespace().skip(11);
        let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / TICKS_PER_SECOND)
    };
    field().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_the_tools_expect() {
        for (ms, text) in [(999, "0s"), (61_000, "1m1s"), (3_661_000, "1h1m1s"), (90_061_000, "1d1h1m1s")] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn the_system_tells_memory_and_processor_time() {
        assert!(resident_bytes() > 100_000);
        // The system counts in hundredths of a second: this ends once it has counted one.
        while cpu_seconds() == 0.0 {
            std::hint::spin_loop();
        }
    }
}
