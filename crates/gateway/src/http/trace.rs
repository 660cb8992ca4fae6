//! Follows each request: it is a step of a trace, whose context goes on in every message that the request sends, and back
//! with the answer. It also counts requests. It does *not* know where steps are collected.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use kernel::trace::{Incoming, Kind, Sampler, Span, SpanId, Spans, TraceContext, TraceId, carry, name};

use super::HttpDoor;

/// Paths that machines ask all the time: nobody wants them in a trace.
const QUIET: &[&str] = &["/healthz", "/readyz", "/metrics"];
/// What stands for the route where there is none.
pub(super) const NO_ROUTE: &str = "unmatched";

/// Who collects steps, and which traces are told that begin here.
#[derive(Clone)]
pub struct Tracing {
    /// Who collects them; `None`: nobody, and contexts only travel.
    pub spans: Option<Arc<dyn Spans>>,
    /// Which traces are told.
    pub sampler: Sampler,
}

impl Default for Tracing {
    fn default() -> Tracing {
        Tracing { spans: None, sampler: Sampler::new(0.0) }
    }
}

/// What the messages of a request carry on.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// Its place in a trace.
    pub context: Option<TraceContext>,
    /// What other tracing systems add.
    pub state: Box<str>,
    /// The correlation id; empty: none.
    pub correlation: Box<str>,
}

tokio::task_local! {
    static CURRENT: Carried;
}

/// What the request carries on that the caller's task answers, if it does.
pub fn current<T>(read: impl FnOnce(&Carried) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

/// The header block of a message of this task's request; `None`: as it is.
pub(super) fn carried(block: &[u8]) -> Option<Vec<u8>> {
    current(|c| carry(block, c.context.as_ref(), &c.state, &c.correlation)).flatten()
}

/// A step that ends when it is dropped: with the answer, or because the client went away.
struct Step {
    spans: Arc<dyn Spans>,
    span: Option<Span>,
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.end_ns = self.spans.now_ns();
            self.spans.ended(span);
        }
    }
}

/// A request as it is followed.
#[derive(Default)]
struct Followed {
    carried: Carried,
    step: Option<Step>,
    /// The trace as the client calls it.
    called: Option<HeaderValue>,
}

impl Tracing {
    fn follow(&self, headers: &HeaderMap, name: impl FnOnce() -> String) -> Followed {
        let incoming = Incoming::read(|name| headers.get(name).and_then(|value| value.to_str().ok()));
        let Incoming { trace, span: parent, is_sampled, state, correlation } = incoming;
        let begins = trace.is_none();
        if begins && is_sampled != Some(true) && (self.spans.is_none() || self.sampler.is_off()) {
            return Followed {
                carried: Carried { correlation, ..Carried::default() },
                ..Followed::default()
            };
        }
        let [first, second, own] = random();
        let trace = trace.unwrap_or_else(|| TraceId::new([first, second]));
        let is_sampled = is_sampled.unwrap_or_else(|| self.sampler.keeps(trace));
        let called = headers.get(name::TRACE_ID).filter(|_| !begins).cloned();
        let Some(spans) = self.spans.as_ref().filter(|_| is_sampled) else {
            // Nobody tells of this step: whoever comes next is behind the one before it.
            let span = parent.unwrap_or_else(|| SpanId::new(own));
            let context = Some(TraceContext { trace, span, is_sampled });
            return Followed { carried: Carried { context, state, correlation }, step: None, called };
        };
        let context = TraceContext { trace, span: SpanId::new(own), is_sampled };
        let mut span = Span::behind(&context, own, Cow::Owned(name()), Kind::Server, spans.now_ns());
        (span.parent, span.state) = (parent, state.clone());
        let step = Step { spans: spans.clone(), span: Some(span) };
        Followed { carried: Carried { context: Some(context), state, correlation }, step: Some(step), called }
    }
}

impl Followed {
    /// Ends with the answer, which says what it was.
    fn end(mut self, response: &mut Response, facts: impl FnOnce(Span) -> Span) {
        let status = response.status();
        if let Some(step) = &mut self.step
            && let Some(span) = step.span.take()
        {
            let mut span = facts(span).with("http.response.status_code", u64::from(status.as_u16()));
            span.error =
                status.is_server_error().then(|| status.canonical_reason().unwrap_or("failed").into());
            step.span = Some(span);
        }
        let headers = response.headers_mut();
        let mut say = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if let Some(context) = self.carried.context {
            say("traceparent", &context.to_string());
            say("x-span-id", &context.span.to_string());
            let hex = context.trace.to_string();
            say("x-trace-id", self.called.as_ref().and_then(|v| v.to_str().ok()).unwrap_or(&hex));
        }
        if !self.carried.correlation.is_empty() {
            say("x-correlation-id", &self.carried.correlation);
        }
    }
}

/// Follows a request on its way.
pub(super) async fn follow(State(door): State<Arc<HttpDoor>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method_name(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let followed = match QUIET.contains(&route) {
        true => Followed::default(),
        false => door.tracing.follow(request.headers(), || format!("{method} {route}")),
    };
    let path = followed.step.is_some().then(|| request.uri().path().to_owned());
    let answer = async {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        tracing::debug!(method, route, status, took_us = start.elapsed().as_micros() as u64, "answered");
        response
    };
    let mut response = CURRENT.scope(followed.carried.clone(), answer).await;
    door.answers.count(method, route, response.status(), start.elapsed());
    followed.end(&mut response, |span| {
        let span = span.with("http.request.method", method).with("http.route", route);
        span.with("url.path", path.unwrap_or_default()).with("url.scheme", "http")
    });
    response
}

/// The name of a method; those that nobody knows share one, so that they cannot fill a table.
pub(super) fn method_name(method: &Method) -> &'static str {
    const KNOWN: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.iter().copied().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Random bits. Without any, ids repeat, which spoils a trace and nothing else.
fn random() -> [u64; 3] {
    let mut bytes = [0; 24];
    let _ = getrandom::fill(&mut bytes);
    let word = |at: usize| bytes.iter().skip(at).take(8).fold(0u64, |word, b| word << 8 | u64::from(*b));
    [word(0), word(8), word(16)]
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Collected(Mutex<Vec<Span>>);

    impl Spans for Collected {
        fn ended(&self, span: Span) {
            self.0.lock().unwrap().push(span);
        }
        fn now_ns(&self) -> u64 {
            7
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_travels_as_it_came_when_nobody_collects() {
        let followed = Tracing::default().follow(&headers(&[("traceparent", PARENT)]), String::new);
        assert_eq!(followed.carried.context.unwrap().to_string(), PARENT);
        assert!(followed.step.is_none());
        let none = Tracing::default().follow(&HeaderMap::new(), String::new);
        assert!(none.carried.context.is_none(), "nothing begins where nobody collects");
    }

    #[test]
    fn a_request_is_a_step_behind_whoever_asked() {
        let collected = Arc::new(Collected::default());
        let tracing = Tracing { spans: Some(collected.clone()), sampler: Sampler::new(0.0) };
        let given = headers(&[("traceparent", PARENT), ("x-correlation-id", "c1")]);
        let followed = tracing.follow(&given, || "GET /".into());
        let own = followed.carried.context.unwrap();
        let mut response = Response::default();
        followed.end(&mut response, |span| span);
        assert_eq!(response.headers()["traceparent"], own.to_string());
        assert_eq!(response.headers()["x-correlation-id"], "c1");
        let spans = collected.0.lock().unwrap();
        assert_eq!(spans[0].parent.unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!((spans[0].context, &*spans[0].name), (own, "GET /"));
    }

    #[test]
    fn a_strange_trace_id_comes_back_as_it_was_given_and_priority_forces() {
        let collected = Arc::new(Collected::default());
        let tracing = Tracing { spans: Some(collected.clone()), sampler: Sampler::new(0.0) };
        let given = headers(&[("x-trace-id", "unique-trace-id"), ("x-sampling-priority", "1")]);
        let followed = tracing.follow(&given, String::new);
        let mut response = Response::default();
        followed.end(&mut response, |span| span);
        assert_eq!(response.headers()["x-trace-id"], "unique-trace-id");
        assert_eq!(collected.0.lock().unwrap().len(), 1);
        drop(tracing.follow(&headers(&[("x-trace-id", "unique-trace-id")]), String::new));
        assert_eq!(collected.0.lock().unwrap().len(), 1, "the sampler keeps none");
    }

    #[test]
    fn a_request_whose_client_went_away_is_told_too() {
        let collected = Arc::new(Collected::default());
        let tracing = Tracing { spans: Some(collected.clone()), sampler: Sampler::new(1.0) };
        drop(tracing.follow(&HeaderMap::new(), String::new));
        assert_eq!(collected.0.lock().unwrap().len(), 1);
    }
}
