//! What an account may use and uses.

use std::sync::atomic::Ordering::Relaxed;

use wire::jetstream::api::{API_LEVEL, AccountInfo, AccountLimits, ApiStats};

use super::super::Plane;
use super::super::cell::Body;
use super::{Ask, Done, Reply, answer};

impl Plane {
    pub(super) fn account_info(&mut self, ask: &Ask<'_>) -> Done {
        let mut info = AccountInfo {
            limits: AccountLimits {
                max_memory: -1,
                max_storage: -1,
                max_streams: -1,
                max_consumers: -1,
                max_ack_pending: -1,
                memory_max_stream_bytes: -1,
                storage_max_stream_bytes: -1,
                max_bytes_required: false,
            },
            api: ApiStats {
                level: API_LEVEL,
                total: self.figures.api_requests_total.load(Relaxed),
                errors: self.figures.api_errors_total.load(Relaxed),
                ..ApiStats::default()
            },
            ..AccountInfo::default()
        };
        for cell in self.cells.values().filter(|cell| cell.tenant == ask.tenant) {
            let bytes = match &cell.body {
                Body::Warm(stream) => stream.state().bytes,
                Body::Cold(summary) | Body::Loading(summary) => summary.bytes,
                Body::Restoring(stream) => stream.state().bytes,
            };
            let reserved = u64::try_from(cell.config.max_bytes).unwrap_or(0);
            match cell.log.is_volatile() {
                true => {
                    (info.memory, info.reserved_memory) =
                        (info.memory + bytes, info.reserved_memory + reserved)
                }
                false => {
                    (info.storage, info.reserved_storage) =
                        (info.storage + bytes, info.reserved_storage + reserved)
                }
            }
            info.streams += 1;
            info.consumers += cell.consumers.len() as u64;
        }
        Ok(Reply::Now(answer(ask, info)))
    }
}
