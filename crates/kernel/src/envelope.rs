//! The envelope of a message (seed form: id, type, source, destination, timestamp, correlation id, reply-to,
//! priority, time-to-live, headers, payload, delivery options) as accessors over headers. A message that needs no
//! envelope carries none, and every client of every protocol can set these headers. Byte forms are in `wire`.

use std::str::FromStr;

use crate::Code;
use crate::headers::{Header, Headers};

/// Names of the headers that carry the envelope.
pub mod name {
    /// Identity of the message; [`super::Envelope::id`] also reads [`NATS_ID`].
    pub const ID: &str = "Np-Id";
    /// The name under which JetStream clients give a message its identity.
    pub const NATS_ID: &str = "Nats-Msg-Id";
    /// `command`, `event`, `request`, `response` or `notification`.
    pub const KIND: &str = "Np-Type";
    /// Who sent it.
    pub const SOURCE: &str = "Np-Source";
    /// One header for each addressee.
    pub const DESTINATION: &str = "Np-Destination";
    /// Milliseconds since 1970.
    pub const TIMESTAMP_MS: &str = "Np-Timestamp-Ms";
    /// Identity of the message that this one belongs to.
    pub const CORRELATION_ID: &str = "Np-Correlation-Id";
    /// `critical`, `high`, `normal` or `low`; or a number: 0 is normal, higher is sooner.
    pub const PRIORITY: &str = "Np-Priority";
    /// Milliseconds after which the message is worth nothing.
    pub const TTL_MS: &str = "Np-Ttl-Ms";
    /// `at-least-once`, `at-most-once` or `exactly-once`.
    pub const GUARANTEE: &str = "Np-Guarantee";
    /// Attempts in total, base delay and longest delay in milliseconds: `3,1000,30000`.
    pub const RETRY: &str = "Np-Retry";
    /// Milliseconds that the sender waits.
    pub const TIMEOUT_MS: &str = "Np-Timeout-Ms";
    /// `true` or `false`.
    pub const PERSISTENT: &str = "Np-Persistent";
    /// Who numbers its messages, so that a stream stores each of them once.
    pub const PRODUCER: &str = "Np-Producer";
    /// A number that the producer raises whenever it starts again.
    pub const EPOCH: &str = "Np-Epoch";
    /// The message's number within the producer's epoch.
    pub const SEQUENCE: &str = "Np-Sequence";
    /// How long a stream keeps the message back: milliseconds, or a duration. It is not part of the envelope.
    pub const DELAY: &str = "Np-Delay";
    /// How safe a stream must have the message before it acknowledges it, whatever its own level is: `mem`, `os` or
    /// `disk`. It is not part of the envelope.
    pub const ACK: &str = "Np-Ack";

    /// All of them, so that the rest can be told apart.
    pub const ALL: &[&str] = &[
        ID,
        NATS_ID,
        KIND,
        SOURCE,
        DESTINATION,
        TIMESTAMP_MS,
        CORRELATION_ID,
        PRIORITY,
        TTL_MS,
        GUARANTEE,
        RETRY,
        TIMEOUT_MS,
        PERSISTENT,
        PRODUCER,
        EPOCH,
        SEQUENCE,
    ];
}

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[$vdoc])* $variant,)* }

        impl $type {
            /// The word that stands for it on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word,)* }
            }
        }

        impl FromStr for $type {
            type Err = Code;
            fn from_str(word: &str) -> Result<$type, Code> {
                match word { $($word => Ok($type::$variant),)* _ => Err(Code::InvalidRequest) }
            }
        }
    };
}

words! {
    /// What a message is for.
    Kind {
        /// Do this.
        Command = "command",
        /// This happened.
        Event = "event",
        /// Answer this.
        Request = "request",
        /// The answer.
        Response = "response",
        /// Somebody should know.
        Notification = "notification",
    }
}

words! {
    /// How soon. Ordered: the smaller, the sooner; within one priority first come, first served.
    Priority {
        /// Before everything else.
        Critical = "critical",
        /// Before normal.
        High = "high",
        /// The default.
        Normal = "normal",
        /// When nothing else waits.
        Low = "low",
    }
}

impl Priority {
    /// All, the soonest first.
    pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

    /// What a header's value stands for: a word in any case, or a number, of which 0 is normal, 1 high, more critical, and
    /// less low. Anything else is normal.
    pub fn read(value: &[u8]) -> Priority {
        let is_word = |p: &Priority| value.eq_ignore_ascii_case(p.as_str().as_bytes());
        if let Some(priority) = Priority::ALL.into_iter().find(is_word) {
            return priority;
        }
        let (sign, digits) = match value {
            [b'-', digits @ ..] => (-1, digits),
            [b'+', digits @ ..] => (1, digits),
            digits => (1, digits),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Priority::Normal;
        }
        // Only whether it is 0, 1 or more counts, however long it is.
        let size = digits.iter().fold(0, |sum: i32, d| (sum * 10 + i32::from(d - b'0')).min(2));
        match sign * size {
            0 => Priority::Normal,
            1 => Priority::High,
            2 => Priority::Critical,
            _ => Priority::Low,
        }
    }
}

words! {
    /// How often it may arrive.
    Guarantee {
        /// Once or never: the default outside streams.
        AtMostOnce = "at-most-once",
        /// Once or more: the default on streams.
        AtLeastOnce = "at-least-once",
        /// One effect inside the fabric.
        ExactlyOnce = "exactly-once",
    }
}

/// How a failed delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in total, the first one included.
    pub attempts_max: u32,
    /// Wait before the second attempt, in milliseconds; it doubles each time.
    pub base_delay_ms: u64,
    /// Longest wait, in milliseconds.
    pub delay_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts_max: 3, base_delay_ms: 1000, delay_ms_max: 30_000 }
    }
}

impl RetryPolicy {
    fn parse(text: &str) -> Option<RetryPolicy> {
        let mut parts = text.split(',').map(str::trim);
        let attempts_max = parts.next()?.parse().ok()?;
        let base_delay_ms = parts.next()?.parse().ok()?;
        let delay_ms_max = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(RetryPolicy { attempts_max, base_delay_ms, delay_ms_max })
    }
}

/// What the sender asks of the delivery. `None`: the default of wherever the message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How often it may arrive.
    pub guarantee: Option<Guarantee>,
    /// How failures are tried again.
    pub retry: Option<RetryPolicy>,
    /// Milliseconds that the sender waits.
    pub timeout_ms: Option<u64>,
    /// Whether it must survive a restart.
    pub persistent: Option<bool>,
}

/// The envelope's fields, each read from its header when asked; a value that makes no sense reads as absent.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a>(Headers<'a>);

impl<'a> Envelope<'a> {
    /// The envelope in `headers`.
    pub fn new(headers: Headers<'a>) -> Envelope<'a> {
        Envelope(headers)
    }

    /// The message's identity: `Np-Id`, else `Nats-Msg-Id`.
    pub fn id(&self) -> Option<&'a str> {
        self.0.first(name::ID).or_else(|| self.0.first(name::NATS_ID))
    }

    /// What it is for.
    pub fn kind(&self) -> Option<Kind> {
        self.read(name::KIND)
    }

    /// Who sent it.
    pub fn source(&self) -> Option<&'a str> {
        self.0.first(name::SOURCE)
    }

    /// Whom it is for, in the order given.
    pub fn destination(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.iter().filter(|h| h.name.eq_ignore_ascii_case(name::DESTINATION)).map(|h| h.value)
    }

    /// When it was sent, in milliseconds since 1970.
    pub fn timestamp_ms(&self) -> Option<u64> {
        self.read(name::TIMESTAMP_MS)
    }

    /// Identity of the message that it belongs to.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.0.first(name::CORRELATION_ID)
    }

    /// How soon; missing or unknown is normal.
    pub fn priority(&self) -> Priority {
        self.0.first(name::PRIORITY).map_or(Priority::Normal, |value| Priority::read(value.as_bytes()))
    }

    /// Milliseconds from its timestamp until it is worth nothing.
    pub fn ttl_ms(&self) -> Option<u64> {
        self.read(name::TTL_MS)
    }

    /// What the sender asks of the delivery.
    pub fn delivery(&self) -> Delivery {
        Delivery {
            guarantee: self.read(name::GUARANTEE),
            retry: self.0.first(name::RETRY).and_then(RetryPolicy::parse),
            timeout_ms: self.read(name::TIMEOUT_MS),
            persistent: self.read(name::PERSISTENT),
        }
    }

    /// The headers that are not part of the envelope.
    pub fn others(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        self.0.iter().filter(|h| !name::ALL.iter().any(|n| h.name.eq_ignore_ascii_case(n)))
    }

    fn read<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.first(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::block;

    #[test]
    fn every_field_is_an_accessor_over_its_header() {
        let bytes = block([
            (name::ID, "m1"),
            (name::KIND, "command"),
            (name::SOURCE, "planner"),
            (name::DESTINATION, "w1"),
            (name::DESTINATION, "w2"),
            (name::TIMESTAMP_MS, "1700000000000"),
            (name::CORRELATION_ID, "m0"),
            (name::PRIORITY, "high"),
            (name::TTL_MS, "5000"),
            (name::GUARANTEE, "exactly-once"),
            (name::RETRY, "3, 100, 2000"),
            (name::TIMEOUT_MS, "30000"),
            (name::PERSISTENT, "true"),
            ("Color", "blue"),
        ])
        .unwrap();
        let e = Envelope::new(Headers::new(&bytes));
        assert_eq!((e.id(), e.kind(), e.source()), (Some("m1"), Some(Kind::Command), Some("planner")));
        assert_eq!(e.destination().collect::<Vec<_>>(), ["w1", "w2"]);
        assert_eq!((e.timestamp_ms(), e.correlation_id()), (Some(1_700_000_000_000), Some("m0")));
        assert_eq!((e.priority(), e.ttl_ms()), (Priority::High, Some(5000)));
        let retry = RetryPolicy { attempts_max: 3, base_delay_ms: 100, delay_ms_max: 2000 };
        let all = Delivery {
            guarantee: Some(Guarantee::ExactlyOnce),
            retry: Some(retry),
            timeout_ms: Some(30_000),
            persistent: Some(true),
        };
        assert_eq!(e.delivery(), all);
        assert_eq!(e.others().map(|h| h.name).collect::<Vec<_>>(), ["Color"]);
    }

    #[test]
    fn nonsense_reads_as_absent_and_priority_as_normal() {
        let bytes = block([
            (name::KIND, "x"),
            (name::PRIORITY, "urgent"),
            (name::TTL_MS, "-1"),
            (name::NATS_ID, "n"),
        ]);
        let bytes = bytes.unwrap();
        let e = Envelope::new(Headers::new(&bytes));
        assert_eq!((e.kind(), e.priority(), e.ttl_ms(), e.id()), (None, Priority::Normal, None, Some("n")));
        assert_eq!(e.delivery(), Delivery::default());
    }

    #[test]
    fn a_priority_is_a_word_or_a_number_and_anything_else_is_normal() {
        use Priority::*;
        for (value, priority) in [
            ("critical", Critical),
            ("HIGH", High),
            ("normal", Normal),
            ("low", Low),
            ("0", Normal),
            ("-0", Normal),
            ("1", High),
            ("+1", High),
            ("2", Critical),
            ("10", Critical),
            ("99999999999999999999", Critical),
            ("-1", Low),
            ("-77", Low),
            ("", Normal),
            ("-", Normal),
            ("1.5", Normal),
            ("urgent", Normal),
        ] {
            assert_eq!(Priority::read(value.as_bytes()), priority, "{value}");
        }
    }
}
