//! Which messages must be there: those that were acknowledged or seen, unless something that was asked for, or a rule of
//! their stream, may have removed them. It errs on the side of the node: what may be gone is excused.

use wire::jetstream::Retention;

use super::stream::{Place, Rules, Stream};
use super::{Consumer, Life, Sent};

impl Stream {
    /// Whether a message is surely within the duplicate window.
    pub(crate) fn is_within_window(&self, seq: u64) -> bool {
        let sent = self.places.get(&seq).and_then(|place| self.sent.get(&place.nonce));
        sent.is_some_and(|sent| sent.age_ms() < self.rules.window_ms)
    }

    /// Whether a message is not there although nothing but a flipped bit excuses that.
    pub(super) fn is_missed(&self, seq: u64, read: &[u64]) -> bool {
        let is_damaged = self.places.get(&seq).is_some_and(|place| place.damaged);
        is_damaged && read.binary_search(&seq).is_err() && self.would_hold(seq)
    }

    /// Whether a message must be there.
    pub(crate) fn must_hold(&self, seq: u64) -> bool {
        self.places.get(&seq).is_some_and(|place| !place.damaged) && self.would_hold(seq)
    }

    /// Whether a message must be there unless a bit of it was flipped.
    fn would_hold(&self, seq: u64) -> bool {
        let Some(place) = self.places.get(&seq) else { return false };
        let Some(sent) = self.sent.get(&place.nonce) else { return false };
        let is_excused = place.may_go || place.must_go || place.doubtful;
        let age = self.rules.max_age_ms;
        !is_excused
            && (age == 0 || sent.age_ms() < age)
            && !self.is_beyond_limits(seq, &sent.subject)
            && self.is_wanted(seq, sent)
    }

    fn is_beyond_limits(&self, seq: u64, subject: &str) -> bool {
        let Rules { max_msgs, per_subject, discard_new, .. } = self.rules;
        let evicts = max_msgs > 0 && !discard_new;
        evicts && self.behind(seq, None) >= max_msgs
            || per_subject > 0 && self.behind(seq, Some(subject)) >= per_subject
    }

    /// How many messages may have been stored behind a sequence, of a subject or of all.
    fn behind(&self, seq: u64, subject: Option<&str>) -> u64 {
        let counts = |sent: &Sent| subject.is_none_or(|subject| sent.subject == subject);
        let is_one = |place: &Place| self.sent.get(&place.nonce).is_some_and(counts);
        let known = self.places.range(seq + 1..).filter(|(_, place)| is_one(place)).count() as u64;
        known + self.sent.values().filter(|sent| counts(sent)).map(|sent| sent.unresolved).sum::<u64>()
    }

    /// Whether the retention keeps it for sure.
    fn is_wanted(&self, seq: u64, sent: &Sent) -> bool {
        let asks = |c: &Consumer| !c.acking.contains(&seq) && !c.is_spent(seq);
        let nonce = self.places.get(&seq).map_or(0, |place| place.nonce);
        let hears = |c: &&Consumer| c.filters.surely_hear(&sent.subject, nonce);
        match self.rules.retention {
            Retention::Limits => true,
            Retention::WorkQueue => self.consumers.iter().all(asks),
            Retention::Interest => {
                let was_there = |c: &&Consumer| c.life == Life::There && c.since < sent.order;
                let asks = |c: &Consumer| c.max_deliver == 0 && asks(c);
                self.consumers.iter().filter(was_there).filter(hears).any(asks)
            }
        }
    }
}
