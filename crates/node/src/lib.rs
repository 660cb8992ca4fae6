//! The driver: tokio meets the fabric; configuration, data folder, telemetry and lifecycle.
//!
//! It reads the clock, opens sockets and files, and obeys signals. It decides nothing that a core could decide.

mod clock;
pub mod config;
mod data;
mod doors;
mod error;
mod figures;
pub mod layers;
mod machine;
mod node;
mod plane;
mod reload;
pub mod schema;
mod show;
pub mod telemetry;

pub use config::Config;
pub use error::Error;
pub use node::{Node, Ready, Stop};
pub use reload::Reloaded;
