//! Work on a whole stream that takes longer than others should wait: it is done in slices, one for each round of a turn, and
//! whoever had one stands behind the others again. Between two slices everybody else gets theirs, and may change the stream. What
//! the work is for is *not* decided here.

use std::collections::BTreeMap;

use bus::messages::Messages;
use bus::stream::{Changes, Purging};
use bytes::Bytes;
use kernel::journal::Level;
use kernel::{Entry, LogId, Now, SubjectPattern, TenantId};
use wire::jetstream::{ApiError, Fault};

use super::api::{Later, Reply};
use super::cell::{Body, Cell, sweep_key};
use super::consume::is_wanted;
use super::out::{Held, Said};
use super::{Plane, api};

/// Most work that waits; who asks for more is told to come again.
const WORK_MAX: usize = 256;
/// Messages that go in one slice, where no consumer has to be told.
const DROPS: usize = 2048;
/// Messages that are looked at in one slice, for one consumer.
const LOOKS: usize = 8192;
/// Subjects that are looked at in one slice.
const SUBJECTS: u32 = 4096;

/// What is to be done.
pub(crate) enum Work {
    /// Messages go on request.
    Purge { log: LogId, purging: Purging, later: Later },
    /// Subjects are counted for somebody.
    Subjects(Box<Subjects>),
    /// Messages that no consumer wants go, where a stream keeps them for interest. `again`: another walk is needed, up to
    /// there.
    Unwanted { log: LogId, at: u64, to: u64, again: Option<u64> },
}

/// Subjects that are being counted for a stream's information.
pub(crate) struct Subjects {
    pub(crate) log: LogId,
    pub(crate) filter: SubjectPattern,
    /// Subjects in front of those that are wanted, and how many these are.
    pub(crate) offset: u64,
    pub(crate) limit: u64,
    /// Sequences that are gone are listed, too.
    pub(crate) is_detailed: bool,
    pub(crate) later: Later,
    /// The first ones by name, up to the last that is wanted.
    pub(crate) found: BTreeMap<Box<[u8]>, u64>,
    pub(crate) total: u64,
    /// Where to go on.
    pub(crate) next: u32,
}

impl Subjects {
    /// Takes a subject that was found.
    fn take(&mut self, subject: &[u8], count: u64) {
        if self.found.insert(subject.into(), count).is_none() {
            self.total += 1;
        }
        if self.found.len() as u64 > self.offset.saturating_add(self.limit) {
            self.found.pop_last();
        }
    }
}

impl Plane {
    /// Refuses more work when there is too much.
    pub(crate) fn check_work(&self) -> Result<(), Fault> {
        match self.work.len() >= WORK_MAX {
            true => Err(Fault::TooManyRequests),
            false => Ok(()),
        }
    }

    /// Whether work on a stream is under way.
    pub(crate) fn is_worked_on(&self, log: LogId) -> bool {
        self.work.iter().any(|work| match work {
            Work::Purge { log: of, .. } | Work::Unwanted { log: of, .. } => *of == log,
            Work::Subjects(subjects) => subjects.log == log,
        })
    }

    /// Begins with work at once, so that what is small is done before anything else.
    pub(crate) fn begin(&mut self, now: Now, work: Work) {
        let rest = self.slice(now, work);
        self.work.extend(rest);
    }

    /// Does a slice of the work that has waited longest for one. True: there was some.
    pub(crate) fn work_on(&mut self, now: Now) -> bool {
        let Some(work) = self.work.pop_front() else { return false };
        let rest = self.slice(now, work);
        self.work.extend(rest);
        true
    }

    /// Does a slice of some work, and gives back what is left of it.
    fn slice(&mut self, now: Now, work: Work) -> Option<Work> {
        match work {
            Work::Purge { log, mut purging, later } => {
                let Some((stream, consumers)) = self.worked_on(log) else {
                    self.answer_later(now, later, Err(Fault::StreamNotFound));
                    return None;
                };
                let (mut changes, most) = (Changes::default(), (DROPS / (1 + consumers)).max(16));
                let is_more = stream.purge_more(&mut purging, most, &mut changes);
                self.removed(now, log, changes);
                if is_more {
                    return Some(Work::Purge { log, purging, later });
                }
                let reply = api::stream::purged(&later, &purging);
                self.answer_later(now, later, Ok(reply));
            }
            Work::Subjects(mut subjects) => {
                let Some((stream, _)) = self.worked_on(subjects.log) else {
                    self.answer_later(now, subjects.later, Err(Fault::StreamNotFound));
                    return None;
                };
                let filter = subjects.filter.clone();
                let (some, next) = stream.some_subjects(subjects.next, SUBJECTS, &filter);
                some.for_each(|(subject, count)| subjects.take(subject, count));
                if let Some(next) = next {
                    subjects.next = next;
                    return Some(Work::Subjects(subjects));
                }
                let reply = self.subjects_found(now, &mut subjects).ok_or(Fault::StreamNotFound);
                self.answer_later(now, subjects.later, reply);
            }
            Work::Unwanted { log, at, to, again } => {
                let rest = match self.drop_some_unwanted(now, log, at, to) {
                    Some(at) => Some(Work::Unwanted { log, at, to, again }),
                    None => again.map(|to| Work::Unwanted { log, at: 0, to, again: None }),
                };
                self.note_sweep(log, rest.is_some());
                return rest;
            }
        }
        None
    }

    /// A stream that is being worked on, and how many consumers it has.
    fn worked_on(&mut self, log: LogId) -> Option<(&mut bus::stream::Stream, usize)> {
        match self.cells.get_mut(&log)? {
            Cell { body: Body::Warm(stream), consumers, .. } => Some((stream, consumers.len())),
            _ => None,
        }
    }

    /// Messages that nobody wants any more go, if the stream keeps them for interest only.
    pub(crate) fn drop_unwanted(&mut self, now: Now, log: LogId) {
        let Some((stream, _)) = self.worked_on(log) else { return };
        let to = stream.last();
        // One walk more finds what all consumers that went meanwhile had wanted; the one under way goes on, or it would
        // never end where consumers come and go.
        let waits = self.work.iter_mut().find_map(|work| match work {
            Work::Unwanted { log: other, again, .. } if *other == log => Some(again),
            _ => None,
        });
        match waits {
            Some(again) => *again = Some(to),
            None => self.begin(now, Work::Unwanted { log, at: 0, to, again: None }),
        }
    }

    /// Looks at some messages from a sequence on. Where to go on; `None`: that was all.
    fn drop_some_unwanted(&mut self, now: Now, log: LogId, mut at: u64, to: u64) -> Option<u64> {
        let Cell { body: Body::Warm(stream), consumers, config, .. } = self.cells.get_mut(&log)? else {
            return None;
        };
        if config.retention != wire::jetstream::Retention::Interest {
            return None;
        }
        let (looks, drops) =
            ((LOOKS / (1 + consumers.len())).max(16), (DROPS / (1 + consumers.len())).max(16));
        let (mut changes, mut looked, mut dropped) = (Changes::default(), 0, 0);
        let mut rest = None;
        while let Some(seq) = stream.next(at, &mut |_, _| true).filter(|seq| *seq <= to) {
            if looked == looks || dropped == drops {
                rest = Some(seq);
                break;
            }
            looked += 1;
            if !is_wanted(consumers, stream, seq) {
                dropped += usize::from(stream.acknowledged(seq, &mut changes));
            }
            at = seq + 1;
        }
        self.removed(now, log, changes);
        rest
    }

    /// Notes whether there may be messages that nobody wants: a crash must not leave them there for ever.
    fn note_sweep(&mut self, log: LogId, is_sweeping: bool) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if std::mem::replace(&mut cell.is_sweeping, is_sweeping) != is_sweeping && !log.is_volatile() {
            let state = is_sweeping.then(|| Bytes::from_static(b"1"));
            self.out.append(Entry::State(sweep_key(log), state));
        }
    }

    /// Answers a request whose work is done.
    fn answer_later(&mut self, now: Now, mut later: Later, reply: Result<Reply, Fault>) {
        let (tenant, subject, span) = (later.tenant, later.reply.clone(), later.span.take());
        match reply {
            Ok(Reply::Safe(payload)) => {
                let said = Said { tenant, subject, payload, ..Said::default() };
                self.out.hold(Level::Disk, Held::Answer { said, asked: later.asked, span });
            }
            Ok(Reply::Now(payload)) => {
                self.traced.end(span, None);
                self.answer_now(now, tenant, subject, payload, &later);
            }
            Ok(Reply::Later) => {}
            Err(fault) => {
                super::count(&self.figures.api_errors_total);
                let error = ApiError::from(fault);
                self.traced.end(span, Some(&error.description));
                let answer = later.refused(error);
                self.answer_now(now, tenant, subject, answer, &later);
            }
        }
    }

    fn answer_now(&mut self, now: Now, tenant: TenantId, to: Bytes, answer: Bytes, later: &Later) {
        self.out.answer(tenant, &to, &answer);
        if let Some(asked) = &later.asked {
            api::advisory::audited(self, now, tenant, asked, &answer);
        }
    }
}
