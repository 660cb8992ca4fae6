//! What the store promises, over a disk that fails and over the real one.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests are made of assertions")]

mod conformance;
mod crash;
mod damage;
mod failing;
mod missing;
mod model;
mod refusal;
mod run;
mod space;
mod unread;
