//! Durable streams, in the protocol of JetStream: of neuroplex, and of any other server that speaks it.
//!
//! ```no_run
//! use client::jetstream::{Context, ConsumerConfig, Fetch, StreamConfig};
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = client::Client::connect("nats://127.0.0.1:4222").await?;
//! let streams = Context::new(client);
//! let config = StreamConfig { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
//! streams.create_stream(&config).await?;
//! let ack = streams.publish(("orders.new", "tea")).await?;
//! println!("stored as message {} of {}", ack.seq, ack.stream);
//!
//! let orders = streams.stream("ORDERS")?;
//! orders.create_or_update_consumer(&ConsumerConfig::durable("kitchen")).await?;
//! let mut batch = orders.consumer("kitchen")?.fetch(Fetch::new(10)).await?;
//! while let Some(delivery) = batch.next().await? {
//!     println!("{:?}", delivery.message.payload);
//!     delivery.ack().await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A message that [`Context::publish`] has acknowledged is stored. A consumer delivers it until it is acknowledged: *at
//! least once*. [`kv`] keeps the last values of keys in a stream, [`object`] large things in chunks; both exactly in
//! the layout of NATS' own clients. It is *not* a place for consumers that servers push to: every message is pulled.

pub mod api;
mod consumer;
mod context;
mod delivery;
mod fetch;
pub mod kv;
mod message;
mod messages;
mod names;
pub mod object;
mod ordered;
mod pages;
mod publish;
mod refusal;
mod status;
mod stream;
mod window;

use std::time::Duration;

pub use api::{ConsumerConfig, ConsumerInfo, PubAck, Purge, StreamConfig, StreamInfo, Time};
pub use consumer::Consumer;
pub use context::Context;
pub use delivery::{Delivery, Position};
pub use fetch::{Batch, Fetch};
pub use message::Stored;
pub use messages::{Messages, Pull};
pub use ordered::{Ordered, OrderedOptions};
pub use publish::{Pipeline, PublishOptions};
pub use stream::Stream;

/// A duration as the API writes it: nanoseconds, at most as many as it can say (292 years).
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
