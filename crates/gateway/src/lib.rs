//! The doors: one protocol a module, bytes to `Session` calls and back.
//!
//! A door translates. It does *not* route, judge or remember: that is the fabric's.

pub mod http;
mod link;
pub mod nats;
mod nearest;
pub mod options;

use std::io;

pub use nearest::nearest;
pub use options::{HttpOptions, NatsOptions};

/// Errors of `accept` that concern one client, or pass when others leave.
fn is_passing(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(e.kind(), ConnectionAborted | ConnectionReset | Interrupted)
        || matches!(e.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS | ENOMEM))
}
