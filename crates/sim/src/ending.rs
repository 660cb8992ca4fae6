//! The end of a run: every fault is over, the node starts once more, everything is compared, and then everything must
//! move: what is wanted is delivered, and the counts agree.

use std::collections::{BTreeMap, BTreeSet};

use wire::jetstream::api::{Answer, ConsumerInfo, CreateAction, StreamInfoPage};
use wire::jetstream::{PullRequest, Retention};

use crate::node::{End, Step};
use crate::oracle::{Consumer, Life};
use crate::promise::{Broken, Kept, counts, demand, progress};
use crate::world::{Lease, World};

/// Rounds of asking and acknowledging after which a consumer is stuck.
const ROUNDS_MAX: usize = 80;
const NS_PER_MS: u64 = 1_000_000;

impl World {
    pub(crate) fn ending(&mut self) -> Kept {
        self.trace.note("ending".into());
        self.restart_somehow()?;
        demand("progress", self.audit()?, || "everything is well, and nothing can be read".into())?;
        for stream in 0..self.streams.len() {
            if self.streams.get(stream).is_some_and(|s| s.life == Life::There) {
                self.drain(stream)?;
            }
        }
        demand("progress", self.audit()?, || "everything is well, and nothing can be read".into())?;
        if self.plan.rots_anywhere {
            self.rot_anywhere()?;
        }
        self.stop(End::Kill);
        Ok(())
    }

    /// Every consumer of a stream asks and acknowledges until nothing more comes.
    fn drain(&mut self, stream: usize) -> Kept {
        self.finish_making(stream)?;
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let all = (0..book.consumers.len())
            .filter(|at| book.consumers.get(*at).is_some_and(|consumer| consumer.life == Life::There));
        for consumer in all.collect::<Vec<_>>() {
            if self.random.one_in(2) {
                self.refilter(stream, consumer)?;
            }
            self.drain_consumer(stream, consumer)?;
        }
        Ok(())
    }

    /// A stream of limits gets one consumer more, that hears everything from the start.
    fn finish_making(&mut self, stream: usize) -> Kept {
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        if book.rules.retention == Retention::Limits {
            book.consumers.push(Consumer::new("last".into(), String::new(), 0, 7, 1_000));
            let consumer = book.consumers.len() - 1;
            self.ask_for_consumer(stream, consumer, CreateAction::CreateOrUpdate)?;
            self.quiesce()?;
        }
        Ok(())
    }

    /// A consumer that has counted what waits for it hears something else from now on.
    fn refilter(&mut self, stream: usize, consumer: usize) -> Kept {
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let Some(one) = book.consumers.get(consumer) else { return Ok(()) };
        let subject = format!("$JS.API.CONSUMER.INFO.{}.{}", book.rules.name, one.name);
        self.talk(&subject, &[])?;
        let request = PullRequest { no_wait: true, ..PullRequest::messages(1) };
        self.pull_with(0, stream, consumer, &request)?;
        self.work()?;
        if self.ask_for_filter(stream, consumer) {
            self.ask_for_consumer(stream, consumer, CreateAction::Update)?;
            self.quiesce()?;
        }
        Ok(())
    }

    fn drain_consumer(&mut self, stream: usize, consumer: usize) -> Kept {
        let Some(there) = self.audit_stream(stream)? else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let Some(one) = book.consumers.get(consumer) else { return Ok(()) };
        let (name, wait_ms) = (one.name.clone(), one.ack_wait_ms);
        let before: BTreeMap<u64, u64> = one.latest.clone();
        let subject = format!("$JS.API.CONSUMER.INFO.{}.{name}", book.rules.name);
        let mut info = ConsumerInfo::default();
        let is_mine = |lease: &Lease| (lease.stream, lease.consumer) == (stream, consumer);
        self.hand.retain(|lease| !is_mine(lease));
        for _ in 0..ROUNDS_MAX {
            let request = PullRequest { no_wait: true, ..PullRequest::messages(50) };
            // A request that met a full consumer waits for ever, and would take what is asked for next.
            std::mem::take(&mut self.pulls).into_keys().for_each(|pull| self.doors.end_pull(pull));
            self.pull_with(0, stream, consumer, &request)?;
            let mut came = 0;
            for _ in 0..ROUNDS_MAX {
                self.work()?;
                let leases: Vec<Lease> = self.hand.iter().filter(|l| is_mine(l)).cloned().collect();
                self.hand.retain(|lease| !is_mine(lease));
                for lease in &leases {
                    self.say_ack(lease, b"+ACK", true)?;
                }
                came += leases.len();
                if leases.is_empty() {
                    break;
                }
            }
            let Some(heard) = self.talk(&subject, &[])? else { return Ok(()) };
            let payload = heard.first().map(|h| h.payload.clone()).unwrap_or_default();
            let answer: Answer<ConsumerInfo> = serde_json::from_slice(&payload).map_err(|e| Broken {
                promise: "progress",
                what: format!("{subject}: {e}: {}", String::from_utf8_lossy(&payload)),
            })?;
            info = answer.body;
            if info.num_pending == 0 && info.num_ack_pending == 0 {
                break;
            }
            if came == 0 {
                // Whatever others still hold ends.
                let wait_ms = (wait_ms + 2_100).max(self.due_in_ms(stream));
                self.pass(wait_ms * NS_PER_MS);
            }
        }
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let Some(one) = book.consumers.get(consumer) else { return Ok(()) };
        let came: BTreeSet<u64> = one
            .latest
            .iter()
            .filter(|(seq, cseq)| before.get(seq) != Some(cseq))
            .map(|(seq, _)| *seq)
            .collect();
        progress::all_came(book, one, &there, &came)?;
        let nonces = self.flipped.iter().filter(|(of, _)| *of == stream).map(|(_, nonce)| nonce);
        let flipped: BTreeSet<&u64> = nonces.collect();
        let unreadable = flipped.iter().filter_map(|nonce| book.sent.get(nonce)).map(|sent| sent.sends).sum();
        counts::is_through(book, &info, unreadable)
    }

    /// After how long everything is due that a stream keeps back. Where the wall clock was put back, what was stored before
    /// waits until it shows that time again.
    fn due_in_ms(&self, stream: usize) -> u64 {
        let sent = self.streams.get(stream).into_iter().flat_map(|book| book.sent.values());
        match sent.map(|sent| sent.delay_ms).max() {
            None | Some(0) => 0,
            Some(delay_ms) => (self.clock.wall_max_ms() + delay_ms).saturating_sub(self.clock.wall_ms()),
        }
    }

    /// Lets the node work for a while.
    fn work(&mut self) -> Kept {
        for _ in 0..4 {
            self.turn()?;
            self.node.step(Step::Sync);
            self.node.step(Step::Read);
        }
        self.turn()
    }

    /// A bit is flipped just anywhere. The node must start, and lose one thing at most.
    fn rot_anywhere(&mut self) -> Kept {
        self.quiesce()?;
        while self.node.step(Step::Sync) {}
        self.stop(End::Kill);
        let files: Vec<(String, Vec<u8>)> = self.node.fs.files();
        let ours: Vec<&(String, Vec<u8>)> =
            files.iter().filter(|(name, _)| !name.starts_with("quarantine")).collect();
        let Some((name, content)) = self.random.pick(&ours) else { return Ok(()) };
        // Most of a journal file is room that nothing was written to yet.
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let bit = self.random.below(used as u64 * 8);
        self.trace.note(format!("a bit is flipped: {name} {bit}"));
        self.node.fs.flip(name, bit);
        self.figures.bit_flips += 1;
        self.start()?;
        let mut lost = Vec::new();
        for at in 0..self.streams.len() {
            let Some(book) = self.streams.get(at) else { continue };
            if book.life != Life::There {
                continue;
            }
            let name = book.rules.name.clone();
            let is_there = self.question::<StreamInfoPage>(&format!("$JS.API.STREAM.INFO.{name}"))?.is_some();
            let read = if is_there { self.read_all(&name)? } else { None };
            let seqs: Option<BTreeSet<u64>> = read.map(|all| all.iter().map(|shown| shown.seq).collect());
            let Some(book) = self.streams.get(at) else { continue };
            match seqs {
                None => lost.push(format!("stream {name}")),
                Some(seqs) => {
                    let missing =
                        book.places.keys().filter(|seq| !seqs.contains(seq) && book.must_hold(**seq));
                    lost.extend(missing.map(|seq| format!("message {seq} of {name}")));
                }
            }
        }
        let reports = self.node.damage + self.node.counter("damaged_records");
        demand("damage", lost.len() <= 1, || format!("one flipped bit cost {}", lost.join(", ")))?;
        demand("damage", lost.is_empty() || reports > 0, || {
            format!("{} is lost by a flipped bit, and nothing was reported", lost.join(", "))
        })?;
        progress::in_time("the last question", !self.failed)
    }
}
