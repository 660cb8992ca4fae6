//! What an account may use and uses.

use crate::jetstream::document::document;

document! {
    /// What an account may use; -1 is without limit.
    AccountLimits {
        max_memory: i64,
        max_storage: i64,
        max_streams: i64,
        max_consumers: i64,
        max_ack_pending: i64,
        memory_max_stream_bytes: i64,
        storage_max_stream_bytes: i64,
        max_bytes_required: bool,
    }
}

document! {
    /// How the API has been used.
    ApiStats {
        level: u64,
        total: u64,
        errors: u64,
        inflight?: u64,
    }
}

document! {
    /// What an account may use and uses.
    AccountInfo {
        memory: u64,
        storage: u64,
        reserved_memory: u64,
        reserved_storage: u64,
        streams: u64,
        consumers: u64,
        limits: AccountLimits,
        domain?: String,
        api: ApiStats,
    }
}
