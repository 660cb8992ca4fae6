//! The JSON documents of the JetStream API, field by field as its clients write and read them. They carry what was
//! said; what it means and whether it is allowed is decided by whoever owns the stream.

pub mod config;
pub mod time;

pub use config::{
    AckPolicy, ConsumerConfig, ConsumerLimits, DeliverPolicy, Discard, ReplayPolicy, Retention, StorageType,
    StreamConfig,
};
pub use time::Time;
