//! A continuous pull: asks for more before what it asked for has run out, and goes on when the connection comes back.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::consumer::{Consumer, pull_body};
use super::delivery::Delivery;
use super::status::{self, Status};
use super::window::{Ask, Window};
use crate::{Code, Error, Message, Msg, Subscription};

/// How long to wait after a pull that ended without saying what was left of it: the same may happen again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// How to pull: every field with a default, set by the method of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    batch: u64,
    max_bytes: u64,
    expires: Duration,
    heartbeat: Duration,
}

impl Default for Pull {
    fn default() -> Pull {
        Pull { batch: 256, max_bytes: 0, expires: Duration::from_secs(30), heartbeat: Duration::from_secs(2) }
    }
}

impl Pull {
    /// How many messages may be on their way. Default: 256.
    pub fn batch(self, batch: u64) -> Pull {
        Pull { batch: batch.max(1), ..self }
    }

    /// How many bytes may be on their way; at least as many as the largest message has. Default: any number.
    pub fn max_bytes(self, bytes: u64) -> Pull {
        Pull { max_bytes: bytes, ..self }
    }

    /// How long one pull lasts. Default: 30 s.
    pub fn expires(self, expires: Duration) -> Pull {
        Pull { expires, ..self }
    }

    /// How often the server says that it is still there; at most half of [`Pull::expires`]; after twice as
    /// long without a word the client pulls again, such as when the connection was away. Default: 2 s.
    pub fn heartbeat(self, every: Duration) -> Pull {
        Pull { heartbeat: every, ..self }
    }
}

/// A consumer's messages, as they come.
#[derive(Debug)]
pub struct Messages {
    consumer: Consumer,
    inbox: Subscription,
    pull: Pull,
    window: Window,
    /// When the silence has lasted too long.
    silent_at: Instant,
    /// Not to pull before.
    rest_until: Option<Instant>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Message),
    /// Two heartbeats are missing: nothing that was asked for is on its way any more.
    Silence,
    /// No more will come.
    Ended,
}

impl Messages {
    pub(crate) fn open(consumer: &Consumer, pull: Pull) -> Result<Messages, Error> {
        let client = consumer.context().client();
        let inbox = client.subscribe(&client.inbox()?, None)?;
        Ok(Messages {
            consumer: consumer.clone(),
            inbox,
            window: Window::new(pull.batch, pull.max_bytes),
            silent_at: Instant::now() + pull.heartbeat * 2,
            rest_until: None,
            pull,
        })
    }

    /// The next message; `None`: the client has been closed. A call that is dropped in the middle loses nothing.
    ///
    /// # Errors
    /// [`Error::Api`] when the server refuses to be pulled like this, [`Error::Absent`] without a consumer; after them
    /// a further call tries again.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        loop {
            match self.hear().await? {
                Heard::Message(message) => {
                    return Ok(Some(Delivery::new(message, self.consumer.context().clone())));
                }
                Heard::Silence => {}
                Heard::Ended => return Ok(None),
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> Result<Heard, Error> {
        loop {
            self.ask().await?;
            let Ok(next) = timeout_at(self.silent_at, self.inbox.next()).await else {
                self.window.over(None);
                self.silent_at = Instant::now() + self.pull.heartbeat * 2;
                return Ok(Heard::Silence);
            };
            let Some(message) = next else {
                return self.inbox.error().cloned().map_or(Ok(Heard::Ended), Err);
            };
            self.silent_at = Instant::now() + self.pull.heartbeat * 2;
            match status::read(&message) {
                Status::Message => {
                    self.window.came(size(&message));
                    return Ok(Heard::Message(message));
                }
                Status::Heartbeat => {}
                Status::Over(unserved) => self.over(unserved),
                Status::TooLarge(unserved) => {
                    let helps = self.window.is_served();
                    self.over(unserved);
                    if !helps {
                        return Err(too_large(&self.pull));
                    }
                }
                Status::Failed(why) => {
                    self.window.over(None);
                    self.rest_until = Some(Instant::now() + PAUSE);
                    return Err(match why {
                        Error::Api { status: 503, .. } => self.consumer.absent(),
                        why => why,
                    });
                }
            }
        }
    }

    fn over(&mut self, unserved: Option<status::Unserved>) {
        self.window.over(unserved);
        if unserved.is_none() {
            self.rest_until = Some(Instant::now() + PAUSE);
        }
    }

    /// Pulls, if there is reason to.
    async fn ask(&mut self) -> Result<(), Error> {
        if let Some(until) = self.rest_until {
            sleep_until(until).await;
            self.rest_until = None;
        }
        // On a copy, so that a call that is dropped while it publishes has asked for nothing.
        let mut window = self.window;
        let Some(Ask { messages, bytes }) = window.ask() else { return Ok(()) };
        let body = pull_body(messages, bytes, self.pull.expires, false, Some(self.pull.heartbeat));
        let subject = self.consumer.next_subject();
        let question = Msg {
            subject: subject.as_bytes(),
            reply: self.inbox.pattern().as_bytes(),
            payload: &body,
            ..Msg::default()
        };
        match self.consumer.context().client().publish(question).await {
            // Whoever is away comes back; the silence tells.
            Ok(()) | Err(Error::BufferFull { .. }) => {
                self.window = window;
                // Before, nothing was owed: whoever took long over a message must not ask twice for the next.
                self.silent_at = Instant::now() + self.pull.heartbeat * 2;
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// What a message counts for in a pull's bytes.
fn size(message: &Message) -> usize {
    message.subject.len() + message.reply.len() + message.headers.len() + message.payload.len()
}

fn too_large(pull: &Pull) -> Error {
    Error::Api {
        code: Code::PayloadTooLarge,
        status: 409,
        err_code: 0,
        description: format!("the next message is larger than the pull's {} bytes", pull.max_bytes),
        retry_after_ms: None,
    }
}
