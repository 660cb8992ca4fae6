//! A content that was published, once or more often. It does *not* know where it is stored beyond what was answered.

use std::collections::BTreeSet;

use kernel::Priority;

/// A producer's number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    /// The producer.
    pub(crate) producer: String,
    /// Its life.
    pub(crate) epoch: u64,
    /// Number of the message.
    pub(crate) sequence: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Subject.
    pub(crate) subject: String,
    /// Header block.
    pub(crate) headers: Vec<u8>,
    /// Payload; it begins with the content's nonce.
    pub(crate) payload: Vec<u8>,
    /// Its id.
    pub(crate) id: Option<String>,
    /// Its number.
    pub(crate) number: Option<Number>,
    /// Its priority.
    pub(crate) priority: Priority,
    /// How long it is kept back, in milliseconds; 0: not.
    pub(crate) delay_ms: u64,
    /// How often it was sent.
    pub(crate) sends: u64,
    /// How many of these had no answer yet; after a crash they never have one.
    pub(crate) unresolved: u64,
    /// Where it is known to have been stored.
    pub(crate) stored: BTreeSet<u64>,
    /// The earliest wall time at which it may have been stored, in milliseconds.
    pub(crate) wall_lo: u64,
    /// The latest wall time there was since it was sent, in milliseconds.
    pub(crate) wall_hi: u64,
    /// How many publishes its stream had seen when it was first sent.
    pub(crate) order: u64,
    /// A purge may have taken it the moment it was stored.
    pub(crate) may_go: bool,
    /// A bit of it was flipped.
    pub(crate) is_flipped: bool,
    /// Something happened to it that excuses a second storing: damage, or a power cut that its level does not survive.
    pub(crate) is_excused: bool,
}

impl Sent {
    /// The wall clock shows another time.
    pub(crate) fn wall(&mut self, now_ms: u64) {
        self.wall_hi = self.wall_hi.max(now_ms);
        if self.unresolved > 0 {
            self.wall_lo = self.wall_lo.min(now_ms);
        }
    }

    /// How old it may be, in milliseconds.
    pub(crate) fn age_ms(&self) -> u64 {
        self.wall_hi - self.wall_lo
    }
}
