//! Every byte form that two crates share; the only encoder and decoder.
//!
//! Reads bytes into borrowed views and writes them back. It does *not* decide anything: no permissions, no routing,
//! no IO.

pub mod jetstream;
pub mod json;
pub mod nats;
pub mod talk;
pub mod websocket;
