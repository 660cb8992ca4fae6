//! File systems that fail on purpose.

mod faulty;
mod world;

pub use faulty::Faulty;
