//! The doors against the suite that every door must pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod nats;
mod web;
mod ws;
