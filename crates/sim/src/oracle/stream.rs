//! A stream as its publishers know it: what was sent, what was answered, and what may have been removed since. It does
//! *not* judge; the promises do.

use std::collections::{BTreeMap, BTreeSet};

use kernel::journal::Level;
use wire::jetstream::Retention;

use super::{Consumer, Life, Number, Sent};
use crate::node::End;
use crate::promise::genuine::Shown;
use crate::promise::{Kept, genuine, gone, kept, once, sequence};

/// What a stream is to be.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Its name, which is also the first token of its subjects.
    pub(crate) name: String,
    /// How safe an acknowledgement is.
    pub(crate) level: Level,
    /// When messages go.
    pub(crate) retention: Retention,
    /// Most messages; 0: any number.
    pub(crate) max_msgs: u64,
    /// Most of one subject; 0: any number.
    pub(crate) per_subject: u64,
    /// Oldest, in milliseconds; 0: any age.
    pub(crate) max_age_ms: u64,
    /// The duplicate window, in milliseconds.
    pub(crate) window_ms: u64,
    /// New messages are refused when there are too many, instead of old ones going.
    pub(crate) discard_new: bool,
    /// Some of its messages have a priority or a delay. Only its publishers know.
    pub(crate) is_marked: bool,
    /// It seldom gets a consumer.
    pub(crate) is_lonely: bool,
}

/// A sequence of which it is known what stands there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The content.
    pub(crate) nonce: u64,
    /// Its removal was asked for, or seen: it may be gone, and may come back with a crash.
    pub(crate) may_go: bool,
    /// Its removal was confirmed.
    pub(crate) must_go: bool,
    /// A power cut may have taken it, which its level does not survive.
    pub(crate) doubtful: bool,
    /// A bit of it was flipped.
    pub(crate) damaged: bool,
    /// It would have to be there but for that, and is not.
    pub(crate) is_missed: bool,
    /// The number of what was asked last when it was acknowledged: whatever is asked later finds it.
    pub(crate) sure_from: Option<u64>,
}

/// What must be answered to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Anything that makes sense.
    Any,
    /// Its id is that of this message; it is a duplicate within the window.
    Id(u64),
    /// Its number is that of this message; it is a duplicate.
    Number(u64),
    /// 6005.
    Mismatch,
    /// 6004.
    Fenced,
}

/// A publish on its way.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The content.
    pub(crate) nonce: u64,
    /// The highest sequence that was known when it was sent.
    pub(crate) above: u64,
    /// What must be answered.
    pub(crate) expect: Expect,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// What it is to be.
    pub(crate) rules: Rules,
    /// How far it is.
    pub(crate) life: Life,
    /// Every content that was sent, by nonce.
    pub(crate) sent: BTreeMap<u64, Sent>,
    /// Every sequence that is known.
    pub(crate) places: BTreeMap<u64, Place>,
    /// Ids that are surely remembered within their window, and where their messages are.
    pub(crate) ids: BTreeMap<String, u64>,
    /// Numbers that are surely stored.
    pub(crate) numbers: BTreeMap<Number, (u64, u64)>,
    /// Of each producer the highest epoch that surely, and that possibly, was stored.
    epochs: BTreeMap<String, (u64, u64)>,
    /// Its consumers, by name; those of one name one after the other.
    pub(crate) consumers: Vec<Consumer>,
    /// Publishes so far.
    pub(crate) sends: u64,
}

impl Stream {
    /// A stream whose creation is asked for.
    pub(crate) fn new(rules: Rules) -> Stream {
        Stream {
            rules,
            life: Life::Making,
            sent: BTreeMap::new(),
            places: BTreeMap::new(),
            ids: BTreeMap::new(),
            numbers: BTreeMap::new(),
            epochs: BTreeMap::new(),
            consumers: Vec::new(),
            sends: 0,
        }
    }

    /// A content is sent, for the first time or again.
    pub(crate) fn send(&mut self, nonce: u64, new: Option<Sent>, wall_ms: u64) -> Attempt {
        self.sends += 1;
        if let Some(new) = new {
            self.sent.insert(nonce, Sent { order: self.sends, ..new });
        }
        let expect = self.expect(nonce);
        if let Some(sent) = self.sent.get_mut(&nonce) {
            sent.sends += 1;
            sent.unresolved += 1;
            sent.wall(wall_ms);
            if sent.stored.is_empty() {
                sent.wall_lo = sent.wall_lo.min(wall_ms);
            }
            if let Some(number) = &sent.number {
                let epochs = self.epochs.entry(number.producer.clone()).or_default();
                epochs.1 = epochs.1.max(number.epoch);
            }
        }
        let is_sure = |(_, place): &(&u64, &Place)| !place.doubtful && !place.damaged;
        let above = self.places.iter().rev().find(is_sure).map_or(0, |(seq, _)| *seq);
        Attempt { nonce, above, expect }
    }

    fn expect(&self, nonce: u64) -> Expect {
        let Some(sent) = self.sent.get(&nonce).filter(|sent| !sent.is_excused) else { return Expect::Any };
        if let Some(number) = &sent.number {
            let (surely, possibly) = self.epochs.get(&number.producer).copied().unwrap_or_default();
            return match self.numbers.get(number) {
                _ if surely > number.epoch => Expect::Fenced,
                _ if possibly > number.epoch => Expect::Any,
                Some((first, _)) if *first != nonce => Expect::Mismatch,
                Some((_, seq)) => Expect::Number(*seq),
                None => Expect::Any,
            };
        }
        sent.id.as_ref().and_then(|id| self.ids.get(id)).map_or(Expect::Any, |seq| Expect::Id(*seq))
    }

    /// A publish was not taken by anybody.
    pub(crate) fn not_taken(&mut self, attempt: &Attempt) {
        if let Some(sent) = self.sent.get_mut(&attempt.nonce) {
            sent.unresolved = sent.unresolved.saturating_sub(1);
            sent.sends -= 1;
        }
    }

    /// A publish was refused with an error.
    pub(crate) fn refused(&mut self, attempt: &Attempt, error: u16) -> Kept {
        once::is_refused_rightly(self, attempt, error)?;
        self.not_taken(attempt);
        Ok(())
    }

    /// A publish was acknowledged.
    pub(crate) fn acknowledged(&mut self, attempt: &Attempt, seq: u64, duplicate: bool) -> Kept {
        once::is_first_or_same(self, attempt, seq, duplicate)?;
        if duplicate {
            return self.known_before(attempt, seq);
        }
        sequence::grows(self, attempt, seq)?;
        if let Some(sent) = self.sent.get_mut(&attempt.nonce) {
            sent.unresolved = sent.unresolved.saturating_sub(1);
        }
        self.is_at(attempt.nonce, seq)
    }

    /// A message was acknowledged as new when number `now` was the last thing asked.
    pub(crate) fn sure(&mut self, seq: u64, now: u64) {
        if let Some(place) = self.places.get_mut(&seq) {
            place.sure_from = Some(now);
        }
    }

    /// A publish was answered as a duplicate.
    fn known_before(&mut self, attempt: &Attempt, seq: u64) -> Kept {
        let Some(sent) = self.sent.get_mut(&attempt.nonce) else { return Ok(()) };
        sent.unresolved = sent.unresolved.saturating_sub(1);
        let is_numbered = sent.number.is_some();
        match &sent.id {
            // The same number and the same bytes: it is this content.
            None if is_numbered && seq > 0 => self.is_at(attempt.nonce, seq),
            Some(id) if self.places.contains_key(&seq) => {
                self.ids.insert(id.clone(), seq);
                Ok(())
            }
            // Some earlier one of that id, which nobody has seen yet.
            _ => Ok(()),
        }
    }

    /// A content is known to stand at a sequence.
    fn is_at(&mut self, nonce: u64, seq: u64) -> Kept {
        sequence::is_its_own(self, nonce, seq)?;
        once::is_not_doubled(self, nonce, seq)?;
        let is_other = self.places.get(&seq).is_some_and(|place| place.nonce != nonce);
        if is_other {
            self.forget_place(seq);
        }
        let Some(sent) = self.sent.get_mut(&nonce) else { return Ok(()) };
        let may_go = sent.may_go;
        let place = self.places.entry(seq).or_insert_with(|| Place { nonce, may_go, ..Place::default() });
        // What is there after all was not lost.
        place.doubtful = false;
        sent.stored.insert(seq);
        if place.damaged {
            // What is known of it is forgotten with the next start.
            return Ok(());
        }
        if let Some(id) = &sent.id {
            self.ids.insert(id.clone(), seq);
        }
        if let Some(number) = sent.number.clone() {
            let epochs = self.epochs.entry(number.producer.clone()).or_default();
            epochs.0 = epochs.0.max(number.epoch);
            self.numbers.insert(number, (nonce, seq));
        }
        Ok(())
    }

    /// What stood at a sequence was lost, and something else stands there now.
    fn forget_place(&mut self, seq: u64) {
        let Some(old) = self.places.remove(&seq) else { return };
        if let Some(sent) = self.sent.get_mut(&old.nonce) {
            sent.stored.remove(&seq);
        }
        for consumer in &mut self.consumers {
            for set in [&mut consumer.done, &mut consumer.acking] {
                set.remove(&seq);
            }
            consumer.latest.remove(&seq);
            consumer.open.remove(&seq);
            consumer.times.remove(&seq);
            consumer.said.remove(&seq);
        }
    }

    /// A message was read or delivered.
    pub(crate) fn seen(&mut self, shown: &Shown) -> Kept {
        let nonce = genuine::was_published(self, shown)?;
        gone::stays_gone(self, shown.seq)?;
        self.is_at(nonce, shown.seq)
    }

    /// It was read from end to end while nothing was on its way. `read`: what it holds, ascending.
    pub(crate) fn audited(&mut self, read: &[Shown]) -> Kept {
        read.iter().try_for_each(|shown| self.seen(shown))?;
        let seqs: Vec<u64> = read.iter().map(|shown| shown.seq).collect();
        kept::all_there(self, &seqs)?;
        let missed: Vec<u64> =
            self.places.keys().copied().filter(|seq| self.is_missed(*seq, &seqs)).collect();
        for (seq, place) in &mut self.places {
            place.is_missed |= missed.contains(seq);
            // A removal that nobody confirmed may be undone by a crash.
            place.may_go |= seqs.binary_search(seq).is_err();
        }
        // What could not be read may be there, and count.
        self.sent.values_mut().filter(|sent| !sent.is_flipped).for_each(|sent| sent.unresolved = 0);
        Ok(())
    }

    /// The wall clock shows another time.
    pub(crate) fn wall(&mut self, now_ms: u64) {
        self.sent.values_mut().for_each(|sent| sent.wall(now_ms));
    }

    /// The process ended.
    pub(crate) fn crashed(&mut self, end: End) {
        let is_doubtful = end == End::PowerCut && self.rules.level != Level::Disk;
        let kept: BTreeSet<u64> = self.places.keys().copied().filter(|seq| self.must_hold(*seq)).collect();
        // The duplicate window is filled again from the messages that are there.
        self.ids.retain(|_, seq| kept.contains(seq) && !is_doubtful);
        self.consumers.iter_mut().for_each(|consumer| consumer.crashed(is_doubtful));
        if is_doubtful {
            self.numbers.clear();
            self.epochs.values_mut().for_each(|epochs| epochs.0 = 0);
            self.sent.values_mut().for_each(|sent| sent.is_excused = true);
            for place in self.places.values_mut() {
                (place.doubtful, place.must_go, place.sure_from) = (true, false, None);
            }
        }
    }

    /// A bit of a content was flipped: what is known of it may be lost with it.
    pub(crate) fn damaged(&mut self, nonce: u64) {
        if let Some(sent) = self.sent.get_mut(&nonce) {
            (sent.is_excused, sent.is_flipped) = (true, true);
            if let Some(id) = &sent.id {
                self.ids.remove(id);
            }
            if let Some(number) = &sent.number {
                self.numbers.remove(number);
                if let Some(epochs) = self.epochs.get_mut(&number.producer) {
                    epochs.0 = 0;
                }
            }
        }
        self.places.values_mut().filter(|place| place.nonce == nonce).for_each(|place| place.damaged = true);
    }

    /// A purge is asked for: of a subject (empty: all) the messages before a sequence (0: all), but for the last few.
    /// Gives those that it takes for sure.
    pub(crate) fn purge(&mut self, subject: &str, before: u64, keep: u64) -> Vec<u64> {
        let hears = |sent: &Sent| subject.is_empty() || sent.subject == subject;
        let is_meant = |(seq, place): &(&u64, &Place)| {
            (before == 0 || **seq < before) && self.sent.get(&place.nonce).is_some_and(hears)
        };
        let meant: Vec<u64> = self.places.iter().filter(is_meant).map(|(seq, _)| *seq).collect();
        let (mut kept, mut taken) = (0, Vec::new());
        for seq in meant.iter().rev() {
            match kept < keep {
                true => kept += u64::from(self.must_hold(*seq)),
                // What a crash may have taken is not there to be purged, and its place may be given again.
                false if self.places.get(seq).is_some_and(|p| !p.doubtful && !p.damaged) => taken.push(*seq),
                false => {}
            }
        }
        for seq in meant {
            if let Some(place) = self.places.get_mut(&seq) {
                place.may_go = true;
            }
        }
        // What is on its way may be stored before the purge is carried out.
        self.sent.values_mut().filter(|s| s.unresolved > 0 && hears(s)).for_each(|s| s.may_go = true);
        taken
    }

    /// Messages are gone, says an answer.
    pub(crate) fn removed(&mut self, seqs: &[u64]) {
        for seq in seqs {
            if let Some(place) = self.places.get_mut(seq) {
                place.must_go = true;
            }
        }
    }
}
