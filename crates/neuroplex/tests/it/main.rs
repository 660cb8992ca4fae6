//! End to end: the program as users start it, as processes, and the Rust client against it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bench;
mod client;
mod command;
mod commands;
mod contexts;
mod demo;
mod examples;
mod guide;
mod hostile;
mod http;
mod http_hostile;
mod http_messages;
mod http_slow;
mod http_streams;
mod http_versions;
mod json;
mod lines;
mod messages;
mod nats;
mod operators;
mod priorities;
mod proxy;
mod reconnect;
mod reload;
mod rust_examples;
mod secured;
mod server;
mod services;
mod start;
mod streams;
mod streams_cli;
mod streams_client;
mod telemetry;
mod top;
mod top_screen;
mod ws;
