//! What a connection reads when its messages differ in length: a buffer that operations are borrowed from. Where all
//! messages are alike, `frames.rs` and `counter.rs` are cheaper.

use crate::BenchError;
use crate::lines::excerpt;
use crate::link::Link;
use wire::nats::{Decoder, Op, Step};

/// What one read may bring, and the room that is kept for it.
const READ_BYTES: usize = 128 << 10;

/// Bytes received and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    decoder: Decoder,
}

impl Incoming {
    /// One read of the socket. `Ok(None)`: nothing is there. The end of the connection is an error.
    pub(crate) fn fill(&mut self, link: &Link) -> Result<Option<usize>, BenchError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.buffer.resize((self.end + READ_BYTES).max(self.buffer.len()), 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match link.read(room)? {
            Some(0) => Err(BenchError::Closed { delivered: 0, reason: None }),
            Some(n) => {
                self.end += n;
                Ok(Some(n))
            }
            None => Ok(None),
        }
    }

    /// The bytes that wait.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Gives up the first `n` bytes that wait.
    pub(crate) fn take(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// The next whole operation; a `-ERR` ends the run.
    pub(crate) fn next(&mut self) -> Result<Option<Op<'_>>, BenchError> {
        let Self { buffer, start, end, decoder } = self;
        let bytes = buffer.get(*start..*end).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(None);
        }
        match decoder.step(bytes) {
            Ok(Step::Op(Op::Err(text), _)) => {
                Err(BenchError::Refused(String::from_utf8_lossy(text).into_owned()))
            }
            Ok(Step::Op(op, used)) => {
                *start += used;
                Ok(Some(op))
            }
            Ok(Step::More(_)) => Ok(None),
            Err(why) => Err(BenchError::Refused(format!("{why}: {:?}", excerpt(bytes)))),
        }
    }
}
