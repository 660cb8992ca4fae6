//! Streams over HTTP: each route is a translation of requests on `$JS.API.…`, of publishes and of acknowledgements, made
//! through a session of whoever asks. It does *not* know how streams work.

mod ack;
mod consumer;
mod delivery;
mod goal;
mod lines;
mod ordered;
mod publish;
mod pull;
mod read;
mod stream;
mod token;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use kernel::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::jetstream::api::Answer;
use wire::jetstream::{self as js, ConsumerName, Fault, StreamName};

use super::call::Call;
use super::intake::Intake;
use super::problem::Problem;
use super::route::{self, EVENTS, Gives, JSON, Kind, Param, Route};

/// Largest answer of the streams' API that is waited for, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What names look like.
const NAME_FORM: &str = r"^[^.*>/\\\x00-\x20\x7f]+$";
const STREAM: Param = Param::path(
    "stream",
    Kind::Text { chars_min: 1, chars_max: 255, form: NAME_FORM },
    "The stream's name: no space, dot, slash, backslash, `*` or `>`.",
);
const CONSUMER: Param = Param::path(
    "consumer",
    Kind::Text { chars_min: 1, chars_max: 255, form: NAME_FORM },
    "The consumer's name: no space, dot, slash, backslash, `*` or `>`.",
);
const OFFSET: Param = Param::query(
    "offset",
    Kind::Number { least: 0, most: u32::MAX as u64, default: Some(0) },
    "How many to pass over.",
);
const LIMIT: Param = Param::query(
    "limit",
    Kind::Number { least: 0, most: u32::MAX as u64, default: Some(js::api::LIST_MAX) },
    "How many at most; no more than 256 are answered.",
);
const FILTER: Param = Param::query(
    "subject",
    Kind::Text { chars_min: 0, chars_max: u64::MAX, form: "" },
    "Only what has to do with this subject or pattern.",
);

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/streams", "listStreams", "A page of streams", || get(stream::list))
        .area("streams")
        .params(&[FILTER, OFFSET, LIMIT])
        .gives(&[route::json(200, "StreamList", "The streams.")])
        .fails(FAILS),
    Route::get("/v1/streams/{stream}", "getStream", "A stream's configuration and state", || {
        get(stream::info)
    })
    .area("streams")
    .params(&[STREAM])
    .gives(&[route::json(200, "StreamInfo", "The stream.")])
    .fails(FAILS),
    Route::put(
        "/v1/streams/{stream}",
        "putStream",
        "Make a stream be as the body says, or create it",
        || put(stream::put),
    )
    .area("streams")
    .params(&[STREAM])
    .takes(&[JSON], "StreamConfig", false)
    .gives(&[
        route::json(200, "StreamInfo", "It is as the body says."),
        route::json(201, "StreamInfo", "It was created."),
    ])
    .fails(FAILS),
    Route::delete("/v1/streams/{stream}", "deleteStream", "Delete a stream and its messages", || {
        delete(stream::delete)
    })
    .area("streams")
    .params(&[STREAM])
    .gives(&[route::json(200, "Success", "It is deleted.")])
    .fails(FAILS),
    Route::post("/v1/streams/{stream}/purge", "purgeStream", "Remove messages of a stream", || {
        post(stream::purge)
    })
    .area("streams")
    .params(&[STREAM])
    .takes(&[JSON], "PurgeRequest", false)
    .gives(&[route::json(200, "Purged", "How many were removed.")])
    .fails(FAILS),
    Route::post(
        "/v1/streams/{stream}/messages",
        "publishToStream",
        "Publish messages, one JSON object a line",
        || post(publish::publish),
    )
    .area("streams")
    .params(&[STREAM])
    .takes(publish::TYPES, "MessageLine", false)
    .gives(&[route::json(200, "Acks", "What became of each line.")])
    .fails(FAILS),
    Route::get("/v1/streams/{stream}/messages", "readStream", "Read a stream as events", || get(read::read))
        .area("streams")
        .params(&[
            STREAM,
            Param::query(
                "start_seq",
                Kind::Number { least: 0, most: u64::MAX, default: None },
                "Where to begin.",
            ),
            Param::query("start_time", Kind::Time, "When to begin."),
            FILTER,
            Param::query(
                "batch",
                Kind::Number { least: 1, most: pull::BATCH_MAX as u64, default: Some(100) },
                "How many are asked for at once.",
            ),
            Param::query("follow", Kind::Flag { default: true }, "Whether to wait for what comes later."),
            Param::header(
                "Last-Event-ID",
                Kind::Number { least: 0, most: u64::MAX, default: None },
                "The sequence that the client had last.",
            ),
        ])
        .gives(&[Gives { status: 200, media: EVENTS, schema: "", what: "Events `message`, at last `end`." }])
        .fails(FAILS)
        .endless(),
    Route::get("/v1/streams/{stream}/consumers", "listConsumers", "A page of a stream's consumers", || {
        get(consumer::list)
    })
    .area("streams")
    .params(&[STREAM, OFFSET, LIMIT])
    .gives(&[route::json(200, "ConsumerList", "The consumers.")])
    .fails(FAILS),
    Route::get("/v1/streams/{stream}/consumers/{consumer}", "getConsumer", "A consumer", || {
        get(consumer::info)
    })
    .area("streams")
    .params(&[STREAM, CONSUMER])
    .gives(&[route::json(200, "ConsumerInfo", "The consumer.")])
    .fails(FAILS),
    Route::put(
        "/v1/streams/{stream}/consumers/{consumer}",
        "putConsumer",
        "Make a durable consumer be as the body says, or create it",
        || put(consumer::put),
    )
    .area("streams")
    .params(&[STREAM, CONSUMER])
    .takes(&[JSON], "ConsumerConfig", false)
    .gives(&[
        route::json(200, "ConsumerInfo", "It is as the body says."),
        route::json(201, "ConsumerInfo", "It was created."),
    ])
    .fails(FAILS),
    Route::delete("/v1/streams/{stream}/consumers/{consumer}", "deleteConsumer", "Delete a consumer", || {
        delete(consumer::delete)
    })
    .area("streams")
    .params(&[STREAM, CONSUMER])
    .gives(&[route::json(200, "Success", "It is deleted.")])
    .fails(FAILS),
    Route::post("/v1/streams/{stream}/consumers/{consumer}/pull", "pull", "Take messages to work on", || {
        post(pull::pull)
    })
    .area("streams")
    .params(&[
        STREAM,
        CONSUMER,
        Param::query(
            "batch",
            Kind::Number { least: 1, most: pull::BATCH_MAX as u64, default: Some(10) },
            "How many at most.",
        ),
        Param::query(
            "expires_ms",
            Kind::Number { least: 0, most: pull::EXPIRES_MS.1, default: Some(pull::EXPIRES_MS.0) },
            "How long to wait for a first one, in milliseconds.",
        ),
    ])
    .gives(&[route::json(200, "Leases", "Messages, each with a token to acknowledge it by.")])
    .fails(FAILS),
    Route::post(
        "/v1/streams/{stream}/consumers/{consumer}/ack",
        "acknowledge",
        "Acknowledge messages",
        || post(ack::ack),
    )
    .area("streams")
    .params(&[STREAM, CONSUMER])
    .takes(&[JSON], "Acknowledgements", true)
    .gives(&[route::json(200, "AckResults", "What became of each.")])
    .fails(FAILS),
];

/// What may go wrong with a request to streams.
const FAILS: &[Code] = &[
    Code::StreamNotFound,
    Code::NotFound,
    Code::Conflict,
    Code::StaleLease,
    Code::Backpressure,
    Code::Timeout,
];

/// The part of a list that is wanted.
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

/// The whole body of a request that is JSON, or empty.
async fn json_body(mut body: Intake) -> Result<bytes::Bytes, Problem> {
    body.check_type(&[JSON])?;
    let bytes_max = body.document_bytes_max();
    let body = body.whole(bytes_max).await?;
    match !body.is_empty() && body.trim_ascii().is_empty() {
        true => Err(Problem::new(
            Code::InvalidRequest,
            "the body is white space alone: leave it out, or send JSON",
        )),
        false => Ok(body),
    }
}
