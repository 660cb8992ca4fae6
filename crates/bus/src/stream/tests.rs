//! What a stream promises, one test a promise; this file holds the bench they stand on.

mod look;
mod mark;
mod publish;
mod remove;
mod restart;
mod time;

use kernel::headers::block;
use kernel::journal::{Image, Record, Row as ImageRow, Summary};
use kernel::{Msg, Now, SubjectPattern};
use wire::jetstream::{Discard, PublishHeaders, StreamConfig};

use super::*;
use crate::messages::Messages;

const S: u64 = 1_000;

/// Purges, three messages at a time, and says how many went.
pub(super) fn purge_all(stream: &mut Stream, what: Purge<'_>, changes: &mut Changes) -> Result<u64, Refusal> {
    let mut purging = stream.purge(what, changes)?;
    while stream.purge_more(&mut purging, 3, changes) {}
    Ok(purging.purged())
}

/// A stream, what its journal would hold, and a clock.
struct Bench {
    stream: Stream,
    kept: std::collections::BTreeMap<u64, Record>,
    ms: u64,
}

fn stream(change: impl FnOnce(&mut StreamConfig)) -> Bench {
    let mut config = StreamConfig { name: "T".into(), ..StreamConfig::default() };
    change(&mut config);
    let config = check(config, &Limits::default()).unwrap();
    Bench { stream: Stream::new(config, 7), kept: Default::default(), ms: 1_700_000_000_000 }
}

fn pattern(text: &str) -> SubjectPattern {
    SubjectPattern::parse(text.as_bytes()).unwrap()
}

impl Bench {
    fn now(&self) -> Now {
        Now { mono_ns: 0, wall_ms: self.ms }
    }

    fn note(&mut self, changes: Changes) {
        let records = changes.record.into_iter().chain(changes.markers);
        self.kept.extend(records.map(|record| (record.index, record)));
        for range in changes.removed {
            self.kept.retain(|seq, _| !range.contains(seq));
        }
    }

    /// Stores without making visible.
    fn store(
        &mut self,
        subject: &str,
        payload: &str,
        headers: &[(&str, &str)],
    ) -> Result<Published, Refusal> {
        let headers = block(headers.iter().copied()).unwrap();
        let m = Msg {
            subject: subject.as_bytes(),
            payload: payload.as_bytes(),
            headers: &headers,
            ..Msg::default()
        };
        let mut changes = Changes::default();
        let parsed = PublishHeaders::read(&headers);
        let result = self.stream.publish(self.now(), &m, &parsed, &mut changes);
        self.note(changes);
        result
    }

    fn publish(&mut self, subject: &str, headers: &[(&str, &str)]) -> Result<Published, Refusal> {
        let result = self.store(subject, "x", headers);
        self.show();
        result
    }

    fn show(&mut self) {
        let mut changes = Changes::default();
        self.stream.show(u64::MAX, &mut changes);
        self.note(changes);
    }

    fn put(&mut self, subject: &str) {
        self.publish(subject, &[]).unwrap();
    }

    fn expire(&mut self) {
        let mut changes = Changes::default();
        self.stream.expire(self.now(), &mut changes);
        self.note(changes);
    }

    fn purge(&mut self, what: Purge<'_>) -> Result<u64, Refusal> {
        let mut changes = Changes::default();
        let result = purge_all(&mut self.stream, what, &mut changes);
        self.note(changes);
        result
    }

    fn seqs(&self) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(seq) = self.stream.next(seqs.last().map_or(0, |s| s + 1), &mut |_, _| true) {
            seqs.push(seq);
        }
        let kept: Vec<u64> = self.kept.keys().copied().filter(|s| *s <= self.stream.last()).collect();
        assert_eq!(seqs, kept, "the journal holds what the stream shows");
        seqs
    }

    /// The same stream after a restart.
    fn restarted(&mut self, lose_producers: bool) -> Bench {
        let mut image = Image::default();
        for r in self.kept.values() {
            let subject = image.subjects.iter().position(|s| s == r.subject()).unwrap_or_else(|| {
                image.subjects.push(r.subject().to_vec().into());
                image.subjects.len() - 1
            }) as u32;
            let (index, time_ns, size, flags) = (r.index, r.time_ns, r.size() as u32, r.flags);
            image.rows.push(ImageRow { index, time_ns, size, subject, flags });
        }
        let last_time_ns = self.stream.last_time_ns;
        let summary = Summary { last: self.stream.last_stored(), last_time_ns, ..Summary::default() };
        let mut stream = Stream::restore(self.stream.config().clone(), &image, &summary, 99);
        if !lose_producers && let Some(bytes) = self.stream.producers_snapshot() {
            stream.restore_producers(&bytes).unwrap();
        }
        for seq in stream.wanted_at_restore(self.now()) {
            stream.remember(&self.kept[&seq]);
        }
        let mut bench = Bench { stream, kept: self.kept.clone(), ms: self.ms };
        bench.expire();
        bench
    }
}

fn stored(seq: u64) -> Result<Published, Refusal> {
    Ok(Published::Stored { seq })
}

fn duplicate(seq: u64) -> Result<Published, Refusal> {
    Ok(Published::Duplicate { seq })
}
