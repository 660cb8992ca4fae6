//! The state behind its lock, and the bells that go with it. The lock is held for moments and never across a wait.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};

use crate::state::State;
use crate::{Error, Options};

/// What all handles and the task hold.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// Rings for the task: there is something to write, or the client is closing.
    pub(crate) wake: Notify,
    /// Rings for publishers: there is room again.
    pub(crate) room: Notify,
    /// Rings for a drain: a subscription's message was taken.
    pub(crate) taken: Notify,
    /// Becomes true when the task has ended.
    pub(crate) ended: watch::Sender<bool>,
    state: Mutex<State>,
    tls: OnceLock<Arc<rustls::ClientConfig>>,
}

impl Shared {
    pub(crate) fn new(options: Options, state: State, tls: OnceLock<Arc<rustls::ClientConfig>>) -> Shared {
        Shared {
            options,
            wake: Notify::new(),
            room: Notify::new(),
            taken: Notify::new(),
            ended: watch::Sender::new(false),
            state: Mutex::new(state),
            tls,
        }
    }

    /// Does something with the state; the task hears of it if there is something new to write.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = state.pending.is_empty();
        let result = f(&mut state);
        let is_new = was_empty && !state.pending.is_empty();
        drop(state);
        if is_new {
            self.wake.notify_one();
        }
        result
    }

    /// Lets the task end once it has written what waits.
    pub(crate) fn close(&self) {
        self.with(|s| s.closing = true);
        self.wake.notify_one();
    }

    /// Returns when the client is closing.
    pub(crate) async fn closing(&self) {
        while !self.with(|s| s.closing) {
            self.wake.notified().await;
        }
    }

    pub(crate) fn tls(&self) -> Result<Arc<rustls::ClientConfig>, Error> {
        tls(&self.tls, &self.options)
    }
}

/// The TLS configuration, made when it is first needed: reading the system's authorities takes milliseconds.
pub(crate) fn tls(
    cell: &OnceLock<Arc<rustls::ClientConfig>>,
    options: &Options,
) -> Result<Arc<rustls::ClientConfig>, Error> {
    if let Some(config) = cell.get() {
        return Ok(config.clone());
    }
    let config = options.tls()?;
    Ok(cell.get_or_init(|| config).clone())
}

/// Held by the client's clones and by its subscriptions: when the last of them goes, the connection ends.
pub(crate) struct Handle(pub(crate) Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}
