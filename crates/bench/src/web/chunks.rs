//! The content of a chunked body (RFC 9112, section 7.1), as it comes, however it is cut. No extension and no trailer is
//! expected: one is an error. Pure.

/// Where in the body the next byte stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the size of a chunk.
    #[default]
    Size,
    /// Behind its carriage return.
    SizeEnd,
    /// In the content, of which so many bytes are left.
    Content,
    /// Behind the content.
    ContentEnd,
    /// Behind its carriage return.
    ChunkEnd,
}

/// A body that is read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// The size so far, then what is left of the content.
    left: usize,
}

/// The bytes are no chunk, or the body is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoChunk;

impl Chunks {
    /// Gives every piece of content to `each`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), NoChunk> {
        while let Some((first, rest)) = bytes.split_first() {
            (self.place, bytes) = match (self.place, first) {
                (Place::Content, _) => {
                    let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
                    each(content);
                    self.left -= content.len();
                    (if self.left == 0 { Place::ContentEnd } else { Place::Content }, rest)
                }
                (Place::Size, b'\r') => (Place::SizeEnd, rest),
                (Place::Size, digit) => {
                    let digit = (*digit as char).to_digit(16).ok_or(NoChunk)?;
                    self.left = self.left.checked_mul(16).ok_or(NoChunk)? + digit as usize;
                    (Place::Size, rest)
                }
                (Place::SizeEnd, b'\n') if self.left > 0 => (Place::Content, rest),
                (Place::ContentEnd, b'\r') => (Place::ChunkEnd, rest),
                (Place::ChunkEnd, b'\n') => (Place::Size, rest),
                _ => return Err(NoChunk),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(pieces: &[&[u8]]) -> Result<Vec<u8>, NoChunk> {
        let (mut chunks, mut all) = (Chunks::default(), Vec::new());
        pieces.iter().try_for_each(|p| chunks.feed(p, |c| all.extend_from_slice(c)))?;
        Ok(all)
    }

    #[test]
    fn the_content_comes_whole_wherever_the_bytes_are_cut() {
        let body = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n";
        for at in 0..=body.len() {
            let (a, b) = body.split_at(at);
            assert_eq!(content(&[a, b]).unwrap(), b"helloabcdefghijklmnopqrstuvwxyz", "{at}");
        }
    }

    #[test]
    fn an_end_and_what_is_no_chunk_are_found() {
        for wrong in [&b"0\r\n\r\n"[..], b"x\r\n", b"2\r\nabc", b"1\r\na\n", b"ffffffffffffffffffff\r\n"] {
            assert_eq!(content(&[wrong]), Err(NoChunk), "{wrong:?}");
        }
    }
}
