//! Publishing: something new, something that was sent before, and something that only pretends to be.

use std::fmt::Write;

use kernel::Priority;

use crate::oracle::{Life, Number, Sent};
use crate::promise::{Kept, demand};
use crate::world::{Ask, World};

/// Subjects of a stream, behind its name.
const SUBJECTS: &[&str] = &["a", "b", "c"];

impl World {
    /// One of the streams that are there.
    pub(crate) fn a_stream(&mut self) -> Option<usize> {
        let there: Vec<usize> = (0..self.streams.len())
            .filter(|at| self.streams.get(*at).is_some_and(|s| s.life == Life::There))
            .collect();
        self.random.pick(&there)
    }

    pub(crate) fn publish_new(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return self.make_stream() };
        let (id, number) = match self.random.below(5) {
            0 | 1 => (Some(format!("id-{}", self.number())), None),
            2 | 3 => (None, self.next_number(stream)),
            _ => (None, None),
        };
        self.publish_content(stream, id, number, None)
    }

    /// A producer's next number, or one of a new life of it.
    pub(crate) fn next_number(&mut self, stream: usize) -> Option<Number> {
        let producer = format!("p{}", self.random.below(2));
        let is_new_life = self.random.one_in(12);
        let book = self.streams.get(stream)?;
        let sent =
            book.sent.values().filter_map(|sent| sent.number.as_ref()).filter(|n| n.producer == producer);
        let (epoch, sequence) = sent.map(|n| (n.epoch, n.sequence)).max().unwrap_or((1, 0));
        let (epoch, sequence) = if is_new_life { (epoch + 1, 1) } else { (epoch, sequence + 1) };
        Some(Number { producer, epoch, sequence })
    }

    /// `delay_ms`: for how long it is kept back, if that is not left to chance.
    pub(crate) fn publish_content(
        &mut self,
        stream: usize,
        id: Option<String>,
        number: Option<Number>,
        delay_ms: Option<u64>,
    ) -> Kept {
        let nonce = self.number();
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let token = self.random.pick(SUBJECTS).unwrap_or("a");
        let subject = format!("{}.{token}", book.rules.name);
        let (is_marked, age_ms) = (book.rules.is_marked, book.rules.max_age_ms);
        let mut headers = String::new();
        if let Some(id) = &id {
            headers = format!("Nats-Msg-Id: {id}\r\n");
        }
        if let Some(Number { producer, epoch, sequence }) = &number {
            headers = format!("Np-Producer: {producer}\r\nNp-Epoch: {epoch}\r\nNp-Sequence: {sequence}\r\n");
        }
        let (priority, delay_ms) = match delay_ms {
            Some(delay_ms) => {
                let _ = write!(headers, "Np-Delay: {delay_ms}\r\n");
                (None, delay_ms)
            }
            None if is_marked => self.mark(age_ms, &mut headers),
            None => Default::default(),
        };
        if !headers.is_empty() {
            headers = format!("NATS/1.0\r\n{headers}\r\n");
        }
        let mut payload = format!("~{nonce:016x}~").into_bytes();
        let filler = self.random.below(self.plan.payload_max);
        payload.extend((0..filler).map(|at| b'a' + ((nonce + at) % 26) as u8));
        let sent = Sent {
            subject,
            headers: headers.into_bytes(),
            payload,
            id,
            number,
            priority: priority.unwrap_or(Priority::Normal),
            delay_ms,
            sends: 0,
            unresolved: 0,
            stored: Default::default(),
            wall_lo: self.clock.wall_ms(),
            wall_hi: 0,
            order: 0,
            may_go: false,
            is_flipped: false,
            is_excused: false,
        };
        self.put(stream, nonce, Some(sent))
    }

    /// Says in headers how soon a message is to be delivered, perhaps. `age_ms`: how long it lives; 0: for ever.
    fn mark(&mut self, age_ms: u64, headers: &mut String) -> (Option<Priority>, u64) {
        let priority = if self.random.one_in(2) { self.random.pick(&Priority::ALL) } else { None };
        if let Some(priority) = priority {
            self.figures.prioritized += 1;
            let _ = write!(headers, "Np-Priority: {}\r\n", priority.as_str());
        }
        let delay_ms = match self.random.below(12) {
            0 => self.random.between(1, 200),
            1 => self.random.between(200, 3_000),
            2 if age_ms == 0 => self.random.between(1, 8) * 1_000,
            // It may be refused.
            2 => self.random.between(age_ms / 2, 2 * age_ms),
            _ => 0,
        };
        if delay_ms > 0 {
            self.figures.delayed += 1;
            let _ = match delay_ms % 1_000 {
                0 => write!(headers, "Np-Delay: {}s\r\n", delay_ms / 1_000),
                _ => write!(headers, "Np-Delay: {delay_ms}\r\n"),
            };
        }
        (priority, delay_ms)
    }

    /// Sends a content, perhaps not for the first time.
    pub(crate) fn put(&mut self, stream: usize, nonce: u64, new: Option<Sent>) -> Kept {
        let (client, wall) = (self.client(), self.clock.wall_ms());
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let attempt = book.send(nonce, new, wall);
        let Some(sent) = book.sent.get(&nonce).cloned() else { return Ok(()) };
        self.figures.publishes += 1;
        let ask = Ask::Publish { stream, attempt: attempt.clone() };
        let taken = self.ask(client, sent.subject.as_bytes(), &sent.headers, &sent.payload, ask);
        self.trace.note(format!(
            "publish {} ({}) {nonce:x} id {:?} number {:?} {:?} delay {}: {taken:?}",
            self.numbers, sent.subject, sent.id, sent.number, sent.priority, sent.delay_ms
        ));
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        if taken != Ok(1) {
            book.not_taken(&attempt);
        }
        demand("existence", taken != Ok(0), || format!("{} hears nothing any more", book.rules.name))
    }

    pub(crate) fn publish_again(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        // What was sent lately is sent again more often.
        let mut nonces: Vec<u64> = book.sent.keys().copied().collect();
        let is_recent = self.random.one_in(2);
        if is_recent {
            nonces.drain(..nonces.len().saturating_sub(8));
        }
        match self.random.pick(&nonces) {
            Some(nonce) => self.put(stream, nonce, None),
            None => Ok(()),
        }
    }

    /// Other bytes under an id or a number that something else has.
    pub(crate) fn publish_impostor(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let marked: Vec<_> = book.sent.values().filter(|s| s.id.is_some() || s.number.is_some()).collect();
        let Some(sent) = self.random.pick(&marked) else { return Ok(()) };
        let (id, mut number) = (sent.id.clone(), sent.number.clone());
        if let Some(number) = &mut number
            && number.epoch > 1
            && self.random.one_in(3)
        {
            // Somebody of an earlier life who does not know it.
            number.epoch -= 1;
            number.sequence += self.random.below(3);
        }
        self.publish_content(stream, id, number, None)
    }
}
