//! Conformance suites: the promises that every row of an extension table must keep, written once.
//!
//! A suite asks through a small trait that each row implements for its own protocol; it knows no protocol itself.
//! It panics with what was promised and what came instead, as tests do.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a suite is made of assertions")]

pub mod fs;
pub mod gateway;
pub mod journal;
