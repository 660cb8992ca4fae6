//! Random lives of a consumer against a naive model of what it promised: publishes, requests, acknowledgements of every
//! kind (stale, doubled and nonsense ones too), passing time, removals, snapshots, and crashes that lose what was not
//! safe yet.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::jetstream::DeliverPolicy;

use super::*;

const SUBJECTS: [&str; 4] = ["a", "b.x", "b.y", "c"];
const MAX_ACK_PENDING: usize = 5;
const MAX_DELIVER: u32 = 3;
const ACK_WAIT: u64 = 10 * S;

#[derive(Clone, Debug)]
enum Op {
    Publish(usize),
    /// With a priority, and kept back for so many seconds.
    PublishMarked(usize, usize, u64),
    Pull {
        batch: i64,
        no_wait: bool,
        expires: bool,
    },
    Step(usize),
    Ack {
        pick: usize,
        kind: u8,
    },
    Nonsense(u64, u64),
    Pass(u64),
    Remove(usize),
    Clear(usize),
    Snapshot,
    Safe,
    Crash {
        lost: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// Delivered last as this consumer sequence, for the n-th time; again not before then.
    Held {
        first: u64,
        latest: u64,
        deliveries: u32,
        not_before: u64,
    },
    Spent {
        latest: u64,
        deliveries: u32,
    },
    Acked {
        by: u64,
    },
}

#[derive(Clone, Debug, Default)]
struct Model {
    messages: BTreeMap<u64, State>,
}

struct Life {
    config: ConsumerConfig,
    b: Bench,
    model: Model,
    /// Every delivery ever made, in this life and those before.
    handed: Vec<Delivery>,
    snapshot: (Bytes, Model),
    /// The last message that was there when it began.
    begun: u64,
    /// Each delta, the model as it was then, and the reservation to call safe when it is.
    deltas: Vec<(Bytes, Model, u64)>,
    safe_to: usize,
}

fn matches(config: &ConsumerConfig, subject: &str) -> bool {
    config.filter_subjects.is_empty() || subject != "c"
}

impl Life {
    fn begin(config: ConsumerConfig, subjects: &[usize]) -> Life {
        let names: Vec<&str> = subjects.iter().map(|s| SUBJECTS[*s]).collect();
        let mut b = Bench::on(config.clone(), &names);
        let mut model = Model::default();
        let mut last = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            last.insert(*name, at as u64 + 1);
        }
        for (at, name) in names.iter().enumerate() {
            let seq = at as u64 + 1;
            let begins = match config.deliver_policy {
                DeliverPolicy::New => false,
                DeliverPolicy::ByStartSequence => seq >= 3,
                DeliverPolicy::LastPerSubject => last[name] == seq,
                DeliverPolicy::Last => {
                    *last.iter().filter(|(n, _)| matches(&config, n)).map(|(_, s)| s).max().unwrap_or(&0)
                        <= seq
                }
                _ => true,
            };
            if begins && matches(&config, name) {
                model.messages.insert(seq, State::Fresh);
            }
        }
        let snapshot = (b.consumer.snapshot(), model.clone());
        let begun = b.list.last;
        Life { config, b, model, handed: Vec::new(), snapshot, begun, deltas: Vec::new(), safe_to: 0 }
    }

    fn published(&mut self, seq: u64, subject: usize) {
        let is_later = self.config.deliver_policy != DeliverPolicy::ByStartSequence || seq >= 3;
        if matches(&self.config, SUBJECTS[subject]) && is_later {
            self.model.messages.insert(seq, State::Fresh);
        }
    }

    /// Whether a message must not come yet.
    fn is_kept_back(&self, seq: u64) -> bool {
        let due_ms = self.b.list.rows.get(&seq).map_or(0, |row| row.mark.due_ms);
        self.policy() == AckPolicy::Explicit && due_ms > self.b.now.wall_ms
    }

    /// Where a message stands among the undelivered: the lowest comes first.
    fn place(&self, seq: u64) -> (u64, u64, u64) {
        let row = self.b.list.rows[&seq];
        if self.policy() != AckPolicy::Explicit {
            return (0, 0, seq);
        }
        let since_ms = if row.mark.due_ms > 0 { row.mark.due_ms } else { row.time_ns / MS };
        let waited = (self.b.now.wall_ms - since_ms) / crate::consumer::lanes::AGEING_MS;
        let raised = match row.mark.priority {
            Priority::Critical => 0,
            other => (other as u64).saturating_sub(waited).max(1),
        };
        // Those that a consumer begins with come before all but what is critical.
        let is_picked = seq <= self.begun && self.config.deliver_policy == DeliverPolicy::LastPerSubject;
        (if is_picked { raised.min(1) } else { raised }, since_ms, seq)
    }

    fn policy(&self) -> AckPolicy {
        self.config.ack_policy
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Publish(subject) => {
                let seq = self.b.publish(SUBJECTS[subject]);
                self.published(seq, subject);
            }
            Op::PublishMarked(subject, priority, delay_s) => {
                let priority = Priority::ALL[priority];
                let seq = self.b.publish_marked(SUBJECTS[subject], priority, delay_s * 1_000);
                self.published(seq, subject);
            }
            Op::Pull { batch, no_wait, expires } => {
                let expires_ns = if expires { 7 * S as i64 } else { 0 };
                self.b.request(Pull { reply: "r".into(), batch, no_wait, expires_ns, ..Pull::default() });
            }
            Op::Step(credit) => self.step(credit),
            Op::Ack { pick, kind } => self.ack(pick, kind),
            Op::Nonsense(seq, consumer_seq) => {
                let token = Token { seq, consumer_seq, deliveries: 1 };
                if !self.handed.iter().any(|d| d.seq == seq && d.consumer_seq == consumer_seq) {
                    let before = self.b.info();
                    let acked =
                        self.b.consumer.ack(self.b.now, token, Ack::Done, &self.b.list, &mut self.b.out);
                    assert_ne!(acked, Acked::Accepted, "{token:?}");
                    assert_eq!(before, self.b.info());
                }
            }
            Op::Pass(ns) => self.b.pass(ns),
            Op::Remove(pick) => {
                if let Some(seq) = self.b.list.rows.keys().nth(pick % self.b.list.rows.len().max(1)).copied()
                {
                    self.b.remove(seq);
                    self.model.messages.remove(&seq);
                }
            }
            Op::Clear(pick) => {
                let to = pick as u64 % (self.b.list.last + 1);
                self.model.messages.retain(|seq, _| *seq > to || seq % 3 == 0);
                self.b.clear(0..=to, |seq| seq % 3 != 0);
            }
            Op::Snapshot => {
                self.b.consumer.take_delta();
                let reserved = self.b.consumer.reserved();
                self.snapshot = (self.b.consumer.snapshot(), self.model.clone());
                self.deltas.clear();
                self.safe_to = 0;
                self.b.consumer.safe(reserved);
            }
            Op::Safe => {
                self.safe_to = self.deltas.len();
                if let Some((.., reserved)) = self.deltas.last() {
                    self.b.consumer.safe(*reserved);
                }
            }
            Op::Crash { lost } => self.crash(lost),
        }
        self.write_down();
        self.check();
    }

    fn write_down(&mut self) {
        self.read_out();
        if let Some(delta) = self.b.consumer.take_delta() {
            self.deltas.push((delta, self.model.clone(), self.b.consumer.reserved()));
        }
    }

    fn step(&mut self, credit: usize) {
        let mut hears = |_: &[u8]| true;
        let before = self.b.out.len();
        self.b.consumer.step(self.b.now, &self.b.list, &mut hears, credit, &mut self.b.out);
        let given = deliveries(&self.b.out[before..]).len();
        assert!(given <= credit);
    }

    /// Holds what came out against the model.
    fn read_out(&mut self) {
        for action in std::mem::take(&mut self.b.out) {
            match action {
                Action::Deliver(d) => self.delivered(d),
                Action::Advisory(Advisory::MaxDeliveries { seq, deliveries }) => {
                    let Some(State::Held { latest, deliveries: d, .. }) = self.model.messages.get(&seq)
                    else {
                        panic!("{seq} was not held")
                    };
                    assert_eq!((*d, deliveries), (MAX_DELIVER, MAX_DELIVER));
                    self.model.messages.insert(seq, State::Spent { latest: *latest, deliveries });
                }
                Action::Gone => panic!("a durable consumer stays"),
                _ => {}
            }
        }
    }

    fn delivered(&mut self, d: Delivery) {
        assert!(self.b.list.rows.contains_key(&d.seq), "{d:?} is there");
        if self.policy() != AckPolicy::None {
            assert!(
                self.handed.iter().all(|h| h.consumer_seq < d.consumer_seq),
                "{d:?} has a number of its own"
            );
        }
        let state = *self.model.messages.get(&d.seq).expect("it is one that it may deliver");
        let first = match state {
            State::Fresh => {
                let held = self.model.messages.values().filter(|s| matches!(s, State::Held { .. })).count();
                assert!(self.policy() == AckPolicy::None || held < MAX_ACK_PENDING, "{held} held");
                assert!(!self.is_kept_back(d.seq), "{d:?} comes when it is due");
                let place = self.place(d.seq);
                let fresh = self.model.messages.iter().filter(|(_, s)| **s == State::Fresh);
                let earlier = fresh.map(|(seq, _)| *seq).filter(|seq| !self.is_kept_back(*seq));
                let earlier: Vec<u64> = earlier.filter(|seq| self.place(*seq) < place).collect();
                assert!(earlier.is_empty(), "{d:?} comes in order, behind {earlier:?}");
                assert_eq!(d.deliveries, 1);
                d.consumer_seq
            }
            State::Held { first, deliveries, not_before, .. } => {
                assert_eq!(d.deliveries, deliveries + 1);
                assert!(d.deliveries <= MAX_DELIVER);
                assert!(self.b.now.mono_ns >= not_before, "{d:?} comes when the lease is over");
                first
            }
            other => panic!("{d:?} was {other:?}"),
        };
        let next = match self.policy() {
            AckPolicy::None => State::Acked { by: d.consumer_seq },
            _ => State::Held {
                first,
                latest: d.consumer_seq,
                deliveries: d.deliveries,
                not_before: self.b.now.mono_ns + ACK_WAIT,
            },
        };
        self.model.messages.insert(d.seq, next);
        let fresh = self.model.messages.values().filter(|s| **s == State::Fresh).count();
        assert_eq!(d.pending, fresh as u64);
        self.handed.push(d);
    }

    fn ack(&mut self, pick: usize, kind: u8) {
        self.read_out();
        let Some(d) = self.handed.iter().rev().nth(pick % self.handed.len().max(1)).cloned() else { return };
        let token = Token { seq: d.seq, consumer_seq: d.consumer_seq, deliveries: d.deliveries };
        let ack = match kind {
            0..=4 => Ack::Done,
            5 => Ack::Refuse { delay_ns: 0 },
            6 => Ack::Refuse { delay_ns: 4 * S },
            7 => Ack::Working,
            _ => Ack::Terminate { reason: Bytes::new() },
        };
        let acked = self.b.consumer.ack(self.b.now, token, ack.clone(), &self.b.list, &mut self.b.out);
        let state = self.model.messages.get(&d.seq).copied();
        let is_end = matches!(ack, Ack::Done | Ack::Terminate { .. });
        if self.policy() == AckPolicy::None {
            assert_eq!(acked, Acked::Unknown);
            return;
        }
        let now = self.b.now.mono_ns;
        match state {
            Some(State::Held { latest, deliveries, first, .. }) => {
                // One that a crash made it forget may be known by its place alone.
                let is_forgotten = d.consumer_seq > latest;
                let is_latest = d.consumer_seq == latest;
                match acked {
                    Acked::Accepted => assert!(is_latest || is_forgotten, "{token:?} {state:?}"),
                    Acked::Stale => assert!(!is_latest, "{token:?} {state:?}"),
                    other => panic!("{token:?} {state:?} {other:?}"),
                }
                if acked == Acked::Accepted {
                    let not_before = match ack {
                        Ack::Refuse { delay_ns } => now + delay_ns,
                        _ => now + ACK_WAIT,
                    };
                    match is_end {
                        true => self.finish(d.seq, d.consumer_seq),
                        false => {
                            let held = State::Held { first, latest, deliveries, not_before };
                            self.model.messages.insert(d.seq, held);
                        }
                    }
                }
            }
            Some(State::Spent { latest, .. }) => match acked {
                Acked::Accepted => {
                    assert!(is_end && latest == d.consumer_seq);
                    self.finish(d.seq, d.consumer_seq);
                }
                Acked::Already => assert!(!is_end && latest == d.consumer_seq),
                Acked::Stale => assert_ne!(latest, d.consumer_seq),
                other => panic!("{token:?} {state:?} {other:?}"),
            },
            Some(State::Acked { by }) => match acked {
                Acked::Already => assert_eq!(by, d.consumer_seq, "{token:?}"),
                Acked::Stale => assert_ne!(by, d.consumer_seq, "{token:?}"),
                other => panic!("{token:?} {state:?} {other:?}"),
            },
            // Not delivered as far as it knows, or no longer there.
            Some(State::Fresh) => assert_eq!(acked, Acked::Unknown),
            None => assert_ne!(acked, Acked::Accepted),
        }
    }

    fn finish(&mut self, seq: u64, by: u64) {
        let all = self.policy() == AckPolicy::All;
        for (at, state) in &mut self.model.messages {
            match *state {
                State::Held { latest, .. } | State::Spent { latest, .. } => {
                    if *at == seq {
                        *state = State::Acked { by };
                    } else if all && *at < seq && latest <= by {
                        *state = State::Acked { by: latest };
                    }
                }
                _ => {}
            }
        }
    }

    fn crash(&mut self, lost: usize) {
        self.write_down();
        let kept = self.deltas.len().saturating_sub(lost).max(self.safe_to);
        let is_whole = kept == self.deltas.len();
        self.deltas.truncate(kept);
        self.model = self.deltas.last().map_or(&self.snapshot.1, |(_, model, _)| model).clone();
        // What was published or removed since is in the stream nevertheless.
        let (list, config) = (&self.b.list, &self.config);
        self.model.messages.retain(|seq, _| list.rows.contains_key(seq));
        let known = self.deltas.last().map_or(&self.snapshot.1, |(_, m, _)| m).messages.keys().max();
        let fresh: Vec<u64> = list.rows.keys().copied().filter(|seq| Some(seq) > known).collect();
        let mut restored =
            Consumer::restore(config.clone(), home(Retention::Limits), &self.snapshot.0, list, self.b.now)
                .unwrap();
        for (delta, ..) in &self.deltas {
            restored.apply_delta(self.b.now, delta).unwrap();
        }
        restored.cleared(0..=u64::MAX, &[], list, &mut Vec::new());
        for seq in fresh {
            let name = utf8(list.subject(list.rows[&seq].subject));
            let is_later = config.deliver_policy != DeliverPolicy::ByStartSequence || seq >= 3;
            if seq > self.begun && is_later && matches(config, &name) {
                self.model.messages.entry(seq).or_insert(State::Fresh);
            }
        }
        // A crash makes time known by the wall clock alone.
        for state in self.model.messages.values_mut() {
            if let State::Held { not_before, .. } = state {
                *not_before = (*not_before).saturating_sub(ACK_WAIT).min(*not_before);
            }
        }
        let old = std::mem::replace(&mut self.b.consumer, restored);
        if is_whole {
            self.compare(old);
        }
        self.safe_to = self.deltas.len();
    }

    /// What was restored is what was there.
    fn compare(&mut self, mut old: Consumer) {
        let new = &mut self.b.consumer;
        let held = |c: &Consumer| -> Vec<_> {
            c.leases.iter().map(|(seq, l)| (seq, l.first, l.latest, l.deliveries)).collect()
        };
        assert_eq!(held(&old), held(new));
        assert_eq!(old.leases.iter_spent().collect::<Vec<_>>(), new.leases.iter_spent().collect::<Vec<_>>());
        assert_eq!(old.settled, new.settled);
        let (mut a, mut b) = (old.info(&self.b.list), new.info(&self.b.list));
        (a.num_waiting, b.num_waiting) = (0, 0);
        assert_eq!(a, b);
    }

    fn check(&mut self) {
        let info = self.b.info();
        let count = |is: fn(&State) -> bool| self.model.messages.values().filter(|s| is(s)).count() as u64;
        assert_eq!(info.num_pending, count(|s| *s == State::Fresh));
        assert_eq!(info.num_ack_pending, count(|s| matches!(s, State::Held { .. })));
        let again = count(|s| matches!(s, State::Spent { .. } | State::Held { deliveries: 2.., .. }));
        assert_eq!(info.num_redelivered, again);
        for (seq, row) in &self.b.list.rows {
            let needed = !matches!(self.model.messages.get(seq), None | Some(State::Acked { .. }));
            let subject = self.b.list.subjects[row.subject as usize].clone();
            assert_eq!(self.b.consumer.needs(*seq, row.mark, &subject), needed, "{seq}");
        }
    }

    /// With demand, time and somebody who does the work, every message is done or given up.
    fn finish_all(&mut self) {
        for _ in 0..200 {
            let is_open = |s: &State| !matches!(s, State::Acked { .. } | State::Spent { .. });
            if !self.model.messages.values().any(is_open) {
                break;
            }
            self.run(Op::Pull { batch: 100, no_wait: false, expires: false });
            self.run(Op::Safe);
            self.run(Op::Step(1_000));
            self.run(Op::Safe);
            for pick in 0..2.min(self.handed.len()) {
                self.run(Op::Ack { pick, kind: 0 });
            }
            self.run(Op::Pass(ACK_WAIT));
        }
        let open: Vec<_> = self
            .model
            .messages
            .iter()
            .filter(|(_, s)| !matches!(s, State::Acked { .. } | State::Spent { .. }))
            .collect();
        assert!(open.is_empty(), "{open:?}");
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4usize).prop_map(Op::Publish),
        4 => (0..4usize, 0..4usize, prop_oneof![3 => Just(0), 1 => 1..90u64])
            .prop_map(|(subject, priority, delay_s)| Op::PublishMarked(subject, priority, delay_s)),
        3 => (0..6i64, any::<bool>(), any::<bool>())
            .prop_map(|(batch, no_wait, expires)| Op::Pull { batch, no_wait, expires }),
        5 => (0..5usize).prop_map(Op::Step),
        8 => (0..12usize, 0..9u8).prop_map(|(pick, kind)| Op::Ack { pick, kind }),
        1 => (0..40u64, 0..40u64).prop_map(|(s, c)| Op::Nonsense(s, c)),
        3 => prop_oneof![9 => 1..12u64, 1 => 30..100u64].prop_map(|s| Op::Pass(s * S)),
        1 => (0..20usize).prop_map(Op::Remove),
        1 => (0..20usize).prop_map(Op::Clear),
        1 => Just(Op::Snapshot),
        2 => Just(Op::Safe),
        1 => (0..4usize).prop_map(|lost| Op::Crash { lost }),
    ]
}

fn config() -> impl Strategy<Value = ConsumerConfig> {
    let ack =
        prop::sample::select(vec![AckPolicy::Explicit, AckPolicy::Explicit, AckPolicy::All, AckPolicy::None]);
    let deliver = prop::sample::select(vec![
        DeliverPolicy::All,
        DeliverPolicy::All,
        DeliverPolicy::New,
        DeliverPolicy::Last,
        DeliverPolicy::ByStartSequence,
        DeliverPolicy::LastPerSubject,
    ]);
    (ack, deliver, any::<bool>()).prop_map(|(ack_policy, deliver_policy, is_filtered)| ConsumerConfig {
        ack_policy,
        deliver_policy,
        opt_start_seq: if deliver_policy == DeliverPolicy::ByStartSequence { 3 } else { 0 },
        filter_subjects: if is_filtered { vec!["a".into(), "b.*".into()] } else { vec![] },
        ack_wait: ACK_WAIT as i64,
        max_deliver: i64::from(MAX_DELIVER),
        max_ack_pending: MAX_ACK_PENDING as i64,
        ..explicit()
    })
}

proptest! {
    #[test]
    fn whatever_happens_every_promise_is_kept(
        config in config(),
        subjects in prop::collection::vec(0..4usize, 0..8),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut life = Life::begin(config, &subjects);
        for op in ops {
            life.run(op);
        }
        life.finish_all();
    }
}
