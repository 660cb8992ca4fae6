//! Sends steps, log lines and metrics to an OTLP collector, from a thread of its own. Queues are bounded, and whoever fills
//! them never waits: what there is no room for is dropped and counted. A collector that is away costs a warning and a
//! counter.

mod encode;
mod form;
mod send;
#[cfg(test)]
mod tests;
mod worker;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway::http::metrics::{Kind as FigureKind, Reading, Sample};
use gateway::http::{Figure, Figures};
use hyper::header::{HeaderName, HeaderValue};
use kernel::trace::{Span, Spans, TraceContext};
use net::tls::{Trust, client};
use tokio::sync::{Notify, mpsc};

use super::options::{Protocol, TelemetryOptions};
use crate::error::Error;
use encode::Sender;
use send::{Collector, Signal};
use worker::Worker;

thread_local! {
    /// Whether this is the exporter's own thread.
    static IS_EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// The node's clock, and what time it showed on the wall when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) node: crate::clock::Clock,
    zero_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let node = crate::clock::Clock::start();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { node, zero_ns: (wall.as_nanos() as u64).saturating_sub(node.now().mono_ns) }
    }

    fn now_ns(&self) -> u64 {
        self.node.now().mono_ns
    }

    /// Nanoseconds since 1970.
    pub(crate) fn wall_ns(&self, mono_ns: u64) -> u64 {
        self.zero_ns + mono_ns
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) wall_ns: u64,
    pub(crate) level: &'static str,
    pub(crate) target: String,
    pub(crate) message: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) context: Option<TraceContext>,
    pub(crate) correlation: String,
}

/// Numbers of what was sent and lost, by signal: traces, logs, metrics.
#[derive(Debug, Default)]
struct Counters {
    sent: [AtomicU64; 3],
    dropped: [AtomicU64; 3],
    failures: AtomicU64,
}

/// See the module. What it is given is sent as long as its thread lives.
pub(crate) struct Export {
    clock: Clock,
    spans: mpsc::Sender<Span>,
    lines: Option<mpsc::Sender<Line>>,
    counters: Counters,
    figures: OnceLock<Figures>,
    /// Wakes the thread: half a queue is full, or it is to end.
    wake: Notify,
    is_over: AtomicBool,
    ended: Mutex<std_mpsc::Receiver<()>>,
    flush: Duration,
}

impl Spans for Export {
    fn ended(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.count(&self.counters.dropped, Signal::Traces, 1);
        } else if self.spans.capacity() * 2 < self.spans.max_capacity() {
            self.wake.notify_one();
        }
    }

    fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }
}

impl Export {
    /// Starts the thread. `None`: nothing is to be sent. Errors with a sentence when the collector's certificates cannot be
    /// read, or a header is none.
    pub(crate) fn start(
        options: &TelemetryOptions,
        node: &str,
        clock: Clock,
    ) -> Result<Option<Arc<Export>>, Error> {
        let Some((export, worker)) = Export::prepare(options, node, clock)? else { return Ok(None) };
        let run = move || {
            IS_EXPORTING.set(true);
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(worker.run());
            }
        };
        let thread = thread::Builder::new().name("telemetry".into()).spawn(run);
        thread
            .map_err(|e| Error::new(kernel::Code::InternalError, format!("no thread for telemetry: {e}")))?;
        Ok(Some(export))
    }

    /// What takes telemetry, and what sends it.
    fn prepare(
        options: &TelemetryOptions,
        node: &str,
        clock: Clock,
    ) -> Result<Option<(Arc<Export>, Worker)>, Error> {
        let Some(collector) = collector(options)? else { return Ok(None) };
        let (spans, spans_out) = mpsc::channel(options.otlp_queue_max);
        let (lines, lines_out) = mpsc::channel(options.otlp_queue_max);
        let (end, ended) = std_mpsc::channel();
        let export = Arc::new(Export {
            clock,
            spans,
            lines: options.otlp_logs.then_some(lines),
            counters: Counters::default(),
            figures: OnceLock::new(),
            wake: Notify::new(),
            is_over: AtomicBool::new(false),
            ended: Mutex::new(ended),
            flush: Duration::from_millis(options.otlp_flush_ms),
        });
        let resource = TelemetryOptions::pairs(&options.resource);
        let sender = Sender::new(&options.service_name, node, &resource, clock);
        let worker = Worker::new(export.clone(), sender, collector, (spans_out, lines_out, end), options);
        Ok(Some((export, worker)))
    }

    /// Whether a line that is logged here and now is to be sent. What is logged while sending is not: it would cause the
    /// next line.
    pub(crate) fn is_to_be_sent() -> bool {
        !IS_EXPORTING.get()
    }

    /// Takes a line of the log.
    pub(crate) fn log(&self, line: Line) {
        if let Some(lines) = &self.lines
            && lines.try_send(line).is_err()
        {
            self.count(&self.counters.dropped, Signal::Logs, 1);
        }
    }

    /// Where metrics come from. Only the first call counts.
    pub(crate) fn metrics_from(&self, figures: Figures) {
        let _ = self.figures.set(figures);
    }

    /// Sends what waits, for as long as the configuration says, and ends.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Relaxed);
        self.wake.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(self.flush);
    }

    fn count(&self, counters: &[AtomicU64; 3], signal: Signal, count: usize) {
        if let Some(counter) = counters.get(signal as usize) {
            counter.fetch_add(count as u64, Relaxed);
        }
    }

    /// What operators see of it.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let by_signal = |name: &str, help, counters: &[AtomicU64; 3]| Figure {
            name: name.into(),
            help,
            kind: FigureKind::Counter,
            samples: Signal::ALL
                .into_iter()
                .zip(counters)
                .map(|(signal, count)| Sample {
                    labels: vec![("signal", signal.as_str().to_owned())],
                    reading: Reading::Number(count.load(Relaxed) as f64),
                })
                .collect(),
        };
        let Counters { sent, dropped, failures } = &self.counters;
        let failures = failures.load(Relaxed) as f64;
        vec![
            by_signal(
                "neuroplex_telemetry_sent_total",
                "Steps, log lines and metrics that a collector took.",
                sent,
            ),
            by_signal(
                "neuroplex_telemetry_dropped_total",
                "Steps, log lines and metrics that were lost: no room, or no collector.",
                dropped,
            ),
            Figure::number(
                "neuroplex_telemetry_failures_total",
                "Requests that the collector did not answer well.",
                failures,
            ),
        ]
    }
}

/// The collector of a configuration; `None`: there is none.
fn collector(options: &TelemetryOptions) -> Result<Option<Collector>, Error> {
    let Some(endpoint) = options.endpoint() else { return Ok(None) };
    let trust = match options.otlp_ca_file.as_os_str().is_empty() {
        true => Trust::System,
        false => Trust::File(&options.otlp_ca_file),
    };
    let tls = match endpoint.scheme_str() {
        Some("https") => {
            let mut tls = client(trust, None).map_err(|e| Error::new(e.code(), e.to_string()))?;
            if options.otlp_protocol == Protocol::Grpc {
                Arc::make_mut(&mut tls).alpn_protocols = vec![b"h2".to_vec()];
            }
            Some(tls)
        }
        _ => None,
    };
    let headers = TelemetryOptions::pairs(&options.otlp_headers).into_iter().map(|(name, value)| {
        let wrong = || Error::config(format!("telemetry.otlp_headers: {name:?} cannot be a header"));
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok((name.parse::<HeaderName>().map_err(|_| wrong())?, value))
    });
    let headers = headers.collect::<Result<_, Error>>()?;
    let timeout = Duration::from_millis(options.otlp_timeout_ms);
    Ok(Some(Collector::new(endpoint, options.otlp_protocol, headers, timeout, tls)))
}
