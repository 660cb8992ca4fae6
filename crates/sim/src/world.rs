//! The world of one run: the node, its clients, the clocks, the oracle and the scheduler, which chooses what happens next.
//! What an event does is in `act`, what is heard is taken in by `hear`; nothing here judges.

use std::collections::{BTreeMap, VecDeque};

use kernel::{Code, Msg};

use crate::clock::Clock;
use crate::door::{Doors, Heard};
use crate::figures::Figures;
use crate::node::{End, Node};
use crate::oracle::{Attempt, Stream};
use crate::plan::{Act, Plan};
use crate::promise::{Broken, Kept, damage, demand, unread};
use crate::random::Random;
use crate::trace::Trace;

/// Clients of a node.
pub(crate) const CLIENTS: usize = 3;
/// When the world begins, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_800_000_000_000;

/// Something that a client asked and that is not answered.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Publish {
        stream: usize,
        attempt: Attempt,
    },
    MakeStream {
        stream: usize,
    },
    ChangeStream,
    EndStream {
        stream: usize,
    },
    Purge {
        stream: usize,
        takes: Vec<u64>,
    },
    Delete {
        stream: usize,
        seq: u64,
        was_there: bool,
    },
    Get {
        stream: usize,
        seq: u64,
        was_there: bool,
    },
    MakeConsumer {
        stream: usize,
        consumer: usize,
    },
    ChangeConsumer {
        stream: usize,
        consumer: usize,
        filters: usize,
    },
    EndConsumer {
        stream: usize,
        consumer: usize,
    },
    Ack {
        stream: usize,
        consumer: usize,
        seq: u64,
        cseq: u64,
        is_stale: bool,
        finishes: bool,
    },
    /// A question of the audit: answers are kept as they come.
    Talk,
}

/// A delivery in a client's hands.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) stream: usize,
    pub(crate) consumer: usize,
    pub(crate) seq: u64,
    pub(crate) cseq: u64,
    pub(crate) reply: Vec<u8>,
}

/// A request for messages.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) stream: usize,
    pub(crate) consumer: usize,
    pub(crate) batch: u64,
    pub(crate) got: u64,
}

/// See the module.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) trace: Trace,
    pub(crate) node: Node,
    pub(crate) doors: Doors,
    pub(crate) plan: Plan,
    pub(crate) figures: Figures,
    pub(crate) streams: Vec<Stream>,
    pub(crate) asks: BTreeMap<u64, Ask>,
    pub(crate) answers: BTreeMap<u64, Vec<Heard>>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) hand: Vec<Lease>,
    pub(crate) old: VecDeque<Lease>,
    /// Counts everything that needs a number of its own.
    pub(crate) numbers: u64,
    /// Counts processes of the node.
    pub(crate) process: u64,
    /// The journal has failed.
    pub(crate) failed: bool,
    /// The disk gives nothing now, and whether that was so since the process began.
    pub(crate) reads_fail: bool,
    pub(crate) reads_failed: bool,
    /// The content of each message whose bit was flipped, and its stream.
    pub(crate) flipped: Vec<(usize, u64)>,
    /// Reports of damage.
    pub(crate) reports: u64,
}

impl World {
    pub(crate) fn new(seed: u64, loud: bool) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let node = Node::new(random.any(), plan.options.clone(), plan.stream_idle_ms);
        World {
            random,
            clock: Clock::new(BEGIN_MS),
            trace: Trace::new(seed, loud),
            node,
            doors: Doors::default(),
            plan,
            figures: Figures::default(),
            streams: Vec::new(),
            asks: BTreeMap::new(),
            answers: BTreeMap::new(),
            pulls: BTreeMap::new(),
            hand: Vec::new(),
            old: VecDeque::new(),
            numbers: 0,
            process: 0,
            failed: false,
            reads_fail: false,
            reads_failed: false,
            flipped: Vec::new(),
            reports: 0,
        }
    }

    /// The whole run.
    pub(crate) fn run(&mut self) -> Kept {
        self.start()?;
        for _ in 0..self.plan.steps {
            self.figures.events += 1;
            if self.failed && self.random.one_in(8) {
                self.restart_somehow()?;
                continue;
            }
            let Some(act) = self.random.weighted(&self.plan.weights) else { break };
            self.act(act)?;
            self.hear()?;
        }
        self.ending()?;
        self.trace.add(&self.node.fs.trace().to_le_bytes());
        for (name, content) in self.node.fs.files() {
            self.trace.add(name.as_bytes());
            self.trace.add(&content);
        }
        Ok(())
    }

    /// The one table of events.
    fn act(&mut self, act: Act) -> Kept {
        match act {
            Act::Publish => self.publish_new(),
            Act::PublishAgain => self.publish_again(),
            Act::Impostor => self.publish_impostor(),
            Act::Turn => self.turn(),
            Act::Sync => self.background(crate::node::Step::Sync),
            Act::Settle => self.background(crate::node::Step::Settle),
            Act::Read => self.background(crate::node::Step::Read),
            Act::Wait => self.wait(),
            Act::SetClock => self.set_clock(),
            Act::MakeStream => self.make_stream(),
            Act::ChangeStream => self.change_stream(),
            Act::EndStream => self.end_stream(),
            Act::Purge => self.purge(),
            Act::Delete => self.delete(),
            Act::Get => self.get(),
            Act::MakeConsumer => self.make_consumer(),
            Act::ChangeConsumer => self.change_consumer(),
            Act::EndConsumer => self.end_consumer(),
            Act::Pull => self.pull(),
            Act::Ack => self.ack(),
            Act::OldAck => self.old_ack(),
            Act::Replace => self.replace(),
            Act::Close => self.restart(End::Close),
            Act::Kill => self.restart(End::Kill),
            Act::PowerCut => self.restart(End::PowerCut),
            Act::Fill => self.fill(),
            Act::FailSync => self.fail_sync(),
            Act::FailReads => self.fail_reads(),
            Act::BackInTime => self.back_in_time(),
            Act::BackBehindDelays => self.back_behind_delays(),
            Act::Rest => self.rest(),
            Act::Rot => self.rot(),
            Act::Audit => self.audit().map(drop),
        }
    }

    /// Starts the node and connects everybody to it.
    pub(crate) fn start(&mut self) -> Kept {
        let found = self.node.start();
        let found = found.map_err(|why| Broken { promise: "progress", what: format!("no start: {why}") })?;
        let (hub, code) = (self.node.process().map(|p| p.hub.clone()), |code: Code| Broken {
            promise: "progress",
            what: format!("nobody can connect: {code:?}"),
        });
        if let Some(hub) = hub {
            self.doors = Doors::connect(&hub, CLIENTS).map_err(code)?;
        }
        self.process += 1;
        self.figures.starts += 1;
        self.failed = false;
        self.reads_failed = self.reads_fail;
        let reports: Vec<String> =
            found.damage.iter().map(|d| format!("{} {}: {}", d.file, d.offset, d.what)).collect();
        self.trace.note(format!("start {}: {} reports", self.process, reports.len()));
        reports.iter().for_each(|report| self.trace.note(format!("    {report}")));
        self.reports += reports.len() as u64;
        damage::only_if_flipped(&reports, self.figures.bit_flips)?;
        demand("kept", found.trouble.is_empty() || self.figures.bit_flips > 0, || found.trouble.join("; "))
    }

    /// The plane takes a turn.
    pub(crate) fn turn(&mut self) -> Kept {
        let (due, trouble) = self.node.turn(self.clock.now());
        let mono = self.clock.now().mono_ns;
        self.trace.note(format!("turn, due in {:?}", due.map(|at| at.saturating_sub(mono))));
        unread::only_waits(&trouble, self.reads_failed, self.figures.bit_flips)?;
        self.hear()?;
        if let Some(why) = self.node.failure().filter(|_| !self.failed) {
            self.failed = true;
            self.figures.journals_failed += 1;
            self.trace.note(format!("the journal failed: {why}"));
        }
        Ok(())
    }

    pub(crate) fn background(&mut self, step: crate::node::Step) -> Kept {
        let did = self.node.step(step);
        self.trace.note(format!("{step:?}: {did}"));
        Ok(())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Asks something, with an inbox for the answer. Says how many took it.
    pub(crate) fn ask(
        &mut self,
        client: usize,
        subject: &[u8],
        headers: &[u8],
        payload: &[u8],
        ask: Ask,
    ) -> Result<usize, Code> {
        let id = self.number();
        let reply = format!("_INBOX.{client}.{id}");
        let m = Msg { subject, reply: reply.as_bytes(), headers, payload, ..Msg::default() };
        self.asks.insert(id, ask);
        let taken = self.doors.publish(client, &m);
        if !matches!(taken, Ok(1..)) {
            self.asks.remove(&id);
        }
        taken
    }

    pub(crate) fn client(&mut self) -> usize {
        self.random.below(CLIENTS as u64) as usize
    }
}
