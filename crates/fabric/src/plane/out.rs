//! What a turn of the plane does to the world: entries for the journal, messages to say, and what must wait until an
//! entry is safe. *Persist before you speak* lives here and nowhere else: whoever depends on an entry calls
//! [`Out::hold`].

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::journal::{Level, ReadId};
use kernel::trace::Span;
use kernel::{Code, Entry, Journal, LogId, Msg, Position, TenantId, Waiting};
use wire::jetstream::Fault;
use wire::jetstream::api::PubAck;

use super::cell::SeatId;
use super::reading::Reading;
use crate::hub::Hub;
use crate::session::Session;
use crate::woken::Woken;

/// Most messages that clients may have asked for directly and not been sent yet: 8 bytes each.
const WANTED_MAX: usize = 4 * 1024 * 1024;

/// What waits until an entry is safe.
pub(crate) enum Held {
    /// The acknowledgement of a stored message; without a reply subject only its producer is told.
    Ack {
        tenant: TenantId,
        reply: Bytes,
        stream: Arc<str>,
        seq: u64,
        duplicate: bool,
        from: Option<Waiting>,
        /// The step that ends with it, if it is told.
        span: Option<Box<Span>>,
    },
    /// A stream's messages up to here may be seen.
    Show { log: LogId, seq: u64 },
    /// Consumer sequences below this may be given out.
    Reserved { seat: SeatId, reserved: u64 },
    /// What came to a stream behind an update to a lower level waits for it no longer.
    Lower(LogId),
    /// The confirmation of an acknowledgement, ready to be said.
    Say(Said),
    /// The answer to a request, the request itself where somebody follows what is asked, and the step that ends with it, if
    /// it is told.
    Answer { said: Said, asked: Option<Box<Asked>>, span: Option<Box<Span>> },
    /// An event, to be told to whoever listens then.
    Tell(Said),
}

/// A request, as those who follow what is asked are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) subject: Bytes,
    pub(crate) body: Bytes,
}

/// A message to be said to whoever listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Bytes,
    pub(crate) headers: Bytes,
    pub(crate) payload: Bytes,
}

impl Said {
    fn msg(&self) -> Msg<'_> {
        Msg { subject: &self.subject, headers: &self.headers, payload: &self.payload, ..Msg::default() }
    }
}

/// Things that wait for one level of safety.
#[derive(Default)]
struct Line {
    /// Of this turn: their position is that of the turn's last entry.
    now: Vec<Held>,
    waiting: VecDeque<(Position, Vec<Held>)>,
    reached: Position,
}

/// See the module.
pub(crate) struct Out {
    hub: Arc<Hub>,
    /// The plane's own sessions with each tenant: for what clients hear, and for events, which streams may capture.
    sessions: Vec<(Session, Session)>,
    pub(crate) woken: Woken,
    entries: Vec<Entry>,
    /// Position of the last entry that was appended.
    last: Position,
    os: Line,
    disk: Line,
    /// Things that wait for nothing.
    free: Vec<Held>,
    reads: HashMap<ReadId, Reading, FixedState>,
    /// Messages that clients asked for directly and that are not sent yet.
    wanted: usize,
    next_read: u64,
    asked: Vec<(ReadId, LogId, Vec<u64>)>,
    loads: Vec<LogId>,
    /// The journal takes nothing more.
    pub(crate) failed: Option<(Code, String)>,
    text: Vec<u8>,
}

impl Out {
    pub(crate) fn new(hub: Arc<Hub>, sessions: Vec<(Session, Session)>, last: Position) -> Out {
        let line = || Line { reached: last, ..Line::default() };
        let reads = HashMap::with_hasher(FixedState::with_seed(hub.seed()));
        Out {
            hub,
            sessions,
            woken: Woken::default(),
            entries: Vec::new(),
            last,
            os: line(),
            disk: line(),
            free: Vec::new(),
            reads,
            wanted: 0,
            next_read: 1,
            asked: Vec::new(),
            loads: Vec::new(),
            failed: None,
            text: Vec::new(),
        }
    }

    /// Appends an entry to the journal at the end of the turn.
    pub(crate) fn append(&mut self, entry: Entry) -> Position {
        self.last.0 += 1;
        if self.failed.is_none() {
            self.entries.push(entry);
        }
        self.last
    }

    /// Position of the last entry.
    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// Keeps something until all that was appended so far is as safe as `level` says.
    pub(crate) fn hold(&mut self, level: Level, held: Held) {
        match level {
            Level::Mem => self.free.push(held),
            Level::Os => self.os.now.push(held),
            Level::Disk => self.disk.now.push(held),
        }
    }

    /// Gives the turn's entries to the journal, and asks it for what must be read. True: something was asked of it.
    pub(crate) fn submit(&mut self, journal: &mut dyn Journal) -> bool {
        if self.entries.is_empty() && !self.disk.now.is_empty() && self.disk.reached < self.last {
            // What something waits for went out without anybody waiting: this entry, which says nothing, asks for the sync.
            self.append(Entry::Remove(LogId::default(), Box::default()));
        }
        let asks = !self.entries.is_empty() || !self.asked.is_empty() || !self.loads.is_empty();
        if !self.entries.is_empty() {
            let first = Position(self.last.0 + 1 - self.entries.len() as u64);
            let level = if self.disk.now.is_empty() { Level::Os } else { Level::Disk };
            let room = Vec::with_capacity(self.entries.len().min(4096));
            journal.submit(first, std::mem::replace(&mut self.entries, room), level);
        }
        for line in [&mut self.os, &mut self.disk] {
            if !line.now.is_empty() {
                line.waiting.push_back((self.last, std::mem::take(&mut line.now)));
            }
        }
        for (id, log, indices) in self.asked.drain(..) {
            journal.read(id, log, indices);
        }
        for log in self.loads.drain(..) {
            journal.load(log);
        }
        asks
    }

    /// The journal reports a watermark.
    pub(crate) fn reach(&mut self, level: Level, position: Position) {
        let disk = level == Level::Disk;
        for line in [Some(&mut self.os), disk.then_some(&mut self.disk)].into_iter().flatten() {
            line.reached = line.reached.max(position);
        }
    }

    /// Takes the next things that wait no longer.
    pub(crate) fn released(&mut self) -> Option<Vec<Held>> {
        if !self.free.is_empty() {
            return Some(std::mem::take(&mut self.free));
        }
        for line in [&mut self.os, &mut self.disk] {
            if line.waiting.front().is_some_and(|(position, _)| *position <= line.reached) {
                return line.waiting.pop_front().map(|(_, held)| held);
            }
        }
        None
    }

    /// Takes everything that waits for an entry that will never be safe.
    pub(crate) fn lost(&mut self) -> Vec<Held> {
        self.entries.clear();
        let lines = [&mut self.os, &mut self.disk];
        lines.into_iter().flat_map(|l| l.waiting.drain(..).flat_map(|w| w.1).chain(l.now.drain(..))).collect()
    }

    /// Asks for records; what they are for comes back with them.
    pub(crate) fn read(&mut self, log: LogId, indices: Vec<u64>, reading: Reading) {
        let id = ReadId(self.next_read);
        self.next_read += 1;
        self.wanted += reading.wanted();
        self.reads.insert(id, reading);
        self.asked.push((id, log, indices));
    }

    /// Takes what records were asked for, when they come.
    pub(crate) fn take_reading(&mut self, id: ReadId) -> Option<Reading> {
        let reading = self.reads.remove(&id)?;
        self.wanted = self.wanted.saturating_sub(reading.wanted());
        Some(reading)
    }

    /// Refuses that clients ask for more messages when too many are not sent yet.
    pub(crate) fn check_wanted(&self) -> Result<(), Fault> {
        match self.wanted >= WANTED_MAX {
            true => Err(Fault::TooManyRequests),
            false => Ok(()),
        }
    }

    /// Asks for a log's image.
    pub(crate) fn load(&mut self, log: LogId) {
        self.loads.push(log);
    }

    /// Whether somebody of the tenant, or a stream, hears events on a subject.
    pub(crate) fn hears_event(&self, tenant: TenantId, subject: &[u8]) -> bool {
        self.hub.hears(tenant, subject, true)
    }

    /// Whether a client of the tenant listens on a subject.
    pub(crate) fn hears(&self, tenant: TenantId, subject: &[u8]) -> bool {
        self.hub.hears(tenant, subject, false)
    }

    /// Tells an event to whoever listens, streams included.
    pub(crate) fn tell(&mut self, tenant: TenantId, m: &Msg<'_>) {
        if let Some((_, session)) = self.sessions.get_mut(tenant.0 as usize) {
            // Nobody waits for it.
            let _ = session.send(m.subject, m, &mut self.woken);
        }
    }

    /// Says a message; how many heard it.
    pub(crate) fn say(&mut self, tenant: TenantId, m: &Msg<'_>) -> usize {
        match self.sessions.get_mut(tenant.0 as usize) {
            Some((session, _)) if !m.subject.is_empty() => {
                session.send(m.subject, m, &mut self.woken).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether a member of the queue group listens on a subject; of no group: whether anybody does.
    pub(crate) fn hears_in(&self, tenant: TenantId, subject: &[u8], group: &str) -> bool {
        match group {
            "" => self.hub.hears(tenant, subject, false),
            group => self.hub.hears_in(tenant, subject, group.as_bytes()),
        }
    }

    /// Says a message to those who hear `to`, or to one of the queue group; it keeps its own subject.
    pub(crate) fn send_in(&mut self, tenant: TenantId, to: &[u8], group: &str, m: &Msg<'_>) -> usize {
        let Some((session, _)) = self.sessions.get_mut(tenant.0 as usize) else { return 0 };
        match group {
            "" => session.send(to, m, &mut self.woken).unwrap_or(0),
            group => session.send_in(to, group.as_bytes(), m, &mut self.woken),
        }
    }

    /// Tells an event that was kept.
    pub(crate) fn tell_kept(&mut self, said: &Said) {
        self.tell(said.tenant, &said.msg());
    }

    /// Says a message that was kept.
    pub(crate) fn say_kept(&mut self, said: &Said) {
        self.say(said.tenant, &said.msg());
    }

    /// Tells a publisher where its message was stored.
    pub(crate) fn acknowledge(
        &mut self,
        tenant: TenantId,
        reply: &[u8],
        stream: &str,
        seq: u64,
        duplicate: bool,
    ) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        PubAck::write(&mut text, stream, seq, duplicate);
        self.say(tenant, &Msg { subject: reply, payload: &text, ..Msg::default() });
        self.text = text;
    }
}
