//! The thread that owns the control plane: it sleeps until something arrives, the journal reports or a timer is due,
//! and gives the plane a turn.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use fabric::{Hub, Plane, PlaneOptions};
use gateway::http::{Figure, Figures};
use kernel::trace::Spans;
use kernel::{Code, NodeId};
use store::{Disk, Identity, Threads};

use crate::clock::Clock;
use crate::error::Error;

/// See the module.
pub(crate) struct Driver {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    stats: Arc<store::Stats>,
    figures: Arc<fabric::Figures>,
    survey: Arc<fabric::Survey>,
}

/// Longest sleep: a lost wake-up would cost no more than that.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// The store's numbers that only grow.
const TOTALS: &[&str] = &[
    "appended_bytes",
    "appended_entries",
    "syncs",
    "sync_ns_sum",
    "settlings",
    "settlings_failed",
    "compactions",
    "damaged_records",
    "quarantines_failed",
    "disk_reads",
];
/// The store's folder within the data folder.
const FOLDER: &str = "store";

impl Driver {
    /// Opens the store in the data folder, lets the plane go on where it ended, and starts the thread.
    pub(crate) fn start(
        data: &Path,
        node: &NodeId,
        hub: Arc<Hub>,
        options: PlaneOptions,
        seed: u64,
        clock: Clock,
        spans: Option<Arc<dyn Spans>>,
    ) -> Result<Driver, Error> {
        let folder = data.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| {
            Error::new(Code::DataFolderUnusable, format!("{} cannot be made: {e}", folder.display()))
        })?;
        let own: Arc<OnceLock<Thread>> = Arc::default();
        let wake = {
            let own = own.clone();
            move || {
                if let Some(thread) = own.get() {
                    thread.unpark();
                }
            }
        };
        let identity = Identity { fabric: String::new(), node: node.clone() };
        let options_of_store = store::Options { seed, ..store::Options::default() };
        let opened =
            Threads::open(Arc::new(Disk::new(&folder)), options_of_store, identity, Arc::new(wake.clone()));
        let (store, recovered) = opened.map_err(|e| Error::new(e.code, e.to_string()))?;
        for damage in &recovered.damage {
            tracing::error!(
                file = damage.file,
                offset = damage.offset,
                what = damage.what,
                "damage in the store"
            );
        }
        let mut plane = Plane::new(hub, options, recovered);
        if let Some(spans) = spans {
            plane.trace_to(spans);
        }
        for what in plane.take_trouble() {
            tracing::error!(what, "what the store holds of it cannot be used");
        }
        plane.inbox().on_arrival(wake);
        let (stop, stats) = (Arc::new(AtomicBool::new(false)), store.stats());
        let (is_over, figures, survey) = (stop.clone(), plane.figures().clone(), plane.survey().clone());
        let run = move || {
            let _ = own.set(thread::current());
            let run = std::panic::AssertUnwindSafe(|| turns(plane, store, clock, &is_over));
            if std::panic::catch_unwind(run).is_err() {
                // A bug of ours. What was acknowledged is in the journal; going on without streams would be a lie.
                eprintln!(
                    "error {} {}: the control plane has failed; the node ends",
                    5001,
                    Code::InternalError
                );
                std::process::exit(Code::InternalError.exit_code().into());
            }
        };
        let thread = thread::Builder::new().name("plane".into()).spawn(run);
        let thread =
            thread.map_err(|e| Error::new(Code::InternalError, format!("no thread for streams: {e}")))?;
        Ok(Driver { thread: Some(thread), stop, stats, figures, survey })
    }

    /// What operators see of streams and their storage.
    pub(crate) fn figures(&self) -> Figures {
        let (figures, stats, survey) = (self.figures.clone(), self.stats.clone(), self.survey.clone());
        Arc::new(move || {
            let streams = figures.all().into_iter().map(|(name, help, value)| {
                let name = format!("neuroplex_stream_{name}").replace("_stream_streams", "_streams");
                Figure::number(name, help, value as f64)
            });
            let store = stats.all().into_iter().map(|(name, value)| {
                let is_total = TOTALS.contains(&name);
                let (name, value) = match name.split_once("_ns") {
                    // Prometheus counts time in seconds.
                    Some((what, end)) => {
                        (format!("{what}_seconds{}", end.trim_end_matches("_sum")), value as f64 / 1e9)
                    }
                    None => (name.to_owned(), value as f64),
                };
                let name = format!("neuroplex_store_{name}{}", if is_total { "_total" } else { "" });
                Figure::number(name, "Of the store: see the guide to operating.", value)
            });
            streams.chain(store).chain(crate::figures::of_streams(&survey.seen())).collect()
        })
    }

    /// Stops: what has arrived is carried out and everything is on the disk when this returns.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn turns(mut plane: Plane, mut store: Threads, clock: Clock, is_over: &AtomicBool) {
    let mut is_told = false;
    loop {
        let is_last = is_over.load(Ordering::Acquire);
        let due = plane.turn(clock.now(), &mut store);
        if let Some((code, why)) = plane.failure().filter(|_| !is_told) {
            is_told = true;
            tracing::error!(%code, why, "streams take nothing more until the node starts again");
        }
        for what in plane.take_trouble() {
            tracing::error!(what, "what the store holds of it cannot be used");
        }
        if is_last {
            break;
        }
        let left = due.map(|at| Duration::from_nanos(at.saturating_sub(clock.now().mono_ns)));
        thread::park_timeout(left.unwrap_or(SLEEP_MAX).min(SLEEP_MAX));
    }
    plane.end(clock.now(), &mut store);
    if let Err(error) = store.close() {
        tracing::error!(%error, "the store could not be closed; the next start takes a little longer");
    }
}
