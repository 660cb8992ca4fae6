//! What publishers, subscriptions and the connection's task share: what waits to be written, who hears, who waits.
//! Everything here is instant; no IO, no waiting.

use std::collections::{HashMap, VecDeque};

use kernel::{Message, Msg};
use tokio::sync::{mpsc, oneshot};
use wire::nats::{Info, encode};

use crate::requests::Requests;
use crate::slot::Slot;
use crate::unsent::unsent;
use crate::{Error, Event, Server};

/// The subscription that all answers come through.
pub(crate) const INBOX_SID: u64 = 1;

/// Where the connection is.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Up,
    Away,
    Closed(Error),
}

/// What the next PONG means.
#[derive(Debug)]
pub(crate) enum Pong {
    /// The server is there.
    Alive,
    /// This subscription was taken or refused, with nothing else that is refused likewise in between.
    Subscribed(u64),
    /// Everything before it was read.
    Flushed(oneshot::Sender<Result<(), Error>>),
    /// Nothing more comes for these subscriptions.
    Ended(Vec<u64>),
}

/// One connection's state, through all its incarnations.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) link: Link,
    /// Encoded and not yet taken by the task.
    pub(crate) pending: Vec<u8>,
    pub(crate) slots: HashMap<u64, Slot>,
    pub(crate) requests: Requests,
    pub(crate) info: Info,
    pub(crate) server: Server,
    /// No new subscriptions.
    pub(crate) draining: bool,
    /// The task ends once everything is written.
    pub(crate) closing: bool,
    /// The last `-ERR` since the last PONG: the reason, if the connection breaks next.
    pub(crate) refusal: Option<Error>,
    inbox_open: bool,
    next_sid: u64,
    pongs: VecDeque<Pong>,
}

impl State {
    pub(crate) fn new(info: Info, server: Server, requests: Requests) -> State {
        State {
            link: Link::Up,
            pending: Vec::new(),
            slots: HashMap::new(),
            requests,
            info,
            server,
            draining: false,
            closing: false,
            refusal: None,
            inbox_open: false,
            next_sid: INBOX_SID + 1,
            pongs: VecDeque::new(),
        }
    }

    /// Errors when the client has ended.
    pub(crate) fn open(&self) -> Result<(), Error> {
        match &self.link {
            Link::Closed(why) => Err(why.clone()),
            _ if self.closing => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Whether the server could take this message.
    pub(crate) fn check(&self, m: &Msg<'_>) -> Result<(), Error> {
        let bytes_max = self.info.max_payload;
        match m.size() {
            _ if !m.headers.is_empty() && !self.info.headers => Err(Error::HeadersUnsupported),
            bytes if bytes_max > 0 && bytes > bytes_max => Err(Error::PayloadTooLarge { bytes, bytes_max }),
            _ => Ok(()),
        }
    }

    pub(crate) fn subscribe(&mut self, slot: Slot) -> Result<u64, Error> {
        self.open()?;
        if self.draining {
            return Err(Error::Closed);
        }
        let sid = self.next_sid;
        self.next_sid += 1;
        if self.is_up() {
            slot.again(&mut self.pending, sid);
            self.ping(Pong::Subscribed(sid));
        }
        self.slots.insert(sid, slot);
        Ok(sid)
    }

    /// Ends a subscription at once.
    pub(crate) fn unsubscribe(&mut self, sid: u64) {
        if self.slots.remove(&sid).is_some() && self.is_up() {
            encode::unsubscribe(&mut self.pending, sid, None);
        }
    }

    /// Ends a subscription after `max` messages in all.
    pub(crate) fn unsubscribe_after(&mut self, sid: u64, max: u64) {
        let Some(slot) = self.slots.get_mut(&sid) else { return };
        match slot.limit(max) {
            false => self.unsubscribe(sid),
            true if self.is_up() => encode::unsubscribe(&mut self.pending, sid, Some(max)),
            true => {}
        }
    }

    /// Ends subscriptions once everything that is on its way has come.
    pub(crate) fn drain(&mut self, sids: Vec<u64>) {
        if !self.is_up() {
            return self.end(&sids);
        }
        for sid in &sids {
            encode::unsubscribe(&mut self.pending, *sid, None);
        }
        self.ping(Pong::Ended(sids));
    }

    /// Makes sure that answers come.
    pub(crate) fn open_inbox(&mut self) {
        if !self.inbox_open {
            self.inbox_open = true;
            if self.is_up() {
                self.subscribe_inbox();
            }
        }
    }

    /// The server refused a subscription without saying which. A PING goes behind every single SUB and servers answer
    /// in order, so what is said before such a PING's PONG is about that SUB; false: it is about none.
    pub(crate) fn subscription_refused(&mut self, why: &Error) -> bool {
        let Some(Pong::Subscribed(sid)) = self.pongs.front() else { return false };
        match *sid {
            INBOX_SID => self.inbox_denied(why),
            // Whoever dropped it meanwhile need not be told.
            sid => _ = self.slots.remove(&sid).map(|slot| slot.end(why.clone())),
        }
        true
    }

    /// Answers stopped coming: the server does not allow them.
    pub(crate) fn inbox_denied(&mut self, why: &Error) {
        self.inbox_open = false;
        self.requests.fail(None, why);
    }

    /// Asks the server to answer once it has read everything so far.
    pub(crate) fn ping(&mut self, pong: Pong) {
        self.pending.extend_from_slice(encode::PING);
        self.pongs.push_back(pong);
    }

    /// How many questions whether it is alive the server has not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.pongs.iter().filter(|p| matches!(p, Pong::Alive)).count()
    }

    pub(crate) fn on_pong(&mut self) {
        // The connection outlived what the server said before.
        self.refusal = None;
        match self.pongs.pop_front() {
            Some(Pong::Flushed(waiter)) => _ = waiter.send(Ok(())),
            Some(Pong::Ended(sids)) => self.end(&sids),
            Some(Pong::Alive | Pong::Subscribed(_)) | None => {}
        }
    }

    pub(crate) fn deliver(&mut self, sid: u64, message: Message, events: &mut Vec<Event>) {
        if sid == INBOX_SID {
            return self.requests.answer(message);
        }
        let Some(slot) = self.slots.get_mut(&sid) else { return };
        let done = slot.deliver(message);
        if done.overflowed {
            events.push(Event::SlowConsumer { pattern: slot.pattern.to_string() });
        }
        if done.last {
            self.slots.remove(&sid);
        }
    }

    /// The connection broke while `writing` was half written.
    pub(crate) fn lost(&mut self, writing: &[u8], written: usize, why: &Error) {
        self.link = Link::Away;
        let mut left = unsent(writing, written);
        left.extend_from_slice(&unsent(&self.pending, 0));
        self.pending = left;
        for pong in std::mem::take(&mut self.pongs) {
            match pong {
                Pong::Flushed(waiter) => _ = waiter.send(Err(why.clone())),
                Pong::Ended(sids) => self.end(&sids),
                Pong::Alive | Pong::Subscribed(_) => {}
            }
        }
    }

    /// A new connection is there: subscriptions first, then what waited.
    pub(crate) fn back(&mut self, info: Info, server: Server) {
        self.link = Link::Up;
        (self.info, self.server, self.refusal) = (info, server, None);
        let waited = std::mem::take(&mut self.pending);
        let waiting = std::mem::take(&mut self.pongs);
        if self.inbox_open {
            self.subscribe_inbox();
        }
        for (sid, slot) in &self.slots {
            slot.again(&mut self.pending, *sid);
            self.pending.extend_from_slice(encode::PING);
            self.pongs.push_back(Pong::Subscribed(*sid));
        }
        self.pending.extend_from_slice(&waited);
        self.pongs.extend(waiting);
    }

    /// Nothing more will ever happen.
    pub(crate) fn close(&mut self, why: &Error) {
        self.link = Link::Closed(why.clone());
        self.pending = Vec::new();
        self.requests.fail(None, why);
        for pong in std::mem::take(&mut self.pongs) {
            if let Pong::Flushed(waiter) = pong {
                _ = waiter.send(Err(why.clone()));
            }
        }
        for (_, slot) in self.slots.drain() {
            slot.end(why.clone());
        }
    }

    fn end(&mut self, sids: &[u64]) {
        for sid in sids {
            self.slots.remove(sid);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    fn subscribe_inbox(&mut self) {
        let pattern = self.requests.pattern();
        encode::subscribe(&mut self.pending, pattern.as_bytes(), None, INBOX_SID);
        self.ping(Pong::Subscribed(INBOX_SID));
    }
}

/// The reading end of a new subscription.
pub(crate) type Queue = mpsc::Receiver<Message>;

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
