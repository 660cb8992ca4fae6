//! What a report says of durable streams beside the figures that every mode has.

use crate::{Mode, Options};
use serde::Serialize;
use std::fmt;

/// Durable streams of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Durable {
    /// How many there were.
    pub streams: usize,
    /// Publishes that waited for their acknowledgement at the same time.
    pub in_flight: usize,
    /// Messages that a pull request asked for.
    pub batch: usize,
    /// The level of acknowledgement that was asked for.
    pub ack: Option<String>,
    /// How often the stream was read in the measured window.
    pub passes: u64,
    /// Resident bytes of the server before the streams were made.
    pub rss_before: Option<u64>,
    /// Resident bytes of the server with all streams, empty.
    pub rss_after: Option<u64>,
    /// The difference by stream.
    pub bytes_each: Option<f64>,
}

impl Durable {
    pub(crate) fn of(options: &Options) -> Self {
        let Options { streams, in_flight, batch, ack, .. } = options.clone();
        Self { streams, in_flight, batch, ack, ..Self::default() }
    }
}

impl Durable {
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, mode: Mode) -> fmt::Result {
        write!(f, "  streams     {}", self.streams)?;
        match mode {
            Mode::PublishAck => write!(f, ", {} in flight", self.in_flight)?,
            Mode::ReplayPull | Mode::PullConsume => write!(f, ", batches of {}", self.batch)?,
            _ => {}
        }
        if let Some(ack) = &self.ack {
            write!(f, ", acknowledged by {ack}")?;
        }
        if let (Some(before), Some(after), Some(each)) = (self.rss_before, self.rss_after, self.bytes_each) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            write!(f, "\n  memory      {:.1} MiB before, {:.1} MiB after", mib(before), mib(after))?;
            write!(f, ": {:.2} KiB a stream", each / 1024.0)?;
        }
        writeln!(f)
    }
}
