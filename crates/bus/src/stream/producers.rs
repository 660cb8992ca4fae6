//! Which numbered messages of which producers were stored, so that one sent again is known however late it comes. A
//! producer has a name, an epoch that grows with each of its lives, and a sequence that grows from message to message.
//!
//! The last [`REMEMBERED_MAX`] sequences of a producer are remembered one by one. Of those before, it is remembered from
//! where on none was left out: a message there was certainly stored, and is a duplicate of unknown sequence; one further
//! back may never have come, and is refused rather than called a duplicate. Of more than [`PRODUCERS_MAX`] producers
//! those that were silent longest are forgotten. This is *not* the duplicate window of message ids.

mod snapshot;

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub use snapshot::Damaged;

/// Producers that a stream remembers.
pub(super) const PRODUCERS_MAX: usize = 1024;
/// Sequences that are remembered of each.
pub(super) const REMEMBERED_MAX: usize = 256;
/// Longest name.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// What is known of a numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not stored.
    New,
    /// It was stored under this sequence of the stream; 0: under one that is no longer known.
    Known(u64),
    /// Another message had its number.
    Other,
    /// The producer had a newer life, with this epoch.
    Fenced(u64),
    /// Too far back; known from this sequence on.
    Forgotten(u64),
}

/// A message of a producer that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    sequence: u64,
    content: u64,
    seq: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Producer {
    epoch: u64,
    /// Every sequence from here to the first of `sent` was stored.
    whole_from: u64,
    /// By sequence.
    sent: VecDeque<Sent>,
    /// When it was heard last, in messages.
    heard: u64,
}

/// See the module.
pub(super) struct Producers {
    known: HashMap<Box<[u8]>, Producer, FixedState>,
    messages: u64,
    /// The last message of the stream that a snapshot covers.
    pub(super) saved: u64,
}

/// A number for a message's content: equal contents have equal numbers, on every machine and in every release.
pub(super) fn fingerprint(parts: [&[u8]; 3]) -> u64 {
    let sum = parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part));
    let mixed = parts.iter().fold(0u32, |mixed, part| mixed.wrapping_mul(0x9e37_79b1) ^ part.len() as u32);
    u64::from(sum) << 32 | u64::from(mixed)
}

impl Producers {
    pub(super) fn new(hash_seed: u64) -> Producers {
        Producers { known: HashMap::with_hasher(FixedState::with_seed(hash_seed)), messages: 0, saved: 0 }
    }

    /// Says what is known of a message.
    pub(super) fn judge(&self, name: &[u8], epoch: u64, sequence: u64, content: u64) -> Verdict {
        let Some(producer) = self.known.get(name) else { return Verdict::New };
        if epoch < producer.epoch {
            return Verdict::Fenced(producer.epoch);
        }
        let first = producer.sent.front().map(|sent| sent.sequence);
        let (true, Some(first)) = (epoch == producer.epoch, first) else { return Verdict::New };
        match producer.sent.binary_search_by_key(&sequence, |sent| sent.sequence) {
            Ok(at) => match producer.sent.get(at) {
                Some(sent) if sent.content == content => Verdict::Known(sent.seq),
                _ => Verdict::Other,
            },
            Err(_) if sequence > first => Verdict::New,
            Err(_) if sequence >= producer.whole_from => Verdict::Known(0),
            Err(_) => Verdict::Forgotten(producer.whole_from),
        }
    }

    /// Notes a message that was stored.
    pub(super) fn note(&mut self, name: &[u8], epoch: u64, sequence: u64, content: u64, seq: u64) {
        self.messages += 1;
        let heard = self.messages;
        if !self.known.contains_key(name) {
            self.known.insert(name.into(), Producer::default());
        }
        let Some(producer) = self.known.get_mut(name) else { return };
        producer.heard = heard;
        if producer.sent.is_empty() || epoch > producer.epoch {
            *producer = Producer { epoch, whole_from: sequence, heard, ..Producer::default() };
        }
        let at = producer.sent.partition_point(|sent| sent.sequence < sequence);
        if producer.sent.get(at).is_none_or(|sent| sent.sequence != sequence) {
            producer.sent.insert(at, Sent { sequence, content, seq });
            producer.whole_from = producer.whole_from.min(sequence);
        }
        if producer.sent.len() > REMEMBERED_MAX {
            producer.forget_first();
        }
        if self.known.len() > PRODUCERS_MAX {
            self.forget_silent();
        }
    }

    /// Forgets the eighth of the producers that was silent longest.
    fn forget_silent(&mut self) {
        let mut heard: Vec<u64> = self.known.values().map(|p| p.heard).collect();
        let (_, limit, _) = heard.select_nth_unstable(PRODUCERS_MAX / 8);
        let limit = *limit;
        self.known.retain(|_, p| p.heard > limit);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let names: usize = self.known.keys().map(|name| name.len()).sum();
        let sent: usize = self.known.values().map(|p| p.sent.capacity()).sum();
        self.known.allocation_size() + names + sent * size_of::<Sent>()
    }
}

impl Producer {
    fn forget_first(&mut self) {
        let Some(old) = self.sent.pop_front() else { return };
        if let Some(first) = self.sent.front()
            && old.sequence.checked_add(1) != Some(first.sequence)
        {
            self.whole_from = first.sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_sent_again_is_known_and_other_content_is_told() {
        let mut p = Producers::new(1);
        assert_eq!(p.judge(b"a", 0, 1, 7), Verdict::New);
        p.note(b"a", 0, 1, 7, 100);
        assert_eq!(p.judge(b"a", 0, 1, 7), Verdict::Known(100));
        assert_eq!(p.judge(b"a", 0, 1, 8), Verdict::Other);
        assert_eq!(p.judge(b"b", 0, 1, 8), Verdict::New);
    }

    #[test]
    fn a_lower_epoch_is_fenced_and_a_higher_one_starts_anew() {
        let mut p = Producers::new(1);
        p.note(b"a", 3, 9, 7, 100);
        assert_eq!(p.judge(b"a", 2, 10, 7), Verdict::Fenced(3));
        assert_eq!(p.judge(b"a", 4, 9, 8), Verdict::New);
        p.note(b"a", 4, 1, 8, 101);
        assert_eq!(p.judge(b"a", 3, 10, 7), Verdict::Fenced(4));
        assert_eq!(p.judge(b"a", 4, 9, 8), Verdict::New);
    }

    #[test]
    fn a_gap_among_the_remembered_can_still_be_filled() {
        let mut p = Producers::new(1);
        p.note(b"a", 0, 1, 1, 1);
        p.note(b"a", 0, 3, 3, 2);
        assert_eq!(p.judge(b"a", 0, 2, 2), Verdict::New);
        p.note(b"a", 0, 2, 2, 3);
        assert_eq!(p.judge(b"a", 0, 2, 2), Verdict::Known(3));
    }

    #[test]
    fn what_is_certainly_stored_is_a_duplicate_and_what_may_not_be_is_refused() {
        let mut p = Producers::new(1);
        for sequence in (10..20).chain(21..21 + REMEMBERED_MAX as u64) {
            p.note(b"a", 0, sequence, 0, sequence);
        }
        assert_eq!(p.judge(b"a", 0, 21, 0), Verdict::Known(21));
        assert_eq!(
            p.judge(b"a", 0, 15, 0),
            Verdict::Forgotten(21),
            "the gap at 20 is further back than memory"
        );
        for sequence in 21 + REMEMBERED_MAX as u64..400 {
            p.note(b"a", 0, sequence, 0, sequence);
        }
        assert_eq!(p.judge(b"a", 0, 30, 0), Verdict::Known(0));
        assert_eq!(p.judge(b"a", 0, 20, 0), Verdict::Forgotten(21));
    }

    #[test]
    fn of_too_many_producers_the_silent_ones_are_forgotten() {
        let mut p = Producers::new(1);
        for n in 0..=PRODUCERS_MAX as u64 {
            p.note(format!("p{n}").as_bytes(), 0, 1, n, n);
            p.note(b"busy", 0, n, n, n);
        }
        assert!(p.known.len() <= PRODUCERS_MAX);
        assert_eq!(p.judge(b"busy", 0, 1, 1), Verdict::Known(0));
        assert_eq!(p.judge(b"p0", 0, 1, 0), Verdict::New);
        let last = PRODUCERS_MAX as u64;
        assert_eq!(p.judge(format!("p{last}").as_bytes(), 0, 1, last), Verdict::Known(last));
    }
}
