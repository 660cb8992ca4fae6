//! The loop of a throughput run: write as much as the window allows, read as much as there is, sleep when neither goes.

use crate::BenchError;
use crate::lines::Lines;
use crate::link::Link;
use crate::poller::Poller;
use crate::tap::{Feed, Tap};
use std::time::{Duration, Instant};
use wire::nats::{Info, encode};

/// One read. It shares the second-level cache with the blocks.
const READ_BYTES: usize = 256 << 10;
/// Without any progress for so long, the server is asked whether there is more to come.
const SILENCE_LIMIT: Duration = Duration::from_secs(2);
/// Without an answer for so long, the run has failed.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(10);
/// The clock is looked at this often when nothing happens.
const NAP: Duration = Duration::from_millis(50);

/// Publishers, subscribers, and the window between them.
pub(crate) struct Pump {
    feeds: Vec<Feed>,
    taps: Vec<Tap>,
    poller: Poller,
    buffer: Vec<u8>,
    /// Messages that publishers may be ahead of the slowest subscriber.
    window: u64,
}

impl Pump {
    /// Sockets are numbered: taps first, then feeds.
    pub(crate) fn new(feeds: Vec<Feed>, taps: Vec<Tap>, window: u64) -> Result<Self, BenchError> {
        let poller = Poller::new()?;
        for (token, tap) in taps.iter().enumerate() {
            poller.add_reader(tap.link(), token)?;
        }
        for (token, feed) in feeds.iter().enumerate() {
            poller.add_edges(feed.link(), taps.len() + token)?;
        }
        Ok(Self { feeds, taps, poller, buffer: vec![0; READ_BYTES], window: window.max(1) })
    }

    /// Messages that publishers have begun to write.
    pub(crate) fn sent(&self) -> u64 {
        self.feeds.iter().map(Feed::begun).sum()
    }

    /// Messages that all subscribers together have received.
    pub(crate) fn delivered(&self) -> u64 {
        self.taps.iter().map(|tap| tap.counter.received()).sum()
    }

    /// What the server said of itself.
    pub(crate) fn info(&self) -> Info {
        let mut links = self.taps.iter().map(Tap::link).chain(self.feeds.iter().map(Feed::link));
        links.next().map(|link| link.info.clone()).unwrap_or_default()
    }

    pub(crate) fn taps(&self) -> &[Tap] {
        &self.taps
    }

    /// Publishes `messages`, or what goes until the deadline, and reads until every subscriber has all of it. What is
    /// still missing after the server said that nothing more comes is left to the caller to count.
    pub(crate) fn run(&mut self, messages: u64, deadline: Option<Instant>) -> Result<(), BenchError> {
        let feeds = self.feeds.len() as u64;
        for (nth, feed) in (0..).zip(&mut self.feeds) {
            feed.extend(messages / feeds + u64::from(nth < messages % feeds));
        }
        let mut moved_at = Instant::now();
        loop {
            let wrote = self.write()?;
            let read = self.turn(if wrote { Duration::ZERO } else { NAP })?;
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                self.feeds.iter_mut().for_each(Feed::stop);
            }
            if self.feeds.iter().all(|feed| feed.left() == 0) && self.behind() == 0 {
                return Ok(());
            }
            if wrote || read {
                moved_at = now;
            } else if now.duration_since(moved_at) > SILENCE_LIMIT {
                return self.settle();
            }
        }
    }

    /// Lets every publisher write `messages` more, as far as they go without waiting.
    pub(crate) fn offer(&mut self, messages: u64) -> Result<bool, BenchError> {
        let mut wrote = false;
        for feed in &mut self.feeds {
            feed.extend(messages);
            while feed.writable && feed.write(u64::MAX)? {
                wrote = true;
            }
        }
        Ok(wrote)
    }

    /// Messages that the slowest subscriber has not received yet.
    fn behind(&self) -> u64 {
        let slowest = self.taps.iter().map(|tap| tap.counter.received()).min();
        slowest.map_or(0, |received| self.sent().saturating_sub(received))
    }

    /// One write for each publisher that may and can; says whether bytes left.
    fn write(&mut self) -> Result<bool, BenchError> {
        let room = self.window.saturating_sub(self.behind());
        // Many small writes would cost more than they bring.
        if room < self.window.div_ceil(8) {
            return Ok(false);
        }
        let share = room.div_ceil(self.feeds.len().max(1) as u64);
        let mut wrote = false;
        for feed in self.feeds.iter_mut().filter(|feed| feed.writable) {
            wrote |= feed.write(share)?;
        }
        Ok(wrote)
    }

    /// Waits for sockets and reads them; says whether a subscriber received bytes.
    pub(crate) fn turn(&mut self, nap: Duration) -> Result<bool, BenchError> {
        let mut received = false;
        for ready in self.poller.wait(nap)? {
            if let Some(tap) = self.taps.get_mut(ready.token) {
                received |= tap.read(&mut self.buffer)?;
            } else if let Some(feed) = self.feeds.get_mut(ready.token - self.taps.len()) {
                feed.writable |= ready.writable;
                if ready.readable {
                    feed.read(&mut self.buffer)?;
                }
            }
        }
        Ok(received)
    }

    /// Waits until the server has answered a PING on every connection, publishers first: what a subscriber has not
    /// received by then was lost, and what it has received beyond was doubled.
    pub(crate) fn settle(&mut self) -> Result<(), BenchError> {
        if self.feeds.iter().any(|feed| feed.left() > 0) {
            return Err(self.stalled());
        }
        self.ping(|pump| pump.feeds.iter().map(|feed| (feed.link(), &feed.lines)).collect())?;
        self.ping(|pump| pump.taps.iter().map(|tap| (tap.link(), &tap.counter.lines)).collect())
    }

    fn ping(&mut self, of: impl Fn(&Self) -> Vec<(&Link, &Lines)>) -> Result<(), BenchError> {
        let mut awaited = Vec::new();
        for (link, lines) in of(self) {
            link.write_line(encode::PING)?;
            awaited.push(lines.pongs + 1);
        }
        let start = Instant::now();
        while of(self).iter().zip(&awaited).any(|((_, lines), pongs)| lines.pongs < *pongs) {
            self.turn(NAP)?;
            if start.elapsed() > STALL_LIMIT {
                return Err(self.stalled());
            }
        }
        Ok(())
    }

    pub(crate) fn stalled(&self) -> BenchError {
        BenchError::Stalled {
            seconds: STALL_LIMIT.as_secs(),
            sent: self.sent(),
            delivered: self.delivered(),
            expected: self.sent() * self.taps.len() as u64,
        }
    }
}
