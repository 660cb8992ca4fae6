//! Services: subscriptions that answer. Members of one queue share the questions; each works on so many at once and
//! lets the rest wait in its subscription, where the client's limits bound them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use kernel::{Code, Headers, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::typed::decode;
use crate::{Client, Draft, Error, Subscription};

/// What went wrong, in words: a header of NATS' services.
const ERROR: &str = "Nats-Service-Error";
/// A number; ours are those of the code table.
const ERROR_CODE: &str = "Nats-Service-Error-Code";

/// Why a service does not answer a question. It reaches the asker as [`Error::Service`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row of the code table.
    pub code: Code,
    /// In words.
    pub text: String,
}

impl Failure {
    /// A failure with a code and words of your own.
    pub fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure { code: e.code(), text: e.to_string() }
    }
}

/// A service to be started: what it hears, with whom it shares, how much it does at once.
///
/// ```no_run
/// # async fn example(client: client::Client) -> Result<(), client::Error> {
/// use client::{Failure, Service};
///
/// let sums = Service::new("sum").queue("adders").concurrent_max(8);
/// let serving = sums.start_json(&client, async |numbers: Vec<i64>, _question| {
///     Ok::<i64, Failure>(numbers.iter().sum())
/// })?;
/// let sum: i64 = client.request_json("sum", &[1, 2, 3], std::time::Duration::from_secs(2)).await?;
/// serving.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    pattern: String,
    queue: Option<String>,
    concurrent_max: usize,
}

impl Service {
    /// A service for a subject or a pattern.
    pub fn new(pattern: impl Into<String>) -> Service {
        Service { pattern: pattern.into(), queue: None, concurrent_max: 64 }
    }

    /// Shares the questions with the others of this name. Default: everybody answers everything.
    pub fn queue(self, name: impl Into<String>) -> Service {
        Service { queue: Some(name.into()), ..self }
    }

    /// On how many questions it works at once; further ones wait in its subscription. Default: 64.
    pub fn concurrent_max(self, questions: usize) -> Service {
        Service { concurrent_max: questions.max(1), ..self }
    }

    /// Starts it. Each answer takes over the question's trace and correlation id. A handler that panics is a failure
    /// with [`Code::InternalError`], and the service goes on.
    ///
    /// # Errors
    /// Those of [`Client::subscribe`].
    pub fn start<H, F, A>(self, client: &Client, handler: H) -> Result<Serving, Error>
    where
        H: Fn(Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<A, Failure>> + Send + 'static,
        A: Into<Bytes> + Send + 'static,
    {
        let questions = client.subscribe(&self.pattern, self.queue.as_deref())?;
        let (stop, stopped) = watch::channel(false);
        let handler = Arc::new(handler);
        let handle = move |question: Message| {
            let handler = handler.clone();
            async move { handler(question).await.map(Into::into) }
        };
        let running = run(client.clone(), questions, self.concurrent_max, stopped, handle);
        Ok(Serving { stop, task: tokio::spawn(running) })
    }

    /// Starts it, for questions and answers in JSON. A question that cannot be read is answered with
    /// [`Code::InvalidRequest`] and does not reach the handler.
    ///
    /// # Errors
    /// Those of [`Client::subscribe`].
    pub fn start_json<H, F, Q, A>(self, client: &Client, handler: H) -> Result<Serving, Error>
    where
        H: Fn(Q, Message) -> F + Send + Sync + 'static,
        F: Future<Output = Result<A, Failure>> + Send + 'static,
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.start(client, move |question| {
            let handler = handler.clone();
            async move {
                let question = decode::<Q>(question)?;
                let answer = handler(question.value, question.message).await?;
                serde_json::to_vec(&answer).map_err(|e| Error::Encode(e.to_string()).into())
            }
        })
    }
}

/// A service that runs. Dropping it ends it at once, and what it works on with it.
#[derive(Debug)]
pub struct Serving {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Option<Error>>,
}

impl Serving {
    /// Hears no further questions, answers those that had come, and ends. `Some`: why it had ended before.
    pub async fn stop(mut self) -> Option<Error> {
        self.stop.send_replace(true);
        (&mut self.task).await.ok().flatten()
    }

    /// Waits until it ends by itself: the client was closed, or the server refuses the subscription.
    pub async fn ended(mut self) -> Option<Error> {
        (&mut self.task).await.ok().flatten()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<H, F>(
    client: Client,
    mut questions: Subscription,
    concurrent_max: usize,
    mut stopped: watch::Receiver<bool>,
    handle: H,
) -> Option<Error>
where
    H: Fn(Message) -> F,
    F: Future<Output = Result<Bytes, Failure>> + Send + 'static,
{
    let mut working = JoinSet::new();
    // Whoever waits for a handler that panics is told so.
    let mut asked: HashMap<Id, Message> = HashMap::new();
    let mut draining = false;
    loop {
        tokio::select! {
            question = questions.next(), if working.len() < concurrent_max => {
                let Some(question) = question else { break };
                let head = Message { payload: Bytes::new(), ..question.clone() };
                asked.insert(working.spawn(handle(question)).id(), head);
            }
            Some(done) = working.join_next_with_id() => answer(&client, &mut asked, done).await,
            () = told(&mut stopped), if !draining => {
                draining = true;
                questions.drain();
            }
        }
    }
    while let Some(done) = working.join_next_with_id().await {
        answer(&client, &mut asked, done).await;
    }
    questions.error().cloned()
}

/// Waits until the service is told to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    _ = stopped.wait_for(|stop| *stop).await;
}

type Done = Result<(Id, Result<Bytes, Failure>), JoinError>;

async fn answer(client: &Client, asked: &mut HashMap<Id, Message>, done: Done) {
    let (id, result) = match done {
        Ok(done) => done,
        Err(e) => (e.id(), Err(Failure::new(Code::InternalError, "the service panicked on this question"))),
    };
    let Some(question) = asked.remove(&id).filter(|q| !q.reply.is_empty()) else { return };
    let Ok(reply) = std::str::from_utf8(&question.reply) else { return };
    let draft = Draft::new(reply).because_of(&question);
    let draft = match result {
        Ok(payload) => draft.payload(payload),
        Err(failure) => {
            let text: String = failure.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            draft.header(ERROR, text).header(ERROR_CODE, failure.code.number())
        }
    };
    if let Err(e) = client.publish(draft).await {
        // Too large, for instance: the asker should not wait for what cannot come.
        let failed = Draft::new(reply).header(ERROR, &e).header(ERROR_CODE, e.code().number());
        _ = client.publish(failed).await;
    }
}

/// The failure that an answer carries.
pub(crate) fn failure_of(headers: Headers<'_>) -> Option<Error> {
    let number = headers.first(ERROR_CODE);
    let text = headers.first(ERROR).or(number)?.to_owned();
    let number: Option<u16> = number.and_then(|n| n.parse().ok());
    let code = number.and_then(Code::from_number).unwrap_or(Code::InternalError);
    Some(Error::Service { code, number: number.unwrap_or_default(), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::headers;

    #[test]
    fn a_failure_is_read_from_the_headers_of_an_answer() {
        let block = headers::block([(ERROR, "no such file"), (ERROR_CODE, "6008")]).unwrap();
        let failed = failure_of(Headers::new(&block)).unwrap();
        assert_eq!(
            (failed.code(), failed.to_string().as_str()),
            (Code::NotFound, "the service failed: no such file (6008)")
        );
        let theirs = headers::block([(ERROR_CODE, "404")]).unwrap();
        let failed = failure_of(Headers::new(&theirs)).unwrap();
        assert!(matches!(failed, Error::Service { code: Code::InternalError, number: 404, .. }));
        assert_eq!(failure_of(Headers::default()), None);
    }
}
