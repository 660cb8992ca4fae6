//! `POST /v1/streams/{stream}/messages`: messages into a stream, one JSON object a line. Many are on their way at once; what
//! became of each is answered in the order of the lines.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use axum::response::Response;
use kernel::limits::UNACKNOWLEDGED_MAX;
use kernel::{Code, Message, Msg};
use serde::{Serialize, Serializer};
use tokio::time::{Duration, Instant};
use wire::jetstream::api::PubAnswer;

use super::delivery::headers_for;
use super::goal::Goal;
use super::lines::Lines;
use super::{ANSWER_BYTES_MAX, document, stream_name};
use crate::http::call::{ANSWER_TIMEOUT, Call, passed_over, refused};
use crate::http::caller::{Caller, Names};
use crate::http::id;
use crate::http::intake::Intake;
use crate::http::problem::Problem;

pub(super) const TYPES: &[&str] =
    &["application/x-ndjson", "application/ndjson", "application/jsonl", "application/json"];
/// Most lines of one request.
const LINES_MAX: usize = 100_000;
/// Bytes of messages that may wait for their acknowledgement.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a message is tried again that the streams had no room for.
const FULL_PATIENCE: Duration = Duration::from_secs(2);
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// What became of a line.
enum Fate {
    Waiting(usize),
    Stored { seq: u64, duplicate: bool },
    Refused(Problem),
}

impl Serialize for Fate {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stored {
            seq: u64,
            duplicate: bool,
        }
        match self {
            // All that waited is settled before it is written.
            Fate::Waiting(_) => out.serialize_none(),
            Fate::Stored { seq, duplicate } => Stored { seq: *seq, duplicate: *duplicate }.serialize(out),
            Fate::Refused(problem) => BTreeMap::from([("error", problem)]).serialize(out),
        }
    }
}

/// `POST /v1/streams/{stream}/messages`
pub(super) async fn publish(
    caller: Caller,
    Names(stream): Names<String>,
    mut body: Intake,
) -> Result<Response, Problem> {
    let stream = stream_name(&stream)?;
    body.check_type(TYPES)?;
    let goal = Goal::of(&caller, stream).await?;
    let payload_bytes_max = caller.door.identity.payload_bytes_max;
    let mut publisher = Publisher {
        call: caller.call(ANSWER_BYTES_MAX)?,
        goal,
        payload_bytes_max,
        fates: Vec::new(),
        numbers: HashMap::new(),
        waiting_bytes: 0,
    };
    // Escapes and base64 make a payload longer.
    let mut lines = Lines::new(2 * payload_bytes_max);
    let ended = publisher.read(&mut body, &mut lines).await;
    if ended.is_err() {
        body.drain().await;
    }
    publisher.settle().await;
    publisher.answer(ended)
}

struct Publisher {
    call: Call,
    goal: Goal,
    payload_bytes_max: usize,
    /// What became of each line.
    fates: Vec<Fate>,
    /// Which line a number of the call belongs to.
    numbers: HashMap<u64, usize>,
    waiting_bytes: usize,
}

impl Publisher {
    /// Publishes line by line. Errors where nothing after it is read.
    async fn read(&mut self, body: &mut Intake, lines: &mut Lines) -> Result<(), Problem> {
        let mut number = 0u64;
        while let Some(piece) = body.next().await? {
            lines.push(&piece);
            loop {
                number += 1;
                match lines.next() {
                    Ok(Some(line)) => self.line(number, &line).await?,
                    Ok(None) => break,
                    Err(_) => return Err(self.too_long(number)),
                }
            }
            number -= 1;
        }
        match lines.rest() {
            Ok(Some(line)) => self.line(number + 1, &line).await,
            Ok(None) => Ok(()),
            Err(_) => Err(self.too_long(number + 1)),
        }
    }

    fn too_long(&self, number: u64) -> Problem {
        let detail = format!("line {number} is longer than {} bytes", 2 * self.payload_bytes_max);
        Problem::new(Code::PayloadTooLarge, detail).with("line", &number)
    }

    /// Publishes one line; an empty one is passed over.
    async fn line(&mut self, number: u64, line: &[u8]) -> Result<(), Problem> {
        if is_blank(line) {
            return Ok(());
        }
        let malformed = |why: String| {
            // The reader of the line knows of one line only.
            let why = why.replace(" at line 1 column ", " at column ");
            Problem::new(Code::InvalidRequest, format!("line {number}: {why}")).with("line", &number)
        };
        if self.fates.len() >= LINES_MAX {
            let detail = format!("line {number} is one too many: at most {LINES_MAX} messages at once");
            return Err(Problem::new(Code::PayloadTooLarge, detail).with("line", &number));
        }
        let text = std::str::from_utf8(line).map_err(|e| malformed(e.to_string()))?;
        let message =
            wire::json::read_for(text, self.goal.only_subject()).map_err(|e| malformed(e.to_string()))?;
        let fate = match self.check(&message) {
            Ok(()) => self.send(message).await?,
            Err(problem) => Fate::Refused(problem),
        };
        self.fates.push(fate);
        Ok(())
    }

    fn check(&self, message: &Message) -> Result<(), Problem> {
        self.goal.check(&message.subject)?;
        id::check(message)?;
        if !message.reply.is_empty() {
            return Err(Problem::new(Code::InvalidRequest, "replyTo: a stream keeps no reply subject"));
        }
        Ok(())
    }

    /// Publishes one message, when there is room for it.
    async fn send(&mut self, message: Message) -> Result<Fate, Problem> {
        let headers = headers_for(&self.goal.stream, &message.headers);
        let m = Msg { headers: &headers, ..message.as_msg() };
        if m.size() > self.payload_bytes_max {
            let detail = format!("{} bytes: at most {} are allowed", m.size(), self.payload_bytes_max);
            return Ok(Fate::Refused(Problem::new(Code::PayloadTooLarge, detail)));
        }
        let is_full = |p: &Publisher| {
            p.numbers.len() >= UNACKNOWLEDGED_MAX as usize
                || p.waiting_bytes > 0 && p.waiting_bytes + m.size() > WAITING_BYTES_MAX
        };
        while is_full(self) {
            self.hear().await?;
        }
        let start = Instant::now();
        loop {
            match self.call.ask_kept(&m) {
                Ok(number) => {
                    self.numbers.insert(number, self.fates.len());
                    self.waiting_bytes += m.size();
                    self.call.pause_if_high().await;
                    return Ok(Fate::Waiting(m.size()));
                }
                Err(Code::Backpressure) if start.elapsed() < FULL_PATIENCE => {
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                // Nothing more is published for who is not let in any more.
                Err(code @ Code::AuthFailed) => return Err(refused(code, "")),
                Err(code) => {
                    let code = if code == Code::NoResponders { Code::StreamNotFound } else { code };
                    return Ok(Fate::Refused(refused(code, &String::from_utf8_lossy(m.subject))));
                }
            }
        }
    }

    /// Waits for an acknowledgement. Others who hear the subject may answer too; they are passed over.
    async fn hear(&mut self) -> Result<(), Problem> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        while let Some(answer) = self.call.hear(until).await {
            let said = self.call.number_of(&answer).zip(read(&answer));
            let line = said.as_ref().and_then(|(number, _)| self.numbers.remove(number));
            if let (Some((_, said)), Some(fate)) = (said, line.and_then(|line| self.fates.get_mut(line))) {
                if let Fate::Waiting(bytes) = fate {
                    self.waiting_bytes -= *bytes;
                }
                *fate = said;
                return Ok(());
            }
            if passed_over(until).await {
                break;
            }
        }
        let detail = format!("no acknowledgement came within {} s", ANSWER_TIMEOUT.as_secs());
        Err(Problem::new(Code::Timeout, detail))
    }

    /// Waits for all that is on its way.
    async fn settle(&mut self) {
        while !self.numbers.is_empty() {
            if let Err(problem) = self.hear().await {
                for line in std::mem::take(&mut self.numbers).into_values() {
                    if let Some(fate) = self.fates.get_mut(line) {
                        *fate = Fate::Refused(Problem::new(problem.code(), "it may or may not be stored"));
                    }
                }
            }
        }
    }

    /// The answer: every line's fate; an error if reading ended early, or if nothing was stored.
    fn answer(self, ended: Result<(), Problem>) -> Result<Response, Problem> {
        let is_stored = |fate: &Fate| matches!(fate, Fate::Stored { .. });
        let first = self.fates.iter().find_map(|fate| match fate {
            Fate::Refused(problem) => Some(problem.clone()),
            _ => None,
        });
        match (ended, first) {
            (Err(problem), _) => {
                let why = problem.text();
                let detail = format!("{why}; nothing after it was published, what was before is in `acks`");
                Err(problem.detail(detail).with("acks", &self.fates))
            }
            (Ok(()), Some(problem)) if !self.fates.iter().any(is_stored) => {
                Err(problem.with("acks", &self.fates))
            }
            (Ok(()), _) => Ok(document(StatusCode::OK, &BTreeMap::from([("acks", self.fates)]))),
        }
    }
}

/// Whether a line has nothing but what JSON counts as space.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// What a stream says to a message; `None`: it was no stream.
fn read(answer: &Message) -> Option<Fate> {
    Some(match PubAnswer::of_stream(&answer.headers, &answer.payload)? {
        Ok(ack) => Fate::Stored { seq: ack.seq, duplicate: ack.duplicate },
        Err(error) => Fate::Refused(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_empty_where_json_counts_all_of_it_as_space() {
        assert!(is_blank(b"") && is_blank(b" \t\r"));
        assert!(!is_blank(b"\x0c") && !is_blank(b" {"));
    }

    #[test]
    fn a_streams_answer_becomes_a_fate() {
        let answer = |headers: &str, payload: &str| {
            let (headers, payload) = (headers.to_owned().into(), payload.to_owned().into());
            read(&Message { headers, payload, ..Message::default() })
        };
        let stored = answer("", r#"{"stream":"S","seq":7,"duplicate": true}"#);
        assert!(matches!(stored, Some(Fate::Stored { seq: 7, duplicate: true })));
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S","seq":0}"#;
        assert!(matches!(answer("", full), Some(Fate::Refused(p)) if p.code() == Code::Backpressure));
        let gone = answer("NATS/1.0 503\r\n\r\n", "");
        assert!(matches!(gone, Some(Fate::Refused(p)) if p.code() == Code::StreamNotFound));
        assert!(answer("", r#"{"sum":3}"#).is_none());
    }
}
