//! The NATS client protocol, both directions, without IO: [`Decoder`] reads operations from bytes, the functions of
//! [`encode`] write them, [`Info`] and [`Connect`] are the two JSON documents. Source: the protocol's public
//! reference, and the behaviour of nats-server where the reference is silent.

mod decode;
pub mod encode;
mod handshake;

pub use decode::{Decoder, Error, Op, Step};
pub use handshake::{Connect, Info};
