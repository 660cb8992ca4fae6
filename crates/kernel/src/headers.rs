//! Header block of a message: `NATS/1.0[ status[ description]]`, then `Name: value` lines, then an empty line, each
//! ended by CR LF. The data plane carries the block as bytes; this reads and writes it. It does *not* know what a
//! header means: that is [`crate::envelope`].

use crate::Code;

/// First line of every block.
pub const VERSION: &[u8] = b"NATS/1.0";

/// One name and value, borrowed from a block; white space of ASCII around the value is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name as written.
    pub name: &'a str,
    /// The value as written.
    pub value: &'a str,
}

/// A borrowed header block. An empty one means that the message has no headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// Wraps a block without reading it; lines that make no sense are passed over when it is read.
    pub fn new(block: &'a [u8]) -> Headers<'a> {
        Headers(block)
    }

    /// Checks the form of a block: version line, `Name: value` lines of printable UTF-8, empty line at the end.
    /// Errors with [`Code::InvalidRequest`].
    pub fn check(block: &'a [u8]) -> Result<Headers<'a>, Code> {
        let body = block.strip_suffix(b"\r\n\r\n").ok_or(Code::InvalidRequest)?;
        let body = std::str::from_utf8(body).map_err(|_| Code::InvalidRequest)?;
        let mut lines = body.split("\r\n");
        let first = lines.next().unwrap_or_default().as_bytes();
        let named = |line: &str| line.split_once(':').is_some_and(|(n, v)| is_name(n) && is_value(v));
        match first.starts_with(VERSION) && lines.all(named) {
            true => Ok(Headers(block)),
            false => Err(Code::InvalidRequest),
        }
    }

    /// The block as bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether the message has no headers at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The status number in the first line, such as 503.
    pub fn status(&self) -> Option<u16> {
        let line = self.0.strip_prefix(VERSION)?;
        let line = line.split(|b| *b == b'\r').next()?;
        let text = std::str::from_utf8(line).ok()?;
        text.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Every header in the order written; a name may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let text = std::str::from_utf8(self.0).unwrap_or_default();
        text.split("\r\n").skip(1).filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some(Header { name, value: value.trim_ascii() })
        })
    }

    /// The first value under `name`; upper and lower case are the same.
    pub fn first(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }
}

/// Writes a header block from names and values. Errors with [`Code::InvalidRequest`] on a name or value that would
/// break the form (a line break, a colon in the name). No pairs make an empty block.
pub fn block<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Vec<u8>, Code> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        if !is_name(name) || !is_value(value) {
            return Err(Code::InvalidRequest);
        }
        if out.is_empty() {
            out.extend_from_slice(VERSION);
            out.extend_from_slice(b"\r\n");
        }
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    if !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

fn is_value(value: &str) -> bool {
    !value.bytes().any(|b| b == b'\r' || b == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_is_read_as_written() {
        let bytes = block([("A", "1"), ("a", " two "), ("B", "x:y")]).unwrap();
        let headers = Headers::check(&bytes).unwrap();
        let all: Vec<_> = headers.iter().map(|h| (h.name, h.value)).collect();
        assert_eq!(all, [("A", "1"), ("a", "two"), ("B", "x:y")]);
        assert_eq!(headers.first("b"), Some("x:y"));
        assert_eq!(headers.status(), None);
        assert_eq!(Headers::check(b"NATS/1.0 503\r\n\r\n").unwrap().status(), Some(503));
        assert!(block([]).unwrap().is_empty());
    }

    #[test]
    fn only_white_space_of_ascii_is_cut_off_a_value() {
        let bytes = block([("A", " \u{a0}x.\u{85} ")]).unwrap();
        assert_eq!(Headers::new(&bytes).first("A"), Some("\u{a0}x.\u{85}"));
    }

    #[test]
    fn what_would_break_the_form_is_refused() {
        assert!(block([("A:B", "1")]).is_err());
        assert!(block([("A", "1\r\nB: 2")]).is_err());
        for bad in ["", "NATS/1.0\r\n", "HTTP/1.1\r\n\r\n", "NATS/1.0\r\nno colon\r\n\r\n"] {
            assert!(Headers::check(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let headers = Headers::new(&bytes);
            let _ = (headers.status(), headers.first("a"), Headers::check(&bytes));
        }

        #[test]
        fn what_is_written_is_read(pairs in prop::collection::vec(("[!-9;-~]{1,8}", "[ -~]{0,12}"), 1..6)) {
            let bytes = block(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
            let read: Vec<_> = Headers::check(&bytes).unwrap().iter().collect();
            prop_assert_eq!(read.len(), pairs.len());
            for (h, (n, v)) in read.iter().zip(&pairs) {
                prop_assert_eq!((h.name, h.value), (n.as_str(), v.trim()));
            }
        }
    }
}
