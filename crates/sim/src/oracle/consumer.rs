//! A consumer as its clients know it: what it gave them, and what they said about it. It does *not* know leases that
//! nobody heard of.

use std::collections::{BTreeMap, BTreeSet};

use super::{Filters, Firsts, Life};

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Sequence of the message.
    pub(crate) seq: u64,
    /// How often it had been delivered, as it says.
    pub(crate) deliveries: u64,
    /// In which process of the node.
    pub(crate) process: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    /// Its name.
    pub(crate) name: String,
    /// How far it is.
    pub(crate) life: Life,
    /// What it hears.
    pub(crate) filters: Filters,
    /// How often a message is delivered; 0: any number of times.
    pub(crate) max_deliver: u64,
    /// How many may be out; 0: any number.
    pub(crate) cap: u64,
    /// How long a lease lasts, in milliseconds.
    pub(crate) ack_wait_ms: u64,
    /// Publishes that the stream had seen when its creation was answered.
    pub(crate) since: u64,
    /// All deliveries, by number.
    pub(crate) given: BTreeMap<u64, Given>,
    /// The highest number.
    pub(crate) last_cseq: u64,
    /// Of each message the last delivery.
    pub(crate) latest: BTreeMap<u64, u64>,
    /// Messages whose acknowledgement was confirmed.
    pub(crate) done: BTreeSet<u64>,
    /// Messages for which an acknowledgement was sent that may count.
    pub(crate) acking: BTreeSet<u64>,
    /// Messages that are out in this process and about which nothing was said, with their deliveries.
    pub(crate) open: BTreeMap<u64, u64>,
    /// How often each message was delivered in this process.
    pub(crate) times: BTreeMap<u64, u64>,
    /// The most deliveries that each message said it had.
    pub(crate) said: BTreeMap<u64, u64>,
    /// In which order messages came for the first time in this process.
    pub(crate) firsts: Firsts,
}

impl Consumer {
    /// One whose creation is asked for.
    pub(crate) fn new(
        name: String,
        filter: String,
        max_deliver: u64,
        cap: u64,
        ack_wait_ms: u64,
    ) -> Consumer {
        Consumer {
            name,
            life: Life::Making,
            filters: Filters::new(filter),
            max_deliver,
            cap,
            ack_wait_ms,
            since: u64::MAX,
            given: BTreeMap::new(),
            last_cseq: 0,
            latest: BTreeMap::new(),
            done: BTreeSet::new(),
            acking: BTreeSet::new(),
            open: BTreeMap::new(),
            times: BTreeMap::new(),
            said: BTreeMap::new(),
            firsts: Firsts::default(),
        }
    }

    /// Notes a delivery. Gives how often the message was delivered in this process.
    pub(crate) fn deliver(&mut self, cseq: u64, given: Given) -> u64 {
        let Given { seq, deliveries, .. } = given;
        self.last_cseq = self.last_cseq.max(cseq);
        self.latest.insert(seq, cseq);
        self.open.insert(seq, deliveries);
        self.given.insert(cseq, given);
        let said = self.said.entry(seq).or_default();
        *said = deliveries.max(*said);
        let times = self.times.entry(seq).or_default();
        *times += 1;
        *times
    }

    /// Whether a delivery is not the message's latest, and the latest was made in this process.
    pub(crate) fn is_stale(&self, seq: u64, cseq: u64, process: u64) -> bool {
        let latest = self.latest.get(&seq).filter(|latest| **latest > cseq);
        latest.and_then(|latest| self.given.get(latest)).is_some_and(|given| given.process == process)
    }

    /// Whether a message may have had its last delivery.
    pub(crate) fn is_spent(&self, seq: u64) -> bool {
        self.max_deliver > 0 && self.said.get(&seq).is_some_and(|said| *said >= self.max_deliver)
    }

    /// The process ended. `is_doubtful`: with more lost than it promised to keep.
    pub(crate) fn crashed(&mut self, is_doubtful: bool) {
        self.open.clear();
        self.times.clear();
        self.firsts = Firsts::default();
        if is_doubtful {
            self.done.clear();
            self.latest.clear();
        }
    }
}
