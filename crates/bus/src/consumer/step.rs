//! A turn: leases that have ended, deliveries for which there is demand, answers and signs of life that are due.

use kernel::{Now, Priority};
use wire::jetstream::AckPolicy;

use super::action::{Action, Advisory, Delivery, Status};
use super::leases::Lease;
use super::{Consumer, NEVER, positive};
use crate::marked::Mark;
use crate::messages::{Messages, Stored};

/// Ended leases that are looked at in one turn.
const ENDED_MAX: usize = 4_096;

/// Why no more was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The caller wants no more now.
    Credit,
    /// No message is there.
    Empty,
    /// Nobody asks, or nobody hears.
    Demand,
    /// Too many messages are not acknowledged.
    AckPending,
    /// The receiver must answer first.
    Window,
    /// A reservation of consumer sequences must become safe first.
    Sequence,
    /// It is too early.
    Pace(u64),
    Paused,
}

/// The message whose turn it is.
struct Candidate {
    seq: u64,
    row: Stored,
    /// Its lease, if it was delivered before.
    lease: Option<Lease>,
    size: u64,
    pending: u64,
}

impl Consumer {
    /// Does what is to be done now: at most `credit` deliveries, and all else. `hears`: whether somebody hears a
    /// subject (a request's reply, or the deliver subject in its group). True: more can be delivered at once.
    pub fn step(
        &mut self,
        now: Now,
        messages: &(impl Messages + ?Sized),
        hears: &mut dyn FnMut(&[u8]) -> bool,
        credit: usize,
        out: &mut Vec<Action>,
    ) -> bool {
        if self.is_gone {
            return false;
        }
        self.now = now;
        self.turn += 1;
        self.wake_ns = NEVER;
        if std::mem::take(&mut self.is_restored) {
            self.cleared(0..=u64::MAX, &[], messages, out);
            if messages.marked().is_some() {
                self.leases.find_urgent(|seq| messages.row(seq).is_some_and(|row| is_urgent(row.mark)));
            }
        }
        self.listen(hears);
        self.end_leases(out);
        self.unpause(out);
        let stop = self.deliver(messages, hears, credit, out);
        match stop {
            Stop::Pace(at) => self.wake_at(at),
            Stop::Credit => self.wake_at(now.mono_ns),
            _ => {}
        }
        let is_end = matches!(stop, Stop::Empty | Stop::Paused);
        self.sweep(false, is_end, hears, out);
        self.beat(out);
        self.stay_or_go(hears, out);
        stop == Stop::Credit
    }

    /// Whether somebody hears the deliver subject.
    fn listen(&mut self, hears: &mut dyn FnMut(&[u8]) -> bool) {
        let Some(push) = &mut self.push else { return };
        let is_heard = hears(&push.to);
        if std::mem::replace(&mut push.is_heard, is_heard) == is_heard {
            return;
        }
        match is_heard {
            true => push.restart_beat(self.now.mono_ns),
            false => push.reset(),
        }
        self.touch();
    }

    /// Queues what was not acknowledged in time.
    fn end_leases(&mut self, out: &mut Vec<Action>) {
        let mut ended = Vec::new();
        while ended.len() < ENDED_MAX
            && let Some(seq) = self.leases.ended(self.now.mono_ns)
        {
            ended.push(seq);
        }
        ended.sort_unstable();
        for seq in ended {
            if let Some(lease) = self.leases.get(seq) {
                self.again(seq, lease.deliveries, out);
            }
        }
    }

    fn unpause(&mut self, out: &mut Vec<Action>) {
        let left = self.pause_ns();
        if left > 0 {
            self.wake_at(self.now.mono_ns.saturating_add(left));
        } else if self.is_paused {
            let until = self.config.pause_until.unwrap_or_default();
            out.push(Action::Advisory(Advisory::Pause { until, paused: false }));
        }
        self.is_paused = left > 0;
    }

    fn deliver(
        &mut self,
        messages: &(impl Messages + ?Sized),
        hears: &mut dyn FnMut(&[u8]) -> bool,
        mut credit: usize,
        out: &mut Vec<Action>,
    ) -> Stop {
        if self.is_paused {
            return Stop::Paused;
        }
        loop {
            match &self.push {
                Some(push) if !push.is_heard => return Stop::Demand,
                Some(push) if push.is_full() => return Stop::Window,
                None if self.waiting.is_empty() => return Stop::Demand,
                _ => {}
            }
            if credit == 0 {
                return Stop::Credit;
            }
            let message = match self.candidate(messages, out) {
                Ok(message) => message,
                Err(stop) => return stop,
            };
            let Some(consumer_seq) = self.sequence.peek() else {
                // The next delta carries the reservation.
                self.is_changed |= self.sequence.reserve();
                return Stop::Sequence;
            };
            if let Some(pace) = &self.pace {
                let at = pace.due(self.now, message.seq, message.row.time_ns, message.size);
                if at > self.now.mono_ns {
                    return Stop::Pace(at);
                }
            }
            if !self.hand_out(message, consumer_seq, hears, out) {
                return Stop::Demand;
            }
            credit -= 1;
        }
    }

    /// The message whose turn it is: one to be delivered again, or else the next.
    fn candidate(
        &mut self,
        messages: &(impl Messages + ?Sized),
        out: &mut Vec<Action>,
    ) -> Result<Candidate, Stop> {
        loop {
            let mut again = self.leases.next_again();
            let most = self.config.max_ack_pending;
            let is_full = most > 0 && self.leases.len() as u64 >= positive(most);
            if again.is_none() && is_full && self.config.ack_policy != AckPolicy::None {
                return Err(Stop::AckPending);
            }
            let mut next = again;
            if again.is_none() || !is_full && !self.leases.is_next_urgent() && messages.marked().is_some() {
                let first = self.backlog.peek(self.now.wall_ms, &mut self.filter, messages);
                let is_urgent = |seq| messages.row(seq).is_some_and(|row| is_urgent(row.mark));
                // Only what is critical passes a message that is to be delivered again.
                if again.is_none() || self.is_ordering() && first.is_some_and(is_urgent) {
                    (again, next) = (None, first);
                }
            }
            let seq = next.ok_or(Stop::Empty)?;
            let lease = again.and_then(|seq| self.leases.get(seq));
            let Some(row) = messages.row(seq) else {
                // Only one to be delivered again can be gone unnoticed.
                self.drop_message(seq, out);
                if again.is_none() {
                    return Err(Stop::Empty);
                }
                continue;
            };
            let deliveries = lease.map_or(0, |lease| lease.deliveries) + 1;
            if deliveries > self.deliveries_max() {
                self.again(seq, deliveries - 1, out);
                continue;
            }
            let waiting = self.backlog.count(&mut self.filter, messages);
            let pending = if lease.is_some() { waiting } else { waiting.saturating_sub(1) };
            let subject = messages.subject(row.subject);
            let size = self.size(row.size, subject, seq, deliveries, row.time_ns, pending);
            return Ok(Candidate { seq, row, lease, size, pending });
        }
    }

    /// Delivers a message to whoever is to have it. False: nobody is there.
    fn hand_out(
        &mut self,
        message: Candidate,
        consumer_seq: u64,
        hears: &mut dyn FnMut(&[u8]) -> bool,
        out: &mut Vec<Action>,
    ) -> bool {
        let Candidate { seq, row, lease, size, pending } = message;
        let (to, completed) = match &self.push {
            Some(push) => (push.to.clone(), None),
            None => match self.waiting.take(self.now.mono_ns, self.turn, size, hears, out) {
                Some(taker) => (taker.to, taker.completed),
                None => return false,
            },
        };
        self.sequence.take();
        self.sequence.reserve();
        let deliveries = lease.map_or(0, |lease| lease.deliveries) + 1;
        if lease.is_none() {
            self.backlog.take(seq, &row);
            self.delivered.stream = self.delivered.stream.max(seq);
        }
        self.delivered.consumer = consumer_seq;
        self.delivered_ms = self.now.wall_ms;
        if let Some(pace) = &mut self.pace {
            pace.sent(self.now, row.time_ns, size);
        }
        self.is_changed = true;
        let wants_ack = self.config.ack_policy != AckPolicy::None;
        let headers_only = self.config.headers_only;
        let receiver = to.clone();
        out.push(Action::Deliver(Delivery {
            seq,
            consumer_seq,
            deliveries,
            pending,
            to,
            headers_only,
            wants_ack,
        }));
        if wants_ack {
            let due_ns = self.now.mono_ns.saturating_add(self.wait_ns(deliveries));
            let first = lease.map_or(consumer_seq, |lease| lease.first);
            let latest = consumer_seq;
            let urgent = self.is_ordering() && is_urgent(row.mark);
            self.leases.put(seq, Lease { first, latest, due_ns, deliveries, queued: false, urgent });
            self.mark(seq);
        } else {
            self.leases.floor = self.delivered;
            self.done(seq, out);
        }
        if let Some(left) = completed {
            out.push(Action::Status { to: receiver, status: Status::BatchCompleted(left) });
        }
        match &mut self.push {
            Some(push) => {
                push.restart_beat(self.now.mono_ns);
                if let Some(reply) = push.sent(size) {
                    out.push(Action::Status { to: push.to.clone(), status: Status::FlowControl { reply } });
                }
            }
            None => self.touch(),
        }
        true
    }

    /// A sign of life of a consumer that sends on its own. One that nobody hears gives none, and sleeps.
    fn beat(&mut self, out: &mut Vec<Action>) {
        let (last_consumer, last_stream) = (self.delivered.consumer, self.backlog.looked_to());
        let Some(push) = self.push.as_mut().filter(|push| push.is_heard) else { return };
        if push.beat_at_ns <= self.now.mono_ns {
            let status = Status::IdleHeartbeat { last_consumer, last_stream, stalled: push.awaited() };
            out.push(Action::Status { to: push.to.clone(), status });
            push.restart_beat(self.now.mono_ns);
        }
        let at = push.beat_at_ns;
        self.wake_at(at);
    }

    /// Whether anybody uses the consumer still.
    fn stay_or_go(&mut self, hears: &mut dyn FnMut(&[u8]) -> bool, out: &mut Vec<Action>) {
        if self.idle_at_ns > self.now.mono_ns {
            return;
        }
        if self.push.is_none() {
            self.sweep(true, true, hears, out);
            // Somebody may be at work on what was delivered last, for as long as its lease lasts.
            let threshold = positive(self.config.inactive_threshold);
            let busy_to = self.leases.last_due().saturating_add(threshold);
            let is_busy = self.leases.len() > 0 && busy_to > self.now.mono_ns;
            if !self.waiting.is_empty() || is_busy {
                self.touch();
                if self.waiting.is_empty() {
                    self.idle_at_ns = busy_to;
                }
                return;
            }
        }
        self.is_gone = true;
        out.push(Action::Gone);
    }

    /// Whether priorities and delays count here.
    fn is_ordering(&self) -> bool {
        self.backlog.is_ordering
    }

    fn wake_at(&mut self, at_ns: u64) {
        self.wake_ns = self.wake_ns.min(at_ns);
    }
}

/// Whether nothing may come before it.
fn is_urgent(mark: Mark) -> bool {
    mark.priority == Priority::Critical
}
