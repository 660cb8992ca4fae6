//! Counts messages by comparing the stream with what it must be, at the speed of `memcmp`.
//!
//! With one publisher the stream is the deliver block, over and over: every byte is compared, so a lost, doubled,
//! exchanged or damaged message is seen where it happens. Messages of several publishers mix, so there each message's
//! line and end are compared and the rest is counted. Lines of the protocol may stand between any two messages.

use crate::block::Block;
use crate::lines::{Lines, excerpt};
use std::sync::Arc;

/// One subscriber's view of its stream.
#[derive(Debug)]
pub(crate) struct Counter {
    block: Arc<Block>,
    /// Place in the block.
    at: usize,
    bytes: u64,
    in_order: bool,
    damaged: u64,
    first_damage: Option<String>,
    /// The lines between the messages.
    pub(crate) lines: Lines,
}

impl Counter {
    /// `in_order`: one publisher writes exactly this block, so that the order of messages is known.
    pub(crate) fn new(block: Arc<Block>, in_order: bool) -> Self {
        Self { block, at: 0, bytes: 0, in_order, damaged: 0, first_damage: None, lines: Lines::default() }
    }

    /// Messages received whole.
    pub(crate) fn received(&self) -> u64 {
        self.bytes / self.block.message_len() as u64
    }

    /// Messages that were not what they had to be.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Where the first damage was and what stood there.
    pub(crate) fn first_damage(&self) -> Option<&str> {
        self.first_damage.as_deref()
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.lines.inside() || self.is_line(bytes) {
                self.lines.take(bytes)
            } else if self.in_order {
                self.compare(bytes)
            } else {
                self.check(bytes)
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn place(&self) -> usize {
        self.at % self.block.message_len()
    }

    /// Between messages: whether a line begins. `PUB` and `PING` differ in their second byte only.
    fn is_line(&self, bytes: &[u8]) -> bool {
        self.place() == 0 && bytes.iter().zip(self.block.message()).take(2).any(|(a, b)| a != b)
    }

    /// Every byte against the block; says how many were taken.
    fn compare(&mut self, bytes: &[u8]) -> usize {
        let expected = self.block.bytes().get(self.at..).unwrap_or_default();
        let len = bytes.len().min(expected.len());
        let (bytes, expected) =
            (bytes.get(..len).unwrap_or_default(), expected.get(..len).unwrap_or_default());
        if bytes == expected {
            self.advance(len);
            return len;
        }
        let same = bytes.iter().zip(expected).take_while(|(a, b)| a == b).count();
        self.advance(same);
        match self.place() {
            0 => {}
            1 => self.take_back(),
            // From here on the order is lost; the line and the end of each message are still checked.
            _ => {
                self.damage(bytes.get(same..).unwrap_or_default());
                self.in_order = false;
            }
        }
        same
    }

    /// A `P` at the end of a read looked like the next message and was the first byte of a line.
    fn take_back(&mut self) {
        if let Some(first) = self.block.bytes().get(self.at - 1) {
            self.lines.take(&[*first]);
        }
        self.at -= 1;
        self.bytes -= 1;
    }

    /// Line and end of one message, or of the part of it that is here; says how many bytes were taken.
    fn check(&mut self, bytes: &[u8]) -> usize {
        let (place, len) = (self.place(), self.block.message_len());
        let part = bytes.get(..len - place).unwrap_or(bytes);
        let expected = self.block.message().get(place..place + part.len()).unwrap_or_default();
        let line = self.block.common().saturating_sub(place).min(part.len());
        let tail = (len - 2).saturating_sub(place).min(part.len());
        if part.get(..line) != expected.get(..line) || part.get(tail..) != expected.get(tail..) {
            if place == 1 {
                self.take_back();
                return 0;
            }
            self.damage(part);
        }
        self.advance(part.len());
        part.len()
    }

    fn advance(&mut self, len: usize) {
        self.at += len;
        self.bytes += len as u64;
        if self.at >= self.block.bytes().len() {
            self.at -= self.block.bytes().len();
        }
    }

    fn damage(&mut self, found: &[u8]) {
        self.damaged += 1;
        let received = self.received();
        self.first_damage.get_or_insert_with(|| format!("in message {received}: {:?}", excerpt(found)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Options};

    fn deliver(options: &Options) -> Arc<Block> {
        Arc::new(Block::pair(options).1)
    }

    fn block() -> Arc<Block> {
        deliver(&Options { size: 16, ..Options::new(Mode::PubSub, "a") })
    }

    fn counted(block: &Arc<Block>, in_order: bool, stream: &[u8], split: usize) -> Counter {
        let mut counter = Counter::new(block.clone(), in_order);
        stream.chunks(split).for_each(|chunk| counter.feed(chunk));
        counter
    }

    #[test]
    fn a_perfect_stream_counts_exactly_however_it_is_split() {
        let block = block();
        let stream = [block.bytes(), block.bytes(), block.message()].concat();
        let messages = (stream.len() / block.message_len()) as u64;
        for split in [1, 2, 7, 33, 34, 35, 4096, 65536, stream.len()] {
            for in_order in [true, false] {
                let counter = counted(&block, in_order, &stream, split);
                assert_eq!((counter.received(), counter.damaged()), (messages, 0));
            }
        }
    }

    #[test]
    fn lines_between_messages_are_no_messages() {
        let block = block();
        let len = block.message_len();
        let lines = b"PING\r\n-ERR 'x'\r\nPONG\r\nINFO {}\r\n+OK\r\n";
        let (first, rest) = block.bytes().split_at(5 * len);
        let stream = [first, lines, &rest[..len], b"PING\r\n", &rest[len..]].concat();
        for split in 1..200 {
            for in_order in [true, false] {
                let counter = counted(&block, in_order, &stream, split);
                let messages = (block.bytes().len() / len) as u64;
                assert_eq!((counter.received(), counter.damaged()), (messages, 0), "split {split}");
                assert_eq!((counter.lines.pings_owed, counter.lines.pongs), (2, 1));
            }
        }
    }

    #[test]
    fn a_ping_between_publishes_is_told_from_a_publish_even_after_one_byte() {
        let publish = Arc::new(Block::pair(&Options { size: 16, ..Options::new(Mode::PubSub, "a") }).0);
        let stream = [publish.message(), b"PING\r\n", &publish.bytes()[publish.message_len()..]].concat();
        for split in 1..100 {
            for in_order in [true, false] {
                let counter = counted(&publish, in_order, &stream, split);
                assert_eq!((counter.damaged(), counter.lines.pings_owed), (0, 1), "split {split}");
                assert_eq!(counter.received(), (publish.bytes().len() / publish.message_len()) as u64);
            }
        }
    }

    #[test]
    fn a_lost_a_doubled_and_a_damaged_message_are_seen() {
        let block = block();
        let len = block.message_len();
        let message = |i: usize| &block.bytes()[i * len..(i + 1) * len];
        let lost = [message(0), message(2), message(3)].concat();
        let doubled = [message(0), message(1), message(1)].concat();
        let mut bad = [message(0), message(1), message(2)].concat();
        bad[len + 20] ^= 1;
        for stream in [lost, doubled, bad] {
            for split in [1, 10, 34, 1000] {
                let counter = counted(&block, true, &stream, split);
                assert_eq!(counter.received(), 3);
                assert_eq!(counter.damaged(), 1);
                assert!(counter.first_damage().is_some_and(|d| d.starts_with("in message")));
            }
        }
    }

    #[test]
    fn out_of_order_only_framing_counts() {
        let block = deliver(&Options { size: 16, subjects: 50, ..Options::new(Mode::PubSub, "a") });
        let len = block.message_len();
        let mut mixed: Vec<_> = block.bytes().chunks(len).collect();
        mixed.reverse();
        let mut stream = mixed.concat();
        let counter = counted(&block, false, &stream, 100);
        assert_eq!((counter.received(), counter.damaged()), (200, 0));
        stream[10 * len] = b'X';
        stream[20 * len - 1] = b'X';
        let counter = counted(&block, false, &stream, 4096);
        assert_eq!(counter.received(), 199, "the first of the two is taken for a line");
        assert!(counter.lines.error.is_some());
    }
}
