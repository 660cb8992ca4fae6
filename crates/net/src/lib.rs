//! TLS for doors and clients: configurations of rustls, made from PEM files.
//!
//! It opens no socket and does no handshake: doors and clients do. There is one crypto provider, aws-lc-rs, and
//! it is always named, so that no process-wide default has to be set before.

mod error;
mod pem;
pub mod tls;

pub use error::Error;
