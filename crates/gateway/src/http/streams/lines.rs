//! Lines out of pieces: a body comes in pieces that end anywhere, and is wanted line by line. It does *not* know what a
//! line says.

use bytes::{Bytes, BytesMut};

/// See the module.
pub(super) struct Lines {
    kept: BytesMut,
    /// Bytes of `kept` that hold no end of a line.
    looked: usize,
    bytes_max: usize,
}

/// A line is longer than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// For lines of at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Lines {
        Lines { kept: BytesMut::new(), looked: 0, bytes_max }
    }

    /// One more piece of the body.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let fresh = self.kept.get(self.looked..).unwrap_or_default();
        match fresh.iter().position(|b| *b == b'\n') {
            Some(at) => {
                let line = self.kept.split_to(self.looked + at + 1).freeze();
                self.looked = 0;
                self.fitting(line.slice(..line.len() - 1)).map(Some)
            }
            None => {
                self.looked = self.kept.len();
                match self.looked > self.bytes_max {
                    true => Err(TooLong),
                    false => Ok(None),
                }
            }
        }
    }

    /// What is left when the body is over: a last line without an end.
    pub(super) fn rest(&mut self) -> Result<Option<Bytes>, TooLong> {
        let line = self.kept.split().freeze();
        self.looked = 0;
        match line.is_empty() {
            true => Ok(None),
            false => self.fitting(line).map(Some),
        }
    }

    fn fitting(&self, line: Bytes) -> Result<Bytes, TooLong> {
        if line.len() > self.bytes_max { Err(TooLong) } else { Ok(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]], bytes_max: usize) -> Result<Vec<Bytes>, TooLong> {
        let (mut lines, mut found) = (Lines::new(bytes_max), Vec::new());
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next()? {
                found.push(line);
            }
        }
        found.extend(lines.rest()?);
        Ok(found)
    }

    #[test]
    fn a_line_that_is_too_long_is_noticed_before_it_ends() {
        assert_eq!(all(&[b"123456"], 5), Err(TooLong));
        assert_eq!(all(&[b"123456\n"], 5), Err(TooLong));
        assert_eq!(all(&[b"12345\n1"], 5).unwrap(), ["12345", "1"]);
        let mut lines = Lines::new(5);
        lines.push(b"123456");
        assert_eq!(lines.next(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_wherever_pieces_end(text in "[ab\n]{0,40}", cuts in prop::collection::vec(0usize..41, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let mut expected: Vec<&str> = text.split('\n').collect();
            expected.pop_if(|last| last.is_empty());
            prop_assert_eq!(all(&pieces, 100).unwrap(), expected);
        }
    }
}
