//! The streams of a run: made before it, counted and removed after it.

use crate::caller::Caller;
use crate::link::Server;
use crate::{BenchError, Options};
use serde_json::{Value, json};
use wire::nats::Info;

/// Requests of the API in flight together.
const API_IN_FLIGHT: usize = 256;

/// `options.streams` streams, numbered in hexadecimal if there are several.
pub(super) struct Streams {
    caller: Caller,
    base: String,
    subject: String,
    count: usize,
}

impl Streams {
    /// Digits of a stream's number.
    pub(super) const DIGITS: usize = 6;

    /// Makes them. One that is there already, with another configuration or with messages, is an error.
    pub(super) fn create(options: &Options, server: &Server) -> Result<Self, BenchError> {
        let base = format!("BENCH_{}", options.subject.replace('.', "_"));
        let caller = Caller::open(server)?;
        let mut streams = Self { caller, base, subject: options.subject.clone(), count: options.streams };
        let mut request =
            json!({"retention": "limits", "storage": "file", "num_replicas": 1, "discard": "old"});
        if let Some(level) = &options.ack {
            request["metadata"] = json!({"np.ack": level});
        }
        let made = streams.each("CREATE", |streams, nth| {
            let mut request = request.clone();
            request["name"] = streams.name(nth).into();
            request["subjects"] = json!([streams.subject(nth)]);
            request
        })?;
        match made.iter().position(|made| messages(made) > 0) {
            Some(nth) => Err(BenchError::Usage(format!(
                "stream {} is there already and has messages; remove it, or take another subject",
                streams.name(nth)
            ))),
            None => Ok(streams),
        }
    }

    /// The name of stream `nth`.
    pub(super) fn name(&self, nth: usize) -> String {
        if self.count > 1 { format!("{}_{nth:06x}", self.base) } else { self.base.clone() }
    }

    /// The only subject of stream `nth`.
    pub(super) fn subject(&self, nth: usize) -> String {
        if self.count > 1 { format!("{}.{nth:06x}", self.subject) } else { self.subject.clone() }
    }

    /// What the server said of itself.
    pub(super) fn info(&self) -> &Info {
        self.caller.info()
    }

    pub(super) fn caller(&mut self) -> &mut Caller {
        &mut self.caller
    }

    /// Messages in all of them together.
    pub(super) fn messages(&mut self) -> Result<u64, BenchError> {
        Ok(self.each("INFO", |_, _| Value::Null)?.iter().map(messages).sum())
    }

    /// Removes them, unless they are to be kept.
    pub(super) fn finish(&mut self, options: &Options) -> Result<(), BenchError> {
        if options.keep { Ok(()) } else { self.each("DELETE", |_, _| Value::Null).map(drop) }
    }

    fn each(
        &mut self,
        verb: &str,
        request: impl Fn(&Self, usize) -> Value,
    ) -> Result<Vec<Value>, BenchError> {
        let all: Vec<usize> = (0..self.count).collect();
        let mut answers = Vec::with_capacity(self.count);
        for some in all.chunks(API_IN_FLIGHT) {
            let requests: Vec<(String, Value)> = some
                .iter()
                .map(|nth| (format!("STREAM.{verb}.{}", self.name(*nth)), request(self, *nth)))
                .collect();
            answers.extend(self.caller.api_all(&requests)?);
        }
        Ok(answers)
    }
}

/// Messages that a stream has, by what the API says of it.
fn messages(info: &Value) -> u64 {
    info.pointer("/state/messages").and_then(Value::as_u64).unwrap_or_default()
}
