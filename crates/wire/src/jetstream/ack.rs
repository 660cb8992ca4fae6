//! The subject that a delivered message is acknowledged on, what can be said there, and the subject that flow control is
//! answered on. What an acknowledgement does is *not* decided here.

use super::PullRequest;
use super::duration;
use crate::nats::encode::decimal;

/// What every subject of an acknowledgement begins with.
pub const PREFIX: &[u8] = b"$JS.ACK.";
/// What every subject of an answer to flow control begins with.
pub const FLOW_PREFIX: &[u8] = b"$JS.FC.";

/// One delivery, as its reply subject names it:
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or, the newer form, with
/// domain and account in front of the stream and perhaps one more token at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Domain, in the newer form; `_` stands for none.
    pub domain: Option<&'a str>,
    /// Hash of the account, in the newer form.
    pub account: Option<&'a str>,
    /// The stream.
    pub stream: &'a str,
    /// The consumer.
    pub consumer: &'a str,
    /// How often the message has been delivered, this one included.
    pub deliveries: u64,
    /// Its place in the stream.
    pub stream_seq: u64,
    /// The place of this delivery among all of the consumer.
    pub consumer_seq: u64,
    /// When the message was stored, in nanoseconds since 1970.
    pub time_ns: u64,
    /// How many messages wait behind it.
    pub pending: u64,
}

impl<'a> Delivery<'a> {
    /// Reads a subject of either form.
    pub fn parse(subject: &'a [u8]) -> Option<Delivery<'a>> {
        let tail = std::str::from_utf8(subject.strip_prefix(PREFIX)?).ok()?;
        let newer = match tail.bytes().filter(|b| *b == b'.').count() {
            6 => false,
            8.. => true,
            _ => return None,
        };
        let mut tokens = tail.split('.');
        let (domain, account) = if newer { (tokens.next(), tokens.next()) } else { (None, None) };
        let mut name = || tokens.next().filter(|t| !t.is_empty());
        let (stream, consumer) = (name()?, name()?);
        let mut count = || number(tokens.next()?);
        Some(Delivery {
            domain: domain.filter(|d| *d != "_"),
            account,
            stream,
            consumer,
            deliveries: count()?,
            stream_seq: count()?,
            consumer_seq: count()?,
            time_ns: count()?,
            pending: count()?,
        })
    }

    /// Writes the older form, which every client reads.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_head(out, self.stream, self.consumer);
        write_tail(out, [self.deliveries, self.stream_seq, self.consumer_seq, self.time_ns, self.pending]);
    }
}

/// Writes what all deliveries of a consumer begin with: `$JS.ACK.<stream>.<consumer>`.
pub fn write_head(out: &mut Vec<u8>, stream: &str, consumer: &str) {
    out.extend_from_slice(PREFIX);
    out.extend_from_slice(stream.as_bytes());
    out.push(b'.');
    out.extend_from_slice(consumer.as_bytes());
}

/// Writes what follows [`write_head`]: deliveries, stream sequence, consumer sequence, time in nanoseconds, pending.
#[inline]
pub fn write_tail(out: &mut Vec<u8>, numbers: [u64; 5]) {
    for number in numbers {
        out.push(b'.');
        decimal(out, number);
    }
}

/// What is said to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack<'a> {
    /// Done: an empty body, `+ACK`, and `+OK` as of old.
    Done,
    /// Again, after so many nanoseconds: `-NAK`, `-NAK {"delay":1000}`, `-NAK 1s`.
    Again {
        /// 0 is at once, and what cannot be read is 0.
        delay_ns: u64,
    },
    /// Still at work: `+WPI`.
    Progress,
    /// Never again: `+TERM`, `+TERM reason`.
    Never {
        /// Empty when none was given.
        reason: &'a [u8],
    },
    /// Done, and the next ones: `+NXT`, `+NXT 5`, `+NXT {"batch":5}`. A request that cannot be read is none.
    Next(Option<Box<PullRequest>>),
}

impl<'a> Ack<'a> {
    /// Reads the body of an acknowledgement; anything else is none, and the real server answers it without doing
    /// anything.
    pub fn parse(body: &'a [u8]) -> Option<Ack<'a>> {
        match body {
            b"" | b"+ACK" | b"+OK" => Some(Ack::Done),
            b"+WPI" => Some(Ack::Progress),
            _ => {
                let head = body.get(..4)?;
                let rest = body.get(4..).unwrap_or_default();
                match head {
                    b"-NAK" => Some(Ack::Again { delay_ns: delay(rest.trim_ascii()) }),
                    b"+NXT" => Some(Ack::Next(PullRequest::parse(rest).ok().map(Box::new))),
                    b"+TER" => Some(Ack::Never { reason: rest.strip_prefix(b"M")?.trim_ascii() }),
                    _ => None,
                }
            }
        }
    }

    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Ack::Done => out.extend_from_slice(b"+ACK"),
            Ack::Again { delay_ns: 0 } => out.extend_from_slice(b"-NAK"),
            Ack::Again { delay_ns } => {
                out.extend_from_slice(b"-NAK {\"delay\":");
                decimal(out, *delay_ns);
                out.push(b'}');
            }
            Ack::Progress => out.extend_from_slice(b"+WPI"),
            Ack::Never { reason: b"" } => out.extend_from_slice(b"+TERM"),
            Ack::Never { reason } => {
                out.extend_from_slice(b"+TERM ");
                out.extend_from_slice(reason);
            }
            Ack::Next(None) => out.extend_from_slice(b"+NXT"),
            Ack::Next(Some(request)) => {
                out.extend_from_slice(b"+NXT ");
                out.extend_from_slice(&super::document::write(request));
            }
        }
    }
}

/// The subject that a client answers on when a push consumer asks whether it still follows:
/// `$JS.FC.<stream>.<consumer>.<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowReply<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The consumer.
    pub consumer: &'a str,
    /// Which question is answered.
    pub id: &'a str,
}

impl<'a> FlowReply<'a> {
    /// Reads such a subject.
    pub fn parse(subject: &'a [u8]) -> Option<FlowReply<'a>> {
        let tail = std::str::from_utf8(subject.strip_prefix(FLOW_PREFIX)?).ok()?;
        let mut tokens = tail.split('.');
        let mut token = || tokens.next().filter(|t| !t.is_empty());
        let reply = FlowReply { stream: token()?, consumer: token()?, id: token()? };
        tokens.next().is_none().then_some(reply)
    }

    /// Writes the subject.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(FLOW_PREFIX);
        for (i, token) in [self.stream, self.consumer, self.id].into_iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            out.extend_from_slice(token.as_bytes());
        }
    }
}

fn number(token: &str) -> Option<u64> {
    // `parse` takes a plus sign, which is no digit.
    token.bytes().all(|b| b.is_ascii_digit()).then(|| token.parse().ok())?
}

fn delay(argument: &[u8]) -> u64 {
    #[derive(serde::Deserialize)]
    struct Options {
        #[serde(default)]
        delay: i64,
    }
    let ns = match argument.first() {
        Some(b'{') => serde_json::from_slice::<Options>(argument).ok().map(|o| o.delay),
        _ => std::str::from_utf8(argument).ok().and_then(duration::parse),
    };
    ns.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "$JS.ACK.H.C.2.7.14.1795251125562695768.30";

    #[test]
    fn both_forms_of_the_subject_are_read() {
        let old = Delivery::parse(OLD.as_bytes()).unwrap();
        assert_eq!((old.stream, old.consumer, old.domain, old.account), ("H", "C", None, None));
        assert_eq!((old.deliveries, old.stream_seq, old.consumer_seq), (2, 7, 14));
        assert_eq!((old.time_ns, old.pending), (1_795_251_125_562_695_768, 30));
        let tail = "H.C.2.7.14.1795251125562695768.30";
        for (head, domain) in [("_.hash.", None), ("hub.hash.", Some("hub"))] {
            for end in ["", ".random"] {
                let subject = format!("$JS.ACK.{head}{tail}{end}");
                let newer = Delivery { domain, account: Some("hash"), ..old };
                assert_eq!(Delivery::parse(subject.as_bytes()), Some(newer), "{subject}");
            }
        }
        for bad in [
            "$JS.ACK.H.C.2.7.14.1",
            "$JS.ACK.a.H.C.2.7.14.1.30",
            "$JS.ACK.H.C.x.7.14.1.30",
            "$JS.ACK.H.C.+2.7.14.1.30",
            "$JS.ACK.H.C..7.14.1.30",
            "$JS.ACK..C.2.7.14.1.30",
            "$JS.ACK.H.C.99999999999999999999.7.14.1.30",
            "H",
        ] {
            assert_eq!(Delivery::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_kind_of_acknowledgement_is_read_as_the_real_server_does() {
        let again = |delay_ns| Some(Ack::Again { delay_ns });
        let never = |reason| Some(Ack::Never { reason });
        let next = |batch| Some(Ack::Next(Some(Box::new(PullRequest::messages(batch)))));
        for (body, ack) in [
            ("", Some(Ack::Done)),
            ("+ACK", Some(Ack::Done)),
            ("+OK", Some(Ack::Done)),
            ("-NAK", again(0)),
            ("-NAK {\"delay\":100000000}", again(100_000_000)),
            ("-NAK{\"delay\":5}", again(5)),
            ("-NAK 300ms", again(300_000_000)),
            ("-NAK x", again(0)),
            ("-NAK {\"delay\":-1}", again(0)),
            ("+WPI", Some(Ack::Progress)),
            ("+TERM", never(b"")),
            ("+TERM because of", never(b"because of")),
            ("+TERMx", never(b"x")),
            ("+NXT", next(1)),
            ("+NXT 2", next(2)),
            ("+NXT {\"batch\":3}", next(3)),
            ("+NXT {", Some(Ack::Next(None))),
            ("+WPI x", None),
            ("+ACK x", None),
            ("bogus", None),
            ("ack", None),
        ] {
            assert_eq!(Ack::parse(body.as_bytes()), ack, "{body}");
        }
    }

    #[test]
    fn the_answer_to_flow_control_is_read_and_written() {
        let reply = FlowReply { stream: "S", consumer: "C", id: "x1" };
        let mut out = Vec::new();
        reply.write(&mut out);
        assert_eq!(out, b"$JS.FC.S.C.x1");
        assert_eq!(FlowReply::parse(&out), Some(reply));
        assert_eq!(FlowReply::parse(b"$JS.FC.S.C"), None);
        assert_eq!(FlowReply::parse(b"$JS.FC.S.C.x.y"), None);
    }

    fn acks() -> impl Strategy<Value = Ack<'static>> {
        prop_oneof![
            Just(Ack::Done),
            Just(Ack::Progress),
            (0..i64::MAX as u64).prop_map(|delay_ns| Ack::Again { delay_ns }),
            Just(Ack::Never { reason: b"" }),
            Just(Ack::Never { reason: b"it is broken" }),
            (1i64..1000).prop_map(|n| Ack::Next(Some(Box::new(PullRequest::messages(n))))),
        ]
    }

    proptest! {
        #[test]
        fn a_delivery_that_is_written_is_read(n in any::<[u64; 5]>(), stream in "[^. \r\n]{1,8}", consumer in "[a-z]{1,8}") {
            let [deliveries, stream_seq, consumer_seq, time_ns, pending] = n;
            let delivery = Delivery { domain: None, account: None, stream: &stream, consumer: &consumer,
                deliveries, stream_seq, consumer_seq, time_ns, pending };
            let mut out = Vec::new();
            delivery.write(&mut out);
            prop_assert_eq!(Delivery::parse(&out), Some(delivery));
        }

        #[test]
        fn an_acknowledgement_that_is_written_is_read(ack in acks()) {
            let mut out = Vec::new();
            ack.write(&mut out);
            prop_assert_eq!(Ack::parse(&out), Some(ack));
        }

        #[test]
        fn any_bytes_are_read_without_panic(tail in prop::collection::vec(any::<u8>(), 0..60)) {
            for head in [&b""[..], PREFIX, FLOW_PREFIX, b"-NAK ", b"+NXT "] {
                let bytes = [head, &tail[..]].concat();
                let _ = (Delivery::parse(&bytes), Ack::parse(&bytes), FlowReply::parse(&bytes));
            }
        }
    }
}
