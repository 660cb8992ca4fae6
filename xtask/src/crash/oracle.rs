//! What clients were promised, and whether it was kept: every publish, acknowledgement, delivery and confirmation as the
//! clients saw it, and nothing of how a server works. No IO, no clock.
//!
//! A message is known by its number, which no other has. What a server stores or delivers is given here as the number
//! that its payload holds, or as none if nobody ever sent such a payload.

mod names;

use std::collections::{BTreeMap, HashMap, HashSet};

use names::Names;

/// Violations of one kind whose text is kept.
const TOLD_MAX: u64 = 8;

/// What a stream keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Everything.
    All,
    /// The newest messages of each subject, so many.
    PerSubject(usize),
    /// What was not acknowledged by its consumer.
    WorkQueue,
}

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A publish was acknowledged and is not there.
    Lost,
    /// A sequence holds another message than before, or a message another sequence.
    Moved,
    /// A message is stored or acknowledged under two sequences.
    Doubled,
    /// There is something that nobody published, or not there.
    Unknown,
    /// Sequences do not ascend.
    Unordered,
    /// A message was delivered although its acknowledgement had been confirmed.
    Redelivered,
    /// A message is in a work queue although its acknowledgement had been confirmed.
    Undone,
    /// A message was never delivered to a consumer.
    Undelivered,
    /// A stream keeps more than its configuration allows.
    Limit,
    /// The server refused, or did not answer, although it was not killed.
    Refused,
}

/// A message as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) subject: u32,
    /// `None`: its payload is none that was ever sent.
    pub(crate) message: Option<u64>,
}

/// What a stream says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) messages: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    pub(crate) published: u64,
    pub(crate) acknowledged: u64,
    pub(crate) retried: u64,
    /// Retries that the server knew to be there already.
    pub(crate) recognised: u64,
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    pub(crate) confirmed: u64,
}

/// The record.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    streams: Vec<Stream>,
    consumers: Vec<Consumer>,
    names: Names,
    counts: Counts,
    violations: BTreeMap<Kind, u64>,
    told: Vec<String>,
}

#[derive(Debug)]
struct Stream {
    name: &'static str,
    rule: Rule,
    sent: HashMap<u64, Sent>,
    /// Which message was seen at a sequence.
    at: HashMap<u64, u64>,
    /// The highest acknowledged sequence.
    last: u64,
}

#[derive(Debug, Default)]
struct Sent {
    subject: u32,
    /// Where it was seen.
    seq: Option<u64>,
    acknowledged: bool,
}

#[derive(Debug)]
struct Consumer {
    name: &'static str,
    stream: usize,
    delivered: HashSet<u64>,
    /// Sequences for which an acknowledgement was sent.
    acknowledged: HashSet<u64>,
    /// Sequences whose acknowledgement was answered.
    confirmed: HashSet<u64>,
}

impl Oracle {
    /// A stream; its number is the place in the order of calls.
    pub(crate) fn stream(&mut self, name: &'static str, rule: Rule) -> usize {
        let (sent, at) = Default::default();
        self.streams.push(Stream { name, rule, sent, at, last: 0 });
        self.streams.len() - 1
    }

    /// A consumer of a stream; its number is the place in the order of calls.
    pub(crate) fn consumer(&mut self, name: &'static str, stream: usize) -> usize {
        let (delivered, acknowledged, confirmed) = Default::default();
        self.consumers.push(Consumer { name, stream, delivered, acknowledged, confirmed });
        self.consumers.len() - 1
    }

    /// A stream is about to be made or removed.
    pub(crate) fn asks_for_stream(&mut self, name: &str) {
        self.names.asked(name);
    }

    /// The server has said that a stream is there now, or gone.
    pub(crate) fn stream_is(&mut self, name: &str, there: bool) {
        self.names.answered(name, there);
    }

    /// All streams that a server has after a start.
    pub(crate) fn listed(&mut self, names: &[String]) {
        let (missing, surplus) = self.names.differ(names);
        for name in missing {
            self.violated(Kind::Lost, || format!("stream {name} was made and is not there"));
        }
        for name in surplus {
            self.violated(Kind::Unknown, || {
                format!("stream {name} was removed, or never made, and is there")
            });
        }
    }

    /// A message is about to be sent, for the first time or again under the same id.
    pub(crate) fn sent(&mut self, stream: usize, message: u64, subject: u32) {
        let Some(stream) = self.streams.get_mut(stream) else { return };
        self.counts.published += 1;
        let again = stream.sent.contains_key(&message);
        self.counts.retried += u64::from(again);
        stream.sent.entry(message).or_insert(Sent { subject, ..Sent::default() });
    }

    /// A publish was acknowledged.
    pub(crate) fn acked(&mut self, stream: usize, message: u64, seq: u64, duplicate: bool) {
        self.counts.acknowledged += 1;
        self.counts.recognised += u64::from(duplicate);
        self.place(stream, seq, Some(message), None, "acknowledged");
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.last = stream.last.max(seq);
            if let Some(sent) = stream.sent.get_mut(&message) {
                sent.acknowledged = true;
            }
        }
    }

    /// A consumer was given a message. Calls come in the order of arrival.
    pub(crate) fn delivered(&mut self, consumer: usize, stored: Stored) {
        let Some(Consumer { name, stream, delivered, confirmed, .. }) = self.consumers.get_mut(consumer)
        else {
            return;
        };
        let (name, stream) = (*name, *stream);
        let again = !delivered.insert(stored.seq);
        let confirmed = confirmed.contains(&stored.seq);
        self.counts.delivered += 1;
        self.counts.redelivered += u64::from(again);
        self.place(stream, stored.seq, stored.message, Some(stored.subject), "delivered");
        if confirmed {
            let seq = stored.seq;
            self.violated(Kind::Redelivered, || {
                format!("{name}: {seq} after its acknowledgement was confirmed")
            });
        }
    }

    /// A consumer is about to acknowledge a message.
    pub(crate) fn acknowledges(&mut self, consumer: usize, seq: u64) {
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.acknowledged.insert(seq);
        }
    }

    /// The server has confirmed an acknowledgement.
    pub(crate) fn confirmed(&mut self, consumer: usize, seq: u64) {
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.confirmed.insert(seq);
            self.counts.confirmed += 1;
        }
    }

    /// The server refused or failed without having been killed.
    pub(crate) fn refused(&mut self, why: impl FnOnce() -> String) {
        self.violated(Kind::Refused, why);
    }

    /// What a stream says after a start, before anything is published again.
    pub(crate) fn restarted(&mut self, stream: usize, state: State) {
        let Some(Stream { name, rule, last, .. }) = self.streams.get(stream) else { return };
        let (name, last, whole) = (*name, *last, *rule == Rule::All);
        let State { first, last: has, messages } = state;
        if has < last {
            self.violated(Kind::Lost, || {
                format!("{name}: {last} was acknowledged, the stream ends at {has}")
            });
        }
        if whole && has > 0 && (first, messages) != (1, has) {
            self.violated(Kind::Lost, || {
                format!("{name}: {messages} messages from {first} to {has}, and none was ever removed")
            });
        }
    }

    /// The newest acknowledged messages of a stream that must still be there, for a quick look after a start: sequences.
    pub(crate) fn newest(&self, stream: usize, count: u64) -> Vec<u64> {
        let Some(stream) = self.streams.get(stream).filter(|stream| stream.rule == Rule::All) else {
            return Vec::new();
        };
        let acknowledged = |seq: &u64| {
            stream
                .at
                .get(seq)
                .and_then(|message| stream.sent.get(message))
                .is_some_and(|sent| sent.acknowledged)
        };
        (stream.last.saturating_sub(count) + 1..=stream.last).filter(acknowledged).collect()
    }

    /// One message that was asked for by its sequence; `None`: it is not there.
    pub(crate) fn looked_up(&mut self, stream: usize, seq: u64, found: Option<Stored>) {
        match found {
            Some(stored) => self.place(stream, seq, stored.message, Some(stored.subject), "found"),
            None => {
                let name = self.streams.get(stream).map_or("", |stream| stream.name);
                self.violated(Kind::Lost, || format!("{name}: {seq} was acknowledged and is not there"));
            }
        }
    }

    /// Everything that a stream holds at the end, in the order in which the server gives it.
    pub(crate) fn holds(&mut self, stream: usize, all: &[Stored]) {
        for (before, after) in all.iter().zip(all.iter().skip(1)) {
            if before.seq >= after.seq {
                self.violated(Kind::Unordered, || format!("{} stands before {}", before.seq, after.seq));
            }
        }
        for stored in all {
            self.place(stream, stored.seq, stored.message, Some(stored.subject), "stored");
        }
        match self.streams.get(stream).map(|stream| stream.rule) {
            Some(Rule::All) => self.must_hold(stream, all, |_, _| true),
            Some(Rule::PerSubject(most)) => self.holds_newest(stream, all, most),
            Some(Rule::WorkQueue) => self.holds_work(stream, all),
            None => {}
        }
    }

    /// The end: whoever consumes a stream was given everything that was acknowledged there.
    pub(crate) fn all_delivered(&mut self, consumer: usize) {
        let Some(Consumer { name, stream, delivered, .. }) = self.consumers.get(consumer) else { return };
        let Some(Stream { sent, .. }) = self.streams.get(*stream) else { return };
        let seqs = sent.values().filter(|sent| sent.acknowledged).filter_map(|sent| sent.seq);
        let missing: Vec<u64> = seqs.filter(|seq| !delivered.contains(seq)).collect();
        let name = *name;
        for seq in missing {
            self.violated(Kind::Undelivered, || format!("{name}: {seq} was never delivered"));
        }
    }

    /// What was done so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// How often each promise was broken.
    pub(crate) fn violations(&self) -> &BTreeMap<Kind, u64> {
        &self.violations
    }

    /// The first violations in words.
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    /// A message was seen at a sequence: the same as ever, and sent by somebody.
    fn place(&mut self, stream: usize, seq: u64, message: Option<u64>, subject: Option<u32>, how: &str) {
        let Some(Stream { name, sent, at, .. }) = self.streams.get_mut(stream) else { return };
        let name = *name;
        let Some((message, sent)) = message.and_then(|m| Some((m, sent.get_mut(&m)?))) else {
            return self.violated(Kind::Unknown, || format!("{name}: {how} at {seq}: never published there"));
        };
        let other_subject = subject.filter(|subject| *subject != sent.subject);
        let before = sent.seq.replace(seq).filter(|before| *before != seq);
        let other = at.insert(seq, message).filter(|other| *other != message);
        if other_subject.is_some() {
            self.violated(Kind::Unknown, || {
                format!("{name}: {message:#x} {how} at {seq} under another subject")
            });
        }
        if let Some(before) = before {
            self.violated(Kind::Doubled, || {
                format!("{name}: {message:#x} {how} at {seq} and seen at {before}")
            });
        }
        if let Some(other) = other {
            self.violated(Kind::Moved, || {
                format!("{name}: {seq} held {other:#x} and now {message:#x} is {how} there")
            });
        }
    }

    /// Every acknowledged message for which `must` (of its sequence and subject) holds is among `all`.
    fn must_hold(&mut self, stream: usize, all: &[Stored], must: impl Fn(u64, u32) -> bool) {
        let Some(Stream { name, sent, .. }) = self.streams.get(stream) else { return };
        let there: HashSet<u64> = all.iter().map(|stored| stored.seq).collect();
        let acknowledged = sent.values().filter(|sent| sent.acknowledged);
        let mut missing: Vec<u64> = acknowledged
            .filter_map(|sent| Some((sent.seq?, sent.subject)))
            .filter(|(seq, subject)| !there.contains(seq) && must(*seq, *subject))
            .map(|(seq, _)| seq)
            .collect();
        missing.sort_unstable();
        let name = *name;
        for seq in missing {
            self.violated(Kind::Lost, || format!("{name}: {seq} was acknowledged and is not there"));
        }
    }

    /// Of each subject the newest, so that an acknowledged message is gone only if enough newer ones are there.
    fn holds_newest(&mut self, stream: usize, all: &[Stored], most: usize) {
        let mut of_subject: HashMap<u32, Vec<u64>> = HashMap::new();
        for stored in all {
            of_subject.entry(stored.subject).or_default().push(stored.seq);
        }
        for (subject, seqs) in of_subject.iter().filter(|(_, seqs)| seqs.len() > most) {
            let count = seqs.len();
            self.violated(Kind::Limit, || {
                format!("subject {subject} has {count} messages, {most} are allowed")
            });
        }
        let newer = |seq: u64, subject: u32| {
            of_subject.get(&subject).map_or(0, |seqs| seqs.iter().filter(|other| **other > seq).count())
        };
        self.must_hold(stream, all, |seq, subject| newer(seq, subject) < most);
    }

    /// A work queue has what nobody acknowledged, and nothing whose acknowledgement was confirmed.
    fn holds_work(&mut self, stream: usize, all: &[Stored]) {
        let mut acknowledged = HashSet::new();
        let mut undone = Vec::new();
        for consumer in self.consumers.iter().filter(|consumer| consumer.stream == stream) {
            acknowledged.extend(consumer.acknowledged.iter().copied());
            undone.extend(all.iter().map(|stored| stored.seq).filter(|seq| consumer.confirmed.contains(seq)));
        }
        for seq in undone {
            self.violated(Kind::Undone, || {
                format!("work queue: {seq} is there, its acknowledgement was confirmed")
            });
        }
        self.must_hold(stream, all, |seq, _| !acknowledged.contains(&seq));
    }

    fn violated(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        let count = self.violations.entry(kind).or_default();
        *count += 1;
        if *count <= TOLD_MAX {
            self.told.push(format!("{kind:?}: {}", what()));
        }
    }
}

#[cfg(test)]
mod tests;
