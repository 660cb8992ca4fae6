//! Any bytes against the laws of frames of WebSocket.

#![no_main]

#[path = "../../crates/wire/tests/it/websocket_laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::check(data));
