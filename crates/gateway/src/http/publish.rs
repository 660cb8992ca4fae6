//! `POST /v1/publish/{subject}`: the body is the message. Answered when a stream has it, or at once where none captures it.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use kernel::envelope::name::{self, DELAY};
use kernel::{Code, Headers, Msg, Subject};
use serde::Deserialize;
use wire::jetstream::pub_headers::header::TTL as NATS_TTL;

use super::call::refused;
use super::caller::{Caller, Names, Params};
use super::headers::Given;
use super::intake::Intake;
use super::problem::Problem;
use super::route::{self, Kind, Param, Route};
use super::stored::{TIMEOUT_MS, TIMEOUT_MS_MAX, Terms, Wish, deliver};
use super::{id, visit};

/// The subject in the path.
pub(super) const SUBJECT: Param = Param::path(
    "subject",
    Kind::Text { chars_min: 1, chars_max: 1024, form: SUBJECT_FORM },
    "The subject: tokens joined by `.`, without wildcards.",
);
/// What a subject looks like.
pub(super) const SUBJECT_FORM: &str = r"^(?!(.*\.)?[*>](\.|$))[^.\s\x00-\x20\x7f]+(\.[^.\s\x00-\x20\x7f]+)*$";
const ID: Kind = Kind::Text { chars_min: 1, chars_max: 255, form: r"^[!-~]+$" };

/// Headers that a message may be given.
pub(super) const GIVEN: &[Param] = &[
    SUBJECT,
    Param::query(
        "ack",
        Kind::Word(&["mem", "os", "disk"]),
        "How safe a stream must have the message before it is answered, whatever the stream's own level is.",
    ),
    Param::query(
        "timeout_ms",
        Kind::Number { least: 1, most: TIMEOUT_MS_MAX, default: Some(TIMEOUT_MS) },
        "How long to wait for the stream, in milliseconds.",
    ),
    Param::header(name::NATS_ID, ID, "The message's identity: a stream stores it once."),
    Param::header(name::PRIORITY, Kind::Word(&["critical", "high", "normal", "low"]), "How soon."),
    Param::header(
        name::GUARANTEE,
        Kind::Word(&["at-most-once", "at-least-once", "exactly-once"]),
        "Above `at-most-once` a stream must acknowledge it; without it, one does where one captures the subject.",
    ),
    Param::header(
        name::ACK,
        Kind::Word(&["mem", "os", "disk"]),
        "The same as `ack`, which counts before it.",
    ),
    Param::header(
        NATS_TTL,
        Kind::Text { chars_min: 1, chars_max: 20, form: "^(never|[1-9][0-9]{0,8}s?|[1-9][0-9]{0,5}[mh])$" },
        "How long it is kept.",
    ),
    Param::header(
        DELAY,
        Kind::Text { chars_min: 1, chars_max: 20, form: "^([0-9]{1,8}(ms)?|[0-9]{1,3}[smh])$" },
        "How long it waits.",
    ),
];

/// The route.
pub(super) const ROUTES: &[Route] =
    &[Route::post("/v1/publish/{subject}", "publish", "Publish a message: the body as it is", || {
        post(publish)
    })
    .area("messages")
    .params(GIVEN)
    .takes(&[route::BYTES], "", false)
    .gives(&[
        route::json(202, "Published", "It is on its way."),
        route::json(200, "Stored", "A stream has it."),
    ])
    .fails(&[Code::StreamNotFound, Code::Conflict, Code::Backpressure, Code::Timeout])];

/// What stands behind the question mark.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    ack: Option<Ack>,
    timeout_ms: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ack {
    Mem,
    Os,
    Disk,
}

impl Ack {
    fn as_str(self) -> &'static str {
        match self {
            Ack::Mem => "mem",
            Ack::Os => "os",
            Ack::Disk => "disk",
        }
    }
}

async fn publish(
    caller: Caller,
    Names(subject): Names<String>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
    mut body: Intake,
) -> Result<Response, Problem> {
    check_subject(subject.as_bytes())?;
    let mut given = Given::read(&headers)?;
    let fresh = id::fresh()?;
    let id = given.id(|| fresh);
    if let Some(ack) = asked.ack {
        given.set_ack(ack.as_str());
    }
    let block = given.block()?;
    let payload = payload(&caller, &mut body, block.len()).await?;
    let m = Msg { subject: subject.as_bytes(), headers: &block, payload: &payload, ..Msg::default() };
    let terms = Terms::of(m.envelope().delivery().retry, asked.timeout_ms)?;
    if let Some(ack) = deliver(&caller, &m, Wish::of(&block), terms).await? {
        let (stream, seq, duplicate) = (&ack.stream, ack.seq, ack.duplicate);
        let document = serde_json::json!({ "id": id, "stream": stream, "seq": seq, "duplicate": duplicate });
        return Ok(json(StatusCode::OK, document.to_string()));
    }
    let mut text = String::with_capacity(64);
    text.push_str("{\"id\":");
    quoted(&mut text, &id);
    text.push('}');
    Ok(json(StatusCode::ACCEPTED, text))
}

/// A body that is a message's, as large as one may be beside so many bytes of headers.
pub(super) async fn payload(
    caller: &Caller,
    body: &mut Intake,
    headers_bytes: usize,
) -> Result<bytes::Bytes, Problem> {
    let bytes_max = caller.door.identity.payload_bytes_max;
    let Some(left) = bytes_max.checked_sub(headers_bytes) else {
        body.drain().await;
        let detail = format!("headers and body together are larger than {bytes_max} bytes");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    };
    body.whole(left).await
}

/// Publishes to whoever hears it.
pub(super) async fn send(caller: &Caller, m: &Msg<'_>) -> Result<usize, Problem> {
    let (heard, is_high) = caller
        .visit
        .publish(&caller.door.hub, &caller.who, m)
        .map_err(|code| refused(code, &String::from_utf8_lossy(m.subject)))?;
    if is_high {
        visit::pause().await;
    }
    Ok(heard)
}

/// Refuses a subject that nothing can be published on.
pub(super) fn check_subject(subject: &[u8]) -> Result<(), Problem> {
    let wrong = |code| {
        let shown: String = String::from_utf8_lossy(subject).chars().take(80).collect();
        Problem::new(
            code,
            format!("`{shown}` is no subject: tokens joined by `.`, without space and wildcards"),
        )
    };
    Subject::parse(subject).map(drop).map_err(wrong)
}

/// Whether the headers of an answer say that nobody was there.
pub(super) fn is_nobody(headers: &[u8]) -> bool {
    Headers::new(headers).status() == Some(503)
}

pub(super) fn json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(route::JSON));
    response
}

/// Text as JSON has it.
fn quoted(out: &mut String, text: &str) {
    let is_plain = |b: u8| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\';
    match text.bytes().all(is_plain) {
        // Writing into a string does not fail.
        true => _ = write!(out, "\"{text}\""),
        false => out.push_str(&serde_json::to_string(text).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_json_has_it() {
        for text in ["plain", "a\"b", "größe", "a\\b", "\n"] {
            let mut out = String::new();
            quoted(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
