//! Events that only mean something one after the other, so that chance alone would seldom bring them. What comes of each
//! is judged as always, not here.

use wire::jetstream::PullRequest;

use crate::oracle::Life;
use crate::promise::Kept;
use crate::world::World;

const NS_PER_MS: u64 = 1_000_000;
/// Longest delay of the messages that are waited for.
const DELAY_MS: u64 = 2_000;
/// A delay that lasts: what is kept back so long makes the node remember the places of what is not.
const LONG_MS: u64 = 60_000;

impl World {
    /// A consumer is given what was kept back, and more of it waits; then the node begins again at an earlier time, and what
    /// comes now is due before what was given.
    pub(crate) fn back_behind_delays(&mut self) -> Kept {
        let mut waiting = Vec::new();
        for (stream, book) in self.streams.iter().enumerate() {
            let is_meant = book.life == Life::There && book.rules.is_marked && book.rules.max_age_ms == 0;
            let there = book.consumers.iter().enumerate().filter(|(_, c)| c.life == Life::There && is_meant);
            waiting.extend(there.map(|(consumer, _)| (stream, consumer)));
        }
        let Some((stream, consumer)) = self.random.pick(&waiting) else { return Ok(()) };
        for _ in 0..3 {
            let delay_ms = self.random.between(DELAY_MS / 2, DELAY_MS);
            self.publish_content(stream, None, None, Some(delay_ms))?;
            self.publish_content(stream, None, None, Some(LONG_MS))?;
        }
        self.settle_down()?;
        self.pass((DELAY_MS + 1) * NS_PER_MS);
        self.settle_down()?;
        let request = PullRequest { no_wait: true, ..PullRequest::messages(50) };
        self.pull_with(0, stream, consumer, &request)?;
        self.settle_down()?;
        let by_ms = self.random.between(DELAY_MS, 60 * DELAY_MS);
        self.start_earlier(by_ms)?;
        for _ in 0..3 {
            let delay_ms = self.random.between(1, DELAY_MS / 4);
            self.publish_content(stream, None, None, Some(delay_ms))?;
        }
        self.settle_down()
    }

    /// A stream rests until it leaves memory, loses all its messages, and the process ends: what its producer sent comes
    /// again.
    pub(crate) fn rest(&mut self) -> Kept {
        let rests = |book: &crate::oracle::Stream| {
            book.life == Life::There && book.consumers.iter().all(|consumer| consumer.life == Life::Gone)
        };
        let all: Vec<usize> =
            (0..self.streams.len()).filter(|at| self.streams.get(*at).is_some_and(rests)).collect();
        let Some(stream) = self.random.pick(&all) else { return Ok(()) };
        let number = self.next_number(stream);
        self.publish_content(stream, None, number.clone(), None)?;
        self.settle_down()?;
        for _ in 0..3 {
            self.pass((self.plan.stream_idle_ms + 1) * NS_PER_MS);
            self.turn()?;
        }
        self.purge_of(stream, String::new(), 0, 0)?;
        self.settle_down()?;
        self.restart_somehow()?;
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let sent = book.sent.iter().find(|(_, sent)| sent.number.is_some() && sent.number == number);
        match sent.map(|(nonce, _)| *nonce) {
            Some(nonce) => self.put(stream, nonce, None),
            None => Ok(()),
        }
    }

    /// Everything that was asked is answered, if the journal has not failed.
    fn settle_down(&mut self) -> Kept {
        self.mend_reads()?;
        self.quiesce().map(drop)
    }
}
