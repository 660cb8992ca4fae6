//! Requests for messages, as they come in: what may wait, and what is answered at once.

use bytes::Bytes;
use kernel::Now;

use super::action::{Action, Status};
use super::waiting::{NEVER, Request, Sweep};
use super::{Consumer, positive};
use crate::messages::Messages;

/// A request for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// Where they go.
    pub reply: Bytes,
    /// How many at most; less than 1 counts as 1.
    pub batch: i64,
    /// For how long it waits, in nanoseconds; 0: until it is full; less: it is over already.
    pub expires_ns: i64,
    /// Whether it ends when nothing more is there.
    pub no_wait: bool,
    /// Bytes at most, counting subjects and headers; less than 1: any number.
    pub max_bytes: i64,
    /// Signs of life so far apart, in nanoseconds; less than 1: none.
    pub idle_heartbeat_ns: i64,
}

impl Consumer {
    /// Somebody asks for messages. Those that are there come with the next step.
    pub fn pull(
        &mut self,
        now: Now,
        pull: Pull,
        messages: &(impl Messages + ?Sized),
        hears: &mut dyn FnMut(&[u8]) -> bool,
        out: &mut Vec<Action>,
    ) {
        self.now = now;
        if pull.reply.is_empty() {
            return;
        }
        if self.push.is_some() {
            out.push(Action::Status { to: pull.reply, status: Status::PushBased });
            return;
        }
        if let Some(status) = self.refused(&pull) {
            out.push(Action::Status { to: pull.reply, status });
            return;
        }
        self.touch();
        let is_full = self.waiting.len() as u64 >= positive(self.config.max_waiting);
        if is_full && !self.waiting.was_swept(now.mono_ns) || pull.no_wait {
            self.sweep(is_full, false, hears, out);
        }
        if pull.no_wait
            && let Some(status) = self.empty_handed(&pull, messages)
        {
            out.push(Action::Status { to: pull.reply, status });
            return;
        }
        if self.waiting.len() as u64 >= positive(self.config.max_waiting) {
            // One that hears signs of life notices; told at once, it would ask again at once.
            if pull.idle_heartbeat_ns <= 0 {
                out.push(Action::Status { to: pull.reply, status: Status::ExceededMaxWaiting });
            }
            return;
        }
        let after = |ns: i64| if ns == 0 { NEVER } else { now.mono_ns.saturating_add(positive(ns)) };
        self.waiting.push(Request {
            reply: pull.reply,
            left: positive(pull.batch).max(1),
            given: 0,
            bytes_left: positive(pull.max_bytes),
            expires_ns: after(pull.expires_ns),
            beat_ns: positive(pull.idle_heartbeat_ns),
            beat_at_ns: after(pull.idle_heartbeat_ns.max(0)),
            no_wait: pull.no_wait,
            heard: 0,
        });
    }

    /// What a request asks too much of.
    fn refused(&self, pull: &Pull) -> Option<Status> {
        let beyond = |asked: i64, most: i64| (most > 0 && asked > most).then(|| positive(most));
        let c = &self.config;
        if pull.idle_heartbeat_ns > 0 && pull.idle_heartbeat_ns.saturating_mul(2) > pull.expires_ns {
            return Some(Status::BadRequest("heartbeat value too large"));
        }
        let batch = beyond(pull.batch, c.max_batch).map(Status::ExceededMaxBatch);
        batch
            .or_else(|| beyond(pull.expires_ns, c.max_expires).map(Status::ExceededMaxExpires))
            .or_else(|| beyond(pull.max_bytes, c.max_bytes).map(Status::ExceededMaxBytes))
    }

    /// What a request that does not wait is told when there is nothing for it.
    fn empty_handed(&mut self, pull: &Pull, messages: &(impl Messages + ?Sized)) -> Option<Status> {
        let there = self.backlog.count(&mut self.filter, messages) + self.leases.queued() as u64;
        match there {
            0 => (pull.expires_ns == 0).then_some(Status::NoMessages),
            _ => (there < self.waiting.asked()).then_some(Status::RequestsPending),
        }
    }

    /// See [`super::waiting::Waiting::sweep`].
    pub(super) fn sweep(
        &mut self,
        is_forced: bool,
        is_end: bool,
        hears: &mut dyn FnMut(&[u8]) -> bool,
        out: &mut Vec<Action>,
    ) {
        let (now_ns, last_consumer) = (self.now.mono_ns, self.delivered.consumer);
        let last_stream = self.backlog.looked_to();
        self.waiting.sweep(&mut Sweep { now_ns, is_end, last_consumer, last_stream, hears, out }, is_forced);
    }
}
