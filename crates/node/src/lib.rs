//! The driver: tokio meets the fabric; configuration, data folder, telemetry and lifecycle.
