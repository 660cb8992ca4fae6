//! `GET /metrics` in the text form that Prometheus reads (version 0.0.4).

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::HttpDoor;
use super::monitor::{cpu_seconds, resident_bytes};

enum Kind {
    Counter,
    Gauge,
}

pub(super) async fn metrics(State(door): State<Arc<HttpDoor>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&door))
}

fn render(door: &HttpDoor) -> String {
    use Kind::{Counter, Gauge};
    let (clients, budget) = (&door.hub.clients, door.hub.budget());
    let stats = clients.stats();
    let now = door.wall_ms.load(Relaxed);
    let up_s = now.saturating_sub(door.identity.started_wall_ms) as f64 / 1000.0;
    let limits = &door.limits;
    let taken = door.connections_max - door.places.available_permits().min(door.connections_max);
    let rows: [(&str, Kind, &str, f64); 21] = [
        ("neuroplex_uptime_seconds", Gauge, "Time since the node started.", up_s),
        ("neuroplex_connections", Gauge, "Clients connected.", clients.len() as f64),
        (
            "neuroplex_connections_total",
            Counter,
            "Clients connected since the start.",
            clients.total() as f64,
        ),
        (
            "neuroplex_connections_refused_total",
            Counter,
            "Clients turned away: no room.",
            clients.refused() as f64,
        ),
        (
            "neuroplex_refused_messages_total",
            Counter,
            "Messages without reply subject that a stream could not take.",
            clients.overflowed() as f64,
        ),
        ("neuroplex_slow_consumers_total", Counter, "Clients cut: they did not read.", clients.slow() as f64),
        ("neuroplex_subscriptions", Gauge, "Subscriptions.", door.hub.subscriptions() as f64),
        ("neuroplex_messages_in_total", Counter, "Messages from clients.", stats.in_messages as f64),
        ("neuroplex_messages_out_total", Counter, "Messages put to clients.", stats.out_messages as f64),
        ("neuroplex_bytes_in_total", Counter, "Bytes of messages from clients.", stats.in_bytes as f64),
        ("neuroplex_bytes_out_total", Counter, "Bytes of messages put to clients.", stats.out_bytes as f64),
        ("neuroplex_outbox_pending_bytes", Gauge, "Bytes that wait for clients.", stats.pending_bytes as f64),
        ("neuroplex_outbox_buffer_bytes", Gauge, "Buffers that outboxes hold.", budget.used_bytes() as f64),
        (
            "neuroplex_outbox_buffer_bytes_max",
            Gauge,
            "Buffers that they may hold.",
            budget.limit_bytes() as f64,
        ),
        ("neuroplex_http_connections", Gauge, "Connections of the HTTP door.", taken as f64),
        (
            "neuroplex_http_connections_max",
            Gauge,
            "Connections that there may be.",
            door.connections_max as f64,
        ),
        (
            "neuroplex_http_requests_total",
            Counter,
            "Requests to the HTTP door.",
            door.requests.load(Relaxed) as f64,
        ),
        (
            "neuroplex_http_bodies_bytes",
            Gauge,
            "Bytes of bodies that are being read.",
            limits.bodies_bytes() as f64,
        ),
        (
            "neuroplex_http_bodies_bytes_max",
            Gauge,
            "Bytes of bodies that may be read at once.",
            limits.bodies_bytes_max() as f64,
        ),
        ("process_resident_memory_bytes", Gauge, "Resident memory.", resident_bytes() as f64),
        ("process_cpu_seconds_total", Counter, "Processor time.", cpu_seconds()),
    ];
    let mut out = String::with_capacity(8192);
    let node = &door.identity.node_id;
    let _ = writeln!(
        out,
        "# HELP neuroplex_build_info The version that runs.\n# TYPE neuroplex_build_info gauge\n\
         neuroplex_build_info{{version=\"{}\",node=\"{node}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    for (name, kind, help, value) in rows {
        let kind = match kind {
            Counter => "counter",
            Gauge => "gauge",
        };
        // Writing into a string does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    let name = "neuroplex_http_limited_total";
    let _ = writeln!(out, "# HELP {name} How often a limit of the HTTP door was met.\n# TYPE {name} counter");
    for (option, count) in limits.counts() {
        let _ = writeln!(out, "{name}{{limit=\"{option}\"}} {count}");
    }
    for figure in door.figures.iter().flat_map(|more| more()) {
        let Figure { name, help, value } = figure;
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    out
}

/// A number that somebody else keeps. One whose name ends with `_total` only grows.
#[derive(Clone, Debug)]
pub struct Figure {
    /// As Prometheus has it.
    pub name: String,
    /// What it is.
    pub help: &'static str,
    /// The number.
    pub value: f64,
}

/// Where more figures come from.
pub type Figures = Box<dyn Fn() -> Vec<Figure> + Send + Sync>;
