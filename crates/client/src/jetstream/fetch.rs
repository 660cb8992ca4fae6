//! One pull: up to so many messages, then it is over.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::consumer::{Consumer, pull_body};
use super::delivery::Delivery;
use super::status::{self, Status};
use crate::open::ms;
use crate::{Error, Msg, Subscription};

/// How much longer than the server the client waits for the end of a pull.
const GRACE: Duration = Duration::from_secs(2);
/// Shortest pull that the server is asked for.
const EXPIRES_MIN: Duration = Duration::from_millis(10);

/// What to take: every field with a default, set by the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    batch: u64,
    expires: Duration,
    no_wait: bool,
    max_bytes: u64,
    heartbeat: Option<Duration>,
}

impl Fetch {
    /// Up to `batch` messages.
    pub fn new(batch: u64) -> Fetch {
        Fetch {
            batch: batch.max(1),
            expires: Duration::from_secs(5),
            no_wait: false,
            max_bytes: 0,
            heartbeat: None,
        }
    }

    /// How long to wait for messages. Default: 5 s.
    pub fn expires(self, expires: Duration) -> Fetch {
        Fetch { expires: expires.max(EXPIRES_MIN), ..self }
    }

    /// Take what is there and do not wait.
    pub fn no_wait(self) -> Fetch {
        Fetch { no_wait: true, ..self }
    }

    /// Up to so many bytes. Default: any number.
    pub fn max_bytes(self, bytes: u64) -> Fetch {
        Fetch { max_bytes: bytes, ..self }
    }

    /// How often the server says that it is still there; at most half of [`Fetch::expires`]. Default: never.
    pub fn heartbeat(self, every: Duration) -> Fetch {
        Fetch { heartbeat: Some(every), ..self }
    }
}

/// The messages of one pull, as they come.
#[derive(Debug)]
pub struct Batch {
    consumer: Consumer,
    inbox: Subscription,
    fetch: Fetch,
    left: u64,
    deadline: Instant,
    heard: Instant,
}

impl Batch {
    pub(crate) async fn open(consumer: &Consumer, fetch: Fetch) -> Result<Batch, Error> {
        let client = consumer.context().client();
        let reply = client.inbox()?;
        let inbox = client.subscribe(&reply, None)?;
        let body = pull_body(fetch.batch, fetch.max_bytes, fetch.expires, fetch.no_wait, fetch.heartbeat);
        let subject = consumer.next_subject();
        let question =
            Msg { subject: subject.as_bytes(), reply: reply.as_bytes(), payload: &body, ..Msg::default() };
        client.publish(question).await?;
        let heard = Instant::now();
        let wait = if fetch.no_wait { consumer.context().answer_timeout() } else { fetch.expires + GRACE };
        Ok(Batch {
            consumer: consumer.clone(),
            inbox,
            left: fetch.batch,
            deadline: heard + wait,
            heard,
            fetch,
        })
    }

    /// The next message; `None`: no more will come of this pull. A call that is dropped in the middle loses nothing.
    ///
    /// # Errors
    /// [`Error::Api`] when the server refuses the pull; [`Error::Timeout`] when it says nothing at all, or fewer
    /// heartbeats than it was asked for; [`Error::Absent`] without a consumer.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        while self.left > 0 {
            let Some(message) = self.hear().await? else {
                return self.inbox.error().cloned().map_or(Ok(None), Err);
            };
            self.heard = Instant::now();
            match status::read(&message) {
                Status::Message => {
                    self.left -= 1;
                    return Ok(Some(Delivery::new(message, self.consumer.context().clone())));
                }
                Status::Heartbeat => {}
                Status::Over(_) => self.left = 0,
                Status::TooLarge(_) if self.left < self.fetch.batch => self.left = 0,
                Status::TooLarge(_) => {
                    return Err(Error::Api {
                        code: crate::Code::PayloadTooLarge,
                        status: 409,
                        err_code: 0,
                        description: "the next message is larger than the pull's max_bytes".into(),
                        retry_after_ms: None,
                    });
                }
                Status::Failed(Error::Api { status: 503, .. }) => return Err(self.consumer.absent()),
                Status::Failed(why) => return Err(why),
            }
        }
        Ok(None)
    }

    /// Everything that comes of this pull.
    ///
    /// # Errors
    /// Those of [`Batch::next`], unless something has come before.
    pub async fn all(mut self) -> Result<Vec<Delivery>, Error> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Ok(Some(delivery)) => all.push(delivery),
                Err(e) if all.is_empty() => return Err(e),
                Ok(None) | Err(_) => return Ok(all),
            }
        }
    }

    async fn hear(&mut self) -> Result<Option<crate::Message>, Error> {
        let silent = self.fetch.heartbeat.filter(|_| !self.fetch.no_wait).map(|every| self.heard + every * 2);
        let until = silent.map_or(self.deadline, |silent| silent.min(self.deadline));
        timeout_at(until, self.inbox.next()).await.map_err(|_| Error::Timeout {
            subject: self.consumer.next_subject(),
            timeout_ms: ms(self.fetch.expires),
        })
    }
}
