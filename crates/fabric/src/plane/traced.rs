//! Steps of traces that the plane takes: a message stored and acknowledged, a delivery, a request to the streams' API. Only
//! what carries a sampled `traceparent` costs more than one comparison; where nobody collects, nothing does.

use std::borrow::Cow;
use std::sync::Arc;

use kernel::Now;
use kernel::trace::{Incoming, Kind, Span, Spans};

use super::Plane;

/// See the module.
#[derive(Default)]
pub(crate) struct Traced {
    spans: Option<Arc<dyn Spans>>,
    random: u64,
    /// The step of the request that is being carried out, for whoever answers it later.
    pub(crate) request: Option<Box<Span>>,
}

impl Plane {
    /// Tells `spans` of the steps that the plane takes from now on.
    pub fn trace_to(&mut self, spans: Arc<dyn Spans>) {
        let random = self.hub.seed() ^ 0x7472_6163_6564;
        self.traced = Traced { spans: Some(spans), random, request: None };
    }
}

impl Traced {
    /// Begins a step behind what the headers carry, if that is told.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        now: Now,
        headers: &[u8],
        kind: Kind,
        name: impl FnOnce() -> String,
    ) -> Option<Box<Span>> {
        if headers.is_empty() || self.spans.is_none() {
            return None;
        }
        let parent = Incoming::sampled(headers)?;
        let random = self.random();
        Some(Box::new(Span::behind(&parent, random, Cow::Owned(name()), kind, now.mono_ns)))
    }

    /// A step that begins here, and not with the turn.
    pub(crate) fn begun_here(&self, mut span: Box<Span>) -> Box<Span> {
        span.start_ns = self.spans.as_ref().map_or(span.start_ns, |spans| spans.now_ns());
        span
    }

    /// Ends a step, here: most are over sooner than the turn. `error`: what went wrong.
    #[inline]
    pub(crate) fn end(&self, span: Option<Box<Span>>, error: Option<&str>) {
        if let Some((mut span, spans)) = span.zip(self.spans.as_ref()) {
            span.end_ns = spans.now_ns().max(span.start_ns);
            span.error = error.map(|why| Cow::Owned(why.to_owned()));
            spans.ended(*span);
        }
    }

    fn random(&mut self) -> u64 {
        // SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A subject as an attribute.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
