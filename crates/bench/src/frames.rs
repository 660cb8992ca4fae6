//! Both directions of a connection that talks message by message: what waits to be written, and what was read cut into
//! messages of one length. Throughput runs do without it.

use crate::BenchError;
use crate::lines::Lines;
use crate::link::Link;
use std::io::IoSlice;
use wire::nats::encode;

/// Bytes on their way out that a socket did not take yet.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Vec<u8>);

impl Outgoing {
    /// What to add to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// Writes as much as the socket takes; the rest waits for it to become writable.
    pub(crate) fn flush(&mut self, link: &Link) -> Result<(), BenchError> {
        while !self.0.is_empty() {
            match link.write(&[IoSlice::new(&self.0)])? {
                Some(0) => return Err(BenchError::Closed { delivered: 0, reason: None }),
                Some(n) => drop(self.0.drain(..n)),
                None => break,
            }
        }
        Ok(())
    }
}

/// Cuts a stream into messages of one length and lines between them.
#[derive(Debug)]
pub(crate) struct Frames {
    len: usize,
    rest: Vec<u8>,
    pub(crate) lines: Lines,
}

impl Frames {
    pub(crate) fn new(len: usize) -> Self {
        Self { len, rest: Vec::new(), lines: Lines::default() }
    }

    /// Reads what `link` has and hands out every whole message.
    pub(crate) fn read(
        &mut self,
        link: &Link,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        while let Some(n) = link.read(buffer)? {
            if n == 0 {
                return Err(BenchError::Closed { delivered: 0, reason: self.lines.error.take() });
            }
            self.rest.extend_from_slice(buffer.get(..n).unwrap_or_default());
            self.cut(&mut each)?;
            if n < buffer.len() {
                break;
            }
        }
        while self.lines.pings_owed > 0 {
            link.write_line(encode::PONG)?;
            self.lines.pings_owed -= 1;
        }
        match self.lines.error.take() {
            Some(text) => Err(BenchError::Refused(text)),
            None => Ok(()),
        }
    }

    fn cut(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), BenchError>) -> Result<(), BenchError> {
        let mut at = 0;
        while let Some(rest @ [first, ..]) = self.rest.get(at..) {
            if self.lines.inside() || !matches!(first, b'M' | b'H') {
                at += self.lines.take(rest);
            } else if let Some(message) = rest.get(..self.len) {
                each(message)?;
                at += self.len;
            } else {
                break;
            }
        }
        self.rest.drain(..at);
        Ok(())
    }
}
