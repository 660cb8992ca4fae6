//! Streams over HTTP: each route is a translation of requests on `$JS.API.…`, of publishes and of acknowledgements, made
//! through a session of whoever asks. It does *not* know how streams work.

mod ack;
mod consumer;
mod delivery;
mod lines;
mod ordered;
mod publish;
mod pull;
mod read;
mod stream;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::jetstream::api::Answer;
use wire::jetstream::{self as js, ConsumerName, Fault, StreamName};

use super::HttpDoor;
use super::call::Call;
use super::flow;
use super::problem::Problem;

/// Largest answer of the streams' API that is waited for, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const JSON: &str = "application/json";

/// The routes.
pub(super) fn routes() -> Router<Arc<HttpDoor>> {
    Router::new()
        .route("/v1/streams", get(stream::list))
        .route("/v1/streams/{stream}", get(stream::info).put(stream::put).delete(stream::delete))
        .route("/v1/streams/{stream}/purge", post(stream::purge))
        .route("/v1/streams/{stream}/messages", get(read::read).post(publish::publish))
        .route("/v1/streams/{stream}/consumers", get(consumer::list))
        .route(
            "/v1/streams/{stream}/consumers/{consumer}",
            get(consumer::info).put(consumer::put).delete(consumer::delete),
        )
        .route("/v1/streams/{stream}/consumers/{consumer}/pull", post(pull::pull))
        .route("/v1/streams/{stream}/consumers/{consumer}/ack", post(ack::ack))
}

/// The largest page of a list, as `?limit=` and `?offset=` ask for it.
#[derive(serde::Deserialize)]
struct Page {
    #[serde(default)]
    offset: u32,
    limit: Option<u32>,
}

impl Page {
    fn limit(&self) -> u64 {
        self.limit.map_or(js::api::LIST_MAX, u64::from).min(js::api::LIST_MAX)
    }
}

/// Asks the streams' API, and reads its answer.
async fn ask<T: Default + DeserializeOwned>(
    call: &mut Call,
    what: js::Call<'_>,
    body: &impl Serialize,
) -> Result<T, Problem> {
    let (subject, payload) = (what.to_string(), js::write(body));
    let m = kernel::Msg { subject: subject.as_bytes(), payload: &payload, ..kernel::Msg::default() };
    let answer = call.request(&m).await?;
    let answer = Answer::<T>::parse(&answer.payload).map_err(|e| {
        Problem::new(kernel::Code::InternalError, format!("the answer on `{subject}` cannot be read: {e}"))
    })?;
    Ok(answer.into_result()?)
}

/// A stream's name, out of the path.
fn stream_name(name: &str) -> Result<&str, Problem> {
    Ok(StreamName::parse(name)?.as_str())
}

/// A consumer's name, out of the path.
fn consumer_name(name: &str) -> Result<&str, Problem> {
    Ok(ConsumerName::parse(name)?.as_str())
}

/// How something is put that may be there or not: changed, or else created, or else, as it was created in between, changed.
#[derive(Default)]
struct Putting {
    is_new: bool,
    attempts: u32,
}

impl Putting {
    /// Whether to try once more, the other way.
    fn is_to_try_again<T>(&mut self, done: &Result<T, Problem>) -> bool {
        const ABSENT: [Fault; 2] = [Fault::StreamNotFound, Fault::ConsumerDoesNotExist];
        const PRESENT: [Fault; 2] = [Fault::StreamNameExists, Fault::ConsumerExists];
        let turns = if self.is_new { PRESENT } else { ABSENT };
        let is_turn = done.as_ref().is_err_and(|problem| turns.iter().any(|fault| problem.is(*fault)));
        let is_again = is_turn && self.attempts < 2;
        (self.is_new, self.attempts) = (self.is_new ^ is_again, self.attempts + 1);
        is_again
    }

    /// The answer: 201 when it was created.
    fn answer(&self, done: Result<impl Serialize, Problem>) -> Result<Response, Problem> {
        let status = if self.is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(document(status, &done?))
    }
}

/// An answer that is a document of JetStream.
fn document(status: StatusCode, document: &impl Serialize) -> Response {
    json(status, js::write(document))
}

fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(axum::http::header::CONTENT_TYPE, JSON)], body.into()).into_response()
}

/// The whole body of a request that is JSON.
async fn json_body(headers: &HeaderMap, body: axum::body::Body) -> Result<bytes::Bytes, Problem> {
    flow::check_type(headers, &[JSON])?;
    flow::whole(body).await
}
