//! The Rust client: connect, publish, subscribe, request.
