//! What requests for messages bring: deliveries and statuses. Each is put to the promises that it may break.

use wire::jetstream::{Status, ack};

use crate::door::Heard;
use crate::hear::status_line;
use crate::oracle::Given;
use crate::promise::genuine::Shown;
use crate::promise::{
    Kept, acked, consumer_sequence, delay, deliveries, demand, existence, gone, order, pending, unread,
};
use crate::world::{Lease, World};

/// Deliveries that are kept for acknowledgements that come late.
const OLD_MAX: usize = 64;

impl World {
    /// A pull brought something: a message or a status.
    pub(crate) fn brought(&mut self, heard: &Heard) -> Kept {
        let Some(pull) = self.pulls.get_mut(&heard.pull) else { return Ok(()) };
        let Some(given) = ack::Delivery::parse(&heard.reply) else {
            let status = Status::read(&heard.headers).map_or(0, |status| status.code);
            self.trace.note(format!("  < pull {}: {:.80}", heard.pull, status_line(heard)));
            if status == 500 {
                unread::only_if_it_failed(self.reads_failed, &status_line(heard))?;
            }
            if status != 100 {
                self.pulls.remove(&heard.pull);
                self.doors.end_pull(heard.pull);
            }
            return Ok(());
        };
        pull.got += 1;
        let (stream, consumer, got, batch) = (pull.stream, pull.consumer, pull.got, pull.batch);
        if got == batch {
            self.pulls.remove(&heard.pull);
            self.doors.end_pull(heard.pull);
        }
        let (seq, cseq, times_said) = (given.stream_seq, given.consumer_seq, given.deliveries);
        self.trace.note(format!(
            "  < pull {}: {} {} message {seq} as {cseq}, for the {times_said}. time",
            heard.pull, given.stream, given.consumer
        ));
        self.figures.deliveries += 1;
        demand("deliveries", got <= batch, || format!("a pull of {batch} brought {got}"))?;
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let shown = Shown {
            seq,
            subject: String::from_utf8_lossy(&heard.subject).into_owned(),
            headers: heard.headers.to_vec(),
            payload: heard.payload.to_vec(),
        };
        let named = book.rules.name == given.stream
            && book.consumers.get(consumer).is_some_and(|c| c.name == given.consumer);
        demand("genuine", named, || format!("a pull of another consumer brought {:?}", given))?;
        book.seen(&shown)?;
        let Some(one) = book.consumers.get_mut(consumer) else { return Ok(()) };
        existence::as_answered(&format!("consumer {}", one.name), one.life, true)?;
        // What is out already comes again, whatever the filter says now.
        let asked = if times_said == 1 { heard.pull } else { 0 };
        demand("genuine", one.filters.may_hear(&shown.subject, asked), || {
            format!("{} was given message {seq} of {}, which it does not hear", one.name, shown.subject)
        })?;
        consumer_sequence::grows(one, cseq)?;
        acked::not_again(one, seq)?;
        let process = self.process;
        let times = one.deliver(cseq, Given { seq, deliveries: times_said, process });
        deliveries::within_limit(one, seq, times, times_said)?;
        let is_first = times_said == 1;
        if let (true, Some(one)) = (is_first, book.consumers.get(consumer)) {
            pending::within_limit(book, one)?;
        }
        delay::is_over(book, seq, given.time_ns)?;
        let sent = book.places.get(&seq).and_then(|place| book.sent.get(&place.nonce)).cloned();
        if let Some(sent) = sent {
            self.figures.delayed_delivered += u64::from(sent.delay_ms > 0);
            let due = (delay::due_ms(&sent, given.time_ns), seq);
            if let (true, Some(one)) = (is_first, book.consumers.get(consumer)) {
                order::is_kept(book, one, due)?;
            }
            if let (true, Some(one)) = (is_first, book.consumers.get_mut(consumer)) {
                self.figures.overtakings += u64::from(one.firsts.note(&sent, due, heard.pull));
            }
        }
        gone::stays_gone(book, seq)?;
        let lease = Lease { stream, consumer, seq, cseq, reply: heard.reply.to_vec() };
        self.hand.push(lease.clone());
        if self.old.len() == OLD_MAX {
            self.old.pop_front();
        }
        self.old.push_back(lease);
        Ok(())
    }
}
