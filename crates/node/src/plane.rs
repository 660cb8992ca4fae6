//! The thread that owns the control plane: it sleeps until something arrives, the journal reports or a timer is due,
//! and gives the plane a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fabric::{Inbox, Plane};
use kernel::Code;

use crate::clock::Clock;
use crate::error::Error;

/// See the module.
pub(crate) struct Driver {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Longest sleep: a lost wake-up would cost no more than that.
const SLEEP_MAX: Duration = Duration::from_millis(500);

impl Driver {
    /// Starts the thread. `open` makes the journal in it, with what wakes the thread.
    pub(crate) fn start(mut plane: Plane, mut store: store::Shell, clock: Clock) -> Result<Driver, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let (inbox, is_over): (Arc<Inbox>, _) = (plane.inbox().clone(), stop.clone());
        let run = move || {
            let own = thread::current();
            let wake = own.clone();
            inbox.on_arrival(move || own.unpark());
            store.on_event(Arc::new(move || wake.unpark()));
            let mut told = false;
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                let due = plane.turn(clock.now(), &mut store);
                if let Some((code, why)) = plane.failure().filter(|_| !std::mem::replace(&mut told, true)) {
                    tracing::error!(%code, why, "streams take nothing more until the node starts again");
                }
                if is_last {
                    break;
                }
                let left = due.map(|at| Duration::from_nanos(at.saturating_sub(clock.now().mono_ns)));
                thread::park_timeout(left.unwrap_or(SLEEP_MAX).min(SLEEP_MAX));
            }
            if let Err(error) = store.close() {
                tracing::error!(%error, "the store could not be closed; the next start takes a little longer");
            }
        };
        let thread = thread::Builder::new().name("plane".into()).spawn(run);
        let thread = thread.map_err(|e| Error::new(Code::InternalError, format!("no thread for streams: {e}")))?;
        Ok(Driver { thread: Some(thread), stop })
    }

    /// Stops: what has arrived is carried out and everything is on the disk when this returns.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
