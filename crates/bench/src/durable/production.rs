//! The loop of a publishing run: as many publishes in flight as were asked for, each answer makes room for the next.
//! What a publish and an answer look like is the producer's business.

use super::tally::Tally;
use crate::BenchError;
use crate::link::Link;
use crate::poller::Poller;
use crate::pump::STALL_LIMIT;
use std::time::{Duration, Instant};

/// The clock is looked at this often when nothing happens.
const NAP: Duration = Duration::from_millis(50);

/// One connection that publishes.
pub(crate) trait Producer {
    /// Its connection.
    fn link(&self) -> &Link;
    /// Publishes that wait for an answer.
    fn in_flight(&self) -> usize;
    /// Adds a publish to what is to be written.
    fn publish(&mut self, now: Instant);
    /// Writes what the socket takes.
    fn flush(&mut self) -> Result<(), BenchError>;
    /// Reads the answers that are there; says how many.
    fn read(&mut self, tally: &mut Tally) -> Result<u64, BenchError>;
}

/// All connections of a run.
pub(super) struct Production<P> {
    producers: Vec<P>,
    poller: Poller,
    in_flight_max: usize,
    tally: Tally,
    sent: u64,
    answered: u64,
    /// Who was answered in the last turn, and may publish again.
    free: Vec<usize>,
}

impl<P: Producer> Production<P> {
    pub(super) fn new(producers: Vec<P>, in_flight: usize, streams: usize) -> Result<Self, BenchError> {
        let poller = Poller::new()?;
        for (token, producer) in producers.iter().enumerate() {
            poller.add_edges(producer.link(), token)?;
        }
        let tally = Tally::new(streams);
        Ok(Self {
            producers,
            poller,
            in_flight_max: in_flight,
            tally,
            sent: 0,
            answered: 0,
            free: Vec::new(),
        })
    }

    pub(super) fn producers(&self) -> &[P] {
        &self.producers
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn in_flight(&self) -> u64 {
        self.sent - self.answered
    }

    /// Publishes `count` messages and waits for their answers, or goes on until the deadline and leaves in flight what
    /// is.
    pub(super) fn pass(&mut self, count: u64, deadline: Option<Instant>) -> Result<(), BenchError> {
        let end = self.sent.saturating_add(count);
        let mut moved_at = Instant::now();
        self.free = (0..self.producers.len()).collect();
        loop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(());
            }
            self.publish(end, now)?;
            if self.sent == end && self.in_flight() == 0 {
                return Ok(());
            }
            let limit = deadline.map_or(NAP, |d| d.saturating_duration_since(now).min(NAP));
            if self.turn(limit)? {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > STALL_LIMIT {
                return Err(BenchError::Stalled {
                    seconds: STALL_LIMIT.as_secs(),
                    sent: self.sent,
                    delivered: self.answered,
                    expected: self.sent,
                });
            }
        }
    }

    /// Waits for the answers to everything in flight.
    pub(super) fn drain(&mut self) -> Result<(), BenchError> {
        self.pass(0, None)
    }

    /// Lets everybody who has room publish up to its share, while `end` is not reached.
    fn publish(&mut self, end: u64, now: Instant) -> Result<(), BenchError> {
        let Self { producers, free, in_flight_max, sent, .. } = self;
        let (share, more) =
            (*in_flight_max / producers.len().max(1), *in_flight_max % producers.len().max(1));
        for nth in free.drain(..) {
            let Some(producer) = producers.get_mut(nth) else { continue };
            let share = (share + usize::from(nth < more)).max(1);
            while producer.in_flight() < share && *sent < end {
                producer.publish(now);
                *sent += 1;
            }
            producer.flush()?;
        }
        Ok(())
    }

    /// Waits for sockets and serves them; says whether an answer came.
    fn turn(&mut self, limit: Duration) -> Result<bool, BenchError> {
        let Self { producers, poller, tally, answered, free, .. } = self;
        let mut moved = 0;
        for ready in poller.wait(limit)? {
            let Some(producer) = producers.get_mut(ready.token) else { continue };
            if ready.writable {
                producer.flush()?;
            }
            if ready.readable {
                let answers = producer.read(tally)?;
                if answers > 0 {
                    free.push(ready.token);
                    moved += answers;
                }
            }
        }
        *answered += moved;
        Ok(moved > 0)
    }
}
