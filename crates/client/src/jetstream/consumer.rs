//! One consumer: its state, and the ways to take messages from it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::api::{ConsumerInfo, Paused, Time};
use super::fetch::{Batch, Fetch};
use super::messages::{Messages, Pull};
use super::{Context, Stream};
use crate::Error;

/// A consumer of a [`Stream`]. Clones are cheap; whether it exists shows when it is asked something.
#[derive(Clone, Debug)]
pub struct Consumer {
    stream: Stream,
    name: Arc<str>,
}

impl Consumer {
    pub(crate) fn new(stream: Stream, name: &str) -> Consumer {
        Consumer { stream, name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose messages it delivers.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn context(&self) -> &Context {
        self.stream.context()
    }

    /// Where pulls go.
    pub(crate) fn next_subject(&self) -> String {
        self.context().subject(&format!("CONSUMER.MSG.NEXT.{}.{}", self.stream.name(), self.name))
    }

    /// What it is to be, and how far it is.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn info(&self) -> Result<ConsumerInfo, Error> {
        self.context().api(&format!("CONSUMER.INFO.{}.{}", self.stream.name(), self.name), &()).await
    }

    /// Deletes it.
    ///
    /// # Errors
    /// Those of [`Stream::delete_consumer`].
    pub async fn delete(&self) -> Result<(), Error> {
        self.stream.delete_consumer(&self.name).await
    }

    /// Delivers nothing until this moment; one in the past, or `Time(0)`: goes on at once.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn pause(&self, until: Time) -> Result<Paused, Error> {
        let verb = format!("CONSUMER.PAUSE.{}.{}", self.stream.name(), self.name);
        match until {
            Time(0) => self.context().api(&verb, &()).await,
            until => self.context().api(&verb, &json!({ "pause_until": until })).await,
        }
    }

    /// Takes a number of messages, once. `Fetch::new(10)` takes up to ten and waits for the first up to 5 seconds.
    ///
    /// # Errors
    /// Those of [`crate::Client::publish`]; what the server refuses, [`Batch::next`] says.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Batch, Error> {
        Batch::open(self, fetch).await
    }

    /// Takes messages for as long as there are any and longer.
    ///
    /// # Errors
    /// Those of [`crate::Client::subscribe`]; what the server refuses, [`Messages::next`] says.
    pub fn messages(&self, pull: Pull) -> Result<Messages, Error> {
        Messages::open(self, pull)
    }

    /// What it means that nobody answers a pull.
    pub(crate) fn absent(&self) -> Error {
        Error::Absent(format!(
            "consumer `{}` on stream `{}` that can be pulled",
            self.name,
            self.stream.name()
        ))
    }
}

/// The body of a pull.
pub(crate) fn pull_body(
    batch: u64,
    bytes: u64,
    expires: Duration,
    no_wait: bool,
    heartbeat: Option<Duration>,
) -> String {
    let mut body = json!({ "batch": batch });
    let mut put = |name: &str, value: serde_json::Value| body[name] = value;
    if bytes > 0 {
        put("max_bytes", bytes.into());
    }
    if no_wait {
        put("no_wait", true.into());
    } else {
        put("expires", super::nanos(expires).into());
    }
    if let Some(heartbeat) = heartbeat.filter(|_| !no_wait) {
        put("idle_heartbeat", super::nanos(heartbeat).into());
    }
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_says_what_it_wants_and_no_more() {
        let second = Duration::from_secs(1);
        assert_eq!(pull_body(1, 0, second, false, None), r#"{"batch":1,"expires":1000000000}"#);
        assert_eq!(pull_body(5, 0, second, true, Some(second)), r#"{"batch":5,"no_wait":true}"#);
        assert_eq!(
            pull_body(5, 100, second, false, Some(second / 2)),
            r#"{"batch":5,"expires":1000000000,"idle_heartbeat":500000000,"max_bytes":100}"#
        );
    }
}
