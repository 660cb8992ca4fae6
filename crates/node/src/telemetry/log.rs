//! How log lines look and where they go: readable or JSON, on standard error or in a file of each day; and the layer that
//! gives them to the exporter. A JSON line is one object: time, level, target, message, node, the ids of the request
//! that it belongs to, then the line's own fields.

use std::fmt;
use std::sync::{Arc, OnceLock};

use gateway::http::trace::{Carried, current};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::otlp::{Export, Line};

/// The node's name, once it is known.
pub(crate) type Name = Arc<OnceLock<String>>;

/// What a line says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.put(field, value.into()),
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.record_str(field, &text);
    }
}

fn said(event: &Event<'_>) -> Said {
    let mut said = Said::default();
    event.record(&mut said);
    said
}

/// One JSON object a line.
pub(crate) struct Json(pub(crate) Name);

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let Said { message, fields } = said(event);
        let mut line = Map::new();
        let mut put = |name: &str, value: String| line.insert(name.into(), value.into());
        put("time", format!("{:.6}", Timestamp::now()));
        put("level", metadata.level().as_str().into());
        put("target", metadata.target().into());
        put("message", message);
        if let Some(node) = self.0.get() {
            put("node", node.clone());
        }
        let ids = current(Carried::clone).unwrap_or_default();
        if !ids.correlation.is_empty() {
            put("correlation_id", ids.correlation.into());
        }
        if let Some(context) = ids.context {
            put("trace_id", context.trace.to_string());
            put("span_id", context.span.to_string());
        }
        // What every line has keeps its meaning.
        for (name, value) in fields {
            line.entry(name).or_insert(value);
        }
        writeln!(out, "{}", Value::Object(line))
    }
}

/// Gives lines to the exporter.
pub(crate) struct Exported(pub(crate) Arc<Export>);

impl<S: Subscriber> Layer<S> for Exported {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !Export::is_to_be_sent() {
            return;
        }
        let metadata = event.metadata();
        let Said { message, fields } = said(event);
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
        let ids = current(Carried::clone).unwrap_or_default();
        self.0.log(Line {
            wall_ns: u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0),
            level: metadata.level().as_str(),
            target: metadata.target().to_owned(),
            message,
            fields: fields.into_iter().map(|(name, value)| (name, text(value))).collect(),
            context: ids.context,
            correlation: ids.correlation.into(),
        });
    }
}
