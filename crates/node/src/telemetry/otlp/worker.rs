//! The exporter's thread: when what waits is sent, how soon what was not taken is tried again, and what is said about that.
//! Each signal fares for itself, because collectors may take one and not another. How bytes are sent is *not* known here.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use kernel::trace::Span;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::encode::Sender;
use super::send::{Collector, Failure, Refusal, Signal};
use super::{Export, Line};
use crate::telemetry::options::TelemetryOptions;

/// Most steps or lines of one request.
const BATCH_MAX: usize = 512;
/// Longest wait before a collector that was away, or refused, is tried again.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Wait before a collector that does not know a signal is given it again.
const UNKNOWN_WAIT: Duration = Duration::from_secs(600);
/// Before what may be taken after all is sent once more.
const PAUSE: Duration = Duration::from_millis(100);

/// What the thread owns.
pub(super) struct Worker {
    export: Arc<Export>,
    sender: Sender,
    collector: Collector,
    spans: mpsc::Receiver<Span>,
    lines: mpsc::Receiver<Line>,
    lanes: Vec<Lane>,
    /// The signal at which it was told that the collector is away.
    away: Option<Signal>,
    /// Gone with it: whoever waits for the end hears of it.
    _end: std_mpsc::Sender<()>,
}

/// How one signal fares.
struct Lane {
    signal: Signal,
    interval: Duration,
    due: Instant,
    /// Requests in a row that failed.
    failures: u32,
    /// How the last one failed, if it did.
    refusal: Option<Refusal>,
    /// Whether it was told that the collector refuses it.
    is_told: bool,
}

impl Lane {
    fn new(signal: Signal, interval: Duration, first: Duration) -> Lane {
        let due = Instant::now() + first;
        Lane { signal, interval, due, failures: 0, refusal: None, is_told: false }
    }

    /// How long until it is sent again: longer, the longer it has not been taken.
    fn wait(&self) -> Duration {
        match self.refusal == Some(Refusal::Unknown) {
            true => UNKNOWN_WAIT.max(self.interval),
            false => (self.interval * 2u32.pow(self.failures.min(10))).min(WAIT_MAX.max(self.interval)),
        }
    }
}

impl Worker {
    pub(super) fn new(
        export: Arc<Export>,
        sender: Sender,
        collector: Collector,
        (spans, lines, end): (mpsc::Receiver<Span>, mpsc::Receiver<Line>, std_mpsc::Sender<()>),
        options: &TelemetryOptions,
    ) -> Worker {
        let interval = Duration::from_millis(options.otlp_interval_ms);
        let metrics = Duration::from_millis(options.otlp_metrics_interval_ms);
        let mut lanes = vec![Lane::new(Signal::Traces, interval, interval)];
        if options.otlp_logs {
            lanes.push(Lane::new(Signal::Logs, interval, interval));
        }
        if !metrics.is_zero() {
            lanes.push(Lane::new(Signal::Metrics, metrics, metrics.min(interval)));
        }
        Worker { export, sender, collector, spans, lines, lanes, away: None, _end: end }
    }

    /// How many lines wait.
    #[cfg(test)]
    pub(super) fn lines_waiting(&self) -> usize {
        self.lines.len()
    }

    /// Sends what waits until the node ends.
    pub(super) async fn run(mut self) {
        let export = self.export.clone();
        loop {
            let due = self.lanes.iter().map(|lane| lane.due).min();
            let is_woken = tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)) => false,
                () = export.wake.notified() => true,
            };
            let (is_last, now) = (export.is_over.load(Relaxed), Instant::now());
            let lanes = std::mem::take(&mut self.lanes);
            for mut lane in lanes {
                // What wakes it early is a queue of steps that is half full.
                let is_full = is_woken && lane.signal == Signal::Traces && lane.failures == 0;
                if lane.due <= now || is_full || is_last && lane.refusal != Some(Refusal::Unknown) {
                    self.send_all(&mut lane).await;
                    lane.due = Instant::now() + lane.wait();
                }
                self.lanes.push(lane);
            }
            if is_last {
                return;
            }
        }
    }

    /// Sends all of a signal that waits now, as long as it is taken. What comes meanwhile is for the next time, or one
    /// signal could keep the others waiting for ever.
    async fn send_all(&mut self, lane: &mut Lane) {
        let mut is_taken = true;
        match lane.signal {
            Signal::Traces => {
                let mut left = self.spans.len();
                while is_taken && left > 0 {
                    let mut spans = Vec::new();
                    let count = self.spans.recv_many(&mut spans, BATCH_MAX.min(left)).await;
                    left -= count;
                    let body = self.sender.traces(spans);
                    is_taken = self.send(lane, body, count).await;
                }
            }
            Signal::Logs => {
                let mut left = self.lines.len();
                while is_taken && left > 0 {
                    let mut lines = Vec::new();
                    let count = self.lines.recv_many(&mut lines, BATCH_MAX.min(left)).await;
                    left -= count;
                    let body = self.sender.logs(lines);
                    is_taken = self.send(lane, body, count).await;
                }
            }
            Signal::Metrics => {
                let Some(figures) = self.export.figures.get() else { return };
                let figures = figures();
                let count = figures.len();
                let body = self.sender.metrics(figures);
                self.send(lane, body, count).await;
            }
        }
    }

    /// Sends one request, twice where that may help. False: it was not taken; what was sent is lost and counted.
    async fn send(&mut self, lane: &mut Lane, body: Vec<u8>, count: usize) -> bool {
        let signal = lane.signal;
        let mut done = self.collector.send(signal, body.clone()).await;
        // Where nobody answers, the next signal need not find it out again.
        let is_first = lane.failures == 0 && self.away.is_none();
        if is_first && matches!(&done, Err(failure) if failure.refusal.is_passing()) {
            sleep(PAUSE).await;
            done = self.collector.send(signal, body).await;
        }
        let counters = &self.export.counters;
        match done {
            Ok(()) => {
                self.export.count(&counters.sent, signal, count);
                self.taken(lane);
                true
            }
            Err(failure) => {
                self.export.count(&counters.dropped, signal, count);
                counters.failures.fetch_add(1, Relaxed);
                self.refused(lane, &failure);
                false
            }
        }
    }

    fn taken(&mut self, lane: &mut Lane) {
        let is_back = self.heard(lane) || lane.is_told;
        (lane.failures, lane.refusal, lane.is_told) = (0, None, false);
        if is_back {
            let signal = lane.signal.as_str();
            tracing::info!(signal, "the collector takes telemetry again");
        }
    }

    /// The collector has answered. True: it was told that it is away, and with this it no longer is.
    fn heard(&mut self, lane: &Lane) -> bool {
        let was_away = self.away == Some(lane.signal) || lane.refusal == Some(Refusal::Unanswered);
        was_away && self.away.take().is_some()
    }

    fn refused(&mut self, lane: &mut Lane, failure: &Failure) {
        let is_news = match failure.refusal {
            // That it is away is told once for all signals.
            Refusal::Unanswered => self.away.replace(self.away.unwrap_or(lane.signal)).is_none(),
            refusal => {
                self.heard(lane);
                // What it does not know it may have refused for another reason before.
                let is_worse = refusal == Refusal::Unknown && lane.refusal != Some(Refusal::Unknown);
                !std::mem::replace(&mut lane.is_told, true) || is_worse
            }
        };
        lane.failures = lane.failures.saturating_add(1);
        lane.refusal = Some(failure.refusal);
        if !is_news {
            return;
        }
        let (endpoint, why, signal) = (self.collector.host(), &*failure.why, lane.signal.as_str());
        match failure.refusal {
            Refusal::Unknown => tracing::warn!(
                endpoint,
                signal,
                why,
                "the collector does not know this signal; it is counted and dropped, and tried every 10 minutes"
            ),
            _ => tracing::warn!(
                endpoint,
                signal,
                why,
                "the collector takes no telemetry; it is counted and dropped"
            ),
        }
    }
}
