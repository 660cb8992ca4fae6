//! The documents of the JetStream API: those that server, client and command line share. What stands in them is *not*
//! decided here.

pub use wire::jetstream::api::{
    ConsumerInfo, Paused, PubAck, PurgeRequest as Purge, SequenceInfo, StreamInfo, StreamState,
};
pub use wire::jetstream::{
    AckPolicy, ApiError, Compression, ConsumerConfig, ConsumerLimits, DeliverPolicy, Discard, ReplayPolicy,
    Retention, StorageType, StreamConfig, Time,
};
