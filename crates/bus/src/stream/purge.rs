//! Deleting many messages on request, in slices: a stream may be large, and others wait meanwhile. What a purge takes is
//! settled when it begins: what is stored later stays. Only visible messages go.

use kernel::SubjectPattern;

use super::look::{Memo, is_exact};
use super::{Changes, Refusal, SEQUENCE_MAX, Stream};

/// Messages that are looked at for each that may go in a slice: looking is so much cheaper.
const LOOKS: usize = 32;

/// Which messages a purge takes: of those that the filter hears those before `before`, all but the last `keep`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Purge<'a> {
    /// `None`: every subject.
    pub filter: Option<&'a SubjectPattern>,
    /// `None`: all. Not together with `keep`.
    pub before: Option<u64>,
    /// `None`: none stays.
    pub keep: Option<u64>,
}

/// A purge under way.
#[derive(Debug)]
pub struct Purging {
    filter: Option<SubjectPattern>,
    /// Where to look next, and where to end.
    at: u64,
    to: u64,
    /// Messages that are left to be found, as far as is known.
    left: u64,
    /// Messages that are to stay and are still to be found: they are looked for first, from the end on.
    keep: u64,
    purged: u64,
}

impl Purging {
    /// How many messages went so far.
    pub fn purged(&self) -> u64 {
        self.purged
    }
}

impl Stream {
    /// Begins to delete many messages on request; [`Stream::purge_more`] goes on with it. Everything goes at once when
    /// nothing is to stay.
    pub fn purge(&mut self, what: Purge<'_>, changes: &mut Changes) -> Result<Purging, Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed);
        }
        if self.config.deny_purge {
            return Err(Refusal::PurgeForbidden);
        }
        let zero_is_none = |n: Option<u64>| n.filter(|n| *n > 0);
        let (before, keep) = (zero_is_none(what.before), zero_is_none(what.keep));
        let is_absurd = before.is_some_and(|before| before > SEQUENCE_MAX / 2);
        if is_absurd || before.is_some() && keep.is_some() {
            return Err(Refusal::BadRequest);
        }
        let to = before.map_or(self.shown, |before| (before - 1).min(self.shown));
        let mut purging = Purging {
            filter: what.filter.cloned(),
            at: 0,
            to,
            left: u64::MAX,
            keep: keep.unwrap_or(0),
            purged: 0,
        };
        if what.filter.is_none() && keep.is_none() && to == self.last {
            purging.purged = self.drop_all(changes);
            purging.left = 0;
            if let Some(last) = before.map(|before| before - 1).filter(|last| *last > self.last) {
                self.raise_last(last);
                changes.last = Some(last);
            }
        } else if let Some(filter) = what.filter.filter(|filter| is_exact(filter)) {
            // The one subject says where to begin and when to end.
            let subject =
                self.subjects.find(filter.as_str().as_bytes()).and_then(|slot| self.subjects.get(slot));
            (purging.at, purging.left) = subject
                .map_or((0, 0), |subject| (subject.first, subject.visible().saturating_sub(purging.keep)));
        }
        Ok(purging)
    }

    /// Goes on with a purge, letting go of at most so many messages. True: there may be more.
    pub fn purge_more(&mut self, purging: &mut Purging, most: usize, changes: &mut Changes) -> bool {
        let (mut looks, mut memo) = (most.saturating_mul(LOOKS), Memo::new());
        while purging.left > 0 && purging.keep > 0 && purging.at <= purging.to {
            let Some(seq) = self.look(purging, true, &mut looks, &mut memo) else { return false };
            purging.to = seq;
            if looks == 0 {
                return true;
            }
            (purging.to, purging.keep) = (seq.saturating_sub(1), purging.keep - 1);
        }
        let before = purging.purged;
        while purging.left > 0 && purging.at <= purging.to {
            if purging.purged - before >= most as u64 {
                return true;
            }
            let Some(seq) = self.look(purging, false, &mut looks, &mut memo) else { return false };
            purging.at = seq;
            if looks == 0 {
                return true;
            }
            (purging.at, purging.left) = (seq + 1, purging.left - 1);
            purging.purged += u64::from(self.drop_row(seq, changes));
        }
        false
    }

    /// The next message that a purge is about, or, when no more may be looked at, the one to look at next.
    fn look(&self, purging: &Purging, is_back: bool, looks: &mut usize, memo: &mut Memo) -> Option<u64> {
        let wanted = |slot: u32| {
            if *looks == 0 {
                return true;
            }
            *looks -= 1;
            let hears = |filter: &SubjectPattern| filter.matches(self.subjects.name(slot));
            memo.ask(slot, || purging.filter.as_ref().is_none_or(hears))
        };
        match is_back {
            true => self.rows.scan_back(purging.to, wanted),
            false => self.rows.scan(purging.at, purging.to, wanted),
        }
    }
}
