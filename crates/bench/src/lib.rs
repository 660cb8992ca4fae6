//! A load generator for any server of the NATS protocol.
