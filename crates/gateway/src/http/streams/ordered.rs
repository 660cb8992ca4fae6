//! A stream's messages in order and without a gap: a consumer of the door's own that acknowledges nothing, asked for the
//! next messages when those before are taken, and made again behind the last one whenever it is gone or has a gap.

use std::time::Duration;

use kernel::{Code, Msg};
use tokio::time::sleep;
use wire::jetstream::api::{ConsumerInfo, CreateConsumerRequest};
use wire::jetstream::{
    self as js, AckPolicy, ConsumerConfig, DeliverPolicy, Fault, PullRequest, ReplayPolicy, Time,
};

use super::ask;
use super::delivery::Delivered;
use super::pull::{End, Heard, Pull};
use crate::http::call::{Call, random_name};
use crate::http::problem::Problem;

/// How long one request for messages waits.
const EXPIRES: Duration = Duration::from_secs(30);
/// Bytes of one request's messages, unless a single message is larger: whoever does not read makes the node hold them.
const PULL_BYTES: i64 = 1024 * 1024;
/// Bytes that may wait of what was asked for.
pub(super) const INBOX_BYTES_MAX: usize = 4 * PULL_BYTES as usize;
/// After so long without a request, as when the client does not read, the node forgets the consumer by itself.
const INACTIVE: Duration = Duration::from_secs(60);
/// Attempts to go on without any progress.
const ATTEMPTS_MAX: u32 = 5;

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// With the first message.
    First,
    /// With this one, or the next that is there.
    Sequence(u64),
    /// With the first that was stored then or later.
    Time(Time),
}

/// What to read.
pub(super) struct Wanted {
    pub(super) stream: String,
    /// Which subjects; empty: all.
    pub(super) subject: String,
    pub(super) from: From,
    /// Messages of one request.
    pub(super) batch: u32,
    /// Whether to wait for what is stored later.
    pub(super) follow: bool,
}

/// See the module. Its consumer goes when it is dropped.
pub(super) struct Ordered {
    call: Call,
    wanted: Wanted,
    consumer: Option<String>,
    pull: Option<Pull>,
    /// The next message alone is larger than a request's bytes.
    is_large: bool,
    last_seq: u64,
    last_consumer_seq: u64,
    /// Messages that were there at first and have not come; only those are read if it does not follow.
    left: u64,
    attempts: u32,
}

impl Ordered {
    /// Begins to read.
    pub(super) async fn open(call: Call, wanted: Wanted) -> Result<Ordered, Problem> {
        let mut ordered = Ordered {
            call,
            wanted,
            consumer: None,
            pull: None,
            is_large: false,
            last_seq: 0,
            last_consumer_seq: 0,
            left: u64::MAX,
            attempts: 0,
        };
        ordered.make().await?;
        Ok(ordered)
    }

    /// The stream that is read.
    pub(super) fn stream(&self) -> &str {
        &self.wanted.stream
    }

    /// The next message; `None`: all that was there has come. A call that is dropped in the middle loses nothing. Errors
    /// when going on makes no sense.
    pub(super) async fn next(&mut self) -> Result<Option<Delivered>, Problem> {
        loop {
            if !self.wanted.follow && self.left == 0 {
                return Ok(None);
            }
            if self.consumer.is_none() {
                self.make_again().await?;
            }
            match &self.pull {
                Some(pull) if !pull.is_full() => {}
                _ => self.pull = Some(self.send()?),
            }
            let Some(pull) = &mut self.pull else { continue };
            let Some(message) = self.call.hear(pull.until).await else {
                self.forget();
                continue;
            };
            match pull.read(&self.call, message) {
                Heard::Message(delivered) => {
                    if let Some(next) = self.check(delivered) {
                        return Ok(Some(next));
                    }
                }
                Heard::Over(end) => self.over(end)?,
                Heard::Other => {}
            }
        }
    }

    /// A message that has come already.
    pub(super) fn take(&mut self) -> Option<Delivered> {
        while self.wanted.follow || self.left > 0 {
            let pull = self.pull.as_mut().filter(|pull| !pull.is_full())?;
            let message = self.call.take()?;
            match pull.read(&self.call, message) {
                Heard::Message(delivered) => {
                    if let Some(next) = self.check(delivered) {
                        return Some(next);
                    }
                }
                // What went wrong is noticed again by the next request.
                Heard::Over(_) => self.pull = None,
                Heard::Other => {}
            }
        }
        None
    }

    /// Whether it is the message that comes next.
    fn check(&mut self, delivered: Delivered) -> Option<Delivered> {
        if self.consumer.as_ref() != Some(&delivered.consumer) {
            return None;
        }
        if delivered.consumer_seq != self.last_consumer_seq + 1 {
            self.forget();
            return None;
        }
        (self.last_seq, self.last_consumer_seq) = (delivered.seq, delivered.consumer_seq);
        self.left = self.left.saturating_sub(1).min(delivered.pending);
        (self.attempts, self.is_large) = (0, false);
        Some(delivered)
    }

    fn over(&mut self, end: End) -> Result<(), Problem> {
        self.pull = None;
        match end {
            End::Empty if !self.wanted.follow => self.left = 0,
            End::Empty | End::Taken => self.attempts = 0,
            End::TooLarge => self.is_large = true,
            End::Gone => self.forget(),
            End::Refused(problem) if problem.code() == Code::ServiceUnavailable => return Err(problem),
            End::Refused(_) => self.forget(),
        }
        Ok(())
    }

    /// Asks for the next messages.
    fn send(&mut self) -> Result<Pull, Problem> {
        let (batch, max_bytes) = if self.is_large { (1, 0) } else { (self.wanted.batch.into(), PULL_BYTES) };
        let request = PullRequest {
            batch,
            max_bytes,
            expires: if self.wanted.follow { nanos(EXPIRES) } else { 0 },
            no_wait: !self.wanted.follow,
            ..PullRequest::default()
        };
        let consumer = self.consumer.as_deref().unwrap_or_default();
        Pull::send(&mut self.call, &self.wanted.stream, consumer, &request)
    }

    async fn make_again(&mut self) -> Result<(), Problem> {
        self.attempts += 1;
        if self.attempts > 1 {
            sleep(Duration::from_millis(50) * 2u32.pow(self.attempts.min(6))).await;
        }
        match self.make().await {
            Err(problem) if self.attempts >= ATTEMPTS_MAX || problem.is(Fault::StreamNotFound) => {
                Err(problem)
            }
            Err(problem) if problem.code() == Code::PermissionDenied => Err(problem),
            _ => Ok(()),
        }
    }

    /// Makes the consumer.
    async fn make(&mut self) -> Result<(), Problem> {
        let name = random_name()?;
        let config = config(&self.wanted, name.clone(), self.last_seq);
        let (stream, filter) = (self.wanted.stream.clone(), config.filter_subject.clone());
        let filter = (!filter.is_empty()).then_some(filter.as_str());
        let request =
            CreateConsumerRequest { stream_name: stream.clone(), config, ..CreateConsumerRequest::default() };
        let what = js::Call::ConsumerCreate { stream: &stream, consumer: Some(&name), filter };
        // Known before it is there, so that it goes even if nobody waits for the answer any more.
        self.forget();
        (self.consumer, self.last_consumer_seq) = (Some(name.clone()), 0);
        match ask::<ConsumerInfo>(&mut self.call, what, &request).await {
            Ok(info) => {
                self.left = self.left.min(info.num_pending);
                Ok(())
            }
            Err(problem) => {
                self.forget();
                Err(problem)
            }
        }
    }

    /// Deletes the consumer.
    fn forget(&mut self) {
        self.pull = None;
        if let Some(consumer) = self.consumer.take() {
            let what = js::Call::ConsumerDelete { stream: &self.wanted.stream, consumer: &consumer };
            let subject = what.to_string();
            self.call.say(&Msg { subject: subject.as_bytes(), ..Msg::default() });
        }
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The consumer that begins behind `last_seq`, or where it was asked to when nothing has come yet.
fn config(wanted: &Wanted, name: String, last_seq: u64) -> ConsumerConfig {
    let from = if last_seq > 0 { From::Sequence(last_seq.saturating_add(1)) } else { wanted.from };
    let (deliver_policy, opt_start_seq, opt_start_time) = match from {
        From::First => (DeliverPolicy::All, 0, None),
        From::Sequence(seq) => (DeliverPolicy::ByStartSequence, seq.max(1), None),
        From::Time(time) => (DeliverPolicy::ByStartTime, 0, Some(time)),
    };
    ConsumerConfig {
        name,
        deliver_policy,
        opt_start_seq,
        opt_start_time,
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        filter_subject: wanted.subject.clone(),
        inactive_threshold: nanos(INACTIVE),
        num_replicas: 1,
        mem_storage: true,
        ..ConsumerConfig::default()
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_it_was_asked_to_and_goes_on_behind_what_it_has() {
        let wanted =
            Wanted { stream: "S".into(), subject: "a.>".into(), from: From::First, batch: 1, follow: true };
        let first = config(&wanted, "n".into(), 0);
        assert_eq!((first.deliver_policy, first.opt_start_seq), (DeliverPolicy::All, 0));
        assert_eq!((first.ack_policy, &*first.filter_subject), (AckPolicy::None, "a.>"));
        let again = config(&wanted, "n".into(), 41);
        assert_eq!((again.deliver_policy, again.opt_start_seq), (DeliverPolicy::ByStartSequence, 42));
        let time = config(&Wanted { from: From::Time(Time(5)), ..wanted }, "n".into(), 0);
        assert_eq!((time.deliver_policy, time.opt_start_time), (DeliverPolicy::ByStartTime, Some(Time(5))));
    }
}
