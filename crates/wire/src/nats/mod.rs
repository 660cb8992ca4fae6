//! The NATS client protocol, both directions, without IO: [`Decoder`] reads operations from bytes, the functions of
//! [`encode`] write them, [`Info`] and [`Connect`] are the two JSON documents. Source: the protocol's public
//! reference, and the behaviour of nats-server where the reference is silent.

mod decode;
pub mod encode;
mod handshake;

/// The release of nats-server whose protocol and API are spoken: clients decide by it what they may use.
pub const RELEASE: &str = "2.14.0";

pub use decode::{Decoder, Error, Op, Step};
pub use handshake::{Connect, Info};
