//! What a publisher asks of a stream, read from a message's headers in one pass and without allocation. What follows
//! from it, and in which order a stream checks it, is *not* decided here.
//!
//! As on the real server, its names are compared with case, the first header of a name counts, blanks in front of a
//! value are cut off, an empty value is none, and a sequence that is no number matches nothing. Our own names, `Np-…`,
//! count in any case: clients of HTTP do not keep it.

use kernel::envelope::name;
use kernel::journal::Level;
use kernel::{Guarantee, Priority};

use super::duration;

/// What the headers ask for. Absent means that it is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishHeaders<'a> {
    /// The message's identity, by which a second one is known.
    pub msg_id: Option<&'a [u8]>,
    /// Store it only in this stream.
    pub expected_stream: Option<&'a [u8]>,
    /// Store it only if the stream's last sequence is this one; [`NO_SEQUENCE`] when that is no number.
    pub expected_last_seq: Option<u64>,
    /// Store it only if its subject's last sequence is this one; [`NO_SEQUENCE`] when that is no number.
    pub expected_last_subject_seq: Option<u64>,
    /// The subject, or pattern, that [`PublishHeaders::expected_last_subject_seq`] means instead of the message's own.
    pub expected_last_subject: Option<&'a [u8]>,
    /// Store it only if the last message had this identity.
    pub expected_last_msg_id: Option<&'a [u8]>,
    /// Whether what was there before goes.
    pub rollup: Option<Rollup<'a>>,
    /// How long it lives.
    pub ttl: Option<Ttl>,
    /// What it does to a key-value bucket.
    pub operation: Option<KvOperation>,
    /// Whether it only says that its subject is empty, and why.
    pub is_marker: bool,
    /// Who numbers its messages, so that each is stored once.
    pub producer: Option<Producer<'a>>,
    /// How soon it is to be delivered.
    pub priority: Option<Priority>,
    /// How long it is kept back.
    pub delay: Option<Delay>,
    /// How safe it must be before it is acknowledged.
    pub ack: Option<Ack>,
    /// Whether it must survive a restart.
    pub persistent: Option<bool>,
    /// A feature that the message asks for and that we do not have.
    pub feature: Option<Feature>,
}

/// Stands for a sequence that is no number: no stream gets that far.
pub const NO_SEQUENCE: u64 = u64::MAX;

/// What was there before and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollup<'a> {
    /// The messages of its subject.
    Subject,
    /// All of them.
    All,
    /// A word that is neither, which refuses the message.
    Invalid(&'a [u8]),
}

/// How long a message lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// For ever, whatever the stream's age limit.
    Never,
    /// So many seconds, at least one.
    Seconds(u64),
    /// Neither, which refuses the message.
    Invalid,
}

/// How long a message is kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// So many milliseconds; at most [`Delay::MAX_MS`].
    Ms(u64),
    /// No time, or too long a one, which refuses the message.
    Invalid,
}

/// How safe a message must be before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// As safe as this.
    Level(Level),
    /// A word that is no level, which refuses the message.
    Invalid,
}

/// What a message does to a key-value bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvOperation {
    /// `DEL`: the key is gone.
    Delete,
    /// `PURGE`: the key and its history are gone.
    Purge,
}

/// Who numbers its messages. All three headers, or it is [`Producer::Invalid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Producer<'a> {
    /// A numbered message.
    Numbered {
        /// The producer's name.
        id: &'a [u8],
        /// Higher after each of its restarts.
        epoch: u64,
        /// This message's number.
        sequence: u64,
    },
    /// One of the three is missing or no number, which refuses the message.
    Invalid,
}

/// A feature that we do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Messages that are stored together or not at all.
    AtomicBatch,
    /// Counters.
    Counter,
    /// Messages that are delivered later.
    Schedule,
}

/// The headers' names.
pub mod header {
    /// Store it only in this stream.
    pub const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
    /// Store it only if the stream's last sequence is this one.
    pub const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
    /// Store it only if its subject's last sequence is this one.
    pub const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
    /// The subject that is meant instead of its own.
    pub const EXPECTED_LAST_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
    /// Store it only if the last message had this identity.
    pub const EXPECTED_LAST_MSG_ID: &str = "Nats-Expected-Last-Msg-Id";
    /// `sub` or `all`: what was there before goes.
    pub const ROLLUP: &str = "Nats-Rollup";
    /// How long it lives: seconds, a duration, or `never`.
    pub const TTL: &str = "Nats-TTL";
    /// `DEL` or `PURGE`, in a key-value bucket.
    pub const KV_OPERATION: &str = "KV-Operation";
    /// Why the server itself wrote the message: `MaxAge`, `Purge`, `Remove`.
    pub const MARKER_REASON: &str = "Nats-Marker-Reason";
    /// The payload's size, where only headers are delivered.
    pub const MSG_SIZE: &str = "Nats-Msg-Size";
    /// The lowest level of the API that a request needs.
    pub const REQUIRED_API_LEVEL: &str = "Nats-Required-Api-Level";
}

impl<'a> PublishHeaders<'a> {
    /// Reads a header block; an empty one asks for nothing.
    pub fn read(block: &'a [u8]) -> PublishHeaders<'a> {
        let mut found = PublishHeaders::default();
        let (mut producer, mut epoch, mut sequence) = (None, None, None);
        for (name, value) in lines(block) {
            // Every name begins with one of three letters; most headers of applications do not.
            if !matches!(name.first(), Some(b'N' | b'n' | b'K')) || value.is_empty() {
                continue;
            }
            match own(name).unwrap_or_else(|| std::str::from_utf8(name).unwrap_or_default()) {
                name::NATS_ID => set(&mut found.msg_id, value),
                header::EXPECTED_STREAM => set(&mut found.expected_stream, value),
                header::EXPECTED_LAST_SEQUENCE => set(&mut found.expected_last_seq, sequence_of(value)),
                header::EXPECTED_LAST_SUBJECT_SEQUENCE => {
                    set(&mut found.expected_last_subject_seq, sequence_of(value));
                }
                header::EXPECTED_LAST_SUBJECT => set(&mut found.expected_last_subject, value),
                header::EXPECTED_LAST_MSG_ID => set(&mut found.expected_last_msg_id, value),
                header::ROLLUP => set(&mut found.rollup, Rollup::read(value)),
                header::TTL => set(&mut found.ttl, Ttl::read(value)),
                header::KV_OPERATION => match value {
                    b"DEL" => set(&mut found.operation, KvOperation::Delete),
                    b"PURGE" => set(&mut found.operation, KvOperation::Purge),
                    _ => {}
                },
                header::MARKER_REASON => found.is_marker = true,
                name::PRODUCER => set(&mut producer, value),
                name::EPOCH => set(&mut epoch, number(value)),
                name::SEQUENCE => set(&mut sequence, number(value)),
                name::PRIORITY => set(&mut found.priority, Priority::read(value)),
                name::DELAY => set(&mut found.delay, Delay::read(value)),
                name::ACK => set(&mut found.ack, Level::read(value).map_or(Ack::Invalid, Ack::Level)),
                name::PERSISTENT => match value {
                    b"true" => set(&mut found.persistent, true),
                    b"false" => set(&mut found.persistent, false),
                    _ => {}
                },
                "Nats-Batch-Id" => set(&mut found.feature, Feature::AtomicBatch),
                "Nats-Incr" => set(&mut found.feature, Feature::Counter),
                "Nats-Schedule" => set(&mut found.feature, Feature::Schedule),
                _ => {}
            }
        }
        found.producer = match (producer, epoch, sequence) {
            (None, None, None) => None,
            (Some(id), Some(Some(epoch)), Some(Some(sequence))) => {
                Some(Producer::Numbered { id, epoch, sequence })
            }
            _ => Some(Producer::Invalid),
        };
        found
    }

    /// How safe the message must be before it is acknowledged, where it says so itself: [`name::ACK`], else
    /// [`name::PERSISTENT`], which stands for the disk or for memory.
    pub fn level(&self) -> Option<Level> {
        match (self.ack, self.persistent) {
            (Some(Ack::Level(level)), _) => Some(level),
            (Some(Ack::Invalid), _) | (None, None) => None,
            (None, Some(true)) => Some(Level::Disk),
            (None, Some(false)) => Some(Level::Mem),
        }
    }
}

/// Whether a message asks for more than to be heard by who listens now: a delay, a guarantee above at most once, or to be
/// as safe as a stream makes it. Such a one must not go to a subject that no stream captures. Blocks without a header of
/// ours are told apart by one search.
pub fn must_be_kept(block: &[u8]) -> bool {
    let mut lines = memchr::memchr_iter(b'\n', block).filter_map(|at| block.get(at + 1..));
    lines.any(|text| is_own(text) && line(text).is_some_and(|(name, value)| demands(name, value)))
}

/// Whether a header asks for a stream.
fn demands(name: &[u8], value: &[u8]) -> bool {
    match own(name) {
        Some(name::DELAY) => Delay::read(value) != Delay::Ms(0),
        Some(name::ACK) => !value.is_empty(),
        Some(name::PERSISTENT) => value == b"true",
        Some(name::GUARANTEE) => {
            let guarantee = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
            matches!(guarantee, Some(Guarantee::AtLeastOnce | Guarantee::ExactlyOnce))
        }
        _ => false,
    }
}

/// Whether a name begins as ours do.
#[inline]
fn is_own(name: &[u8]) -> bool {
    name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"Np-"))
}

/// One of our names as we write it, whatever its case here.
fn own(name: &[u8]) -> Option<&'static str> {
    const OWN: [&str; 8] = [
        name::PRIORITY,
        name::DELAY,
        name::GUARANTEE,
        name::ACK,
        name::PERSISTENT,
        name::PRODUCER,
        name::EPOCH,
        name::SEQUENCE,
    ];
    if !is_own(name) {
        return None;
    }
    OWN.into_iter().find(|own| own.as_bytes().eq_ignore_ascii_case(name))
}

impl<'a> Rollup<'a> {
    fn read(value: &'a [u8]) -> Rollup<'a> {
        match value {
            _ if value.eq_ignore_ascii_case(b"sub") => Rollup::Subject,
            _ if value.eq_ignore_ascii_case(b"all") => Rollup::All,
            _ => Rollup::Invalid(value),
        }
    }
}

impl Delay {
    /// The longest, in milliseconds: a year.
    pub const MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;

    /// Reads the header's value: milliseconds, or a duration, of which a started millisecond counts as a whole one.
    pub fn read(value: &[u8]) -> Delay {
        let ms = number(value).or_else(|| {
            let ns = duration::parse(std::str::from_utf8(value).ok()?)?;
            u64::try_from(ns).ok().map(|ns| ns.div_ceil(1_000_000))
        });
        match ms {
            Some(ms) if ms <= Delay::MAX_MS => Delay::Ms(ms),
            _ => Delay::Invalid,
        }
    }
}

impl Ttl {
    /// Reads the header's value.
    pub fn read(value: &[u8]) -> Ttl {
        if value.eq_ignore_ascii_case(b"never") {
            return Ttl::Never;
        }
        let seconds = number(value).or_else(|| {
            let ns = duration::parse(std::str::from_utf8(value).ok()?)?;
            u64::try_from(ns / 1_000_000_000).ok()
        });
        match seconds {
            None | Some(0) => Ttl::Invalid,
            Some(seconds) => Ttl::Seconds(seconds),
        }
    }
}

/// The lines behind the first: name and value, the blanks in front of the value cut off.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|b| *b == b'\n').skip(1).filter_map(line)
}

/// The line that `text` begins with.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = text.split(|b| *b == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = line.split_at(colon);
    let blanks = value.iter().skip(1).take_while(|b| **b == b' ').count();
    Some((name, value.get(1 + blanks..)?))
}

/// Digits only.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, b| {
        let digit = b.checked_sub(b'0').filter(|d| *d < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn sequence_of(value: &[u8]) -> u64 {
    number(value).unwrap_or(NO_SEQUENCE)
}

fn set<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::headers::block;
    use proptest::prelude::*;

    #[test]
    fn every_header_is_read() {
        let bytes = block([
            ("Color", "blue"),
            ("Nats-Msg-Id", "m1"),
            ("Nats-Msg-Id", "m2"),
            ("nats-msg-id", "m3"),
            (header::EXPECTED_STREAM, "S"),
            (header::EXPECTED_LAST_SEQUENCE, "7"),
            (header::EXPECTED_LAST_SUBJECT_SEQUENCE, "x"),
            (header::EXPECTED_LAST_SUBJECT, "a.>"),
            (header::EXPECTED_LAST_MSG_ID, "m0"),
            (header::ROLLUP, "SUB"),
            (header::TTL, "1h30m"),
            (header::KV_OPERATION, "DEL"),
            (name::PRODUCER, "p"),
            (name::EPOCH, "2"),
            (name::SEQUENCE, "9"),
            (name::PRIORITY, "high"),
            (name::DELAY, "1m"),
            (name::ACK, "os"),
            (name::PERSISTENT, "false"),
            ("Nats-Incr", "1"),
        ])
        .unwrap();
        let expected = PublishHeaders {
            msg_id: Some(b"m1"),
            expected_stream: Some(b"S"),
            expected_last_seq: Some(7),
            expected_last_subject_seq: Some(NO_SEQUENCE),
            expected_last_subject: Some(b"a.>"),
            expected_last_msg_id: Some(b"m0"),
            rollup: Some(Rollup::Subject),
            ttl: Some(Ttl::Seconds(5400)),
            operation: Some(KvOperation::Delete),
            is_marker: false,
            producer: Some(Producer::Numbered { id: b"p", epoch: 2, sequence: 9 }),
            priority: Some(Priority::High),
            delay: Some(Delay::Ms(60_000)),
            ack: Some(Ack::Level(Level::Os)),
            persistent: Some(false),
            feature: Some(Feature::Counter),
        };
        assert_eq!(PublishHeaders::read(&bytes), expected);
    }

    #[test]
    fn values_are_taken_as_the_real_server_takes_them() {
        let one = |name: &str, value: &str| format!("NATS/1.0\r\n{name}:{value}\r\n\r\n");
        let id = one("Nats-Msg-Id", "   2  ");
        assert_eq!(PublishHeaders::read(id.as_bytes()).msg_id, Some(&b"2  "[..]));
        let empty = one("Nats-Msg-Id", "  ");
        assert_eq!(PublishHeaders::read(empty.as_bytes()), PublishHeaders::default());
        for (value, seq) in [
            ("0", 0),
            ("-1", NO_SEQUENCE),
            ("+3", NO_SEQUENCE),
            ("1.0", NO_SEQUENCE),
            ("99999999999999999999", NO_SEQUENCE),
        ] {
            let bytes = one(header::EXPECTED_LAST_SEQUENCE, value);
            assert_eq!(PublishHeaders::read(bytes.as_bytes()).expected_last_seq, Some(seq), "{value}");
        }
        for (value, rollup) in [("all", Rollup::All), ("Sub", Rollup::Subject), ("x", Rollup::Invalid(b"x"))]
        {
            let bytes = one(header::ROLLUP, value);
            assert_eq!(PublishHeaders::read(bytes.as_bytes()).rollup, Some(rollup));
        }
        let half = block([(name::PRODUCER, "p"), (name::EPOCH, "1")]).unwrap();
        assert_eq!(PublishHeaders::read(&half).producer, Some(Producer::Invalid));
    }

    #[test]
    fn a_time_to_live_is_seconds_a_duration_or_never() {
        for (value, seconds) in [
            ("1", 1),
            ("5", 5),
            ("1s", 1),
            ("1h30m", 5400),
            ("1500ms", 1),
            ("2h45m30.5s", 9930),
            ("1.s", 1),
            ("+5s", 5),
            ("1000000us", 1),
            ("9999999999999", 9_999_999_999_999),
        ] {
            assert_eq!(Ttl::read(value.as_bytes()), Ttl::Seconds(seconds), "{value}");
        }
        assert_eq!((Ttl::read(b"never"), Ttl::read(b"NEVER")), (Ttl::Never, Ttl::Never));
        for bad in [
            "0",
            "-1",
            "0s",
            "999ms",
            "500ms",
            ".5s",
            "x",
            "-5s",
            "1d",
            "1m1",
            "2562047h48m",
            "1e3s",
            "0.5",
            "1s 2s",
        ] {
            assert_eq!(Ttl::read(bad.as_bytes()), Ttl::Invalid, "{bad}");
        }
    }

    #[test]
    fn a_delay_is_milliseconds_or_a_duration_up_to_a_year() {
        for (value, ms) in [
            ("0", 0),
            ("250", 250),
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("1ns", 1),
            ("8760h", Delay::MAX_MS),
        ] {
            assert_eq!(Delay::read(value.as_bytes()), Delay::Ms(ms), "{value}");
        }
        for bad in ["-1", "-5s", "soon", "1.5", "31536000001", "8761h", "99999999999999999999", "5 s"] {
            assert_eq!(Delay::read(bad.as_bytes()), Delay::Invalid, "{bad}");
        }
    }

    #[test]
    fn how_safe_a_message_must_be_is_its_own_word_before_whether_it_persists() {
        let level = |pairs: &[(&str, &str)]| {
            let bytes = block(pairs.iter().copied()).unwrap();
            PublishHeaders::read(&bytes).level()
        };
        assert_eq!(level(&[]), None);
        for (word, expected) in [("mem", Level::Mem), ("os", Level::Os), ("disk", Level::Disk)] {
            assert_eq!(level(&[("Np-Persistent", "true"), ("Np-Ack", word)]), Some(expected));
        }
        assert_eq!(level(&[("Np-Persistent", "true")]), Some(Level::Disk));
        assert_eq!(level(&[("Np-Persistent", "false")]), Some(Level::Mem));
        assert_eq!(level(&[("Np-Persistent", "perhaps")]), None);
        let bytes = block([("Np-Ack", "quorum")]).unwrap();
        assert_eq!(PublishHeaders::read(&bytes).ack, Some(Ack::Invalid));
    }

    #[test]
    fn our_own_names_count_in_any_case_and_those_of_jetstream_only_as_they_are() {
        let names = [name::PRIORITY, name::DELAY, name::ACK, name::PERSISTENT, name::PRODUCER, name::EPOCH];
        let pairs = [names.as_slice(), &[name::SEQUENCE]].concat();
        let values = ["high", "1m", "os", "true", "p", "2", "9"];
        let read = |names: Vec<String>| {
            let bytes = block(names.iter().map(String::as_str).zip(values)).unwrap();
            format!("{:?}", PublishHeaders::read(&bytes))
        };
        let written = read(pairs.iter().map(|name| (*name).to_owned()).collect());
        assert!(written.contains("60000") && written.contains("Numbered"), "{written}");
        assert_eq!(read(pairs.iter().map(|name| name.to_lowercase()).collect()), written);
        assert_eq!(read(pairs.iter().map(|name| name.to_uppercase()).collect()), written);
        let theirs = block([("nats-msg-id", "m"), ("nats-rollup", "all"), ("kv-operation", "DEL")]).unwrap();
        assert_eq!(PublishHeaders::read(&theirs), PublishHeaders::default());
    }

    #[test]
    fn only_a_delay_a_guarantee_or_a_level_makes_a_message_one_that_must_be_kept() {
        let one = |name: &str, value: &str| must_be_kept(&block([("A", "b"), (name, value)]).unwrap());
        assert!(!must_be_kept(b""));
        for (name, value, must) in [
            ("Np-Delay", "5s", true),
            ("Np-Delay", "0", false),
            ("Np-Delay", "what", true),
            ("Np-Guarantee", "at-least-once", true),
            ("Np-Guarantee", "exactly-once", true),
            ("Np-Guarantee", "at-most-once", false),
            ("Np-Guarantee", "perhaps", false),
            ("Np-Ack", "mem", true),
            ("Np-Ack", "what", true),
            ("Np-Persistent", "true", true),
            ("Np-Persistent", "false", false),
            ("np-delay", "5s", true),
            ("NP-GUARANTEE", "exactly-once", true),
            ("np-ack", "disk", true),
            ("np-persistent", "true", true),
            ("Np-Priority", "critical", false),
            ("X-Np-Delay", "5s", false),
            ("Note", "Np-Delay: 5s", false),
        ] {
            assert_eq!(one(name, value), must, "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = PublishHeaders::read(&bytes);
        }

        #[test]
        fn any_values_are_read_without_panic(pairs in prop::collection::vec((0usize..9, "[ -~]{0,12}"), 0..9)) {
            let names = [name::NATS_ID, name::PRODUCER, name::EPOCH, name::SEQUENCE, header::EXPECTED_LAST_SEQUENCE,
                header::TTL, header::ROLLUP, header::KV_OPERATION, header::EXPECTED_LAST_SUBJECT];
            let bytes = block(pairs.iter().map(|(n, v)| (names[*n], v.as_str()))).unwrap();
            let _ = PublishHeaders::read(&bytes);
        }
    }
}
