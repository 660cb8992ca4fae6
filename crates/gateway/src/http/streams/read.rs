//! `GET /v1/streams/{stream}/messages`: a stream's messages as server-sent events, from a place on, followed for as long as
//! the client stays. The next messages are asked for when the connection has room.

use std::time::Duration;

use auth::Principal;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use kernel::Code;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::timeout;
use wire::jetstream::Time;

use super::delivery::Delivered;
use super::ordered::{From, INBOX_BYTES_MAX, Ordered, Wanted};
use super::pull::BATCH_MAX;
use super::stream_name;
use crate::http::HttpDoor;
use crate::http::caller::{Caller, Names, Params};
use crate::http::flow::Flow;
use crate::http::problem::Problem;

/// Silence after which a comment says that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that are asked for at once, unless the client says.
const BATCH: u32 = 100;
/// Bytes of events that are written together.
const PIECE_BYTES: usize = 64 * 1024;
/// The header with which a client that was cut off says what it had last.
const LAST_EVENT_ID: &str = "last-event-id";

/// What a client asks for.
#[derive(Deserialize)]
pub(super) struct Asked {
    start_seq: Option<u64>,
    start_time: Option<String>,
    #[serde(default)]
    subject: String,
    batch: Option<u32>,
    follow: Option<bool>,
}

impl Asked {
    fn from(&self, headers: &HeaderMap) -> Result<From, Problem> {
        let wrong = |detail: &str| Problem::new(Code::InvalidRequest, detail);
        if let Some(last) = headers.get(LAST_EVENT_ID).filter(|v| !v.is_empty()) {
            let last: Option<u64> = last.to_str().ok().and_then(|text| text.parse().ok());
            let last = last.ok_or_else(|| wrong("Last-Event-ID is a sequence number"))?;
            return Ok(From::Sequence(last.saturating_add(1)));
        }
        match (self.start_seq, &self.start_time) {
            (Some(_), Some(_)) => Err(wrong("give start_seq or start_time, not both")),
            (Some(seq), None) => Ok(From::Sequence(seq)),
            (None, Some(text)) => {
                let time = serde_json::from_value::<Time>(Value::from(text.as_str()));
                Ok(From::Time(time.map_err(|e| wrong(&format!("start_time: {e}")))?))
            }
            (None, None) => Ok(From::First),
        }
    }
}

/// `GET /v1/streams/{stream}/messages`
pub(super) async fn read(
    caller: Caller,
    Names(stream): Names<String>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?.to_owned();
    let batch = asked.batch.unwrap_or(BATCH);
    if !(1..=BATCH_MAX).contains(&batch) {
        return Err(Problem::new(Code::InvalidRequest, format!("batch is 1 to {BATCH_MAX}")));
    }
    if caller.door.is_stopping() {
        return Err(Problem::new(Code::ServiceUnavailable, "the node is about to stop"));
    }
    let (from, follow) = (asked.from(&headers)?, asked.follow.unwrap_or(true));
    let wanted = Wanted { stream, subject: asked.subject, from, batch, follow };
    let ordered = Ordered::open(caller.call(INBOX_BYTES_MAX)?, wanted).await?;
    let Caller { door, who, .. } = caller;
    let body = Flow::body(Reader { door, who, ordered, phase: Phase::Opened }, Reader::piece);
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((StatusCode::OK, headers, body).into_response())
}

/// What has been written of the events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opened,
    Reading,
    Ended,
}

/// A client that reads.
struct Reader {
    door: Arc<HttpDoor>,
    who: Arc<Principal>,
    ordered: Ordered,
    phase: Phase,
}

impl Reader {
    /// The next piece of the events.
    async fn piece(mut self) -> Option<(Bytes, Reader)> {
        match self.phase {
            Phase::Ended => return None,
            Phase::Opened => {
                self.phase = Phase::Reading;
                // So that the client knows at once that it is connected, and comes back soon when it is cut off.
                return Some((Bytes::from_static(b"retry: 1000\n\n"), self));
            }
            Phase::Reading => {}
        }
        let next = tokio::select! {
            biased;
            problem = self.door.ending(&self.who) => Ok(Err(problem)),
            next = timeout(HEARTBEAT, self.ordered.next()) => next,
        };
        let piece = match next {
            Err(_) => ": alive\n\n".to_owned(),
            Ok(Ok(Some(first))) => self.events(&first),
            Ok(Ok(None)) => self.end("{}"),
            Ok(Err(problem)) => self.end(&serde_json::to_string(&problem).unwrap_or_default()),
        };
        Some((piece.into(), self))
    }

    /// A message, and those that have come with it.
    fn events(&mut self, first: &Delivered) -> String {
        let mut text = String::new();
        event(&mut text, first, self.ordered.stream());
        while text.len() < PIECE_BYTES
            && let Some(next) = self.ordered.take()
        {
            event(&mut text, &next, self.ordered.stream());
        }
        text
    }

    /// The last event: why nothing more comes.
    fn end(&mut self, why: &str) -> String {
        self.phase = Phase::Ended;
        format!("event: end\ndata: {why}\n\n")
    }
}

fn event(out: &mut String, delivered: &Delivered, stream: &str) {
    let (seq, json) = (delivered.seq.to_string(), delivered.to_json(stream));
    for part in ["event: message\nid: ", &seq, "\ndata: ", &json, "\n\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_behind_the_last_event_whatever_the_address_says() {
        let asked = |seq, time: Option<&str>| Asked {
            start_seq: seq,
            start_time: time.map(str::to_owned),
            subject: String::new(),
            batch: None,
            follow: None,
        };
        let mut headers = HeaderMap::new();
        assert_eq!(asked(None, None).from(&headers).unwrap(), From::First);
        assert_eq!(asked(Some(4), None).from(&headers).unwrap(), From::Sequence(4));
        let time = From::Time(Time(1_000_000_000));
        assert_eq!(asked(None, Some("1970-01-01T00:00:01Z")).from(&headers).unwrap(), time);
        assert!(asked(None, Some("yesterday")).from(&headers).is_err());
        assert!(asked(Some(1), Some("1970-01-01T00:00:01Z")).from(&headers).is_err());
        headers.insert(LAST_EVENT_ID, "9".parse().unwrap());
        assert_eq!(asked(Some(4), None).from(&headers).unwrap(), From::Sequence(10));
        headers.insert(LAST_EVENT_ID, "x".parse().unwrap());
        assert!(asked(None, None).from(&headers).is_err());
    }
}
