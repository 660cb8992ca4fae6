//! What runs over WebSocket: the NATS protocol at `/nats`, for its clients in browsers, and JSON frames at `/v1/ws`, for
//! those without one. From the handshake on a connection is [`crate::link`]'s, as one of the NATS door: what is published
//! is written to it from the publisher's own thread.
//!
//! `handshake` turns a request into a connection, `talk` carries out JSON frames, `delivery` encodes messages for them,
//! `answers` brings back what was asked.

mod answers;
mod delivery;
mod handshake;
mod talk;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use axum::routing::get;
use kernel::Code;

use super::HttpDoor;
use super::caller::Caller;
use super::problem::Problem;
use super::route::{Gives, Route};
use crate::link::{Connection, Manner};
use crate::nats;
use talk::Talk;

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/ws", "webSocket", "JSON frames over WebSocket", || get(json))
        .area("messages")
        .gives(UPGRADED)
        .endless(),
    Route::get("/nats", "natsWebSocket", "The NATS protocol over WebSocket", || get(nats))
        .area("messages")
        .gives(UPGRADED)
        .endless(),
];
const UPGRADED: &[Gives] =
    &[Gives { status: 101, media: "", schema: "", what: "The connection goes on as a WebSocket." }];

/// How JSON frames are treated.
const MANNER: Manner =
    Manner { protocol: "websocket", ping: b"\x89\x00", last_words: talk::of_cut, has_deadlines: true };

/// `GET /nats`
async fn nats(State(door): State<Arc<HttpDoor>>, request: Request) -> Result<Response, Problem> {
    let own = nats_of(&door)?;
    handshake::accept(request, move |socket| own.begin_framed(socket))
}

/// `GET /v1/ws`
async fn json(State(door): State<Arc<HttpDoor>>, request: Request) -> Result<Response, Problem> {
    let own = nats_of(&door)?;
    let (mut parts, body) = request.into_parts();
    // Without the header a first frame says who it is, because browsers cannot set one.
    let is_shown = parts.headers.contains_key(AUTHORIZATION) || !door.hub.accounts().are_required();
    let who = match is_shown {
        true => Some(caller(&mut parts, &door).await?),
        false => None,
    };
    let payload_bytes_max = door.identity.payload_bytes_max;
    handshake::accept(Request::from_parts(parts, body), move |socket| {
        let (peer, transport) = socket.split(own.shared(), &MANNER);
        let peer = Arc::new(peer);
        let talk = Talk::new(peer.clone(), who.clone(), payload_bytes_max);
        if let Some(connection) = Connection::open(peer.clone(), transport, b"", talk) {
            // The accounts may have changed since the handshake.
            who.iter().for_each(|who| peer.recheck(who));
            tokio::spawn(connection);
        }
    })
}

async fn caller(
    parts: &mut axum::http::request::Parts,
    door: &Arc<HttpDoor>,
) -> Result<Arc<auth::Principal>, Problem> {
    use axum::extract::FromRequestParts as _;
    Ok(Caller::from_request_parts(parts, door).await?.who)
}

/// What these connections share with those of the NATS door.
fn nats_of(door: &HttpDoor) -> Result<Arc<nats::Door>, Problem> {
    match door.nats.get() {
        Some(nats) if !door.is_stopping() => Ok(nats.clone()),
        _ => Err(Problem::new(Code::ServiceUnavailable, "the node takes no new connections now")),
    }
}
