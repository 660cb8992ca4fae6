//! One consumer: its state, and the ways to take messages from it.

use std::sync::Arc;
use std::time::Duration;

use wire::jetstream::PullRequest;
use wire::jetstream::api::PauseRequest;

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
        let pause_until = Some(until).filter(|until| *until != Time(0));
        self.context().api(&verb, &PauseRequest { pause_until }).await
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
) -> Vec<u8> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut pull = PullRequest { max_bytes: count(bytes), no_wait, ..PullRequest::messages(count(batch)) };
    if !no_wait {
        pull.expires = super::nanos(expires);
        pull.idle_heartbeat = heartbeat.map_or(0, super::nanos);
    }
    wire::jetstream::write(&pull)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_says_what_it_wants_and_no_more() {
        let second = Duration::from_secs(1);
        let body = |bytes, no_wait, heartbeat| {
            String::from_utf8(pull_body(5, bytes, second, no_wait, heartbeat)).unwrap()
        };
        assert_eq!(body(0, false, None), r#"{"expires":1000000000,"batch":5}"#);
        assert_eq!(body(0, true, Some(second)), r#"{"batch":5,"no_wait":true}"#);
        assert_eq!(
            body(100, false, Some(second / 2)),
            r#"{"expires":1000000000,"batch":5,"max_bytes":100,"idle_heartbeat":500000000}"#
        );
    }
}
