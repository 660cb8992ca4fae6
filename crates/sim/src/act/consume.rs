//! Consumers made, changed and deleted; messages asked for and acknowledged, in time, late, twice or never.

use wire::jetstream::api::{CreateAction, CreateConsumerRequest};
use wire::jetstream::{AckPolicy, ConsumerConfig, PullRequest, Retention, write};

use crate::oracle::{Consumer, Life};
use crate::promise::Kept;
use crate::world::{Ask, CLIENTS, Lease, Pull, World};

/// Most consumers of a stream at once.
const CONSUMERS_MAX: usize = 3;
const NS_PER_MS: i64 = 1_000_000;

fn config(consumer: &Consumer) -> ConsumerConfig {
    ConsumerConfig {
        durable_name: consumer.name.clone(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: consumer.ack_wait_ms as i64 * NS_PER_MS,
        max_deliver: consumer.max_deliver as i64,
        max_ack_pending: consumer.cap as i64,
        filter_subject: consumer.filters.last().to_owned(),
        ..ConsumerConfig::default()
    }
}

impl World {
    pub(crate) fn make_consumer(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        if book.rules.is_lonely && !self.random.one_in(8) {
            return Ok(());
        }
        let making = book.consumers.iter().position(|c| c.life == Life::Making);
        if let Some(consumer) = making {
            return self.ask_for_consumer(stream, consumer, CreateAction::CreateOrUpdate);
        }
        let name = format!("c{}", self.random.below(CONSUMERS_MAX as u64));
        if book.consumers.iter().any(|c| c.name == name && c.life != Life::Gone) {
            return Ok(());
        }
        let is_queue = book.rules.retention == Retention::WorkQueue;
        let token = self.random.pick(&["a", "b", "c"]).unwrap_or("a");
        let filter = match self.random.one_in(if is_queue { 2 } else { 4 }) {
            true => format!("{}.{token}", book.rules.name),
            false => String::new(),
        };
        let max_deliver = if self.random.one_in(4) { self.random.between(1, 4) } else { 0 };
        let cap = if self.random.one_in(2) { self.random.between(1, 12) } else { 1000 };
        let ack_wait_ms = self.random.pick(&[100, 1_000, 5_000, 30_000]).unwrap_or(1_000);
        let consumer = Consumer::new(name, filter, max_deliver, cap, ack_wait_ms);
        self.figures.consumers += 1;
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        book.consumers.push(consumer);
        let consumer = book.consumers.len() - 1;
        self.ask_for_consumer(stream, consumer, CreateAction::CreateOrUpdate)
    }

    pub(crate) fn ask_for_consumer(&mut self, stream: usize, consumer: usize, action: CreateAction) -> Kept {
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let Some(one) = book.consumers.get(consumer) else { return Ok(()) };
        let (name, stream_name, filters) = (one.name.clone(), book.rules.name.clone(), one.filters.asked());
        let request = CreateConsumerRequest { stream_name, config: config(one), action, pedantic: false };
        let subject = format!("$JS.API.CONSUMER.CREATE.{}.{name}", request.stream_name);
        let client = self.client();
        let ask = match action {
            CreateAction::Update => Ask::ChangeConsumer { stream, consumer, filters },
            _ => Ask::MakeConsumer { stream, consumer },
        };
        let taken = self.ask(client, subject.as_bytes(), &[], &write(&request), ask);
        let request = &request.config;
        self.trace.note(format!(
            "{action:?} {subject} filter {:?} cap {} deliver {} wait {} ({}): {taken:?}",
            request.filter_subject,
            request.max_ack_pending,
            request.max_deliver,
            request.ack_wait,
            self.numbers
        ));
        Ok(())
    }

    /// A stream and a consumer of it that is there.
    pub(crate) fn a_consumer(&mut self) -> Option<(usize, usize)> {
        let stream = self.a_stream()?;
        let book = self.streams.get(stream)?;
        let there: Vec<usize> = (0..book.consumers.len())
            .filter(|at| book.consumers.get(*at).is_some_and(|c| c.life == Life::There))
            .collect();
        Some((stream, self.random.pick(&there)?))
    }

    /// More may be out from now on, or it hears something else.
    pub(crate) fn change_consumer(&mut self) -> Kept {
        let Some((stream, consumer)) = self.a_consumer() else { return Ok(()) };
        if self.random.one_in(2) && self.ask_for_filter(stream, consumer) {
            self.figures.filters_changed += 1;
        } else if let Some(one) = self.streams.get_mut(stream).and_then(|s| s.consumers.get_mut(consumer)) {
            one.cap += self.random.between(1, 5);
        }
        self.ask_for_consumer(stream, consumer, CreateAction::Update)
    }

    /// A consumer is to hear something else. False: those of a queue may not overlap.
    pub(crate) fn ask_for_filter(&mut self, stream: usize, consumer: usize) -> bool {
        let token = self.random.pick(&["", "a", "b", "c"]).unwrap_or("");
        let Some(book) = self.streams.get_mut(stream) else { return false };
        if book.rules.retention == Retention::WorkQueue {
            return false;
        }
        let filter = if token.is_empty() { String::new() } else { format!("{}.{token}", book.rules.name) };
        let Some(one) = book.consumers.get_mut(consumer) else { return false };
        one.filters.ask(filter);
        true
    }

    pub(crate) fn end_consumer(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let ending = book.consumers.iter().position(|c| c.life == Life::Ending);
        let there: Vec<usize> = (0..book.consumers.len())
            .filter(|at| book.consumers.get(*at).is_some_and(|c| c.life == Life::There))
            .collect();
        let Some(consumer) = ending.or_else(|| self.random.pick(&there)) else { return Ok(()) };
        let Some(one) = book.consumers.get_mut(consumer) else { return Ok(()) };
        one.life = Life::Ending;
        let subject = format!("$JS.API.CONSUMER.DELETE.{}.{}", book.rules.name, one.name);
        let client = self.client();
        let taken = self.ask(client, subject.as_bytes(), &[], &[], Ask::EndConsumer { stream, consumer });
        self.trace.note(format!("end {subject} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    pub(crate) fn pull(&mut self) -> Kept {
        let Some((stream, consumer)) = self.a_consumer() else { return Ok(()) };
        let batch = self.random.between(1, 12);
        let mut request = PullRequest::messages(batch as i64);
        match self.random.below(4) {
            0 => request.no_wait = true,
            1 => {}
            _ => request.expires = self.random.between(100, 20_000) as i64 * NS_PER_MS,
        }
        let client = self.client();
        self.pull_with(client, stream, consumer, &request)
    }

    pub(crate) fn pull_with(
        &mut self,
        client: usize,
        stream: usize,
        consumer: usize,
        request: &PullRequest,
    ) -> Kept {
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let Some(one) = book.consumers.get(consumer) else { return Ok(()) };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", book.rules.name, one.name);
        let pull = self.number();
        let Ok(to) = self.doors.begin_pull(client, pull) else { return Ok(()) };
        let body = write(request);
        let m = kernel::Msg {
            subject: subject.as_bytes(),
            reply: to.as_bytes(),
            payload: &body,
            ..kernel::Msg::default()
        };
        let batch = request.batch as u64;
        self.pulls.insert(pull, Pull { stream, consumer, batch, got: 0 });
        let taken = self.doors.publish(client, &m);
        self.trace.note(format!("pull {pull} {subject} {}: {taken:?}", String::from_utf8_lossy(&body)));
        if taken != Ok(1) {
            self.pulls.remove(&pull);
            self.doors.end_pull(pull);
        }
        Ok(())
    }

    pub(crate) fn ack(&mut self) -> Kept {
        if self.hand.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.hand.len() as u64) as usize;
        let lease = self.hand.swap_remove(at);
        let what: &[u8] = match self.random.below(10) {
            0 => b"-NAK",
            1 => b"-NAK {\"delay\":2000000000}",
            2 => b"+WPI",
            3 => b"+TERM",
            4 => return Ok(()),
            _ => b"+ACK",
        };
        if what == b"+WPI" {
            self.hand.push(lease.clone());
        }
        let wants_answer = !self.random.one_in(4);
        self.say_ack(&lease, what, wants_answer)
    }

    /// Something is said about a delivery that may be long over.
    pub(crate) fn old_ack(&mut self) -> Kept {
        let old: Vec<Lease> = self.old.iter().cloned().collect();
        let Some(lease) = self.random.pick(&old) else { return Ok(()) };
        let what: &[u8] = match self.random.below(6) {
            0 => b"-NAK",
            1 => b"+TERM",
            2 => b"+WPI",
            _ => b"+ACK",
        };
        self.say_ack(&lease, what, true)
    }

    pub(crate) fn say_ack(&mut self, lease: &Lease, what: &[u8], wants_answer: bool) -> Kept {
        let Lease { stream, consumer, seq, cseq, .. } = *lease;
        let process = self.process;
        let client = self.random.below(CLIENTS as u64) as usize;
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let is_consumed = book.rules.retention == Retention::WorkQueue;
        let Some(one) = book.consumers.get_mut(consumer) else { return Ok(()) };
        // A name that is used again makes tokens of the former one ambiguous.
        if one.life == Life::Gone || book.life == Life::Gone {
            return Ok(());
        }
        let is_stale = one.is_stale(seq, cseq, process);
        let finishes = what == b"+ACK" || what == b"+TERM";
        if !is_stale {
            one.open.remove(&seq);
            if finishes {
                one.acking.insert(seq);
            }
        }
        if let (true, true, false, Some(place)) = (finishes, is_consumed, is_stale, book.places.get_mut(&seq))
        {
            place.may_go = true;
        }
        let text = String::from_utf8_lossy(what).into_owned();
        let taken = match wants_answer {
            true => {
                let ask = Ask::Ack { stream, consumer, seq, cseq, is_stale, finishes };
                self.ask(client, &lease.reply, &[], what, ask)
            }
            false => {
                let m = kernel::Msg { subject: &lease.reply, payload: what, ..kernel::Msg::default() };
                self.doors.publish(client, &m)
            }
        };
        self.trace.note(format!(
            "{text} stream {stream} consumer {consumer} message {seq} delivery {cseq} stale {is_stale} ({}): {taken:?}",
            if wants_answer { self.numbers } else { 0 }
        ));
        Ok(())
    }
}
