//! A consumer: a place in a stream from which messages are given out, by request or as they come, until each is
//! acknowledged. Pure: time comes in, [`Action`]s go out. It does *not* hold messages, write anything, or know a protocol.
//!
//! How it is driven: every input (a request, an acknowledgement, a message that became visible or went away, somebody
//! who begins or ceases to hear the deliver subject) is told by a call, and each turn with inputs ends with
//! [`Consumer::step`], which is also due at [`Consumer::next_wake`]. Then [`Consumer::take_delta`] gives what must be
//! remembered of the turn; a confirmation of an acknowledgement waits until that is safe, deliveries do not.
//!
//! A delivery is a *lease*. Only a message's latest delivery can be acknowledged, and no two deliveries share a consumer
//! sequence, not even across a crash: see `sequence`.

use bytes::Bytes;
use kernel::{Code, Now};
use wire::jetstream::{AckPolicy, ConsumerConfig, ReplayPolicy, Retention};

use crate::messages::Messages;

mod ack;
pub mod action;
mod backlog;
mod change;
mod codec;
pub mod config;
mod due;
mod filter;
mod info;
mod lanes;
mod leases;
mod pace;
mod pedantic;
mod pull;
mod push;
pub mod refusal;
mod ring;
mod sequence;
mod settled;
mod state;
mod step;
mod waiting;

#[cfg(test)]
mod tests;

pub use ack::{Ack, Acked, Token};
pub use action::{Action, Advisory, Delivery, Left, Status};
pub use codec::Unreadable;
pub use info::{Info, Place};
pub use pull::Pull;
pub use refusal::Refusal;
pub use state::NotRestored;

use backlog::{Backlog, wall_ns};
use filter::Filter;
use leases::{Leases, Pair};
use pace::Pace;
use push::Push;
use sequence::Sequence;
use settled::Settled;
use waiting::{NEVER, Waiting};

/// Where a consumer lives, as far as it must know.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The consumer's name.
    pub name: &'a str,
    /// When the stream lets a message go.
    pub retention: Retention,
    /// The largest message there can be, in bytes: what a rate limit lets through at once.
    pub message_bytes_max: u64,
    /// Whether its state is written down: if not, [`Consumer::take_delta`] gives nothing.
    pub is_kept: bool,
    /// Seed of every hash.
    pub seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Consumer {
    config: ConsumerConfig,
    filter: Filter,
    backlog: Backlog,
    leases: Leases,
    settled: Settled,
    sequence: Sequence,
    /// The last delivery.
    delivered: Pair,
    delivered_ms: u64,
    acked_ms: u64,
    waiting: Waiting,
    push: Option<Box<Push>>,
    pace: Option<Box<Pace>>,
    /// Messages whose state changed since the last delta.
    changed: Vec<u64>,
    /// Whether anything changed since.
    is_changed: bool,
    is_kept: bool,
    /// Whether the stream asks what we are done with.
    is_retaining: bool,
    is_paused: bool,
    is_gone: bool,
    /// Whether it comes from a restart and has not been held against the stream yet.
    is_restored: bool,
    /// Length of the subject that acknowledgements go to, without its numbers.
    ack_bytes: u32,
    message_bytes_max: u64,
    now: Now,
    /// Counts steps.
    turn: u64,
    /// When to ask whether anybody still uses this consumer.
    idle_at_ns: u64,
    /// When to step for any other reason.
    wake_ns: u64,
}

impl Consumer {
    /// A new consumer of a configuration that [`config::check`] has passed. Errors with [`Code::SubjectInvalid`] when it
    /// did not.
    pub fn new(
        config: ConsumerConfig,
        home: Home<'_>,
        messages: &(impl Messages + ?Sized),
        now: Now,
    ) -> Result<Consumer, Code> {
        let mut consumer = Consumer::empty(config, home, messages, now)?;
        let backlog = Backlog::begin(&consumer.config, &mut consumer.filter, messages);
        consumer.delivered.stream = backlog.looked_to();
        consumer.leases.floor = consumer.delivered;
        consumer.backlog = backlog;
        Ok(consumer)
    }

    /// One without a place in the stream yet.
    fn empty(
        config: ConsumerConfig,
        home: Home<'_>,
        messages: &(impl Messages + ?Sized),
        now: Now,
    ) -> Result<Consumer, Code> {
        let replay_to = if config.replay_policy == ReplayPolicy::Original { messages.last() } else { 0 };
        let pace = Pace::new(config.rate_limit_bps, home.message_bytes_max, replay_to);
        let push = (!config.deliver_subject.is_empty()).then(|| {
            let answers = format!("$JS.FC.{}.{}", home.stream, home.name);
            let flow = config.flow_control.then_some((answers, home.seed));
            Box::new(Push::new(&config.deliver_subject, positive(config.idle_heartbeat), flow))
        });
        let is_leasing = config.ack_policy != AckPolicy::None;
        let mut consumer = Consumer {
            filter: Filter::of(&config, home.seed)?,
            backlog: Backlog::empty(&config),
            leases: Leases::new(home.seed),
            settled: Settled::default(),
            sequence: Sequence::new(home.is_kept && is_leasing),
            delivered: Pair::default(),
            delivered_ms: 0,
            acked_ms: 0,
            waiting: Waiting::default(),
            push,
            pace: pace.map(Box::new),
            changed: Vec::new(),
            is_changed: false,
            is_kept: home.is_kept,
            is_retaining: home.retention != Retention::Limits,
            is_paused: false,
            is_gone: false,
            is_restored: false,
            ack_bytes: ("$JS.ACK...".len() + home.stream.len() + home.name.len()) as u32,
            message_bytes_max: home.message_bytes_max,
            now,
            turn: 0,
            idle_at_ns: NEVER,
            wake_ns: NEVER,
            config,
        };
        consumer.is_paused = consumer.pause_ns() > 0;
        consumer.touch();
        Ok(consumer)
    }

    /// What it is to be.
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// When [`Consumer::step`] is due though nothing came in, in monotonic nanoseconds. May be too early.
    pub fn next_wake(&self) -> Option<u64> {
        let all = [self.leases.wake(), self.waiting.wake(), Some(self.idle_at_ns), Some(self.wake_ns)];
        all.into_iter().flatten().min().filter(|at| *at != NEVER && !self.is_gone)
    }

    /// An answer to a flow control message came on `subject`. False: it is not the one that was awaited.
    pub fn flow(&mut self, subject: &[u8]) -> bool {
        self.push.as_mut().is_some_and(|push| push.answered(subject))
    }

    /// Sends all waiting requests away: the consumer is deleted, or the node stops.
    pub fn dismiss(&mut self, why: &Status, out: &mut Vec<Action>) {
        self.waiting.dismiss(why, out);
    }

    /// Somebody used the consumer: it stays.
    fn touch(&mut self) {
        let is_used = self.push.as_ref().is_some_and(|push| push.is_heard);
        self.idle_at_ns = match positive(self.config.inactive_threshold) {
            0 => NEVER,
            _ if is_used => NEVER,
            threshold => self.now.mono_ns.saturating_add(threshold),
        };
    }

    /// For how long it pauses still.
    fn pause_ns(&self) -> u64 {
        self.config.pause_until.map_or(0, |until| until.0.saturating_sub(wall_ns(self.now)))
    }

    /// How long a message may take to be acknowledged that is delivered for the n-th time.
    fn wait_ns(&self, deliveries: u32) -> u64 {
        let nth = (deliveries.max(1) - 1) as usize;
        let backoff = self.config.backoff.get(nth).or(self.config.backoff.last());
        positive(backoff.copied().unwrap_or(self.config.ack_wait))
    }

    /// How often a message may be delivered.
    fn deliveries_max(&self) -> u32 {
        match positive(self.config.max_deliver) {
            0 => u32::MAX,
            most => u32::try_from(most).unwrap_or(u32::MAX),
        }
    }

    /// A message's state changed.
    fn mark(&mut self, seq: u64) {
        self.is_changed = true;
        if self.is_kept {
            self.changed.push(seq);
        }
    }

    /// The consumer needs a message no longer.
    fn done(&self, seq: u64, out: &mut Vec<Action>) {
        if !self.is_retaining {
            return;
        }
        match out.last_mut() {
            Some(Action::Done(range)) if *range.end() + 1 == seq => *range = *range.start()..=seq,
            _ => out.push(Action::Done(seq..=seq)),
        }
    }

    /// Bytes of a delivery, as a request's limit counts them: message and acknowledgement subject.
    fn size(
        &self,
        stored: u32,
        subject: &[u8],
        seq: u64,
        deliveries: u32,
        time_ns: u64,
        pending: u64,
    ) -> u64 {
        let digits = |n: u64| u64::from(n.checked_ilog10().unwrap_or(0)) + 1;
        let content = match self.config.headers_only {
            // How much of it is headers is not known here; the header that tells the size is about so long.
            true => subject.len() as u64 + "NATS/1.0\r\nNats-Msg-Size: 1000\r\n\r\n".len() as u64,
            false => stored.into(),
        };
        let numbers = [deliveries.into(), seq, self.sequence.next, time_ns, pending];
        content + u64::from(self.ack_bytes) + 4 + numbers.into_iter().map(digits).sum::<u64>()
    }
}

/// A count or duration of the protocol, where "no limit" is 0 or less.
fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Text that an action carries.
fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
