//! The two ends of a throughput run: a feed writes a block over and over, a tap counts what comes out.

use crate::BenchError;
use crate::block::Block;
use crate::counter::Counter;
use crate::lines::Lines;
use crate::link::Link;
use std::io::{self, IoSlice};
use std::sync::Arc;
use wire::nats::encode;

/// The most that one write offers: the socket takes what fits.
const WRITE_BYTES: usize = 512 << 10;
/// Reads of one turn of one socket; the others come next.
const READS: usize = 4;

/// A publisher.
#[derive(Debug)]
pub(crate) struct Feed {
    link: Link,
    block: Arc<Block>,
    /// Bytes of messages written.
    bytes: u64,
    /// Messages to write in all.
    target: u64,
    /// Whether the socket took everything the last time.
    pub(crate) writable: bool,
    pub(crate) lines: Lines,
}

impl Feed {
    pub(crate) fn new(link: Link, block: Arc<Block>) -> Self {
        Self { link, block, bytes: 0, target: 0, writable: true, lines: Lines::default() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Messages begun, so that a message counts as soon as a byte of it is written.
    pub(crate) fn begun(&self) -> u64 {
        self.bytes.div_ceil(self.block.message_len() as u64)
    }

    /// Messages still to be written, counting one that is written in part.
    pub(crate) fn left(&self) -> u64 {
        self.target - self.bytes / self.block.message_len() as u64
    }

    /// Asks for `messages` more than there are already to be written.
    pub(crate) fn extend(&mut self, messages: u64) {
        self.target += messages;
    }

    /// Gives up what has not begun.
    pub(crate) fn stop(&mut self) {
        self.target = self.begun();
    }

    /// Writes up to `messages` more, in one call; says whether bytes left.
    pub(crate) fn write(&mut self, messages: u64) -> io::Result<bool> {
        let len = self.block.message_len() as u64;
        let messages = self.begun().saturating_add(messages).min(self.target);
        if self.lines.pings_owed > 0 && self.bytes.is_multiple_of(len) {
            self.link.write_line(encode::PONG)?;
            self.lines.pings_owed -= 1;
        }
        // A PONG must not wait for more than the end of this message.
        let messages = if self.lines.pings_owed > 0 { messages.min(self.begun()) } else { messages };
        let left = (messages * len).saturating_sub(self.bytes);
        if left == 0 {
            return Ok(false);
        }
        let slices = slices(self.block.bytes(), self.bytes, left.min(WRITE_BYTES as u64) as usize);
        let written = self.link.write(&slices)?;
        self.writable = written.is_some();
        if written == Some(0) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes += written.unwrap_or(0) as u64;
        Ok(written.is_some())
    }

    /// Reads what the server says to the publisher.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<(), BenchError> {
        while let Some(n) = self.link.read(buffer)? {
            if n == 0 {
                return Err(BenchError::Closed { delivered: 0, reason: self.lines.error.take() });
            }
            let mut bytes = buffer.get(..n).unwrap_or_default();
            while !bytes.is_empty() {
                let taken = self.lines.take(bytes);
                bytes = bytes.get(taken..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// `len` bytes of the endless repetition of `block`, from byte `from` on.
pub(crate) fn slices(block: &[u8], from: u64, mut len: usize) -> Vec<IoSlice<'_>> {
    let mut slices = Vec::with_capacity(2 + len / block.len().max(1));
    let mut start = (from % block.len().max(1) as u64) as usize;
    while len > 0 && !block.is_empty() {
        let end = block.len().min(start + len);
        let part = block.get(start..end).unwrap_or_default();
        slices.push(IoSlice::new(part));
        len -= part.len();
        start = 0;
    }
    slices
}

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Tap {
    link: Link,
    pub(crate) counter: Counter,
}

impl Tap {
    pub(crate) fn new(link: Link, counter: Counter) -> Self {
        Self { link, counter }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Reads and counts a bounded amount; says whether bytes came.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<bool, BenchError> {
        for turn in 0..READS {
            match self.link.read(buffer)? {
                Some(0) => {
                    return Err(BenchError::Closed {
                        delivered: self.counter.received(),
                        reason: self.counter.lines.error.take(),
                    });
                }
                Some(n) => self.counter.feed(buffer.get(..n).unwrap_or_default()),
                None => return Ok(turn > 0),
            }
            while self.counter.lines.pings_owed > 0 {
                self.link.write_line(encode::PONG)?;
                self.counter.lines.pings_owed -= 1;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_repeat_the_block_from_any_byte() {
        let text = |from, len| {
            slices(b"abc", from, len)
                .iter()
                .flat_map(|s| s.iter().copied())
                .map(char::from)
                .collect::<String>()
        };
        assert_eq!(text(0, 7), "abcabca");
        assert_eq!(text(4, 3), "bca");
        assert_eq!(text(5, 1), "c");
        assert_eq!(text(1, 0), "");
    }
}
