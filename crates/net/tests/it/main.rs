//! Both ends of TLS against each other, in memory, with certificates made on the spot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

mod handshake;
mod pki;
mod refusals;
