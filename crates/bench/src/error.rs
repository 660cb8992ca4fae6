//! What can stop a benchmark. Messages that went missing are in the report, not here.

use std::io;

/// Why a benchmark ended without a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The options contradict each other or the protocol; nothing was started.
    #[error("{0}")]
    Usage(String),
    /// No connection: nothing was measured.
    #[error("cannot connect to {server}: {source}")]
    Connect {
        /// The address that was tried.
        server: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server does not speak the protocol, or said `-ERR`.
    #[error("the server said: {0}")]
    Refused(String),
    /// The server closed a connection in the middle of a run.
    #[error("the server closed a connection after {delivered} deliveries{}", said(.reason))]
    Closed {
        /// Messages received until then, by all subscribers.
        delivered: u64,
        /// Its last `-ERR`, if there was one.
        reason: Option<String>,
    },
    /// Nothing moved for `seconds` although messages were outstanding.
    #[error("nothing moved for {seconds} s: {sent} sent, {delivered} of {expected} delivered")]
    Stalled {
        /// How long the benchmark waited.
        seconds: u64,
        /// Messages written.
        sent: u64,
        /// Messages received by all subscribers together.
        delivered: u64,
        /// Messages that they should have received.
        expected: u64,
    },
    /// The process named by `--server-pid` cannot be read.
    #[error("cannot read process {pid}: {source}")]
    Process {
        /// The process id that was given.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for BenchError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}

fn said(reason: &Option<String>) -> String {
    reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default()
}
