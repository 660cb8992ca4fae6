//! Messages in order and without a gap: a consumer that acknowledges nothing, thrown away and made again behind the last
//! message whenever it has a gap, falls silent or is gone.

use std::collections::VecDeque;
use std::time::Duration;

use kernel::Code;
use tokio::time::{sleep, timeout};
use wire::jetstream::Fault;

use super::api::{AckPolicy, ConsumerConfig, DeliverPolicy, Time};
use super::delivery::{Delivery, Position};
use super::messages::{Heard, Messages, Pull};
use super::stream::Stream;
use super::{Consumer, nanos};
use crate::{Error, random};

/// After so long without a pull the server throws the consumer away by itself.
const INACTIVE: Duration = Duration::from_secs(60);
/// Between attempts to make the consumer again; they double in between.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(4);
/// How long to wait for what should be there before asking whether it still is.
const STALL: Duration = Duration::from_secs(2);

/// What to read: every field with a default, set by the method of its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderedOptions {
    filters: Vec<String>,
    from: From,
    headers_only: bool,
    pull: Pull,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum From {
    #[default]
    First,
    New,
    LastOfEach,
    Sequence(u64),
    Time(Time),
}

impl OrderedOptions {
    /// Only what this pattern hears; may be said more than once. Default: everything.
    pub fn filter(mut self, pattern: impl Into<String>) -> OrderedOptions {
        self.filters.push(pattern.into());
        self
    }

    /// Only what is stored from now on. Default: everything.
    pub fn only_new(self) -> OrderedOptions {
        OrderedOptions { from: From::New, ..self }
    }

    /// The last message of each subject, then what is stored from now on.
    pub fn last_of_each_subject(self) -> OrderedOptions {
        OrderedOptions { from: From::LastOfEach, ..self }
    }

    /// From this number on.
    pub fn from_sequence(self, seq: u64) -> OrderedOptions {
        OrderedOptions { from: From::Sequence(seq), ..self }
    }

    /// From this moment on.
    pub fn from_time(self, time: Time) -> OrderedOptions {
        OrderedOptions { from: From::Time(time), ..self }
    }

    /// Leave the payloads out.
    pub fn headers_only(self) -> OrderedOptions {
        OrderedOptions { headers_only: true, ..self }
    }

    /// How to pull.
    pub fn pull(self, pull: Pull) -> OrderedOptions {
        OrderedOptions { pull, ..self }
    }

    /// The consumer that begins behind `last_seq`, or where it was asked to when nothing has come yet.
    fn config(&self, name: String, last_seq: u64) -> ConsumerConfig {
        let mut config = ConsumerConfig {
            name,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            mem_storage: true,
            num_replicas: 1,
            inactive_threshold: nanos(INACTIVE),
            headers_only: self.headers_only,
            ..ConsumerConfig::default()
        };
        match self.filters.as_slice() {
            [] => {}
            [one] => config.filter_subject.clone_from(one),
            many => config.filter_subjects = many.to_vec(),
        }
        let from = if last_seq > 0 { From::Sequence(last_seq.saturating_add(1)) } else { self.from };
        match from {
            From::First => {}
            From::New => config.deliver_policy = DeliverPolicy::New,
            From::LastOfEach => config.deliver_policy = DeliverPolicy::LastPerSubject,
            From::Sequence(seq) => {
                config.deliver_policy = DeliverPolicy::ByStartSequence;
                config.opt_start_seq = seq.max(1);
            }
            From::Time(time) => {
                config.deliver_policy = DeliverPolicy::ByStartTime;
                config.opt_start_time = Some(time);
            }
        }
        config
    }
}

/// A stream's messages in order. [`Ordered::close`] lets the server forget the reader at once; without it, it does so
/// after a minute.
#[derive(Debug)]
pub struct Ordered {
    stream: Stream,
    options: OrderedOptions,
    current: Option<(Consumer, Messages)>,
    /// Consumers that are no longer read.
    old: VecDeque<Consumer>,
    last_stream_seq: u64,
    last_consumer_seq: u64,
    /// How many are left of those that were there at first.
    waiting: u64,
}

impl Ordered {
    pub(crate) async fn open(stream: Stream, options: OrderedOptions) -> Result<Ordered, Error> {
        let mut ordered = Ordered {
            stream,
            options,
            current: None,
            old: VecDeque::new(),
            last_stream_seq: 0,
            last_consumer_seq: 0,
            waiting: 0,
        };
        ordered.waiting = ordered.make().await?;
        Ok(ordered)
    }

    /// How many messages were there when reading began and have not been read yet.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// [`Ordered::next`] among the messages that were there when reading began; `None`: all have come, or what has not
    /// come was removed meanwhile.
    ///
    /// # Errors
    /// Those of [`Ordered::next`]; [`Error::Closed`].
    pub async fn next_waiting(&mut self) -> Result<Option<Delivery>, Error> {
        let mut patience = STALL;
        while self.waiting > 0 {
            if let Ok(next) = timeout(patience, self.next()).await {
                return next?.ok_or(Error::Closed).map(Some);
            }
            // It is asked on the connection that messages come on, so what was sent before the answer is here by then.
            let asked = match &self.current {
                Some((consumer, _)) if patience == STALL => Some(consumer.info().await),
                _ => None,
            };
            match (asked, patience) {
                (Some(Ok(info)), STALL) if info.num_pending == 0 => patience = Duration::ZERO,
                (_, Duration::ZERO) => self.waiting = 0,
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next message; `None`: the client has been closed. It waits as long as it must, through lost connections and
    /// restarts of the server.
    ///
    /// # Errors
    /// When going on makes no sense: the stream is gone, or this user may not read it.
    pub async fn next(&mut self) -> Result<Option<Delivery>, Error> {
        let mut delay = RETRY_MIN;
        loop {
            let Some((_, messages)) = &mut self.current else {
                match self.make().await {
                    Ok(_) => delay = RETRY_MIN,
                    Err(e) if is_final(&e) => return Err(e),
                    Err(_) => {
                        sleep(delay).await;
                        delay = (delay * 2).min(RETRY_MAX);
                    }
                }
                continue;
            };
            match messages.hear().await {
                Ok(Heard::Message(message)) => {
                    let Some(at) = Position::parse(&message.reply) else {
                        return Err(Error::Protocol("a delivery does not say where it stands".into()));
                    };
                    if at.consumer_seq != self.last_consumer_seq + 1 {
                        self.forget();
                        continue;
                    }
                    (self.last_consumer_seq, self.last_stream_seq) = (at.consumer_seq, at.stream_seq);
                    self.waiting = self.waiting.min(at.pending);
                    return Ok(Some(Delivery::new(message, self.stream.context().clone())));
                }
                Ok(Heard::Ended) => return Ok(None),
                Ok(Heard::Silence) => self.forget(),
                Err(e) if is_final(&e) && !is_gone(&e) => return Err(e),
                Err(_) => self.forget(),
            }
        }
    }

    /// Deletes the consumer.
    pub async fn close(mut self) {
        self.forget();
        for consumer in self.old.drain(..) {
            // It goes by itself, only later.
            _ = consumer.delete().await;
        }
    }

    fn forget(&mut self) {
        self.old.extend(self.current.take().map(|(consumer, _)| consumer));
    }

    /// Makes the consumer; how many messages it has to deliver.
    async fn make(&mut self) -> Result<u64, Error> {
        let config = self.options.config(random::token()?, self.last_stream_seq);
        let info = self.stream.create_consumer(&config).await?;
        let consumer = self.stream.consumer(&info.name)?;
        let messages = consumer.messages(self.options.pull.clone())?;
        self.last_consumer_seq = 0;
        if self.options.from == From::New {
            // The next consumer begins where this one did, not where it is made.
            self.options.from = From::Sequence(info.delivered.stream_seq.saturating_add(1));
        }
        self.current = Some((consumer, messages));
        while self.old.len() > 1 {
            self.old.pop_front();
        }
        Ok(info.num_pending)
    }
}

/// Whether trying again would end likewise.
fn is_final(e: &Error) -> bool {
    e.fault() == Some(Fault::StreamNotFound)
        || matches!(
            e,
            Error::Closed
                | Error::NoRandomness
                | Error::Subject(_)
                | Error::Name { .. }
                | Error::Refused { .. }
                | Error::Api {
                    code: Code::InvalidRequest | Code::PermissionDenied | Code::PayloadTooLarge,
                    ..
                }
        )
}

/// Whether the consumer is gone, which another one can make good.
fn is_gone(e: &Error) -> bool {
    matches!(e, Error::Absent(_) | Error::Api { code: Code::NotFound, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_it_was_asked_to_and_goes_on_behind_what_it_has() {
        let options = OrderedOptions::default().filter("a.>").last_of_each_subject();
        let first = options.config("n".into(), 0);
        assert_eq!((first.deliver_policy, first.opt_start_seq), (DeliverPolicy::LastPerSubject, 0));
        assert_eq!((first.ack_policy, first.filter_subject.as_str()), (AckPolicy::None, "a.>"));
        let again = options.config("n".into(), 41);
        assert_eq!((again.deliver_policy, again.opt_start_seq), (DeliverPolicy::ByStartSequence, 42));
        let two = OrderedOptions::default().filter("a").filter("b").config("n".into(), 0);
        assert_eq!((two.filter_subject.as_str(), two.filter_subjects.len()), ("", 2));
    }

    #[test]
    fn only_what_would_fail_again_ends_it() {
        let api = |code, err_code| Error::Api {
            code,
            status: 404,
            err_code,
            description: String::new(),
            retry_after_ms: None,
        };
        assert!(is_final(&api(Code::StreamNotFound, 10059)));
        assert!(!is_final(&api(Code::NotFound, 10014)));
        assert!(!is_final(&api(Code::ServiceUnavailable, 10008)));
        let timeout = Error::Timeout { subject: "a".into(), timeout_ms: 1 };
        assert!(is_final(&Error::Closed) && !is_final(&timeout));
    }
}
