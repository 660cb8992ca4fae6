//! Any bytes against the laws of JetStream's documents, subjects, acknowledgements and headers.

#![no_main]

#[path = "../../crates/wire/tests/it/jetstream_laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::check(data));
