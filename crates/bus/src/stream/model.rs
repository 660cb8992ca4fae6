//! Random lives, lived by a stream and by its rules as a list: whatever happens, both say the same.

mod rules;

use std::collections::BTreeMap;

use kernel::headers::block;
use kernel::journal::{Image, Record, Row as ImageRow, Summary};
use kernel::{Msg, Now, SubjectPattern};
use proptest::prelude::*;
use wire::jetstream::PublishHeaders;

use super::*;
use crate::messages::Messages;
use rules::{Ask, Limited, Message, Model, SUBJECTS};

const FILTERS: [&str; 5] = [">", "a.*", "b.1", "*.d.>", "x"];
const START_MS: u64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    Publish(usize, usize, Ask),
    /// Shows all but so many.
    Show(u64),
    Delete(u64),
    Purge(Option<usize>, Option<u64>, Option<u64>),
    /// Lets so many milliseconds pass.
    Pass(u64),
    Update(Limited),
    Restart,
}

/// Both, and what a journal would hold.
struct Pair {
    stream: Stream,
    model: Model,
    kept: BTreeMap<u64, Record>,
    limits: Limited,
    ms: u64,
    trace: Vec<String>,
}

impl Pair {
    fn new(limits: Limited, hash_seed: u64) -> Pair {
        Pair {
            stream: Stream::new(limits.config(), hash_seed),
            model: Model::default(),
            kept: BTreeMap::new(),
            limits,
            ms: START_MS,
            trace: Vec::new(),
        }
    }

    fn note(&mut self, changes: Changes) {
        self.trace.push(format!("{changes:?}"));
        let records = changes.record.into_iter().chain(changes.markers);
        self.kept.extend(records.map(|record| (record.index, record)));
        for range in changes.removed {
            self.kept.retain(|seq, _| !range.contains(seq));
        }
    }

    fn now(&self) -> Now {
        Now { mono_ns: 0, wall_ms: self.ms }
    }

    fn publish(&mut self, subject: usize, size: usize, ask: &Ask) {
        let last_of = self.model.of(subject).map(|m| m.seq).max().unwrap_or(0);
        let pair = match ask {
            Ask::Nothing => None,
            Ask::Id(n) => Some(("Nats-Msg-Id", n.to_string())),
            Ask::Ttl(seconds) => Some(("Nats-TTL", seconds.to_string())),
            Ask::Never => Some(("Nats-TTL", "never".into())),
            Ask::RollSubject => Some(("Nats-Rollup", "sub".into())),
            Ask::RollAll => Some(("Nats-Rollup", "all".into())),
            Ask::LastOfSubject(off) => {
                Some(("Nats-Expected-Last-Subject-Sequence", (last_of + off).to_string()))
            }
        };
        let headers = block(pair.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
        let (name, payload) = (SUBJECTS[subject].as_bytes(), "x".repeat(size));
        let m = Msg { subject: name, headers: &headers, payload: payload.as_bytes(), ..Msg::default() };
        let mut changes = Changes::default();
        let asked = PublishHeaders::read(&headers);
        let result = self.stream.publish(self.now(), &m, &asked, &mut changes);
        self.note(changes);
        let ms = self.ms.max(self.model.last_ms);
        let size = (name.len() + m.size()) as u64;
        let lives_ms = if let Ask::Ttl(s) = ask { Some(s * 1000) } else { None };
        let message = Message {
            seq: self.model.last + 1,
            ms,
            subject,
            size,
            weight: size + if headers.is_empty() { 30 } else { 34 },
            id: if let Ask::Id(n) = ask { Some(*n) } else { None },
            lives_ms,
            due_ms: lives_ms.map(|lives| ms + lives),
            stays: matches!(ask, Ask::Never),
            rolls: match ask {
                Ask::RollAll => Some(true),
                Ask::RollSubject => Some(false),
                _ => None,
            },
            is_marker: false,
            is_aged: false,
        };
        let ask =
            if let Ask::LastOfSubject(off) = ask { Ask::LastOfSubject(last_of + off) } else { ask.clone() };
        assert_eq!(result, self.model.publish(self.limits, message, &ask));
    }

    fn run(&mut self, op: &Op) {
        let mut changes = Changes::default();
        match op {
            Op::Publish(subject, size, ask) => self.publish(*subject, *size, ask),
            Op::Show(less) => {
                let to = self.model.last.saturating_sub(*less);
                self.stream.show(to, &mut changes);
                self.model.show(self.limits, to);
            }
            Op::Delete(back) => {
                let seq = self.model.last.saturating_sub(*back);
                let there = self.model.seen().iter().any(|m| m.seq == seq);
                assert_eq!(self.stream.delete(seq, &mut changes).is_ok(), there);
                if there {
                    self.model.list.retain(|m| m.seq != seq);
                }
            }
            Op::Purge(filter, back, keep) => {
                let filter = filter.map(|f| SubjectPattern::parse(FILTERS[f].as_bytes()).unwrap());
                let before = back.map(|back| (self.model.last + 1).saturating_sub(back).max(1));
                let what = Purge { filter: filter.as_ref(), before, keep: *keep };
                let count = super::tests::purge_all(&mut self.stream, what, &mut changes).unwrap();
                assert_eq!(count, self.model.purge(filter.as_ref(), before, *keep));
            }
            Op::Pass(ms) => {
                self.ms += ms;
                let due = self.stream.next_wake().is_some_and(|wake| wake <= self.ms);
                self.stream.expire(self.now(), &mut changes);
                self.model.expire(self.limits, self.ms);
                assert!(due || changes == Changes::default(), "nothing goes before it is due");
            }
            Op::Update(limits) => {
                self.limits = *limits;
                self.stream.update(limits.config(), &mut changes);
                (0..SUBJECTS.len()).for_each(|s| self.model.keep_subject(*limits, s));
                self.model.keep_bounds(*limits);
            }
            Op::Restart => self.restart(),
        }
        self.note(changes);
        self.compare();
    }

    /// Everything that is stored is there again and can be seen; ids of what is gone are forgotten.
    fn restart(&mut self) {
        let subjects = SUBJECTS.iter().map(|s| s.as_bytes().into()).collect();
        let mut image = Image { subjects, rows: Vec::new() };
        for r in self.kept.values() {
            let subject = SUBJECTS.iter().position(|s| s.as_bytes() == r.subject()).unwrap() as u32;
            let (index, time_ns, size, flags) = (r.index, r.time_ns, r.size() as u32, r.flags);
            image.rows.push(ImageRow { index, time_ns, size, subject, flags });
        }
        let last_time_ns = self.model.last_ms * NS_PER_MS;
        let summary = Summary { last: self.model.last, last_time_ns, ..Summary::default() };
        self.stream = Stream::restore(self.limits.config(), &image, &summary, 5);
        for seq in self.stream.wanted_at_restore(self.now()) {
            self.stream.remember(&self.kept[&seq]);
        }
        let mut changes = Changes::default();
        assert_eq!(self.stream.next_wake(), Some(0));
        self.stream.expire(self.now(), &mut changes);
        self.note(changes);
        let Model { list, ids, .. } = &mut self.model;
        ids.retain(|(_, seq, _)| list.iter().any(|m| m.seq == *seq));
        for m in list.iter_mut() {
            // What waited because it could not be seen is due from its own time on again.
            m.due_ms = m.lives_ms.map(|lives| m.ms + lives);
            m.is_aged = false;
        }
        self.model.show(self.limits, u64::MAX);
        self.model.expire(self.limits, self.ms);
    }

    fn compare(&self) {
        let (s, m) = (&self.stream, &self.model);
        let stored: Vec<u64> = m.list.iter().map(|m| m.seq).collect();
        assert_eq!(self.kept.keys().copied().collect::<Vec<_>>(), stored, "the journal's view");
        let seen = m.seen();
        let state = s.state();
        let first = seen.first().map_or(if m.shown == 0 { 0 } else { m.shown + 1 }, |m| m.seq);
        assert_eq!((state.messages, state.first_seq, state.last_seq), (seen.len() as u64, first, m.shown));
        assert_eq!(state.bytes, seen.iter().map(|m| m.weight).sum::<u64>());
        assert_eq!(state.first_time_ns, seen.first().map_or(0, |m| m.ms * NS_PER_MS));
        let mut counts = BTreeMap::new();
        seen.iter().for_each(|m| *counts.entry(SUBJECTS[m.subject].as_bytes()).or_insert(0u64) += 1);
        assert_eq!(state.num_subjects, counts.len() as u64);
        let all = SubjectPattern::parse(b">").unwrap();
        assert_eq!(s.subjects(&all).collect::<BTreeMap<_, _>>(), counts);
        let gone: Vec<u64> =
            (first.max(1)..=m.shown).filter(|seq| seen.iter().all(|m| m.seq != *seq)).collect();
        assert_eq!(
            (s.deleted(usize::MAX), state.num_deleted),
            (gone.clone(), if seen.is_empty() { 0 } else { gone.len() as u64 })
        );
        assert_eq!((s.first(), s.last()), (seen.first().map_or(m.shown + 1, |m| m.seq), m.shown));
        for n in m.shown.saturating_sub(20)..=m.last + 1 {
            let row = s.row(n).map(|r| (r.time_ns, u64::from(r.size), s.subject(r.subject).to_vec()));
            let wanted = seen.iter().find(|m| m.seq == n);
            let of = |m: &&Message| (m.ms * NS_PER_MS, m.size, SUBJECTS[m.subject].as_bytes().to_vec());
            assert_eq!(row, wanted.map(of));
        }
        for (at, subject) in SUBJECTS.iter().enumerate() {
            let last = seen.iter().filter(|m| m.subject == at).map(|m| m.seq).max();
            assert_eq!(s.last_of(subject.as_bytes()), last);
        }
        FILTERS.iter().for_each(|filter| self.compare_filtered(filter, &seen));
    }

    fn compare_filtered(&self, filter: &str, seen: &[&Message]) {
        let s = &self.stream;
        let filter = SubjectPattern::parse(filter.as_bytes()).unwrap();
        let mut hears = |_: u32, subject: &[u8]| filter.matches(subject);
        let heard: Vec<&&Message> =
            seen.iter().filter(|m| filter.matches(SUBJECTS[m.subject].as_bytes())).collect();
        let middle = seen.get(seen.len() / 2).map_or(0, |m| m.seq);
        for from in [0, 1, middle, middle + 1, self.model.shown, self.model.shown + 1, u64::MAX] {
            let next = heard.iter().find(|m| m.seq >= from).map(|m| m.seq);
            assert_eq!(s.next(from, &mut hears), next, "from {from}");
            assert_eq!(s.next_heard(from, &filter), next);
            let count = heard.iter().filter(|m| m.seq >= from).count() as u64;
            assert_eq!(s.count(from, Some(&mut hears)), count, "from {from}");
            let count = seen.iter().filter(|m| m.seq >= from).count() as u64;
            assert_eq!(s.count(from, None), count);
        }
        let last_up_to = |up_to: u64| -> Vec<u64> {
            let last =
                |at: usize| heard.iter().filter(|m| m.subject == at && m.seq <= up_to).map(|m| m.seq).max();
            let mut all: Vec<u64> = (0..SUBJECTS.len()).filter_map(last).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(s.last_of_each(&mut hears), last_up_to(u64::MAX));
        for up_to in [middle, u64::MAX] {
            assert_eq!(s.last_of_many(std::slice::from_ref(&filter), up_to, 99), Ok(last_up_to(up_to)));
        }
        assert_eq!(s.last_heard(&filter), heard.last().map(|m| m.seq));
        for ms in [0, START_MS, self.ms.saturating_sub(500), self.ms, self.ms + 1] {
            let wanted = seen.iter().find(|m| m.ms >= ms).map_or(self.model.shown + 1, |m| m.seq);
            assert_eq!(s.at_time(ms * NS_PER_MS), wanted);
        }
    }
}

fn limited() -> impl Strategy<Value = Limited> {
    let limit = |range: std::ops::Range<i64>| prop_oneof![Just(-1), range];
    let age = prop_oneof![3 => Just(0i64), 1 => 1000..3000i64];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (limit(1..12), limit(40..500), limit(1..4), age, flags).prop_map(
        |(msgs, bytes, per_subject, age_ms, (new, new_per_subject, marks))| Limited {
            msgs,
            bytes,
            per_subject,
            age_ms,
            new,
            new_per_subject,
            marks,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let ask = prop_oneof![
        8 => Just(Ask::Nothing),
        2 => (0..6u8).prop_map(Ask::Id),
        2 => (1..3u64).prop_map(Ask::Ttl),
        1 => Just(Ask::Never),
        1 => Just(Ask::RollSubject),
        1 => Just(Ask::RollAll),
        2 => (0..2u64).prop_map(Ask::LastOfSubject),
    ];
    let maybe = |range: std::ops::Range<u64>| prop::option::of(range);
    let bound = prop_oneof![
        Just((None, None)),
        maybe(0..20).prop_map(|before| (before, None)),
        maybe(1..5).prop_map(|keep| (None, keep)),
    ];
    prop_oneof![
        24 => (0..SUBJECTS.len(), 0..40usize, ask).prop_map(|(subject, size, ask)| Op::Publish(subject, size, ask)),
        12 => (0..4u64).prop_map(Op::Show),
        4 => (0..12u64).prop_map(Op::Delete),
        1 => (prop::option::of(0..FILTERS.len()), bound).prop_map(|(f, (b, k))| Op::Purge(f, b, k)),
        4 => (0..700u64).prop_map(Op::Pass),
        1 => limited().prop_map(Op::Update),
        1 => Just(Op::Restart),
    ]
}

fn life(limits: Limited, ops: &[Op], hash_seed: u64) -> Vec<String> {
    let mut pair = Pair::new(limits, hash_seed);
    ops.iter().for_each(|op| pair.run(op));
    pair.trace
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_stream_says_what_the_rules_say(
        limits in limited(),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        life(limits, &ops, 1);
    }

    #[test]
    fn the_same_life_has_the_same_effects(limits in limited(), ops in prop::collection::vec(op(), 1..60)) {
        prop_assert_eq!(life(limits, &ops, 1), life(limits, &ops, 1));
    }
}
