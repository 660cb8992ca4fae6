//! TLS for doors and clients.
