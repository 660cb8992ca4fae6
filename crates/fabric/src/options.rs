//! Configuration of the control plane. Every field has its unit in its name, a default and bounds; how a
//! key is added stands in the doors' `options.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `streams`: what durable streams may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsOptions {
    /// Most streams of one tenant.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub streams_max: usize,
    /// Most consumers of one stream.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub consumers_max: usize,
    /// How long a stream without consumers that nobody uses stays in memory at least, in milliseconds; it leaves after twice
    /// as long at the latest, and comes back when it is used. 0: for ever.
    #[schemars(extend("anyOf" = [{"const": 0}, {"minimum": 1000, "maximum": 86_400_000}]))]
    pub idle_ms: u64,
}

impl Default for StreamsOptions {
    fn default() -> StreamsOptions {
        StreamsOptions { streams_max: 1_000_000, consumers_max: 100_000, idle_ms: 600_000 }
    }
}
