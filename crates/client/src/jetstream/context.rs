//! The way to a server's streams: questions to its API, and lists of what it has.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::jetstream::Fault;
use wire::jetstream::api::{StreamList, StreamNames, StreamsRequest, Success};

use super::api::{StreamConfig, StreamInfo};
use super::pages::{Page, gather};
use super::refusal::refused;
use super::{Stream, names};
use crate::{Client, Error, Msg};

/// How long the API may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server's streams. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Context {
    client: Client,
    prefix: Arc<str>,
    timeout: Duration,
}

impl Context {
    /// The streams of the server that `client` is connected to.
    pub fn new(client: Client) -> Context {
        Context { client, prefix: "$JS.API".into(), timeout: TIMEOUT }
    }

    /// The streams of another domain.
    pub fn domain(self, domain: &str) -> Context {
        Context { prefix: format!("$JS.{domain}.API").into(), ..self }
    }

    /// How long to wait for each answer. Default: 5 s.
    pub fn timeout(self, timeout: Duration) -> Context {
        Context { timeout, ..self }
    }

    /// The connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        self.timeout
    }

    /// The subject of an API's verb, such as `STREAM.INFO.ORDERS`.
    pub(crate) fn subject(&self, verb: &str) -> String {
        format!("{}.{verb}", self.prefix)
    }

    /// Asks the API anything: a verb such as `STREAM.INFO.ORDERS`, and what it wants to know (`&()`: nothing).
    ///
    /// # Errors
    /// [`Error::Api`] when it refuses, [`Error::NoStreams`] when nobody answers, [`Error::Protocol`] when the answer
    /// makes no sense, and those of [`Client::request`].
    pub async fn api<A: DeserializeOwned>(&self, verb: &str, body: &impl Serialize) -> Result<A, Error> {
        let mut body = serde_json::to_vec(body).map_err(unreadable)?;
        if body == b"null" {
            body.clear();
        }
        let subject = self.subject(verb);
        let question = Msg { subject: subject.as_bytes(), payload: &body, ..Msg::default() };
        let answer = match self.client.request(question, self.timeout).await {
            Err(Error::NoResponders { subject }) => return Err(Error::NoStreams { subject }),
            answer => answer?,
        };
        match refused(&answer) {
            Some(error) => Err(error),
            None => serde_json::from_slice(&answer.payload).map_err(unreadable),
        }
    }

    /// The stream of this name; whether it exists is not asked.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn stream(&self, name: &str) -> Result<Stream, Error> {
        names::stream(name)?;
        Ok(Stream::new(self.clone(), name))
    }

    /// Creates a stream. One that exists with the same configuration is left as it is.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`]: such as when a stream of that name is configured differently.
    pub async fn create_stream(&self, config: &StreamConfig) -> Result<StreamInfo, Error> {
        names::stream(&config.name)?;
        self.api(&format!("STREAM.CREATE.{}", config.name), config).await
    }

    /// Changes a stream's configuration: all of it, so begin with the one that [`Stream::info`] gives.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn update_stream(&self, config: &StreamConfig) -> Result<StreamInfo, Error> {
        names::stream(&config.name)?;
        self.api(&format!("STREAM.UPDATE.{}", config.name), config).await
    }

    /// Creates a stream, or makes one that exists what `config` says.
    ///
    /// # Errors
    /// Those of [`Context::update_stream`].
    pub async fn create_or_update_stream(&self, config: &StreamConfig) -> Result<StreamInfo, Error> {
        match self.update_stream(config).await {
            Err(e) if e.fault() == Some(Fault::StreamNotFound) => self.create_stream(config).await,
            done => done,
        }
    }

    /// Deletes a stream and everything in it.
    ///
    /// # Errors
    /// [`Error::Name`], and those of [`Context::api`].
    pub async fn delete_stream(&self, name: &str) -> Result<(), Error> {
        names::stream(name)?;
        done(self.api(&format!("STREAM.DELETE.{name}"), &()).await?)
    }

    /// Every stream, or those that store what `subject` hears, by name.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn streams(&self, subject: Option<&str>) -> Result<Vec<StreamInfo>, Error> {
        let mut all = self.pages::<StreamList>("STREAM.LIST", subject.unwrap_or_default()).await?;
        all.sort_by(|a, b| a.config.name.cmp(&b.config.name));
        Ok(all)
    }

    /// The names of every stream, or of those that store what `subject` hears, in order.
    ///
    /// # Errors
    /// Those of [`Context::api`].
    pub async fn stream_names(&self, subject: Option<&str>) -> Result<Vec<String>, Error> {
        let mut all = self.pages::<StreamNames>("STREAM.NAMES", subject.unwrap_or_default()).await?;
        all.sort();
        Ok(all)
    }

    /// A list in full, page after page.
    pub(crate) async fn pages<P: Page + DeserializeOwned>(
        &self,
        verb: &str,
        subject: &str,
    ) -> Result<Vec<P::Item>, Error> {
        let mut all = Vec::new();
        loop {
            let offset = i64::try_from(all.len()).unwrap_or(i64::MAX);
            let page: P = self.api(verb, &StreamsRequest { offset, subject: subject.into() }).await?;
            if !gather(&mut all, page) {
                return Ok(all);
            }
        }
    }
}

/// What a verb answers that has nothing else to say.
pub(crate) fn done(answer: Success) -> Result<(), Error> {
    match answer.success {
        true => Ok(()),
        false => Err(Error::Protocol("the stream API says neither yes nor no".into())),
    }
}

pub(crate) fn unreadable(e: serde_json::Error) -> Error {
    Error::Protocol(format!("an answer of the stream API: {e}"))
}
