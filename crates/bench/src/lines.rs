//! The lines of a connection that are no messages: `PING`, `PONG`, `+OK`, `INFO`, `-ERR`, however they are split.

use wire::nats::{Decoder, Op, Step};

/// An `INFO` of a large cluster fits; a stream without line ends does not grow memory.
const LINE_BYTES_LIMIT: usize = 1 << 20;

/// What the lines so far have said, and the beginning of one that is not complete.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// `PING`s that were not answered yet.
    pub(crate) pings_owed: usize,
    /// `PONG`s received.
    pub(crate) pongs: u64,
    /// `SUB`s received (the sink's side).
    pub(crate) subscriptions: u64,
    /// The last `-ERR`, or why a line is none.
    pub(crate) error: Option<String>,
}

impl Lines {
    /// Whether a line has begun and not ended.
    pub(crate) fn inside(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Takes bytes up to the end of a line, or all; says how many.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
        let taken = bytes.get(..end).unwrap_or_default();
        self.partial.extend_from_slice(taken);
        if taken.ends_with(b"\n") || self.partial.len() > LINE_BYTES_LIMIT {
            let line = std::mem::take(&mut self.partial);
            self.read(&line);
        }
        end
    }

    fn read(&mut self, line: &[u8]) {
        match Decoder::default().step(line) {
            Ok(Step::Op(Op::Ping, _)) => self.pings_owed += 1,
            Ok(Step::Op(Op::Pong, _)) => self.pongs += 1,
            Ok(Step::Op(Op::Subscribe { .. }, _)) => self.subscriptions += 1,
            Ok(Step::Op(Op::Ok | Op::Info(_) | Op::Connect(_) | Op::Unsubscribe { .. }, _)) => {}
            Ok(Step::Op(Op::Err(text), _)) => self.error = Some(String::from_utf8_lossy(text).into_owned()),
            _ => self.error = Some(format!("unexpected bytes: {:?}", excerpt(line))),
        }
    }
}

/// The beginning of `bytes`, fit for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_however_they_are_split() {
        let stream = b"PING\r\n+OK\r\nINFO {\"a\":1}\r\nPONG\r\n-ERR 'Slow Consumer'\r\nPING\r\n";
        for size in 1..=stream.len() {
            let mut lines = Lines::default();
            for mut chunk in stream.chunks(size) {
                while !chunk.is_empty() {
                    chunk = &chunk[lines.take(chunk)..];
                }
            }
            assert_eq!((lines.pings_owed, lines.pongs, lines.inside()), (2, 1, false));
            assert_eq!(lines.error.as_deref(), Some("Slow Consumer"));
        }
    }

    #[test]
    fn what_is_no_line_is_an_error() {
        let mut lines = Lines::default();
        lines.take(b"hello\r\n");
        assert!(lines.error.unwrap().contains("hello"));
    }
}
