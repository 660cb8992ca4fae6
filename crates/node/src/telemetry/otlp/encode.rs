//! From steps, log lines and figures to OTLP's messages. How they are sent is *not* known here.

use gateway::http::Figure;
use gateway::http::metrics::{Kind as FigureKind, Reading, Sample};
use kernel::trace::{Kind, Span, Value};
use prost::Message as _;

use super::form::{self, Any, AnyValue, Data, KeyValue};
use super::{Clock, Line};

/// Since the start, not since the last time.
const CUMULATIVE: i32 = 2;
const ERROR: i32 = 2;

/// What every request says of whoever sends it.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    resource: form::Resource,
    scope: form::Scope,
    clock: Clock,
    started_ns: u64,
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Any::Text(value.into())) }) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => Any::Text(text.into_owned()),
        Value::Number(number) => Any::Whole(number),
        Value::Flag(flag) => Any::Flag(flag),
    };
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }) }
}

impl Sender {
    pub(super) fn new(service: &str, node: &str, more: &[(String, String)], clock: Clock) -> Sender {
        let version = env!("CARGO_PKG_VERSION");
        let mut attributes = vec![
            text("service.name", service),
            text("service.version", version),
            text("service.instance.id", node),
        ];
        attributes.extend(more.iter().map(|(key, value)| text(key, value)));
        let scope = form::Scope { name: "neuroplex".into(), version: version.into() };
        Sender {
            resource: form::Resource { attributes },
            scope,
            started_ns: clock.wall_ns(clock.now_ns()),
            clock,
        }
    }

    pub(super) fn traces(&self, spans: Vec<Span>) -> Vec<u8> {
        let spans = spans.into_iter().map(|span| self.span(span)).collect();
        let scopes = vec![form::ScopeSpans { scope: Some(self.scope.clone()), spans }];
        let resource = Some(self.resource.clone());
        form::Traces { resources: vec![form::ResourceSpans { resource, scopes }] }.encode_to_vec()
    }

    fn span(&self, span: Span) -> form::Span {
        let kind = match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Producer => 4,
        };
        form::Span {
            trace_id: span.context.trace.to_bytes().to_vec(),
            span_id: span.context.span.to_bytes().to_vec(),
            trace_state: span.state.into(),
            parent_span_id: span.parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
            name: span.name.into_owned(),
            kind,
            start_time_unix_nano: self.clock.wall_ns(span.start_ns),
            end_time_unix_nano: self.clock.wall_ns(span.end_ns),
            attributes: span.attributes.into_iter().map(|(key, value)| pair(key, value)).collect(),
            status: span.error.map(|why| form::Status { message: why.into_owned(), code: ERROR }),
            flags: u32::from(span.context.is_sampled),
        }
    }

    pub(super) fn logs(&self, lines: Vec<Line>) -> Vec<u8> {
        let records = lines.into_iter().map(|line| self.record(line)).collect();
        let scopes = vec![form::ScopeLogs { scope: Some(self.scope.clone()), records }];
        let resource = Some(self.resource.clone());
        form::Logs { resources: vec![form::ResourceLogs { resource, scopes }] }.encode_to_vec()
    }

    fn record(&self, line: Line) -> form::LogRecord {
        let severity_number = match line.level {
            "TRACE" => 1,
            "DEBUG" => 5,
            "INFO" => 9,
            "WARN" => 13,
            _ => 17,
        };
        let mut attributes: Vec<KeyValue> = line.fields.iter().map(|(key, value)| text(key, value)).collect();
        attributes.push(text("code.namespace", line.target));
        if !line.correlation.is_empty() {
            attributes.push(text("correlation_id", line.correlation));
        }
        let context = line.context;
        form::LogRecord {
            time_unix_nano: line.wall_ns,
            observed_time_unix_nano: line.wall_ns,
            severity_number,
            severity_text: line.level.into(),
            body: Some(AnyValue { value: Some(Any::Text(line.message)) }),
            attributes,
            flags: context.map_or(0, |c| c.is_sampled.into()),
            trace_id: context.map(|c| c.trace.to_bytes().to_vec()).unwrap_or_default(),
            span_id: context.map(|c| c.span.to_bytes().to_vec()).unwrap_or_default(),
        }
    }

    pub(super) fn metrics(&self, figures: Vec<Figure>) -> Vec<u8> {
        let now = self.clock.wall_ns(self.clock.now_ns());
        let metrics = figures.into_iter().map(|figure| self.metric(figure, now)).collect();
        let scopes = vec![form::ScopeMetrics { scope: Some(self.scope.clone()), metrics }];
        let resource = Some(self.resource.clone());
        form::Metrics { resources: vec![form::ResourceMetrics { resource, scopes }] }.encode_to_vec()
    }

    fn metric(&self, figure: Figure, now: u64) -> form::Metric {
        let start = self.started_ns;
        let unit = ["seconds", "bytes"]
            .into_iter()
            .find(|unit| figure.name.trim_end_matches("_total").ends_with(unit));
        let unit = match unit {
            Some("seconds") => "s",
            Some(_) => "By",
            None => "1",
        };
        let (mut points, mut histograms) = (Vec::new(), Vec::new());
        for Sample { labels, reading } in figure.samples {
            let attributes: Vec<KeyValue> = labels.into_iter().map(|(key, value)| text(key, value)).collect();
            match reading {
                Reading::Number(value) => points.push(form::Point {
                    start_time_unix_nano: start,
                    time_unix_nano: now,
                    value: Some(value),
                    attributes,
                }),
                Reading::Histogram(counts) => histograms.push(form::HistogramPoint {
                    start_time_unix_nano: start,
                    time_unix_nano: now,
                    count: counts.total(),
                    sum: Some(counts.sum),
                    bucket_counts: counts.counts,
                    explicit_bounds: counts.bounds.to_vec(),
                    attributes,
                }),
            }
        }
        let data = match figure.kind {
            FigureKind::Gauge => Data::Gauge(form::Gauge { points }),
            FigureKind::Counter => {
                Data::Sum(form::Sum { points, temporality: CUMULATIVE, is_monotonic: true })
            }
            FigureKind::Histogram => {
                Data::Histogram(form::Histogram { points: histograms, temporality: CUMULATIVE })
            }
        };
        form::Metric {
            name: figure.name,
            description: figure.help.trim().into(),
            unit: unit.into(),
            data: Some(data),
        }
    }
}
