//! A trace as headers bring it in, and how it goes on in the header block of a message.

use super::{STATE_BYTES_MAX, SpanId, TraceContext, TraceId, is_id, name};
use crate::envelope;
use crate::headers::{Headers, VERSION};

/// What headers say of a trace. `traceparent` counts before the `X-Trace-ID` family; a value that makes no sense reads as
/// absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The trace.
    pub trace: Option<TraceId>,
    /// The step of whoever sent it.
    pub span: Option<SpanId>,
    /// Whether its steps are told; `None`: nobody decided.
    pub is_sampled: Option<bool>,
    /// What other tracing systems add; empty: nothing.
    pub state: Box<str>,
    /// The correlation id; empty: none.
    pub correlation: Box<str>,
}

impl Incoming {
    /// Reads headers; `value` gives the value under a name.
    pub fn read<'h>(value: impl Fn(&str) -> Option<&'h str>) -> Incoming {
        let correlation = value(name::CORRELATION_ID).or_else(|| value(envelope::name::CORRELATION_ID));
        let mut incoming = Incoming {
            correlation: correlation.filter(|id| is_id(id)).unwrap_or_default().into(),
            ..Incoming::default()
        };
        let parent = value(name::TRACEPARENT).and_then(|text| text.trim().parse::<TraceContext>().ok());
        if let Some(TraceContext { trace, span, is_sampled }) = parent {
            (incoming.trace, incoming.span) = (Some(trace), Some(span));
            incoming.is_sampled = Some(is_sampled);
            let state = value(name::TRACESTATE).filter(|state| is_state(state));
            incoming.state = state.unwrap_or_default().into();
        } else if let Some(trace) = value(name::TRACE_ID).and_then(TraceId::read) {
            incoming.trace = Some(trace);
            let span = value(name::SPAN_ID).or_else(|| value(name::PARENT_SPAN_ID));
            incoming.span = span.and_then(SpanId::read);
        }
        // Who says so wants it said.
        let priority = value(name::SAMPLING_PRIORITY).and_then(|text| text.trim().parse::<i32>().ok());
        incoming.is_sampled = priority.map(|p| p > 0).or(incoming.is_sampled);
        incoming
    }

    /// The context in a message's headers, if its steps are told.
    pub fn sampled(headers: &[u8]) -> Option<TraceContext> {
        if headers.is_empty() {
            return None;
        }
        let context: TraceContext = Headers::new(headers).first(name::TRACEPARENT)?.parse().ok()?;
        context.is_sampled.then_some(context)
    }
}

fn is_state(state: &str) -> bool {
    state.len() <= STATE_BYTES_MAX && state.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Puts a context, what other systems add to it and a correlation id into a message's header block, behind what is there.
/// What the message says of them itself stays. `None`: the block stays as it is.
pub fn carry(
    block: &[u8],
    context: Option<&TraceContext>,
    state: &str,
    correlation: &str,
) -> Option<Vec<u8>> {
    let headers = Headers::new(block);
    let context = context.filter(|_| headers.first(name::TRACEPARENT).is_none());
    let is_named =
        || [envelope::name::CORRELATION_ID, name::CORRELATION_ID].iter().any(|n| headers.first(n).is_some());
    let correlation = if correlation.is_empty() || is_named() { "" } else { correlation };
    if context.is_none() && correlation.is_empty() {
        return None;
    }
    let mut out = match block.strip_suffix(b"\r\n") {
        Some(open) => open.to_vec(),
        None => [VERSION, b"\r\n"].concat(),
    };
    let mut push = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    if let Some(context) = context {
        push(name::TRACEPARENT, &context.to_string());
        if !state.is_empty() && headers.first(name::TRACESTATE).is_none() {
            push(name::TRACESTATE, state);
        }
    }
    if !correlation.is_empty() {
        push(envelope::name::CORRELATION_ID, correlation);
    }
    out.extend_from_slice(b"\r\n");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn read(headers: &[(&str, &'static str)]) -> Incoming {
        Incoming::read(|name| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v))
    }

    #[test]
    fn both_families_are_read_and_w3c_counts_first() {
        let seen = read(&[
            ("X-Trace-ID", "unique-trace-id"),
            ("X-Span-ID", "unique-span-id"),
            ("X-Parent-Span-ID", "parent-span-id"),
            ("X-Sampling-Priority", "1"),
            ("X-Correlation-ID", "c1"),
        ]);
        assert_eq!(seen.trace, TraceId::read("unique-trace-id"));
        assert_eq!(seen.span, SpanId::read("unique-span-id"));
        assert_eq!((seen.is_sampled, &*seen.correlation), (Some(true), "c1"));
        let seen = read(&[("traceparent", PARENT), ("tracestate", "a=1"), ("X-Trace-ID", "other")]);
        assert_eq!(seen.trace.unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((seen.is_sampled, &*seen.state), (Some(false), "a=1"));
        let forced = read(&[("traceparent", PARENT), ("X-Sampling-Priority", "1")]);
        assert_eq!(forced.is_sampled, Some(true));
    }

    #[test]
    fn what_makes_no_sense_is_absent() {
        assert_eq!(read(&[("traceparent", "nonsense"), ("tracestate", "a=1")]), Incoming::default());
        assert_eq!(read(&[("X-Correlation-ID", ""), ("X-Sampling-Priority", "lots")]), Incoming::default());
    }

    #[test]
    fn a_message_carries_the_context_and_keeps_what_it_says_itself() {
        let context: TraceContext = PARENT.parse().unwrap();
        let plain = carry(b"", Some(&context), "a=1", "c1").unwrap();
        let text =
            format!("NATS/1.0\r\ntraceparent: {PARENT}\r\ntracestate: a=1\r\nNp-Correlation-Id: c1\r\n\r\n");
        assert_eq!(String::from_utf8(plain.clone()).unwrap(), text);
        assert!(Headers::check(&plain).is_ok());
        assert_eq!(carry(&plain, Some(&context.child(1)), "b=2", "c2"), None);
        let more = carry(b"NATS/1.0\r\nA: 1\r\n\r\n", Some(&context), "", "").unwrap();
        assert!(more.starts_with(b"NATS/1.0\r\nA: 1\r\ntraceparent: 00-"));
        assert_eq!(carry(b"NATS/1.0\r\nA: 1\r\n\r\n", None, "", ""), None);
    }

    #[test]
    fn only_a_sampled_context_is_told() {
        let block = |text: String| crate::headers::block([("Traceparent", text.as_str())]).unwrap();
        assert_eq!(Incoming::sampled(&block(PARENT.to_owned())), None);
        assert!(Incoming::sampled(&block(format!("{}01", &PARENT[..PARENT.len() - 2]))).is_some());
        assert_eq!(Incoming::sampled(b""), None);
    }
}
