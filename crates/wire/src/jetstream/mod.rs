//! The byte forms of JetStream's API as nats-server 2.15 has them: documents, request subjects, acknowledgements and
//! headers. They carry what was said; what it means and whether it is allowed is decided by whoever owns the stream.

pub mod ack;
pub mod advisory;
pub mod api;
pub mod config;
pub mod document;
pub mod duration;
pub mod error;
pub mod name;
pub mod pub_headers;
pub mod pull;
pub mod status;
pub mod subject;
pub mod time;

pub use ack::{Ack, Delivery, FlowReply};
pub use advisory::{Advisory, Event};
pub use api::Answer;
pub use config::{
    AckPolicy, Compression, ConsumerConfig, ConsumerLimits, DeliverPolicy, Discard, ExternalStream,
    PersistMode, Placement, PriorityPolicy, ReplayPolicy, Republish, Retention, SourceConsumer, StorageType,
    StreamConfig, StreamSource, SubjectTransform,
};
pub use document::{Document, read, read_optional, write};
pub use error::{ApiError, Fault};
pub use name::{ConsumerName, StreamName};
pub use pub_headers::{Delay, KvOperation, Producer, PublishHeaders, Rollup, Ttl};
pub use pull::PullRequest;
pub use status::{Origin, Status};
pub use subject::{Call, Refusal};
pub use time::Time;
