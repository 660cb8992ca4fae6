//! Objects of any size, kept in a stream as NATS' own clients keep them: bucket `b` is the stream `OBJ_b`, an object's
//! content the messages on `$O.b.C.<random token>`, its entry the last message on `$O.b.M.<name in base64url>`, with
//! size, number of chunks and SHA-256 digest. Neither side holds an object in memory.
//!
//! ```no_run
//! use client::jetstream::{Context, object};
//!
//! # async fn example(streams: &Context) -> Result<(), client::Error> {
//! let photos = object::Store::create(streams, &object::StoreConfig::new("photos")).await?;
//! let mut source = &b"any tokio::io::AsyncRead, such as a file"[..];
//! photos.put(object::Meta::new("tea.jpg"), &mut source, |bytes| println!("{bytes} bytes")).await?;
//! let mut sink = Vec::new();
//! photos.get("tea.jpg", &mut sink, |_| {}).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod info;
mod read;
mod store;
mod write;

pub use config::{StoreConfig, StoreInfo};
pub use info::{Info, Link, Meta, Options};
pub use store::Store;

/// What names of buckets' streams begin with.
pub(crate) const STREAM_PREFIX: &str = "OBJ_";
