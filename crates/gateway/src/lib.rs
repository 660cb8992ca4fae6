//! The doors: one protocol a module, bytes to `Session` calls and back.
//!
//! A door translates. It does *not* route, judge or remember: that is the fabric's.

pub mod http;
pub mod nats;
pub mod options;

pub use options::{HttpOptions, NatsOptions};
