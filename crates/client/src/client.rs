//! The handle that users hold.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use kernel::{Message, Msg, Subject, SubjectPattern};
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};
use wire::nats::{Info, encode};

use crate::actor::Actor;
use crate::gauge::Gauge;
use crate::open::{Attempt, Opened, ms};
use crate::pool::Pool;
use crate::requests::{Answer, Requests};
use crate::shared::{self, Handle, Shared};
use crate::slot::Slot;
use crate::state::{Link, Pong, State};
use crate::{AsMsg, Error, Headers, Options, Server, Subscription, random};

/// What the stream API's subjects begin with.
const API_PREFIX: &[u8] = b"$JS.";

/// A connection to a server. Clones share it; when the last clone and the last [`Subscription`] are dropped, what was
/// published is written out and the connection ends.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// Connects: to the first server of the list that lets us in.
    ///
    /// # Errors
    /// The last server's refusal. Later losses are dealt with: see [`crate::Event`].
    pub async fn connect(options: impl Into<Options>) -> Result<Client, Error> {
        let options = options.into();
        let mut pool = Pool::new(&options.servers)?;
        Subject::parse(options.inbox_prefix.as_bytes())
            .map_err(|_| Error::Subject(options.inbox_prefix.clone()))?;
        let tls = OnceLock::new();
        if pool.any_tls() || options.has_tls() {
            shared::tls(&tls, &options)?;
        }
        let opened = first(&mut pool, &options, &tls).await?;
        let requests = Requests::new(format!("{}.{}.", options.inbox_prefix, random::token()?));
        let state = State::new(opened.info.clone(), pool.current().clone(), requests);
        let shared = Arc::new(Shared::new(options, state, tls));
        tokio::spawn(Actor { shared: shared.clone(), pool }.run(opened));
        Ok(Client { handle: Arc::new(Handle(shared)) })
    }

    /// Publishes: a message, or a subject and a payload. It is on its way when this returns, not there yet; see
    /// [`Client::flush`]. Waits while too much waits to be written.
    ///
    /// # Errors
    /// [`Error::Subject`], [`Error::Headers`], [`Error::PayloadTooLarge`]: it was not sent. [`Error::BufferFull`]: the
    /// connection is away and enough waits for it. [`Error::Closed`].
    pub async fn publish(&self, message: impl AsMsg) -> Result<(), Error> {
        self.send(&message.view()).await
    }

    /// Subscribes. The members of a queue group share the messages instead of each getting all. The server knows of
    /// it before it reads anything that this client publishes later; to be sure for others, [`Client::flush`].
    ///
    /// # Errors
    /// [`Error::Subject`]: no pattern, or no name for a queue group. [`Error::Closed`]. What the server refuses ends
    /// the subscription: [`Subscription::error`], at the latest when a [`Client::flush`] behind it returns.
    pub fn subscribe(&self, pattern: &str, queue: Option<&str>) -> Result<Subscription, Error> {
        for text in [Some(pattern), queue].into_iter().flatten() {
            SubjectPattern::parse(text.as_bytes()).map_err(|_| Error::Subject(text.into()))?;
        }
        let options = &self.shared().options;
        let (slot, out) = Slot::new(pattern, queue, options.queued_messages_max, options.queued_bytes_max);
        let gauge = slot.gauge.clone();
        let sid = self.shared().with(|s| s.subscribe(slot))?;
        Ok(Subscription { sid, pattern: pattern.into(), queue: out, gauge, handle: self.handle.clone() })
    }

    /// Publishes and waits for the first answer. A reply subject in the message is replaced.
    ///
    /// # Errors
    /// [`Error::NoResponders`] when nobody listens, [`Error::Timeout`] when nobody answers in time, and those of
    /// [`Client::publish`]; [`Error::Refused`] when the server does not allow it.
    pub async fn request(&self, message: impl AsMsg, timeout: Duration) -> Result<Message, Error> {
        let asked = message.view();
        let exchange = async { self.ask(&asked).await?.answer().await };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                subject: String::from_utf8_lossy(asked.subject).into_owned(),
                timeout_ms: ms(timeout),
            }),
        }
    }

    /// Sends a request whose answer is waited for later; requests are sent in the order of these calls.
    pub(crate) async fn ask(&self, message: &Msg<'_>) -> Result<Asked, Error> {
        let opened = self.shared().with(|s| {
            s.open_inbox();
            s.requests.open(message.subject)
        });
        let asked = Asked {
            shared: self.shared().clone(),
            number: opened.number,
            subject: Bytes::copy_from_slice(message.subject),
            answer: opened.answer,
        };
        self.send(&Msg { reply: opened.reply.as_bytes(), ..*message }).await?;
        Ok(asked)
    }

    /// Waits until the server has read everything that was published and subscribed before. While the connection is
    /// away it waits for it to come back.
    ///
    /// # Errors
    /// When the connection breaks before the answer: nobody knows how much the server has read.
    pub async fn flush(&self) -> Result<(), Error> {
        let (waiter, flushed) = oneshot::channel();
        self.shared().with(|s| {
            s.open()?;
            s.ping(Pong::Flushed(waiter));
            Ok::<(), Error>(())
        })?;
        flushed.await.map_err(|_| Error::Closed)?
    }

    /// Ends in good order: unsubscribes everything, waits until what had come is taken from the subscriptions and
    /// everything published is with the server, then closes. Work on messages that were taken before is not waited
    /// for: for that, [`Subscription::drain`] first.
    ///
    /// # Errors
    /// [`Error::Timeout`] when [`Options::drain_timeout`] is over first; the client is closed even so.
    pub async fn drain(&self) -> Result<(), Error> {
        let shared = self.shared();
        let drain_timeout = shared.options.drain_timeout;
        let gauges: Vec<Arc<Gauge>> = shared.with(|s| {
            s.draining = true;
            let gauges = s.slots.values().map(|slot| slot.gauge.clone()).collect();
            s.drain(s.slots.keys().copied().collect());
            gauges
        });
        let deadline = tokio::time::Instant::now() + drain_timeout;
        let drained = timeout_at(deadline, async {
            self.flush().await?;
            loop {
                let mut taken = pin!(shared.taken.notified());
                taken.as_mut().enable();
                if gauges.iter().all(|g| g.is_empty()) || shared.with(|s| s.open().is_err()) {
                    return Ok(());
                }
                taken.await;
            }
        });
        let drained = drained.await;
        let closed = self.close().await;
        match drained {
            Ok(drained) => drained.and(closed),
            Err(_) => Err(Error::Timeout { subject: "drain".into(), timeout_ms: ms(drain_timeout) }),
        }
    }

    /// Writes out what was published and closes. Subscriptions end; requests that wait fail.
    ///
    /// # Errors
    /// When the server did not confirm that it read everything; the client is closed even so.
    pub async fn close(&self) -> Result<(), Error> {
        let shared = self.shared();
        let drain_timeout = shared.options.drain_timeout;
        let flushed = match shared.with(|s| s.open().is_ok() && s.is_up()) {
            true => match timeout(drain_timeout, self.flush()).await {
                Ok(flushed) => flushed,
                Err(_) => Err(Error::Timeout { subject: "close".into(), timeout_ms: ms(drain_timeout) }),
            },
            false => Ok(()),
        };
        shared.close();
        // The sender lives in `shared`, so this ends only when the task has.
        _ = shared.ended.subscribe().wait_for(|ended| *ended).await;
        flushed
    }

    /// What the server says of itself: name, version, limits.
    pub fn info(&self) -> Info {
        self.shared().with(|s| s.info.clone())
    }

    /// The server that the client is, or was last, connected to.
    pub fn server(&self) -> Server {
        self.shared().with(|s| s.server.clone())
    }

    /// Whether the connection is there at this moment.
    pub fn is_connected(&self) -> bool {
        self.shared().with(|s| s.is_up())
    }

    /// A subject of one's own to have answers sent to; nobody can guess it.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn inbox(&self) -> Result<String, Error> {
        Ok(format!("{}.{}", self.shared().options.inbox_prefix, random::token()?))
    }

    async fn send(&self, m: &Msg<'_>) -> Result<(), Error> {
        for subject in [m.subject, m.reply].into_iter().filter(|s| !s.is_empty() || *s == m.subject) {
            // Questions to the stream API name filters in their subjects, wildcards included.
            let parsed = match subject.starts_with(API_PREFIX) {
                true => SubjectPattern::parse(subject).map(drop),
                false => Subject::parse(subject).map(drop),
            };
            parsed.map_err(|_| Error::Subject(String::from_utf8_lossy(subject).into_owned()))?;
        }
        if !m.headers.is_empty() {
            Headers::check(m.headers).map_err(|_| Error::Headers)?;
        }
        let shared = self.shared();
        loop {
            let mut room = pin!(shared.room.notified());
            room.as_mut().enable();
            if shared.with(|s| put(s, m, &shared.options))? {
                return Ok(());
            }
            room.await;
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }
}

/// Encodes a message if there is room; false: wait for it.
fn put(state: &mut State, m: &Msg<'_>, options: &Options) -> Result<bool, Error> {
    state.open()?;
    state.check(m)?;
    let bytes = state.pending.len();
    match state.link {
        Link::Away if bytes + m.size() > options.reconnect_buffer_bytes => Err(Error::BufferFull { bytes }),
        Link::Up if bytes >= options.write_buffer_bytes => Ok(false),
        _ => {
            encode::publish(&mut state.pending, m);
            Ok(true)
        }
    }
}

async fn first(
    pool: &mut Pool,
    options: &Options,
    tls: &OnceLock<Arc<rustls::ClientConfig>>,
) -> Result<Opened, Error> {
    let mut left = pool.len();
    loop {
        let attempt = Attempt { server: pool.current(), options, tls: || shared::tls(tls, options) };
        match attempt.open().await {
            Ok(opened) => return Ok(opened),
            Err(e) if left <= 1 => return Err(e),
            Err(_) => {}
        }
        left -= 1;
        pool.advance();
    }
}

/// A request that was sent. Dropping it takes it out of the table; its answer is then nobody's.
pub(crate) struct Asked {
    shared: Arc<Shared>,
    number: u64,
    subject: Bytes,
    answer: oneshot::Receiver<Answer>,
}

impl Asked {
    /// Waits for the answer, without an end of its own. A call that is dropped in the middle loses nothing.
    pub(crate) async fn answer(&mut self) -> Result<Message, Error> {
        let answer = (&mut self.answer).await.map_err(|_| Error::Closed)??;
        match answer.payload.is_empty() && Headers::new(&answer.headers).status() == Some(503) {
            true => Err(Error::NoResponders { subject: self.subject() }),
            false => Ok(answer),
        }
    }

    /// Where it went.
    pub(crate) fn subject(&self) -> String {
        String::from_utf8_lossy(&self.subject).into_owned()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.with(|s| s.requests.forget(self.number));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server()).finish_non_exhaustive()
    }
}
