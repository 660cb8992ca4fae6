//! An answer of HTTP/1.1 with a length, looked at closely enough to know that it is whole. Pure.

/// The answer at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// Bytes of head and body.
    pub(super) len: usize,
}

/// The bytes begin no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoAnswer;

impl<'a> Answer<'a> {
    /// `None`: it is not whole yet.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Option<Answer<'a>>, NoAnswer> {
        const BEGIN: &[u8] = b"HTTP/1.1 ";
        let common = BEGIN.len().min(bytes.len());
        if bytes.get(..common) != BEGIN.get(..common) {
            return Err(NoAnswer);
        }
        let (mut at, mut length) = (0, None);
        loop {
            let Some(rest) = bytes.get(at..) else { return Err(NoAnswer) };
            let Some(end) = rest.iter().position(|b| *b == b'\n') else { return Ok(None) };
            let line = rest.get(..end).and_then(|l| l.strip_suffix(b"\r")).ok_or(NoAnswer)?;
            at += end + 1;
            if line.is_empty() {
                break;
            }
            const NAME: &[u8] = b"content-length:";
            if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
                let value = line.get(NAME.len()..).unwrap_or_default();
                length = std::str::from_utf8(value).ok().and_then(|v| v.trim().parse::<usize>().ok());
            }
        }
        let status = bytes.get(BEGIN.len()..BEGIN.len() + 3).and_then(|s| std::str::from_utf8(s).ok());
        let status = status.and_then(|s| s.parse().ok()).ok_or(NoAnswer)?;
        let len = at + length.ok_or(NoAnswer)?;
        Ok(bytes.get(at..len).map(|body| Answer { status, body, len }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_as_soon_as_it_is_whole() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nDate: x\r\nContent-Length: 3\r\n\r\nabc";
        for at in 0..bytes.len() {
            assert_eq!(Answer::read(&bytes[..at]), Ok(None), "{at}");
        }
        let all = [bytes, &b"HTTP"[..]].concat();
        assert_eq!(Answer::read(&all), Ok(Some(Answer { status: 202, body: b"abc", len: bytes.len() })));
    }

    #[test]
    fn what_has_no_length_or_is_something_else_is_no_answer() {
        for wrong in
            [&b"HTTP/2"[..], b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\ncontent-length: 0\r\n\r\n"]
        {
            assert_eq!(Answer::read(wrong), Err(NoAnswer), "{wrong:?}");
        }
    }
}
