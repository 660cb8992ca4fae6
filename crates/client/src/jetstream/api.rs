//! The JSON documents of the JetStream API, with exactly its field names. Durations are nanoseconds; where a limit is
//! meant, 0 and -1 stand for "none". What they mean is decided elsewhere.

mod config;
mod state;
mod time;

pub use config::{
    AckPolicy, ConsumerConfig, ConsumerLimits, DeliverPolicy, Discard, ReplayPolicy, Retention, StorageType,
    StreamConfig,
};
pub use state::{ApiError, ConsumerInfo, Paused, PubAck, Purge, Reached, StreamInfo, StreamState};
pub use time::Time;

pub(crate) use state::{ConsumerPage, Done, NamePage, Page, Purged, Raw, RawAnswer, StreamPage};
