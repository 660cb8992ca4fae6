//! A subscription as the connection sees it: where its messages go, and how many more may come.

use std::sync::Arc;

use kernel::Message;
use tokio::sync::mpsc::{self, error::TrySendError};
use wire::nats::encode;

use crate::Error;
use crate::gauge::Gauge;

/// One row of the table of subscriptions.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) pattern: Box<str>,
    pub(crate) queue: Option<Box<str>>,
    pub(crate) gauge: Arc<Gauge>,
    queue_in: mpsc::Sender<Message>,
    bytes_max: usize,
    /// The server counts what it sends, whether or not it was dropped here.
    delivered: u64,
    delivered_max: Option<u64>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// It was dropped, the first one since the queue filled up.
    pub(crate) overflowed: bool,
    /// No more will come: the limit is reached, or nobody takes them.
    pub(crate) last: bool,
}

impl Slot {
    /// The slot, and the end that the user reads.
    pub(crate) fn new(
        pattern: &str,
        queue: Option<&str>,
        messages_max: usize,
        bytes_max: usize,
    ) -> (Slot, mpsc::Receiver<Message>) {
        let (queue_in, queue_out) = mpsc::channel(messages_max);
        let slot = Slot {
            pattern: pattern.into(),
            queue: queue.map(Into::into),
            gauge: Arc::default(),
            queue_in,
            bytes_max,
            delivered: 0,
            delivered_max: None,
        };
        (slot, queue_out)
    }

    /// Ends after `max` messages in all; false: so many have already come.
    pub(crate) fn limit(&mut self, max: u64) -> bool {
        self.delivered_max = Some(max);
        self.delivered < max
    }

    /// Hands a message over. Never waits.
    pub(crate) fn deliver(&mut self, message: Message) -> Delivery {
        self.delivered += 1;
        let mut done =
            Delivery { last: self.delivered_max.is_some_and(|max| self.delivered >= max), overflowed: false };
        let bytes = weight(&message);
        if !self.gauge.fits(bytes, self.bytes_max) {
            done.overflowed = self.gauge.dropped_one();
            return done;
        }
        // Counted before it is sent, so that the reader never takes away what was not added yet.
        self.gauge.queued(bytes);
        match self.queue_in.try_send(message) {
            Ok(()) => self.gauge.flowing(),
            Err(TrySendError::Full(_)) => {
                self.gauge.taken(bytes);
                done.overflowed = self.gauge.dropped_one();
            }
            Err(TrySendError::Closed(_)) => done.last = true,
        }
        done
    }

    /// What makes this subscription on a new connection.
    pub(crate) fn again(&self, out: &mut Vec<u8>, sid: u64) {
        encode::subscribe(out, self.pattern.as_bytes(), self.queue.as_deref().map(str::as_bytes), sid);
        if let Some(max) = self.delivered_max {
            encode::unsubscribe(out, sid, Some(max.saturating_sub(self.delivered)));
        }
    }

    /// Says why no more will come.
    pub(crate) fn end(self, why: Error) {
        self.gauge.end(why);
    }
}

/// What a waiting message counts for; never nothing, so that an empty queue is one that weighs nothing.
pub(crate) fn weight(message: &Message) -> usize {
    1 + message.subject.len() + message.reply.len() + message.headers.len() + message.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &'static str) -> Message {
        Message { subject: "a".into(), payload: payload.into(), ..Message::default() }
    }

    #[test]
    fn a_full_queue_drops_counts_and_tells_once() {
        let (mut slot, mut out) = Slot::new("a", None, 2, usize::MAX);
        let told: Vec<bool> = (0..5).map(|_| slot.deliver(message("x")).overflowed).collect();
        assert_eq!(told, [false, false, true, false, false]);
        assert_eq!(slot.gauge.dropped(), 3);
        slot.gauge.taken(weight(&out.try_recv().unwrap()));
        assert_eq!(slot.deliver(message("y")), Delivery::default());
        assert!(slot.deliver(message("z")).overflowed, "told again when it filled up again");
    }

    #[test]
    fn bytes_are_bounded_but_one_message_always_fits() {
        let (mut slot, _out) = Slot::new("a", None, 100, 10);
        assert!(!slot.deliver(message("a message above the limit")).overflowed);
        assert!(slot.deliver(message("")).overflowed);
    }

    #[test]
    fn a_limit_counts_what_was_dropped_and_survives_a_new_connection() {
        let (mut slot, _out) = Slot::new("a.*", Some("q"), 1, usize::MAX);
        assert!(slot.limit(3));
        assert!(!slot.deliver(message("1")).last);
        let mut out = Vec::new();
        slot.again(&mut out, 7);
        assert_eq!(out, b"SUB a.* q 7\r\nUNSUB 7 2\r\n");
        assert!(!slot.deliver(message("2")).last);
        assert!(slot.deliver(message("3")).last);
        assert!(!slot.limit(3));
    }

    #[test]
    fn a_reader_that_went_away_ends_it() {
        let (mut slot, out) = Slot::new("a", None, 1, usize::MAX);
        drop(out);
        assert!(slot.deliver(message("1")).last);
    }
}
