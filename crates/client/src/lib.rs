//! The Rust client of neuroplex, and of any server of the NATS protocol: connect, publish, subscribe, request;
//! durable streams, keys and objects in [`jetstream`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = client::Client::connect("nats://127.0.0.1:4222").await?;
//! let mut tasks = client.subscribe("tasks.>", Some("workers"))?;
//! client.publish(("tasks.plan", r#"{"goal":"tea"}"#)).await?;
//! if let Some(task) = tasks.next().await {
//!     println!("{} bytes on {:?}", task.payload.len(), task.subject);
//! }
//! let answer = client.request(("sum", "1 2"), Duration::from_secs(2)).await?;
//! println!("{:?}", answer.payload);
//! client.drain().await
//! # }
//! ```
//!
//! One task owns the connection. Publishers write into one shared buffer, and the task sends what has gathered in
//! one go; when the connection breaks, it comes back by itself and takes its subscriptions along. Delivery is *at
//! most once*: what was on its way when a connection broke may be lost. For more than that there is [`jetstream`].

mod actor;
mod as_msg;
mod backoff;
mod client;
mod error;
mod event;
mod gauge;
mod inbound;
pub mod jetstream;
mod open;
mod options;
mod pool;
mod random;
mod refusal;
mod requests;
mod server;
mod shared;
mod slot;
mod state;
mod stream;
mod subscription;
mod unsent;

pub use as_msg::AsMsg;
pub use client::Client;
pub use error::Error;
pub use event::Event;
pub use options::Options;
pub use server::{Credentials, Server};
pub use subscription::Subscription;

pub use kernel::{Code, Header, Headers, Message, Msg, headers};
pub use wire::nats::Info;
