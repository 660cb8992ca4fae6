//! What the plane does when records come that it asked for.

use bus::consumer::Action;
use bytes::Bytes;
use kernel::journal::Summary;
use kernel::trace::Span;
use kernel::{LogId, Now, Record, TenantId};

use super::api::direct::Batch;
use super::cell::SeatId;
use super::{Plane, api};

/// Why records were asked for.
pub(crate) enum Reading {
    /// A consumer delivers them; its other actions keep their places among them.
    Deliver { seat: SeatId, actions: Vec<Action> },
    /// A stream remembers by them what its image does not say.
    Restore { log: LogId, summary: Summary, rest: Vec<u64> },
    /// Somebody asked for one message, in the form of an answer.
    Message {
        tenant: TenantId,
        reply: Bytes,
        kind: &'static str,
        no_headers: bool,
        /// The step that ends with the answer, if it is told.
        span: Option<Box<Span>>,
    },
    /// Somebody asked for messages, in their own form.
    Direct(Box<Batch>),
}

impl Reading {
    /// How many messages a client waits for, a request counted as a few.
    pub(crate) fn wanted(&self) -> usize {
        const REQUEST: usize = 256;
        match self {
            Reading::Deliver { .. } | Reading::Restore { .. } => 0,
            Reading::Message { .. } => REQUEST,
            Reading::Direct(batch) => REQUEST + batch.left(),
        }
    }
}

impl Plane {
    /// The one table of what records are for.
    pub(crate) fn read(&mut self, now: Now, reading: Reading, records: Vec<Option<Record>>) {
        match reading {
            Reading::Deliver { seat, actions } => self.delivered(now, &seat, actions, records),
            Reading::Restore { log, summary, rest } => self.restored(now, log, &records, (summary, rest)),
            Reading::Message { tenant, reply, kind, no_headers, span } => {
                self.traced.end(span, None);
                let answer = api::message::document(kind, records.into_iter().flatten().next(), no_headers);
                self.out.answer(tenant, &reply, &answer);
            }
            Reading::Direct(batch) => self.direct_read(*batch, records),
        }
    }
}
