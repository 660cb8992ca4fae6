//! Tests of the consumer, with a stream that is a list.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use kernel::{Now, Priority};
use wire::jetstream::{AckPolicy, ConsumerConfig, Retention};

use super::*;
use crate::marked::{Mark, Marked};
use crate::messages::Stored;

mod ack;
mod config;
mod deliver;
mod priority;
mod pull;
mod push;
mod random;
mod state;

pub(super) const MS: u64 = 1_000_000;
pub(super) const S: u64 = 1_000 * MS;
/// 2026-01-01, in milliseconds.
pub(super) const WALL: u64 = 1_767_225_600_000;

/// A stream that is a list.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) rows: BTreeMap<u64, Stored>,
    pub(super) subjects: Vec<Vec<u8>>,
    pub(super) last: u64,
    pub(super) marked: Marked,
    pub(super) released_ms: u64,
}

impl List {
    pub(super) fn push(&mut self, subject: &str, time_ns: u64) -> u64 {
        self.push_marked(subject, time_ns, Mark::NONE)
    }

    pub(super) fn push_marked(&mut self, subject: &str, time_ns: u64, mark: Mark) -> u64 {
        let known = self.subjects.iter().position(|s| s == subject.as_bytes());
        let number = known.unwrap_or_else(|| {
            self.subjects.push(subject.into());
            self.subjects.len() - 1
        });
        self.last += 1;
        self.rows.insert(self.last, Stored { time_ns, size: 100, subject: number as u32, mark });
        self.marked.add(self.last, mark);
        self.last
    }

    fn name(&self, row: &Stored) -> &[u8] {
        &self.subjects[row.subject as usize]
    }
}

impl Messages for List {
    fn first(&self) -> u64 {
        self.rows.keys().next().copied().unwrap_or(self.last + 1)
    }
    fn last(&self) -> u64 {
        self.last
    }
    fn row(&self, seq: u64) -> Option<Stored> {
        self.rows.get(&seq).copied()
    }
    fn subject(&self, number: u32) -> &[u8] {
        &self.subjects[number as usize]
    }
    fn next(&self, from: u64, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Option<u64> {
        self.rows.range(from..).find(|(_, row)| hears(row.subject, self.name(row))).map(|(seq, _)| *seq)
    }
    fn count(&self, from: u64, hears: Option<&mut dyn FnMut(u32, &[u8]) -> bool>) -> u64 {
        let rows = self.rows.range(from..);
        match hears {
            None => rows.count() as u64,
            Some(hears) => rows.filter(|(_, row)| hears(row.subject, self.name(row))).count() as u64,
        }
    }
    fn marked(&self) -> Option<&Marked> {
        Some(&self.marked).filter(|marked| !marked.is_empty())
    }
    fn released_ms(&self) -> u64 {
        self.released_ms
    }
    fn at_time(&self, time_ns: u64) -> u64 {
        let found = self.rows.iter().find(|(_, row)| row.time_ns >= time_ns);
        found.map_or(self.last + 1, |(seq, _)| *seq)
    }
    fn last_of_each(&self, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Vec<u64> {
        let mut last = BTreeMap::new();
        for (seq, row) in &self.rows {
            if hears(row.subject, self.name(row)) {
                last.insert(row.subject, *seq);
            }
        }
        let mut all: Vec<u64> = last.into_values().collect();
        all.sort_unstable();
        all
    }
}

/// A consumer on a [`List`], with a clock and ears.
pub(super) struct Bench {
    pub(super) consumer: Consumer,
    pub(super) list: List,
    pub(super) now: Now,
    pub(super) deaf: Vec<String>,
    pub(super) retention: Retention,
    pub(super) out: Vec<Action>,
}

pub(super) fn explicit() -> ConsumerConfig {
    ConsumerConfig {
        durable_name: "c".into(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: 30 * S as i64,
        max_deliver: -1,
        max_ack_pending: 1_000,
        max_waiting: 512,
        ..Default::default()
    }
}

pub(super) fn pushing() -> ConsumerConfig {
    ConsumerConfig { deliver_subject: "to.me".into(), max_waiting: 0, ..explicit() }
}

pub(super) fn home(retention: Retention) -> Home<'static> {
    Home { stream: "s", name: "c", retention, message_bytes_max: 1_000_000, is_kept: true, seed: 42 }
}

impl Bench {
    /// A consumer on a stream that holds these subjects.
    pub(super) fn on(config: ConsumerConfig, subjects: &[&str]) -> Bench {
        Bench::kept(config, subjects, Retention::Limits)
    }

    pub(super) fn kept(config: ConsumerConfig, subjects: &[&str], retention: Retention) -> Bench {
        let mut list = List::default();
        for subject in subjects {
            list.push(subject, WALL * MS);
        }
        let now = Now { mono_ns: 1_000 * S, wall_ms: WALL };
        let mut consumer = Consumer::new(config, home(retention), &list, now).unwrap();
        consumer.snapshot();
        consumer.safe(consumer.reserved());
        Bench { consumer, list, now, deaf: Vec::new(), retention, out: Vec::new() }
    }

    pub(super) fn publish(&mut self, subject: &str) -> u64 {
        let seq = self.list.push(subject, self.now.wall_ms * MS);
        self.consumer.stored(seq, subject.as_bytes());
        seq
    }

    /// Publishes a message with a priority that is kept back for so many milliseconds.
    pub(super) fn publish_marked(&mut self, subject: &str, priority: Priority, delay_ms: u64) -> u64 {
        let due_ms = if delay_ms > 0 { self.now.wall_ms + delay_ms } else { 0 };
        let mark = Mark { priority, due_ms };
        let seq = self.list.push_marked(subject, self.now.wall_ms * MS, mark);
        self.consumer.stored(seq, subject.as_bytes());
        seq
    }

    pub(super) fn remove(&mut self, seq: u64) {
        self.clear(seq..=seq, |_| true);
    }

    /// Removes those of a range that go.
    pub(super) fn clear(&mut self, range: RangeInclusive<u64>, goes: impl Fn(u64) -> bool) {
        let mut unmarked = Vec::new();
        self.list.rows.retain(|seq, row| {
            let stays = !range.contains(seq) || !goes(*seq);
            if !stays && row.mark.is_some() {
                unmarked.push((*seq, row.mark));
            }
            stays
        });
        unmarked.iter().for_each(|(seq, mark)| self.list.marked.remove(*seq, *mark));
        self.consumer.cleared(range, &unmarked, &self.list, &mut self.out);
    }

    pub(super) fn pass(&mut self, ns: u64) {
        self.now.mono_ns += ns;
        self.now.wall_ms += ns / MS;
        self.list.released_ms = self.now.wall_ms;
    }

    pub(super) fn needs(&mut self, seq: u64, subject: &[u8]) -> bool {
        let mark = self.list.row(seq).map_or(Mark::NONE, |row| row.mark);
        self.consumer.needs(seq, mark, subject)
    }

    pub(super) fn request(&mut self, pull: Pull) {
        let deaf = self.deaf.clone();
        let mut hears = |s: &[u8]| !deaf.iter().any(|d| d.as_bytes() == s);
        self.consumer.pull(self.now, pull, &self.list, &mut hears, &mut self.out);
    }

    pub(super) fn pull(&mut self, reply: &str, batch: i64) {
        self.request(Pull { reply: Bytes::copy_from_slice(reply.as_bytes()), batch, ..Pull::default() });
    }

    /// Steps until nothing more comes, and gives all that came since the last time.
    pub(super) fn step(&mut self) -> Vec<Action> {
        while self.step_by(1_000) {}
        std::mem::take(&mut self.out)
    }

    pub(super) fn step_by(&mut self, credit: usize) -> bool {
        let deaf = self.deaf.clone();
        let mut hears = |s: &[u8]| !deaf.iter().any(|d| d.as_bytes() == s);
        let more = self.consumer.step(self.now, &self.list, &mut hears, credit, &mut self.out);
        if self.consumer.take_delta().is_some() {
            self.consumer.safe(self.consumer.reserved());
        }
        more
    }

    /// Steps, and gives what was delivered as (sequence, deliveries so far, to whom).
    pub(super) fn given(&mut self) -> Vec<(u64, u32, String)> {
        deliveries(&self.step()).iter().map(|d| (d.seq, d.deliveries, utf8(&d.to))).collect()
    }

    /// Steps, and gives the sequences delivered.
    pub(super) fn seqs(&mut self) -> Vec<u64> {
        self.given().into_iter().map(|(seq, ..)| seq).collect()
    }

    pub(super) fn ack(&mut self, seq: u64, consumer_seq: u64, deliveries: u32, ack: Ack) -> Acked {
        let token = Token { seq, consumer_seq, deliveries };
        self.consumer.ack(self.now, token, ack, &self.list, &mut self.out)
    }

    /// Acknowledges a first delivery, and gives what was told of it.
    pub(super) fn advised(&mut self, seq: u64, ack: Ack) -> Vec<Advisory> {
        self.ack(seq, seq, 1, ack);
        let advisory = |action| if let Action::Advisory(told) = action { Some(told) } else { None };
        std::mem::take(&mut self.out).into_iter().filter_map(advisory).collect()
    }

    pub(super) fn info(&mut self) -> Info {
        self.consumer.info(&self.list)
    }
}

pub(super) fn deliveries(actions: &[Action]) -> Vec<Delivery> {
    let delivery = |a: &Action| match a {
        Action::Deliver(d) => Some(d.clone()),
        _ => None,
    };
    actions.iter().filter_map(delivery).collect()
}

pub(super) fn statuses(actions: &[Action]) -> Vec<(String, Status)> {
    let status = |a: &Action| match a {
        Action::Status { to, status } => Some((utf8(to), status.clone())),
        _ => None,
    };
    actions.iter().filter_map(status).collect()
}

pub(super) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
