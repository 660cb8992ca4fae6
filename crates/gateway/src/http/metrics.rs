//! `GET /metrics` in the text form that Prometheus reads (version 0.0.4), and what a metric is. Who counts what is *not*
//! known here, but for the door's own numbers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use kernel::histogram::Counts;

use super::HttpDoor;
use super::monitor::{Watcher, cpu_seconds, resident_bytes};

/// What becomes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values fell below each of some bounds.
    Histogram,
}

/// A value at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(Counts),
}

/// A value, and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub reading: Reading,
}

/// A metric with all its samples.
#[derive(Clone, Debug)]
pub struct Figure {
    /// As Prometheus has it.
    pub name: String,
    /// What it is.
    pub help: &'static str,
    /// What becomes of it.
    pub kind: Kind,
    /// Its values.
    pub samples: Vec<Sample>,
}

impl Figure {
    /// A single number. One whose name ends with `_total` only grows.
    pub fn number(name: impl Into<String>, help: &'static str, value: f64) -> Figure {
        let name = name.into();
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        Figure { name, help, kind, samples: vec![Sample { labels: vec![], reading: Reading::Number(value) }] }
    }
}

/// Where more figures come from.
pub type Figures = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

pub(super) async fn metrics(_: Watcher, State(door): State<Arc<HttpDoor>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], write(&door.figures()))
}

impl HttpDoor {
    /// Everything that is counted.
    pub fn figures(&self) -> Vec<Figure> {
        let mut all = self.own_figures();
        all.extend(self.answers.figures());
        all.extend(self.rates.figures());
        all.extend(self.figures.iter().flat_map(|more| more()));
        all
    }

    fn own_figures(&self) -> Vec<Figure> {
        let (clients, budget) = (&self.hub.clients, self.hub.budget());
        let stats = clients.stats();
        let now = self.wall_ms.load(Relaxed);
        let up_s = now.saturating_sub(self.identity.started_wall_ms) as f64 / 1000.0;
        let limits = &self.limits;
        let taken = self.connections_max - self.places.available_permits().min(self.connections_max);
        let rows: [(&str, &'static str, f64); 22] = [
            ("neuroplex_uptime_seconds", "Time since the node started.", up_s),
            ("neuroplex_connections", "Clients connected.", clients.len() as f64),
            ("neuroplex_connections_total", "Clients connected since the start.", clients.total() as f64),
            (
                "neuroplex_connections_refused_total",
                "Clients turned away: no room.",
                clients.refused() as f64,
            ),
            (
                "neuroplex_refused_messages_total",
                "Messages without reply subject that a stream could not take.",
                clients.overflowed() as f64,
            ),
            ("neuroplex_slow_consumers_total", "Clients cut: they did not read.", clients.slow() as f64),
            ("neuroplex_subscriptions", "Subscriptions.", self.hub.subscriptions() as f64),
            ("neuroplex_messages_in_total", "Messages from clients.", stats.in_messages as f64),
            ("neuroplex_messages_out_total", "Messages put to clients.", stats.out_messages as f64),
            ("neuroplex_bytes_in_total", "Bytes of messages from clients.", stats.in_bytes as f64),
            ("neuroplex_bytes_out_total", "Bytes of messages put to clients.", stats.out_bytes as f64),
            ("neuroplex_outbox_pending_bytes", "Bytes that wait for clients.", stats.pending_bytes as f64),
            ("neuroplex_outbox_buffer_bytes", "Buffers that outboxes hold.", budget.used_bytes() as f64),
            ("neuroplex_outbox_buffer_bytes_max", "Buffers that they may hold.", budget.limit_bytes() as f64),
            ("neuroplex_http_connections", "Connections of the HTTP door.", taken as f64),
            ("neuroplex_http_connections_max", "Connections that there may be.", self.connections_max as f64),
            (
                "neuroplex_http_requests_total",
                "Requests to the HTTP door.",
                self.requests.load(Relaxed) as f64,
            ),
            (
                "neuroplex_http_bodies_bytes",
                "Bytes of bodies that are being read.",
                limits.bodies_bytes() as f64,
            ),
            (
                "neuroplex_http_bodies_bytes_max",
                "Bytes of bodies that may be read at once.",
                limits.bodies_bytes_max() as f64,
            ),
            ("process_resident_memory_bytes", "Resident memory.", resident_bytes() as f64),
            ("process_cpu_seconds_total", "Processor time.", cpu_seconds()),
            (
                "process_start_time_seconds",
                "When the node started, in seconds since 1970.",
                self.identity.started_wall_ms as f64 / 1000.0,
            ),
        ];
        let node = self.identity.node_id.to_string();
        let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("node", node)];
        let info = Figure {
            name: "neuroplex_build_info".into(),
            help: "The version that runs.",
            kind: Kind::Gauge,
            samples: vec![Sample { labels, reading: Reading::Number(1.0) }],
        };
        let limited = limits.counts().map(|(option, count)| Sample {
            labels: vec![("limit", option.to_string())],
            reading: Reading::Number(count as f64),
        });
        let limited = Figure {
            name: "neuroplex_http_limited_total".into(),
            help: "How often a limit of the HTTP door was met.",
            kind: Kind::Counter,
            samples: limited.collect(),
        };
        let numbers = rows.into_iter().map(|(name, help, value)| Figure::number(name, help, value));
        [info, limited].into_iter().chain(numbers).collect()
    }
}

/// Writes figures as Prometheus reads them.
fn write(figures: &[Figure]) -> String {
    let mut out = String::with_capacity(16 * 1024);
    // Writing into a string does not fail.
    for Figure { name, help, kind, samples } in figures.iter().filter(|figure| !figure.samples.is_empty()) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", help.trim());
        for Sample { labels, reading } in samples {
            match reading {
                Reading::Number(value) => line(&mut out, name, "", labels, None, *value),
                Reading::Histogram(counts) => histogram(&mut out, name, labels, counts),
            }
        }
    }
    out
}

fn histogram(out: &mut String, name: &str, labels: &[(&'static str, String)], counts: &Counts) {
    let mut below = 0;
    let bounds = counts.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&counts.counts) {
        below += count;
        line(out, name, "_bucket", labels, Some(&bound), below as f64);
    }
    line(out, name, "_sum", labels, None, counts.sum);
    line(out, name, "_count", labels, None, below as f64);
}

fn line(
    out: &mut String,
    name: &str,
    end: &str,
    labels: &[(&'static str, String)],
    le: Option<&str>,
    value: f64,
) {
    let _ = write!(out, "{name}{end}");
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(le.map(|le| ("le", le)));
    for (at, (label, value)) in labels.enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
    }
    let close = if out.ends_with('"') { "}" } else { "" };
    let _ = writeln!(out, "{close} {value}");
}

#[cfg(test)]
mod tests {
    use kernel::Histogram;

    use super::*;

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let took = Histogram::default();
        took.add_ns(2_000_000);
        let labels = vec![("path", "/a\"b\\c\nd".to_owned())];
        let text = write(&[
            Figure::number("a_total", " What it is.", 3.0),
            Figure {
                name: "b_seconds".into(),
                help: "Times.",
                kind: Kind::Histogram,
                samples: vec![Sample { labels, reading: Reading::Histogram(took.counts()) }],
            },
        ]);
        assert!(
            text.starts_with("# HELP a_total What it is.\n# TYPE a_total counter\na_total 3\n"),
            "{text}"
        );
        let path = r#"path="/a\"b\\c\nd""#;
        for line in [
            &format!("b_seconds_bucket{{{path},le=\"0.001\"}} 0\n"),
            &format!("b_seconds_bucket{{{path},le=\"0.0025\"}} 1\n"),
            &format!("b_seconds_bucket{{{path},le=\"+Inf\"}} 1\n"),
            &format!("b_seconds_sum{{{path}}} 0.002\n"),
            &format!("b_seconds_count{{{path}}} 1\n"),
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
