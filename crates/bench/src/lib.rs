//! A load generator for any server of the NATS protocol, with or without durable streams.
//!
//! It measures the *server*, so the load must not be the limit: one thread, raw sockets, prebuilt blocks of many
//! messages, and subscribers that compare what arrives with what was sent instead of parsing it. Every byte is looked
//! at and every message is counted; a lost, doubled or damaged one is reported as a fault, not as a smaller number.
//!
//! It is *not* a client library: it knows just enough of the protocol to load a server, and it blocks its thread.

mod block;
mod caller;
mod connections;
mod counter;
mod cpu;
mod durable;
mod error;
mod frames;
mod histogram;
mod incoming;
mod lines;
mod link;
mod machine;
mod options;
mod paced;
mod poller;
mod pump;
mod report;
mod request;
mod requester;
mod responder;
mod rng;
mod seen;
mod sink;
mod tap;
mod throughput;
mod web;

pub use caller::{Caller, Delivered};
pub use durable::Durable;
pub use error::BenchError;
pub use histogram::Histogram;
pub use options::{Mode, Options};
pub use report::{Connections, Faults, Latency, Load, Machine, Overtake, Report, ServerCost, ServerName};
pub use rng::Rng;
pub use sink::Sink;

/// Runs one benchmark to its end and reports what was measured.
///
/// # Errors
/// When the server cannot be reached, refuses or closes a connection, or stops making progress. Messages that were lost,
/// doubled or damaged are no error here but [`Report::faults`], so that the figures beside them can be read.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    options.check()?;
    match options.mode {
        mode if mode.is_durable() => durable::run(options),
        Mode::Connections => connections::run(options),
        Mode::Request => request::run(options),
        Mode::WsFanout | Mode::SseFanout | Mode::HttpPublish => web::run(options),
        Mode::PubSub if options.rate.is_some() => paced::run(options),
        _ => throughput::run(options),
    }
}
