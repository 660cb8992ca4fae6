//! Defaults of every limit that more than one crate must agree on. Configuration may lower or raise them within
//! the bounds that each `options.rs` states.

/// Longest pattern of a subscription, and longest subject where subjects are checked, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 1024;
/// Most tokens in a subscription's pattern; it bounds the depth of the interest tree.
pub const PATTERN_TOKENS_MAX: usize = 64;
/// Largest message (headers and payload), in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Longest protocol line on the NATS door, in bytes.
pub const CONTROL_LINE_BYTES_MAX: usize = 4096;
/// From this size on a payload is shared by reference count instead of copied into each outbox, in bytes.
pub const SHARED_PAYLOAD_BYTES_MIN: usize = 4096;
/// Messages of one publisher that may wait for their streams before it is slowed down.
pub const UNACKNOWLEDGED_MAX: u32 = 1000;
/// Bytes that may wait for one slow client before it is cut off.
pub const OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest pause of a publisher in front of a listener above its high-water mark, in milliseconds.
pub const PUBLISHER_PAUSE_MS_MAX: u64 = 5;
/// Size of the first buffer of an outbox when none is spare, in bytes.
pub const FIRST_CHUNK_BYTES: usize = 2 * 1024;
/// Size of a buffer in which outgoing bytes gather, in bytes.
pub const CHUNK_BYTES: usize = 32 * 1024;
