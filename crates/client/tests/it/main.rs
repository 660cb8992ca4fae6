//! The client against servers that do what no good server does, played from a script in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

mod handshake;
mod script;
mod streams;
mod trouble;
