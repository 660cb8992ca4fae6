//! Any bytes against the laws of the NATS decoder.

#![no_main]

#[path = "../../crates/wire/tests/it/nats_laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::check(data));
