//! Trace context: which trace something belongs to, which step of it came before, and whether its steps are told. Read from
//! and written to the headers of W3C Trace Context (level 1) and the `X-Trace-ID` family. It is pure: random numbers
//! come in as arguments, and whoever collects spans is a port. It does *not* know HTTP or NATS.

mod incoming;
mod span;

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

pub use incoming::{Incoming, carry};
pub use span::{Kind, Span, Spans, Value};

use crate::Code;

/// Names of the headers that carry a trace; upper and lower case are the same.
pub mod name {
    /// W3C: version, trace, span and flags.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C: what other tracing systems add; passed on as it is.
    pub const TRACESTATE: &str = "tracestate";
    /// The trace, in any form.
    pub const TRACE_ID: &str = "X-Trace-ID";
    /// The step of whoever asks.
    pub const SPAN_ID: &str = "X-Span-ID";
    /// The step before that one.
    pub const PARENT_SPAN_ID: &str = "X-Parent-Span-ID";
    /// `1`: tell of every step; `0`: of none.
    pub const SAMPLING_PRIORITY: &str = "X-Sampling-Priority";
    /// What several requests and messages have in common, in any form.
    pub const CORRELATION_ID: &str = "X-Correlation-ID";
}

/// Longest `tracestate` that is passed on, in bytes (W3C: at least 512 must be).
pub const STATE_BYTES_MAX: usize = 512;
/// Longest id of the `X-Trace-ID` family, and longest correlation id, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// A trace: all steps that one cause has. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// A trace of these random bits.
    pub fn new(random: [u64; 2]) -> TraceId {
        let bits = u128::from(random[0]) << 64 | u128::from(random[1]);
        TraceId(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// Reads an id as people write it: 32 or 16 hexadecimal digits, a UUID, or any other text, of which a number is made
    /// that is always the same. `None`: empty, too long, or not printable.
    pub fn read(text: &str) -> Option<TraceId> {
        let digits: String = match text.len() {
            36 => text.replace('-', ""),
            _ => text.to_owned(),
        };
        let bits = match digits.len() {
            16 | 32 if is_hex(&digits) => u128::from_str_radix(&digits, 16).ok()?,
            _ => hash(text)?,
        };
        NonZeroU128::new(bits).map(TraceId)
    }

    /// Its bytes, the first first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A step of a trace. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// A step of these random bits.
    pub fn new(random: u64) -> SpanId {
        SpanId(NonZeroU64::new(random).unwrap_or(NonZeroU64::MIN))
    }

    /// Reads an id as people write it: 16 hexadecimal digits, or any other text. `None`: empty, too long, not printable.
    pub fn read(text: &str) -> Option<SpanId> {
        let bits = match text.len() {
            16 if is_hex(text) => u64::from_str_radix(text, 16).ok()?,
            _ => hash(text)? as u64,
        };
        NonZeroU64::new(bits).map(SpanId)
    }

    /// Its bytes, the first first.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a trace; its text is the value of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The step.
    pub span: SpanId,
    /// Whether its steps are told.
    pub is_sampled: bool,
}

impl TraceContext {
    /// The next step.
    pub fn child(&self, random: u64) -> TraceContext {
        TraceContext { span: SpanId::new(random), ..*self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

impl FromStr for TraceContext {
    type Err = Code;

    /// Errors with [`Code::InvalidRequest`] on what the standard says to treat as absent.
    fn from_str(text: &str) -> Result<TraceContext, Code> {
        parse(text).ok_or(Code::InvalidRequest)
    }
}

fn parse(text: &str) -> Option<TraceContext> {
    let mut parts = text.splitn(5, '-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    // Later versions may have more behind what this one has.
    let ends = parts.next().is_none() || version != "00";
    if !ends
        || version == "ff"
        || !lengths.iter().all(|(part, length)| part.len() == *length && is_lower_hex(part))
    {
        return None;
    }
    Some(TraceContext {
        trace: TraceId(NonZeroU128::new(u128::from_str_radix(trace, 16).ok()?)?),
        span: SpanId(NonZeroU64::new(u64::from_str_radix(span, 16).ok()?)?),
        is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
    })
}

/// Which traces are told, when nobody decided it before. A trace is told everywhere or nowhere: the decision hangs on its
/// id alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Ids whose last 56 bits are below are told (the random part of an id in W3C Trace Context level 2).
    below: u64,
}

impl Sampler {
    const BITS: u32 = 56;

    /// Tells of this part of all traces, 0 to 1.
    pub fn new(ratio: f64) -> Sampler {
        // What is no number or out of bounds is brought within them by the cast.
        Sampler { below: (ratio.clamp(0.0, 1.0) * (1u64 << Self::BITS) as f64) as u64 }
    }

    /// Whether it tells of anything.
    pub fn is_off(&self) -> bool {
        self.below == 0
    }

    /// Whether this trace is told.
    pub fn keeps(&self, trace: TraceId) -> bool {
        (trace.0.get() as u64 & ((1 << Self::BITS) - 1)) < self.below
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text may be an id.
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// FNV-1a with 128 bits: Fowler, Noll, Vo, draft-eastlake-fnv.
fn hash(text: &str) -> Option<u128> {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    is_id(text).then(|| text.bytes().fold(OFFSET, step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context: TraceContext = text.parse().unwrap();
        assert!(context.is_sampled);
        assert_eq!(context.to_string(), text);
        let child = context.child(0x10);
        assert_eq!(child.to_string(), format!("00-{TRACE}-0000000000000010-01"));
    }

    #[test]
    fn what_the_standard_refuses_is_refused() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for bad in [
            String::new(),
            good.to_uppercase(),
            good.replace("00-4", "ff-4"),
            good.replace(TRACE, &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            format!("{good}-more"),
            good[..54].to_owned(),
            good.replace('-', "_"),
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
        }
        // A later version may say more, and has flags that this one does not know.
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-03-more-yet");
        assert_eq!(later.parse::<TraceContext>().map(|c| c.to_string()), Ok(good));
    }

    #[test]
    fn ids_are_read_as_people_write_them() {
        let read = |text: &str| TraceId::read(text).unwrap().to_string();
        assert_eq!(read(TRACE), TRACE);
        assert_eq!(read(&TRACE.to_uppercase()), TRACE);
        assert_eq!(read("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"), TRACE);
        assert_eq!(read("00f067aa0ba902b7"), "000000000000000000f067aa0ba902b7");
        assert_eq!(read("unique-trace-id"), read("unique-trace-id"));
        assert_ne!(read("unique-trace-id"), read("unique-trace-ie"));
        assert_eq!(SpanId::read("00f067aa0ba902b7").unwrap().to_string(), "00f067aa0ba902b7");
        for bad in ["", "line\nbreak", &"x".repeat(ID_BYTES_MAX + 1), &"0".repeat(32)] {
            assert_eq!(TraceId::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_sampler_tells_its_part_of_all_traces_and_always_decides_alike() {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 29
        };
        let ids: Vec<TraceId> = (0..10_000).map(|_| TraceId::new([random(), random()])).collect();
        let kept = |ratio: f64| ids.iter().filter(|id| Sampler::new(ratio).keeps(**id)).count();
        assert_eq!((kept(0.0), kept(1.0), kept(f64::NAN)), (0, 10_000, 0));
        assert!((900..1100).contains(&kept(0.1)), "{}", kept(0.1));
        // What a small part holds, a larger one holds too.
        let holds = |id: &&TraceId| Sampler::new(0.1).keeps(**id) && !Sampler::new(0.2).keeps(**id);
        assert_eq!(ids.iter().filter(holds).count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = (text.parse::<TraceContext>(), TraceId::read(&text), SpanId::read(&text));
        }

        #[test]
        fn what_is_written_is_read(trace: [u64; 2], span: u64, is_sampled: bool) {
            let context = TraceContext { trace: TraceId::new(trace), span: SpanId::new(span), is_sampled };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }
    }
}
