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
//! With values instead of bytes, through serde and JSON, and as a service that answers so many at once:
//!
//! ```no_run
//! use std::time::Duration;
//! use client::{Client, Draft, Failure, Priority, Service};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Job {
//!     file: String,
//! }
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = Client::connect("nats://127.0.0.1:4222").await?;
//! let service = Service::new("jobs.measure").queue("measurers").concurrent_max(8);
//! let serving = service.start_json(&client, |job: Job, _question| async move {
//!     Ok::<usize, Failure>(job.file.len())
//! })?;
//! let tea = Job { file: "tea.jpg".into() };
//! let bytes: usize = client.request_json("jobs.measure", &tea, Duration::from_secs(2)).await?;
//! client.publish_json(Draft::new("jobs.resize").priority(Priority::High), &tea).await?;
//! serving.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Whole programs are in `examples/`, and run by the tests.
//!
//! One task owns the connection. Publishers write into one shared buffer, and the task sends what has gathered in
//! one go; when the connection breaks, it comes back by itself and takes its subscriptions along. Delivery is *at
//! most once*: what was on its way when a connection broke may be lost. For more than that there is [`jetstream`].

mod actor;
mod as_msg;
mod backoff;
mod client;
mod draft;
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
mod service;
mod shared;
mod slot;
mod state;
mod stream;
mod subscription;
mod typed;
mod unsent;

pub use as_msg::AsMsg;
pub use client::Client;
pub use draft::Draft;
pub use error::Error;
pub use event::Event;
pub use options::Options;
pub use server::{Credentials, Server};
pub use service::{Failure, Service, Serving};
pub use subscription::Subscription;
pub use typed::{Received, Typed, decode};

pub use kernel::{Code, Header, Headers, Message, Msg, Priority, Retry, headers};
pub use wire::nats::Info;
