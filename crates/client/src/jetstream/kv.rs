//! Keys and their values, kept in a stream as NATS' own clients keep them: bucket `b` is the stream `KV_b`, key `k` the
//! subject `$KV.b.k`, a value the last message on it; a deleted key is a message whose header says so.
//!
//! ```no_run
//! use client::jetstream::{Context, kv};
//!
//! # async fn example(streams: &Context) -> Result<(), client::Error> {
//! let config = kv::BucketConfig::new("settings").history(5);
//! let settings = kv::Bucket::create(streams, &config).await?;
//! let revision = settings.put("color", "blue").await?;
//! settings.update("color", "green", revision).await?;
//! if let Some(entry) = settings.get("color").await? {
//!     println!("{:?} since {}", entry.value, entry.created);
//! }
//! # Ok(())
//! # }
//! ```

mod bucket;
mod config;
mod entry;
mod watch;

pub use bucket::Bucket;
pub use config::{BucketConfig, BucketInfo};
pub use entry::{Entry, Operation};
pub use watch::{Watch, WatchOptions};

/// What names of buckets' streams begin with.
pub(crate) const STREAM_PREFIX: &str = "KV_";
