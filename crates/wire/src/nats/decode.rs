//! Reads operations from bytes. One pass, no allocation; what comes out borrows from what went in. Incomplete input
//! is not an error: [`Step::More`] says how much is needed.

use kernel::Msg;
use kernel::limits::{CONTROL_LINE_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// One operation of the protocol, either direction.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// `PUB` or `HPUB`: a client publishes.
    Publish(Msg<'a>),
    /// `MSG` or `HMSG`: a server delivers to the subscription `sid`.
    Deliver {
        /// The client's own name for the subscription.
        sid: &'a [u8],
        /// The message.
        msg: Msg<'a>,
    },
    /// `SUB`.
    Subscribe {
        /// What it hears; not checked yet.
        pattern: &'a [u8],
        /// The queue group; empty: none.
        queue: &'a [u8],
        /// The client's own name for the subscription.
        sid: &'a [u8],
    },
    /// `UNSUB`.
    Unsubscribe {
        /// Which subscription.
        sid: &'a [u8],
        /// After so many messages in all; `None`: now.
        max: Option<u64>,
    },
    /// `CONNECT`, with its JSON.
    Connect(&'a [u8]),
    /// `INFO`, with its JSON.
    Info(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// `-ERR`, with its text without quotes.
    Err(&'a [u8]),
}

/// What the next bytes hold.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// An operation, and how many bytes it took.
    Op(Op<'a>, usize),
    /// Too little to say; at least so many bytes in all are needed.
    More(usize),
}

/// Why bytes are not the protocol. The connection cannot go on after any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such verb, or a payload that does not end where its size says.
    #[error("unknown protocol operation")]
    UnknownOperation,
    /// Wrong number of arguments, or a size that is no number.
    #[error("malformed arguments")]
    Arguments,
    /// The line is longer than the limit.
    #[error("control line longer than the limit")]
    ControlLineTooLong,
    /// The announced size is above the limit.
    #[error("payload of {0} bytes is above the limit")]
    PayloadTooLarge(u64),
}

/// Reads operations within limits.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Longest line without its payload, in bytes.
    pub control_line_bytes_max: usize,
    /// Largest headers and payload together, in bytes.
    pub payload_bytes_max: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { control_line_bytes_max: CONTROL_LINE_BYTES_MAX, payload_bytes_max: PAYLOAD_BYTES_MAX }
    }
}

/// A server's `INFO` lists the addresses of its cluster and may be longer than any other line, in bytes.
const INFO_BYTES_MAX: usize = 64 * 1024;
/// Most arguments that any verb takes.
const ARGS_MAX: usize = 5;

/// The arguments of a line, and where its body begins.
struct Line<'a> {
    args: [&'a [u8]; ARGS_MAX],
    count: usize,
    end: usize,
}

impl Decoder {
    /// Reads the first operation of `buf`.
    #[inline]
    pub fn step<'a>(&self, buf: &'a [u8]) -> Result<Step<'a>, Error> {
        // The two that carry the load come first.
        if let [b'P', b'U', b'B', b' ', ..] = buf {
            return self.publish(buf, 4, false);
        }
        if let [b'M', b'S', b'G', b' ', ..] = buf {
            return self.deliver(buf, 4, false);
        }
        self.any(buf)
    }

    fn any<'a>(&self, buf: &'a [u8]) -> Result<Step<'a>, Error> {
        const LONGEST_VERB: usize = 7;
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
        let Some(end) = buf.iter().take(LONGEST_VERB + 1).position(blank) else {
            return match buf.len() <= LONGEST_VERB && could_be_verb(buf) {
                true => Ok(Step::More(buf.len() + 1)),
                false => Err(Error::UnknownOperation),
            };
        };
        let mut verb = [0; LONGEST_VERB];
        verb[..end].copy_from_slice(&buf[..end]);
        verb.make_ascii_uppercase();
        match &verb[..end] {
            b"PUB" => self.publish(buf, end, false),
            b"HPUB" => self.publish(buf, end, true),
            b"MSG" => self.deliver(buf, end, false),
            b"HMSG" => self.deliver(buf, end, true),
            b"SUB" => self.subscribe(buf, end),
            b"UNSUB" => self.unsubscribe(buf, end),
            b"PING" => self.rest(buf, end, |_| Op::Ping),
            b"PONG" => self.rest(buf, end, |_| Op::Pong),
            b"+OK" => self.rest(buf, end, |_| Op::Ok),
            b"CONNECT" => self.rest(buf, end, Op::Connect),
            b"INFO" => rest_within(INFO_BYTES_MAX.max(self.control_line_bytes_max), buf, end, Op::Info),
            b"-ERR" => self.rest(buf, end, |text| Op::Err(text.trim_ascii().trim_quotes())),
            _ => Err(Error::UnknownOperation),
        }
    }

    /// Splits the line that starts at `from` into arguments. `Ok(None)`: its end is not there yet.
    #[inline]
    fn line<'a>(&self, buf: &'a [u8], from: usize) -> Result<Option<Line<'a>>, Error> {
        let mut line = Line { args: [&[]; ARGS_MAX], count: 0, end: 0 };
        let window = &buf[..buf.len().min(self.control_line_bytes_max + 2)];
        let mut start = from;
        let mut at = from;
        while let Some(&byte) = window.get(at) {
            if byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                if at > start {
                    *line.args.get_mut(line.count).ok_or(Error::Arguments)? = &window[start..at];
                    line.count += 1;
                }
                start = at + 1;
                if byte == b'\n' {
                    line.end = start;
                    return Ok(Some(line));
                }
            }
            at += 1;
        }
        self.unfinished(buf).map(|()| None)
    }

    /// Whether a line without end may still become one.
    fn unfinished(&self, buf: &[u8]) -> Result<(), Error> {
        match buf.len() > self.control_line_bytes_max + 1 {
            true => Err(Error::ControlLineTooLong),
            false => Ok(()),
        }
    }

    /// The whole line after the verb as one argument.
    fn rest<'a>(
        &self,
        buf: &'a [u8],
        from: usize,
        op: impl FnOnce(&'a [u8]) -> Op<'a>,
    ) -> Result<Step<'a>, Error> {
        rest_within(self.control_line_bytes_max, buf, from, op)
    }

    #[inline]
    fn publish<'a>(&self, buf: &'a [u8], from: usize, headers: bool) -> Result<Step<'a>, Error> {
        let Some(line) = self.line(buf, from)? else { return Ok(Step::More(buf.len() + 1)) };
        let sizes = 1 + usize::from(headers);
        let (subject, reply) = match line.count.checked_sub(sizes) {
            Some(1) => (line.args[0], &[][..]),
            Some(2) => (line.args[0], line.args[1]),
            _ => return Err(Error::Arguments),
        };
        self.body(buf, &line, headers, Msg { subject, reply, ..Msg::default() }, Op::Publish)
    }

    #[inline]
    fn deliver<'a>(&self, buf: &'a [u8], from: usize, headers: bool) -> Result<Step<'a>, Error> {
        let Some(line) = self.line(buf, from)? else { return Ok(Step::More(buf.len() + 1)) };
        let sizes = 1 + usize::from(headers);
        let (subject, sid, reply) = match line.count.checked_sub(sizes) {
            Some(2) => (line.args[0], line.args[1], &[][..]),
            Some(3) => (line.args[0], line.args[1], line.args[2]),
            _ => return Err(Error::Arguments),
        };
        self.body(buf, &line, headers, Msg { subject, reply, ..Msg::default() }, |msg| Op::Deliver {
            sid,
            msg,
        })
    }

    /// Headers and payload after a line whose last arguments are their sizes.
    #[inline]
    fn body<'a>(
        &self,
        buf: &'a [u8],
        line: &Line<'a>,
        headers: bool,
        msg: Msg<'a>,
        op: impl FnOnce(Msg<'a>) -> Op<'a>,
    ) -> Result<Step<'a>, Error> {
        let total = number(line.args[line.count - 1]).ok_or(Error::Arguments)?;
        let head = match headers {
            true => number(line.args[line.count - 2]).filter(|h| *h <= total).ok_or(Error::Arguments)?,
            false => 0,
        };
        if total > self.payload_bytes_max as u64 {
            return Err(Error::PayloadTooLarge(total));
        }
        let (start, head, end) = (line.end, line.end + head as usize, line.end + total as usize);
        match buf.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([] | [b'\r']) | None => return Ok(Step::More(end + 2)),
            Some(_) => return Err(Error::UnknownOperation),
        }
        let msg = Msg { headers: &buf[start..head], payload: &buf[head..end], ..msg };
        Ok(Step::Op(op(msg), end + 2))
    }

    fn subscribe<'a>(&self, buf: &'a [u8], from: usize) -> Result<Step<'a>, Error> {
        let Some(line) = self.line(buf, from)? else { return Ok(Step::More(buf.len() + 1)) };
        let (pattern, queue, sid) = match line.count {
            2 => (line.args[0], &[][..], line.args[1]),
            3 => (line.args[0], line.args[1], line.args[2]),
            _ => return Err(Error::Arguments),
        };
        Ok(Step::Op(Op::Subscribe { pattern, queue, sid }, line.end))
    }

    fn unsubscribe<'a>(&self, buf: &'a [u8], from: usize) -> Result<Step<'a>, Error> {
        let Some(line) = self.line(buf, from)? else { return Ok(Step::More(buf.len() + 1)) };
        let max = match line.count {
            1 => None,
            // As nats-server does: what is no number ends the subscription now.
            2 => number(line.args[1]),
            _ => return Err(Error::Arguments),
        };
        Ok(Step::Op(Op::Unsubscribe { sid: line.args[0], max }, line.end))
    }
}

/// The whole line after the verb as one argument, if it is not longer than `max`.
fn rest_within<'a>(
    max: usize,
    buf: &'a [u8],
    from: usize,
    op: impl FnOnce(&'a [u8]) -> Op<'a>,
) -> Result<Step<'a>, Error> {
    match buf.iter().position(|b| *b == b'\n') {
        Some(end) if end > max + 1 => Err(Error::ControlLineTooLong),
        Some(end) => Ok(Step::Op(op(buf[from..end].trim_ascii()), end + 1)),
        None if buf.len() > max + 1 => Err(Error::ControlLineTooLong),
        None => Ok(Step::More(buf.len() + 1)),
    }
}

/// Whether `bytes`, shorter than any line, may become a verb.
fn could_be_verb(bytes: &[u8]) -> bool {
    const VERBS: [&[u8]; 12] = [
        b"PUB", b"HPUB", b"MSG", b"HMSG", b"SUB", b"UNSUB", b"PING", b"PONG", b"+OK", b"CONNECT", b"INFO",
        b"-ERR",
    ];
    VERBS.iter().any(|verb| verb.get(..bytes.len()).is_some_and(|start| start.eq_ignore_ascii_case(bytes)))
}

/// Decimal digits as a number; `None` for anything else and for what does not fit 63 bits.
#[inline]
fn number(digits: &[u8]) -> Option<u64> {
    const DIGITS_MAX: usize = 18;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0u64, |n, d| {
        let digit = d.wrapping_sub(b'0');
        (digit < 10).then(|| n * 10 + u64::from(digit))
    })
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &Self;
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &[u8] {
        let inner = self.strip_prefix(b"'").unwrap_or(self);
        inner.strip_suffix(b"'").unwrap_or(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::encode;
    use proptest::prelude::*;

    /// Reads everything that is there; the text says what came out.
    fn read_all(buf: &[u8]) -> (Vec<String>, usize, Option<Error>) {
        let (mut ops, mut at) = (Vec::new(), 0);
        loop {
            match Decoder::default().step(&buf[at..]) {
                Ok(Step::Op(op, used)) => {
                    ops.push(format!("{op:?}"));
                    at += used;
                }
                Ok(Step::More(need)) => {
                    assert!(need > buf.len() - at, "asks for more than there is");
                    return (ops, at, None);
                }
                Err(e) => return (ops, at, Some(e)),
            }
        }
    }

    fn fails(input: &str) -> Error {
        read_all(input.as_bytes()).2.unwrap_or_else(|| panic!("{input:?} was accepted"))
    }

    #[test]
    fn every_operation_is_read() {
        let input = b"CONNECT {\"verbose\":false}\r\nPUB a 2\r\nhi\r\nPUB a r 0\r\n\r\nHPUB a r 12 14\r\n\
            NATS/1.0\r\n\r\nhi\r\nSUB a.* 1\r\nsub a q 2\r\nUNSUB 1\r\nUNSUB 2 5\r\nPING\r\npong\r\n\
            MSG a 1 2\r\nhi\r\nHMSG a 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n+OK\r\n-ERR 'Stale Connection'\r\nINFO {}\r\n";
        let (ops, used, error) = read_all(input);
        assert_eq!((ops.len(), used, error), (15, input.len(), None));
        assert!(ops[13].contains("83, 116"), "{}", ops[13]);
    }

    #[test]
    fn malformed_input_is_an_error() {
        for unknown in ["HELLO\r\n", "XX", "\r\n", "PUB a 1\r\nhi\r\n", "PUBLISHING a 1\r\n"] {
            assert_eq!(fails(unknown), Error::UnknownOperation, "{unknown:?}");
        }
        for arguments in [
            "PUB a\r\n",
            "PUB\r\n",
            "PUB a b c 1\r\n",
            "PUB a -1\r\n",
            "PUB a x\r\n",
            "PUB a 99999999999999999999\r\n",
            "HPUB a 5\r\n",
            "HPUB a 9 5\r\n",
            "SUB a\r\n",
            "SUB a b c d\r\n",
            "UNSUB\r\n",
            "UNSUB 1 2 3\r\n",
        ] {
            assert_eq!(fails(arguments), Error::Arguments, "{arguments:?}");
        }
        assert_eq!(fails("PUB a 1048577\r\n"), Error::PayloadTooLarge(1_048_577));
        assert_eq!(fails(&format!("SUB {} 1\r\n", "a".repeat(5000))), Error::ControlLineTooLong);
        assert_eq!(fails(&format!("SUB {}", "a".repeat(5000))), Error::ControlLineTooLong);
    }

    #[test]
    fn a_line_may_end_without_carriage_return_and_have_tabs() {
        let (ops, _, error) = read_all(b"PING\nSUB\ta\t1\nPUB  a  2 \nhi\r\n");
        assert_eq!((ops.len(), error), (3, None));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let word = "[a-z]{1,6}(\\.[a-z]{1,3})?";
        let op = prop_oneof![
            (word, prop::option::of(word), prop::collection::vec(any::<u8>(), 0..40), any::<bool>())
                .prop_map(|(subject, reply, payload, headers)| {
                    let mut out = Vec::new();
                    let m = Msg {
                        subject: subject.as_bytes(),
                        reply: reply.as_deref().unwrap_or("").as_bytes(),
                        headers: if headers { b"NATS/1.0\r\nA: b\r\n\r\n" } else { b"" },
                        payload: &payload,
                        shared: None,
                        from: None,
                    };
                    encode::publish(&mut out, &m);
                    encode::deliver(&mut out, &m, b"7");
                    out
                }),
            (word, prop::option::of(word), 1u64..999).prop_map(|(p, q, sid)| {
                let mut out = Vec::new();
                encode::subscribe(&mut out, p.as_bytes(), q.as_deref().map(str::as_bytes), sid);
                encode::unsubscribe(&mut out, sid, Some(sid));
                out
            }),
            Just(encode::PING.to_vec()),
            Just(b"-ERR 'x'\r\n".to_vec()),
        ];
        prop::collection::vec(op, 1..6).prop_map(|ops| ops.concat())
    }

    proptest! {
        #[test]
        fn any_split_of_valid_bytes_reads_the_same(bytes in stream(), cut in any::<prop::sample::Index>()) {
            let (whole, used, error) = read_all(&bytes);
            prop_assert_eq!((used, error), (bytes.len(), None));
            let cut = cut.index(bytes.len());
            let (mut ops, used, error) = read_all(&bytes[..cut]);
            prop_assert_eq!(error, None);
            let (rest, _, error) = read_all(&bytes[used..]);
            prop_assert_eq!(error, None);
            ops.extend(rest);
            prop_assert_eq!(ops, whole);
        }

        #[test]
        fn any_bytes_are_read_or_refused_the_same_however_split(
            bytes in prop::collection::vec(prop::sample::select(b"PUBSMGHINOCERKT+- \r\n\t0123a.{}".to_vec()), 0..80),
            cut in any::<prop::sample::Index>(),
        ) {
            let (whole, used_whole, error_whole) = read_all(&bytes);
            let cut = cut.index(bytes.len() + 1);
            let (mut ops, used, error) = read_all(&bytes[..cut]);
            let (used, error) = match error {
                Some(e) => (used, Some(e)),
                None => {
                    let (rest, more, error) = read_all(&bytes[used..]);
                    ops.extend(rest);
                    (used + more, error)
                }
            };
            prop_assert_eq!((ops, used, error.is_some()), (whole, used_whole, error_whole.is_some()));
        }

        #[test]
        fn what_is_published_is_read_back(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let headers = b"NATS/1.0\r\nA: b\r\n\r\n";
            let m = Msg { subject: b"a.b", reply: b"r", headers, payload: &payload, shared: None, from: None };
            let mut out = Vec::new();
            encode::publish(&mut out, &m);
            match Decoder::default().step(&out) {
                Ok(Step::Op(Op::Publish(read), used)) => {
                    prop_assert_eq!(used, out.len());
                    prop_assert_eq!((read.subject, read.reply), (m.subject, m.reply));
                    prop_assert_eq!((read.headers, read.payload), (m.headers, m.payload));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
