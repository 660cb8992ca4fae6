//! What happens around a consumer: messages come and go, its configuration changes, it is asked what it still needs.

use std::ops::RangeInclusive;

use kernel::{Code, Now};
use wire::jetstream::ConsumerConfig;

use super::action::{Action, Advisory};
use super::filter::{Filter, subjects};
use super::leases::{Leases, Pair};
use super::pace::Pace;
use super::settled::Settled;
use super::{Consumer, NEVER};
use crate::marked::Mark;
use crate::messages::Messages;

impl Consumer {
    /// A message became visible.
    pub fn stored(&mut self, seq: u64, subject: &[u8]) {
        if self.filter.hears(subject) {
            self.backlog.stored(seq);
        }
    }

    /// Any messages of a range are gone; those that `messages` still has are not. `unmarked`: the marks of those that are
    /// gone, or more.
    pub fn cleared(
        &mut self,
        range: RangeInclusive<u64>,
        unmarked: &[(u64, Mark)],
        messages: &(impl Messages + ?Sized),
        out: &mut Vec<Action>,
    ) {
        for seq in self.leases.within(range.clone()) {
            if messages.row(seq).is_none() {
                self.drop_message(seq, out);
            }
        }
        if self.backlog.may_hold_one(&range, unmarked) {
            self.backlog.recount();
        }
    }

    /// Whether this consumer still needs a message: it is to be delivered, or was and is not acknowledged.
    pub fn needs(&mut self, seq: u64, mark: Mark, subject: &[u8]) -> bool {
        match self.backlog.holds(seq, mark) {
            true => self.filter.hears(subject),
            false => self.leases.contains(seq),
        }
    }

    /// Whether this consumer hears a subject at all.
    pub fn hears(&mut self, subject: &[u8]) -> bool {
        self.filter.hears(subject)
    }

    /// Another configuration, which [`super::config::check_update`] has passed. Errors with [`Code::SubjectInvalid`] when
    /// it did not; nothing is changed then.
    pub fn update(&mut self, now: Now, config: ConsumerConfig, out: &mut Vec<Action>) -> Result<(), Code> {
        self.now = now;
        if !subjects(&config).eq(subjects(&self.config)) {
            self.filter = Filter::of(&config, self.filter.seed())?;
            self.backlog.refilter();
        }
        let old = std::mem::replace(&mut self.config, config);
        if old.deliver_subject != self.config.deliver_subject
            && let Some(push) = &mut self.push
        {
            push.redirect(&self.config.deliver_subject);
            // Whoever had the leases is no longer spoken to.
            let held: Vec<_> = self.leases.iter().filter(|(_, l)| !l.queued).collect();
            for (seq, lease) in held {
                self.again(seq, lease.deliveries, out);
            }
        }
        if old.rate_limit_bps != self.config.rate_limit_bps {
            let rate = self.config.rate_limit_bps;
            match &mut self.pace {
                Some(pace) => pace.set_rate(rate),
                None => self.pace = Pace::new(rate, self.message_bytes_max, 0).map(Box::new),
            }
        }
        if old.pause_until != self.config.pause_until {
            self.is_paused = self.pause_ns() > 0;
            let until = self.config.pause_until.unwrap_or_default();
            out.push(Action::Advisory(Advisory::Pause { until, paused: self.is_paused }));
        }
        if old.inactive_threshold != self.config.inactive_threshold {
            self.touch();
        }
        self.wake_ns = now.mono_ns;
        Ok(())
    }

    /// Begins anew at a sequence, or behind what is acknowledged: nothing counts as delivered from there on. The
    /// consumer sequence goes on, so that no older delivery can be taken for a new one. A snapshot must be written.
    pub fn reset(&mut self, now: Now, seq: Option<u64>) -> u64 {
        self.now = now;
        let seq = seq.unwrap_or(self.leases.floor.stream + 1).max(1);
        self.leases = Leases::new(self.filter.seed());
        self.changed.clear();
        self.backlog.restart(seq);
        self.delivered.stream = seq - 1;
        self.leases.floor = Pair { consumer: self.delivered.consumer, stream: seq - 1 };
        self.settled = Settled::begun_at(self.delivered.consumer);
        (self.delivered_ms, self.acked_ms) = (0, 0);
        self.is_changed = true;
        self.wake_ns = if self.is_gone { NEVER } else { now.mono_ns };
        seq
    }
}
