//! `GET /v1/connections`, `/v1/subscriptions` and `/v1/nodes`: who is here, who hears what, and where. Each shows what
//! belongs to the tenant of whoever asks, whose list `publish_allow` must admit the subject that stands for it.

use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use kernel::{Client, Code};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;

use super::caller::{Caller, Params};
use super::problem::Problem;
use super::publish::json;
use super::route::{self, Kind, Param, Route};

/// Most entries of one page, and how many of one that does not say so.
const PAGE_MAX: usize = 1000;
const PAGE: usize = 100;

const OFFSET: Param = Param::query(
    "offset",
    Kind::Number { least: 0, most: u32::MAX as u64, default: Some(0) },
    "How many to pass over.",
);
const LIMIT: Param = Param::query(
    "limit",
    Kind::Number { least: 1, most: PAGE_MAX as u64, default: Some(PAGE as u64) },
    "How many at most.",
);

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/connections", "listConnections", "Who is connected", || get(connections))
        .params(&[OFFSET, LIMIT])
        .gives(&[route::json(200, "Connections", "The connections, oldest first.")]),
    Route::get("/v1/subscriptions", "listSubscriptions", "Who hears what", || get(subscriptions))
        .params(&[OFFSET, LIMIT])
        .gives(&[route::json(200, "Subscriptions", "The subscriptions, oldest first.")]),
    Route::get("/v1/nodes", "listNodes", "The nodes of the fabric", || get(nodes))
        .params(&[OFFSET, LIMIT])
        .gives(&[route::json(200, "Nodes", "The nodes.")]),
];

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    offset: u32,
    limit: Option<usize>,
}

impl Page {
    fn cut(&self) -> Result<(usize, usize), Problem> {
        let limit = self.limit.unwrap_or(PAGE);
        match (1..=PAGE_MAX).contains(&limit) {
            true => Ok((self.offset as usize, limit)),
            false => Err(Problem::new(Code::InvalidRequest, format!("limit is 1 to {PAGE_MAX}"))),
        }
    }
}

/// A part of a list.
#[derive(Serialize)]
struct Listed<T> {
    total: usize,
    offset: usize,
    limit: usize,
    items: Vec<T>,
}

fn list<T: Serialize>(page: &Page, total: usize, all: impl Iterator<Item = T>) -> Result<Response, Problem> {
    let (offset, limit) = page.cut()?;
    let items = all.skip(offset).take(limit).collect();
    Ok(listed(Listed { total, offset, limit, items }))
}

fn listed<T: Serialize>(listed: Listed<T>) -> Response {
    json(StatusCode::OK, serde_json::to_string(&listed).unwrap_or_default())
}

/// Refuses whose lists do not admit the subject that stands for it. Nobody publishes there: the node alone answers it.
pub(super) fn check(caller: &Caller, subject: &str) -> Result<(), Problem> {
    match caller.who.permissions.publish.admits(subject.as_bytes()) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::PermissionDenied,
            format!("this user's `publish_allow` does not admit `{subject}`, which stands for it"),
        )),
    }
}

#[derive(Serialize)]
struct Connection {
    id: u64,
    protocol: &'static str,
    address: String,
    user: String,
    name: String,
    lang: String,
    version: String,
    tls: bool,
    connected_ms: u64,
    active_ms: u64,
    subscriptions: u64,
    pending_bytes: u64,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

async fn connections(caller: Caller, Params(page): Params<Page>) -> Result<Response, Problem> {
    check(&caller, "$NP.connections")?;
    let mut all = caller.door.hub.clients.all();
    all.retain(|client| client.info().tenant == caller.who.tenant);
    list(&page, all.len(), all.iter().map(|client| connection(&**client)))
}

fn connection(client: &dyn Client) -> Connection {
    let (info, stats) = (client.info(), client.stats());
    Connection {
        id: client.id().0,
        protocol: info.protocol,
        address: info.address,
        user: info.user,
        name: info.name,
        lang: info.lang,
        version: info.version,
        tls: info.tls,
        connected_ms: info.connected_wall_ms,
        active_ms: stats.active_wall_ms,
        subscriptions: stats.subscriptions,
        pending_bytes: stats.pending_bytes,
        messages_in: stats.in_messages,
        messages_out: stats.out_messages,
        bytes_in: stats.in_bytes,
        bytes_out: stats.out_bytes,
    }
}

#[derive(Serialize)]
struct Subscription {
    id: u64,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
}

async fn subscriptions(caller: Caller, Params(page): Params<Page>) -> Result<Response, Problem> {
    check(&caller, "$NP.subscriptions")?;
    let (offset, limit) = page.cut()?;
    let (total, all) = caller.door.hub.subscriptions_of(caller.who.tenant, offset, limit);
    let shown = all.into_iter().map(|found| Subscription {
        id: found.id.0,
        subject: found.subject,
        queue: found.queue,
        connection: found.connection.map(|c| c.0),
    });
    Ok(listed(Listed { total, offset, limit, items: shown.collect() }))
}

#[derive(Serialize)]
struct Node {
    id: String,
    version: &'static str,
    state: &'static str,
    started_ms: u64,
    uptime_ms: u64,
    connections: usize,
    subscriptions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nats: Option<String>,
}

async fn nodes(caller: Caller, Params(page): Params<Page>) -> Result<Response, Problem> {
    check(&caller, "$NP.nodes")?;
    let door = &caller.door;
    let started_ms = door.identity.started_wall_ms;
    let all = door.hub.clients.all();
    let own = all.iter().filter(|client| client.info().tenant == caller.who.tenant);
    let node = Node {
        id: door.identity.node_id.clone(),
        version: env!("CARGO_PKG_VERSION"),
        state: if door.is_stopping() { "stopping" } else { "ready" },
        started_ms,
        uptime_ms: door.wall_ms.load(Relaxed).saturating_sub(started_ms),
        connections: own.count(),
        subscriptions: door.hub.subscriptions_of(caller.who.tenant, 0, 0).0 as u64,
        nats: door.identity.nats_address.map(|a| a.to_string()),
    };
    list(&page, 1, std::iter::once(node))
}
