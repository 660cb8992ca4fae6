//! What a client says about a delivery. It says it to a lease, named by [`Token`]; nothing else can be acknowledged.

use bytes::Bytes;
use kernel::Now;
use wire::jetstream::AckPolicy;

use super::action::{Action, Advisory};
use super::leases::{Lease, Pair};
use super::{Consumer, text};
use crate::marked::Mark;
use crate::messages::Messages;

/// A delivery, as its acknowledgement names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Sequence of the message in its stream.
    pub seq: u64,
    /// Sequence of the delivery.
    pub consumer_seq: u64,
    /// How often the message had been delivered.
    pub deliveries: u32,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is done. (`+NXT` says this, and is then a request.)
    Done,
    /// It is not; deliver it again, after so many nanoseconds.
    Refuse {
        /// 0: at once.
        delay_ns: u64,
    },
    /// It is being worked on: the lease begins anew.
    Working,
    /// It will never be done: do not deliver it again.
    Terminate {
        /// Why.
        reason: Bytes,
    },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// It counts. Confirm it when the turn's delta is safe.
    Accepted,
    /// This very delivery was acknowledged before, or its message is gone: nothing changed. Confirm it.
    Already,
    /// The message was delivered again since: nothing changed. Not to be confirmed; [`kernel::Code::StaleLease`].
    Stale,
    /// There was no such delivery, or the consumer takes no acknowledgements: nothing changed. Not to be confirmed.
    Unknown,
}

/// Why a message is terminated that the stream no longer has, as clients know it.
const GONE: &str = "Message deleted by stream limits";

impl Consumer {
    /// A client acknowledges a delivery.
    pub fn ack(
        &mut self,
        now: Now,
        token: Token,
        ack: Ack,
        messages: &(impl Messages + ?Sized),
        out: &mut Vec<Action>,
    ) -> Acked {
        self.now = now;
        if self.config.ack_policy == AckPolicy::None || !self.sequence.was_given(token.consumer_seq) {
            return Acked::Unknown;
        }
        self.touch();
        let Token { seq, consumer_seq, deliveries } = token;
        if let Some(lease) = self.leases.get(seq) {
            return match self.is_latest(&lease, token) {
                true => self.ack_lease(token, lease, ack, out),
                false => Acked::Stale,
            };
        }
        if let Some(spent) = self.leases.spent(seq) {
            return match (spent.latest == consumer_seq, ack) {
                (false, _) => Acked::Stale,
                // It had its last chance: nothing to give back, nothing to extend.
                (true, Ack::Refuse { .. } | Ack::Working) => Acked::Already,
                (true, ack) => {
                    self.finish(seq, consumer_seq, consumer_seq, spent.deliveries > 1, out);
                    self.advise_terminated(token, &ack, out);
                    Acked::Accepted
                }
            };
        }
        let mark = messages.row(seq).map_or(Mark::NONE, |row| row.mark);
        // A delivery that a crash made us forget acknowledged nothing, or is remembered to have.
        let is_known = !self.sequence.was_forgotten(consumer_seq) || self.settled.get(seq).is_some();
        match is_known && self.settled.was(seq, consumer_seq, deliveries) {
            _ if self.backlog.holds(seq, mark) => Acked::Unknown,
            true => Acked::Already,
            false => Acked::Stale,
        }
    }

    /// Whether `token` names the lease: its latest delivery, or a later one that a crash made us forget.
    fn is_latest(&self, lease: &Lease, token: Token) -> bool {
        let is_forgotten = self.sequence.was_forgotten(token.consumer_seq)
            && token.consumer_seq > lease.latest
            && token.deliveries > lease.deliveries;
        token.consumer_seq == lease.latest || is_forgotten
    }

    fn ack_lease(&mut self, token: Token, lease: Lease, ack: Ack, out: &mut Vec<Action>) -> Acked {
        let Token { seq, consumer_seq, .. } = token;
        match ack {
            Ack::Working => {
                self.leases.extend(seq, self.now.mono_ns.saturating_add(self.wait_ns(lease.deliveries)));
                self.mark(seq);
            }
            Ack::Refuse { delay_ns } => {
                let deliveries = lease.deliveries;
                out.push(Action::Advisory(Advisory::Refused { seq, consumer_seq, deliveries }));
                match delay_ns {
                    0 => self.again(seq, lease.deliveries, out),
                    _ => self.leases.extend(seq, self.now.mono_ns.saturating_add(delay_ns)),
                }
                self.mark(seq);
            }
            Ack::Done | Ack::Terminate { .. } => {
                let is_settled = lease.deliveries > 1 || lease.latest != consumer_seq;
                self.finish(seq, consumer_seq, lease.first, is_settled, out);
                self.advise_terminated(token, &ack, out);
                if ack == Ack::Done {
                    self.sample(token, &lease, out);
                }
            }
        }
        Acked::Accepted
    }

    /// A message waits for its next delivery; or it had its last one.
    pub(super) fn again(&mut self, seq: u64, deliveries: u32, out: &mut Vec<Action>) {
        self.mark(seq);
        if deliveries < self.deliveries_max() {
            self.leases.queue(seq);
            return;
        }
        self.leases.spend(seq);
        out.push(Action::Advisory(Advisory::MaxDeliveries { seq, deliveries }));
    }

    /// A message is acknowledged by the delivery `by`, and all before it where the policy says so. `first`: its first
    /// delivery; `is_settled`: another delivery of it may be acknowledged in vain.
    fn finish(&mut self, seq: u64, by: u64, first: u64, is_settled: bool, out: &mut Vec<Action>) {
        self.acked_ms = self.now.wall_ms;
        if self.config.ack_policy == AckPolicy::Explicit {
            self.finish_one(seq, by, is_settled, out);
            return;
        }
        let before = self.leases.floor.stream;
        for covered in self.leases.covered(seq, by) {
            let latest = self.leases.get(covered).map(|lease| (lease.latest, lease.deliveries));
            let latest = latest.or(self.leases.spent(covered).map(|spent| (spent.latest, spent.deliveries)));
            match latest {
                Some((latest, deliveries)) if covered != seq => {
                    self.finish_one(covered, latest, deliveries > 1, out);
                }
                _ => self.finish_one(covered, by, is_settled, out),
            }
        }
        // What is held below has a later delivery, and keeps the floor down.
        let lowest = self.leases.iter().next().map_or(u64::MAX, |(seq, _)| seq);
        if lowest > seq && seq > before {
            self.leases.floor = Pair { consumer: first, stream: seq };
        }
    }

    fn finish_one(&mut self, seq: u64, by: u64, is_settled: bool, out: &mut Vec<Action>) {
        if is_settled {
            self.settled.insert(seq, by);
        }
        self.leases.remove(seq, self.end());
        self.mark(seq);
        self.done(seq, out);
    }

    fn advise_terminated(&self, token: Token, ack: &Ack, out: &mut Vec<Action>) {
        if let Ack::Terminate { reason } = ack {
            let Token { seq, consumer_seq, deliveries } = token;
            let reason = reason.clone();
            out.push(Action::Advisory(Advisory::Terminated { seq, consumer_seq, deliveries, reason }));
        }
    }

    /// Tells of some acknowledgements how long they took: of so many in a hundred, spread evenly.
    fn sample(&self, token: Token, lease: &Lease, out: &mut Vec<Action>) {
        let text = self.config.sample_freq.as_str();
        if text.is_empty() {
            return;
        }
        let percent: u64 = text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0);
        // Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, section 6.4.
        let place = token.consumer_seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if place % 100 < percent {
            let Token { seq, consumer_seq, deliveries } = token;
            let begun_ns = lease.due_ns.saturating_sub(self.wait_ns(lease.deliveries));
            let took_ns = self.now.mono_ns.saturating_sub(begun_ns);
            out.push(Action::Advisory(Advisory::Sampled { seq, consumer_seq, deliveries, took_ns }));
        }
    }

    /// A message is no longer in the stream: whatever was to happen with it will not.
    pub(super) fn drop_message(&mut self, seq: u64, out: &mut Vec<Action>) {
        if let Some(lease) = self.leases.get(seq) {
            out.push(Action::Advisory(Advisory::Terminated {
                seq,
                consumer_seq: lease.latest,
                deliveries: lease.deliveries,
                reason: text(GONE),
            }));
        }
        if self.leases.remove(seq, self.end()) {
            self.acked_ms = self.now.wall_ms;
            self.mark(seq);
        }
    }

    /// The place behind which nothing was delivered.
    pub(super) fn end(&self) -> Pair {
        Pair { consumer: self.delivered.consumer, stream: self.backlog.looked_to() }
    }
}
