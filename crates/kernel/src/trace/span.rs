//! A step that is over, and the port that takes it. Where it goes then is *not* known here.

use std::borrow::Cow;

use super::{SpanId, TraceContext};

/// What a step is to its trace (OpenTelemetry's kinds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work of the node's own.
    Internal,
    /// Somebody asked and was answered.
    Server,
    /// A message went out.
    Producer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Cow::Owned(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its place.
    pub context: TraceContext,
    /// The step before; `None`: it is the first.
    pub parent: Option<SpanId>,
    /// What other tracing systems add.
    pub state: Box<str>,
    /// What was done.
    pub name: Cow<'static, str>,
    /// What it is to its trace.
    pub kind: Kind,
    /// When it began, on the node's monotonic clock in nanoseconds.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Facts, under the names of OpenTelemetry's conventions where they have one.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong; `None`: nothing.
    pub error: Option<Cow<'static, str>>,
}

impl Span {
    /// A step behind `parent` that began now; `random` is its id.
    pub fn behind(
        parent: &TraceContext,
        random: u64,
        name: Cow<'static, str>,
        kind: Kind,
        now_ns: u64,
    ) -> Span {
        Span {
            context: parent.child(random),
            parent: Some(parent.span),
            state: Box::default(),
            name,
            kind,
            start_ns: now_ns,
            end_ns: now_ns,
            attributes: Vec::new(),
            error: None,
        }
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Span {
        self.attributes.push((name, value.into()));
        self
    }
}

/// Who collects steps that are over.
pub trait Spans: Send + Sync {
    /// Takes one; never waits. What there is no room for is lost, and counted.
    fn ended(&self, span: Span);
    /// The node's monotonic clock in nanoseconds, for those who are given no time, or one for much that they do.
    fn now_ns(&self) -> u64;
}
