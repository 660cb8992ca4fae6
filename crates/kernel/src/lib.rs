//! Messages, subjects, ids, time, error codes, limits and the ports.
//!
//! The floor that everything stands on. It is *not* a place for logic that only one crate needs: no routing,
//! no byte forms of protocols, no IO, no clock, no randomness.

pub mod code;
pub mod envelope;
pub mod headers;
pub mod histogram;
pub mod id;
pub mod journal;
pub mod limits;
pub mod msg;
pub mod port;
pub mod producer;
pub mod subject;
pub mod time;
pub mod trace;

pub use code::{Code, Retry};
pub use envelope::{Delivery, Envelope, Guarantee, Kind, Priority, RetryPolicy};
pub use headers::{Header, Headers};
pub use histogram::Histogram;
pub use id::{ConnectionId, MessageId, NodeId, SubId, TenantId};
pub use journal::{Entry, Journal, LogId, Position, Record};
pub use msg::{Message, Msg};
pub use port::{Client, ClientInfo, ClientStats, Drain, Full, Keeps, Listener, Put, Spare};
pub use producer::{Producer, Waiting};
pub use subject::{Subject, SubjectPattern};
pub use time::Now;
