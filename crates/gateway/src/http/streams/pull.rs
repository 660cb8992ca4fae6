//! One request for messages of a consumer, what comes of it, and the route that makes one for a client.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use kernel::{Code, Headers, Message, Msg};
use serde::Deserialize;
use tokio::time::Instant;
use wire::jetstream::api::{ConsumerInfo, Nothing};
use wire::jetstream::status::{Status, text};
use wire::jetstream::{self as js, Ack, PullRequest};

use super::delivery::Delivered;
use super::{ask, consumer_name, json, stream_name};
use crate::http::call::{Call, refused};
use crate::http::caller::{Caller, Names, Params};
use crate::http::problem::Problem;

/// Most messages of one request.
pub(super) const BATCH_MAX: u32 = 1000;
/// Messages of one request that does not say how many.
const BATCH: u32 = 10;
/// How long a request waits that does not say so, and at most.
pub(super) const EXPIRES_MS: (u64, u64) = (5000, 60_000);
/// Bytes of one request's messages, unless a single message is larger.
pub(super) const PULL_BYTES: i64 = 4 * 1024 * 1024;
/// How much longer than the node's own end the door waits for it.
const GRACE: Duration = Duration::from_secs(5);

/// A request on its way.
pub(super) struct Pull {
    number: u64,
    /// Messages still to come.
    left: u32,
    /// When nothing can come of it any more.
    pub(super) until: Instant,
}

/// What comes of a request.
pub(super) enum Heard {
    /// A message.
    Message(Delivered),
    /// Nothing more, and why.
    Over(End),
    /// Something of another request.
    Other,
}

/// Why nothing more comes of a request.
pub(super) enum End {
    /// Nothing is there, or its time is over.
    Empty,
    /// Others are waiting for what is there.
    Taken,
    /// The next message is larger than the bytes that were asked for.
    TooLarge,
    /// There is no such consumer.
    Gone,
    /// It was refused.
    Refused(Problem),
}

impl Pull {
    /// Asks for messages.
    pub(super) fn send(
        call: &mut Call,
        stream: &str,
        consumer: &str,
        request: &PullRequest,
    ) -> Result<Pull, Problem> {
        let subject = js::Call::ConsumerNext { stream, consumer }.to_string();
        let payload = js::write(request);
        let m = Msg { subject: subject.as_bytes(), payload: &payload, ..Msg::default() };
        let number = call.ask(&m).map_err(|code| refused(code, &subject))?;
        let expires = Duration::from_nanos(u64::try_from(request.expires).unwrap_or(0));
        let left = u32::try_from(request.batch).unwrap_or(BATCH_MAX);
        Ok(Pull { number, left, until: Instant::now() + expires + GRACE })
    }

    /// Whether all messages of it have come.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Reads what came.
    pub(super) fn read(&mut self, call: &Call, message: Message) -> Heard {
        let Some(status) = Status::read(&message.headers) else {
            return match Delivered::read(message) {
                Some(delivered) => {
                    self.left = self.left.saturating_sub(1);
                    Heard::Message(delivered)
                }
                None => Heard::Other,
            };
        };
        // A message with a status of its own is a message; a status has no payload and comes to the inbox itself.
        if call.number_of(&message) != Some(self.number) {
            return Heard::Other;
        }
        let end = match (status.code, status.text) {
            (100, _) => return Heard::Other,
            (404, _) => End::Empty,
            (408, "Requests Pending") => End::Taken,
            (408, _) | (409, text::BATCH_COMPLETED) => End::Empty,
            (409, text::EXCEEDED_MAX_BYTES) => End::TooLarge,
            (409, text::CONSUMER_DELETED) | (503, _) => End::Gone,
            (409, text::SERVER_SHUTDOWN) => End::Refused(Problem::new(Code::ServiceUnavailable, status.text)),
            (409, text::EXCEEDED_MAX_WAITING) => {
                let detail = "as many requests wait for this consumer as its `max_waiting` allows";
                End::Refused(Problem::new(Code::Backpressure, detail))
            }
            (_, text) => End::Refused(Problem::new(Code::InvalidRequest, text)),
        };
        Heard::Over(end)
    }
}

/// What a client asks for.
#[derive(Deserialize)]
pub(super) struct Asked {
    batch: Option<u32>,
    expires_ms: Option<u64>,
}

/// Messages that were taken for a client; given back when it goes before it has them.
struct Taken {
    call: Call,
    messages: Vec<Delivered>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut body = Vec::new();
        Ack::Again { delay_ns: 0 }.write(&mut body);
        let come = std::iter::from_fn(|| self.call.take()).filter_map(Delivered::read).collect::<Vec<_>>();
        for taken in self.messages.drain(..).chain(come) {
            self.call.say(&Msg { subject: &taken.message.reply, payload: &body, ..Msg::default() });
        }
    }
}

/// `POST /v1/streams/{stream}/consumers/{consumer}/pull`
pub(super) async fn pull(
    caller: Caller,
    Names((stream, consumer)): Names<(String, String)>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let (stream, consumer) = (stream_name(&stream)?, consumer_name(&consumer)?);
    let (batch, expires_ms) = (asked.batch.unwrap_or(BATCH), asked.expires_ms.unwrap_or(EXPIRES_MS.0));
    if !(1..=BATCH_MAX).contains(&batch) || expires_ms > EXPIRES_MS.1 {
        let detail = format!("batch is 1 to {BATCH_MAX}, expires_ms 0 to {}", EXPIRES_MS.1);
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let end = Instant::now() + Duration::from_millis(expires_ms);
    let mut taken = Taken { call: caller.call(4 * PULL_BYTES as usize)?, messages: Vec::new() };
    tokio::select! {
        done = taken.fill(stream, consumer, batch, end) => done?,
        problem = caller.door.ending(&caller.who) => match problem.code() {
            Code::ServiceUnavailable => {}
            _ => return Err(problem),
        },
    }
    let all: Vec<String> = taken.messages.iter().map(|m| m.to_lease(stream)).collect();
    taken.messages.clear();
    Ok(json(StatusCode::OK, format!("{{\"messages\":[{}]}}", all.join(","))))
}

impl Taken {
    /// Takes what is there, or waits until `end` for a first message.
    async fn fill(&mut self, stream: &str, consumer: &str, batch: u32, end: Instant) -> Result<(), Problem> {
        let mut request = PullRequest {
            batch: batch.into(),
            no_wait: true,
            max_bytes: PULL_BYTES,
            ..PullRequest::default()
        };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            request.expires = i64::try_from(left.as_nanos()).unwrap_or(i64::MAX);
            // It must say how long it waits; 0 would be for ever.
            if request.expires == 0 && !request.no_wait {
                return Ok(());
            }
            let mut pull = Pull::send(&mut self.call, stream, consumer, &request)?;
            match self.take_all(&mut pull).await {
                _ if !self.messages.is_empty() => return Ok(()),
                End::Empty => return Ok(()),
                // Then wait in line for one.
                End::Taken => (request.no_wait, request.batch) = (false, 1),
                End::TooLarge => (request.max_bytes, request.batch) = (0, 1),
                End::Gone => return Err(self.why_gone(stream, consumer).await),
                End::Refused(problem) => return Err(problem),
            }
        }
    }

    async fn take_all(&mut self, pull: &mut Pull) -> End {
        while !pull.is_full() {
            let Some(message) = self.call.hear(pull.until).await else { return End::Empty };
            match pull.read(&self.call, message) {
                Heard::Message(delivered) => self.messages.push(delivered),
                Heard::Over(end) => return end,
                Heard::Other => {}
            }
        }
        End::Empty
    }

    async fn why_gone(&mut self, stream: &str, consumer: &str) -> Problem {
        why_gone(&mut self.call, stream, consumer).await
    }
}

/// Why there is no such consumer: there may be no such stream.
pub(super) async fn why_gone(call: &mut Call, stream: &str, consumer: &str) -> Problem {
    let what = js::Call::ConsumerInfo { stream, consumer };
    match ask::<ConsumerInfo>(call, what, &Nothing {}).await {
        Err(problem) if problem.code() != Code::PermissionDenied => problem,
        _ => Problem::new(Code::NotFound, format!("stream `{stream}` has no consumer `{consumer}`")),
    }
}

/// Whether a block of headers is a status.
pub(super) fn is_status(headers: &[u8], code: u16) -> bool {
    Headers::new(headers).status() == Some(code)
}
