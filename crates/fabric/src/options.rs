//! Configuration of the control plane. Every field has its unit in its name, a default and bounds.

use serde::{Deserialize, Serialize};

/// The section `streams`: what durable streams may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsOptions {
    /// Most streams of one tenant. 1 to 10000000.
    pub streams_max: usize,
    /// Most consumers of one stream. 1 to 1000000.
    pub consumers_max: usize,
}

impl Default for StreamsOptions {
    fn default() -> StreamsOptions {
        StreamsOptions { streams_max: 1_000_000, consumers_max: 100_000 }
    }
}

impl StreamsOptions {
    /// Checks the bounds; the error names the key.
    pub fn check(&self) -> Result<(), String> {
        for (key, value, most) in
            [("streams_max", self.streams_max, 10_000_000), ("consumers_max", self.consumers_max, 1_000_000)]
        {
            if !(1..=most).contains(&value) {
                return Err(format!("streams.{key} = {value} is out of bounds: 1 to {most}"));
            }
        }
        Ok(())
    }
}
