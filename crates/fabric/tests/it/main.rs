//! The control plane against a journal that only writes down what it is given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod consumers;
mod events;
mod hub;
mod idle;
mod kept;
mod levels;
mod plane;
mod survey;
mod traced;
mod unread;
mod work;
