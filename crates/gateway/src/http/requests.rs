//! How many requests came, and how long their answers took, by method, route and status. Routes are templates, so there
//! are only so many; it does *not* know raw paths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use kernel::Histogram;

use super::metrics::{Figure, Kind, Reading, Sample};

/// Most rows that are kept: what comes beyond is counted under another route.
const ROWS_MAX: usize = 2048;
/// The route under which the rest is counted.
const REST: &str = "other";

/// A method and a route.
type Way = (&'static str, Arc<str>);

/// What is known of one way.
#[derive(Default)]
struct Row {
    took: Histogram,
    by_status: RwLock<HashMap<u16, Arc<AtomicU64>>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Requests(RwLock<HashMap<Way, Arc<Row>>>);

impl Requests {
    /// Counts one that was answered. `took`: until the head of the answer was ready.
    pub(super) fn count(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let row = self.row(method, route);
        row.took.add_ns(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let status = status.as_u16();
        let known = row.by_status.read().unwrap_or_else(PoisonError::into_inner).get(&status).cloned();
        let counter = known.unwrap_or_else(|| {
            row.by_status.write().unwrap_or_else(PoisonError::into_inner).entry(status).or_default().clone()
        });
        counter.fetch_add(1, Relaxed);
    }

    fn row(&self, method: &'static str, route: &str) -> Arc<Row> {
        let way: Way = (method, route.into());
        if let Some(row) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&way) {
            return row.clone();
        }
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let way = if rows.len() < ROWS_MAX { way } else { (method, REST.into()) };
        rows.entry(way).or_default().clone()
    }

    /// What operators see of it.
    pub(super) fn figures(&self) -> [Figure; 2] {
        let rows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by(|a, b| a.0.cmp(b.0));
        let (mut counts, mut times) = (Vec::new(), Vec::new());
        for ((method, path), row) in rows {
            let labels = vec![("method", (*method).to_owned()), ("path", path.to_string())];
            times.push(Sample { labels: labels.clone(), reading: Reading::Histogram(row.took.counts()) });
            let by_status = row.by_status.read().unwrap_or_else(PoisonError::into_inner);
            let mut by_status: Vec<_> = by_status.iter().map(|(s, n)| (*s, n.load(Relaxed))).collect();
            by_status.sort_unstable();
            for (status, count) in by_status {
                let mut labels = labels.clone();
                labels.push(("status", status.to_string()));
                counts.push(Sample { labels, reading: Reading::Number(count as f64) });
            }
        }
        let figure = |name: &str, help, kind, samples| Figure { name: name.into(), help, kind, samples };
        [
            figure("http_requests_total", "HTTP requests that were answered.", Kind::Counter, counts),
            figure(
                "http_request_duration_seconds",
                "Time from a request's head to the head of its answer.",
                Kind::Histogram,
                times,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_route_and_status_and_rows_are_bounded() {
        let requests = Requests::default();
        for status in [StatusCode::OK, StatusCode::OK, StatusCode::NOT_FOUND] {
            requests.count("GET", "/v1/streams/{stream}", status, Duration::from_millis(1));
        }
        let [counts, times] = requests.figures();
        assert_eq!((counts.samples.len(), times.samples.len()), (2, 1));
        assert_eq!(counts.samples[0].reading, Reading::Number(2.0));
        for n in 0..2 * ROWS_MAX {
            requests.count("GET", &format!("/{n}"), StatusCode::OK, Duration::ZERO);
        }
        assert!(requests.figures()[1].samples.len() <= ROWS_MAX + 1);
    }
}
