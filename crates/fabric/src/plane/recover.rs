//! From what the journal gives back to a plane that works: streams are known at once and loaded when they are first
//! needed; checkpoints write down whole what changed bit by bit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use auth::{Permissions, Principal};
use bus::consumer::{Consumer, Home};
use bus::stream::{Changes, Stream};
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::journal::{Image, Recovered, Summary};
use kernel::{Entry, Journal, LogId, Now, Position, Record, SubId, SubjectPattern, TenantId};
use wire::jetstream::{ConsumerConfig, StreamConfig};

use super::api::stream::note_stream_level;
use super::cell::{
    Body, Cell, KeptStream, Seat, SeatState, consumer_key, consumer_state, read_consumer_state,
};
use super::claims::Claims;
use super::compact;
use super::consume::home;
use super::inbox::{Arrival, Inlet, Target};
use super::levels::Levels;
use super::out::Out;
use super::reading::Reading;
use super::timers::{Timer, Timers};
use super::{Inbox, Plane, PlaneOptions, Tenant, api, count};
use crate::hub::Hub;
use crate::session::Session;

/// Most arrivals that wait for one stream to be loaded, and bytes of all that wait for streams; what comes then is told to
/// come again.
const PARKED_MAX: usize = 65_536;
const PARKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most records that are read together when a stream is loaded.
const RESTORE_READ_MAX: usize = 4096;
/// Sequences that a stream leaves out for each report of damage that does not say how much it may have cost: more than
/// one can stand for.
const DAMAGE_GAP: u64 = 256;

/// Subjects on which the plane itself listens, for each tenant.
const OWN: &[(&str, Target)] =
    &[("$JS.API.>", Target::Call), ("$JS.ACK.>", Target::Ack), ("$JS.FC.>", Target::Flow)];

impl Plane {
    /// A plane that goes on where the journal ends. What it cannot read is left alone and told.
    pub fn new(hub: Arc<Hub>, options: PlaneOptions, recovered: Recovered) -> Plane {
        let inbox = Arc::new(Inbox::default());
        let accounts = hub.accounts();
        let names = accounts.tenants();
        let tenants: Vec<Tenant> = names
            .iter()
            .map(|name| Tenant {
                name: name.as_str().into(),
                streams: BTreeMap::new(),
                claims: Claims::default(),
            })
            .collect();
        let session = |tenant: u32| {
            let permissions = Permissions::of_the_node();
            let who = Arc::new(Principal::new("$JS", TenantId(tenant), permissions));
            (Session::new(&hub, who.clone()).for_clients_only(), Session::new(&hub, who))
        };
        let sessions = (0..tenants.len() as u32).map(session).collect();
        let cells = HashMap::with_hasher(FixedState::with_seed(hub.seed()));
        let templates = HashMap::with_hasher(FixedState::with_seed(hub.seed()));
        let mut plane = Plane {
            out: Out::new(hub.clone(), sessions, recovered.last),
            names: hub.seed(),
            hub,
            inbox,
            options,
            tenants,
            cells,
            timers: Timers::default(),
            due: VecDeque::new(),
            work: VecDeque::new(),
            levels: Levels::default(),
            watched: BTreeMap::new(),
            seats: 0,
            to_show: Vec::new(),
            arrivals: Vec::new(),
            events: Vec::new(),
            figures: Arc::default(),
            traced: Default::default(),
            survey: Default::default(),
            templates,
            templates_used: 0,
            next_look: 0,
            checkpoint: None,
            awaited: BTreeSet::new(),
            volatile: 0,
            trouble: Vec::new(),
            parked_bytes: 0,
        };
        for tenant in 0..plane.tenants.len() as u32 {
            for (pattern, target) in OWN {
                plane.listen(TenantId(tenant), pattern, *target);
            }
        }
        let inbox = plane.inbox.clone();
        plane.hub.watch().on_change(move || inbox.wake());
        plane.recover(recovered);
        plane
    }

    /// The last turn before the journal closes: what changed bit by bit is written whole, so that the next start finds
    /// little to do.
    pub fn end(&mut self, now: Now, journal: &mut dyn Journal) {
        let at = self.out.last();
        self.checkpoint(now, at);
        self.out.submit(journal);
    }

    /// Takes what could not be read, to be told to the operator.
    pub fn take_trouble(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trouble)
    }

    /// Where publishers leave what the plane must see.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Hears a pattern.
    pub(crate) fn listen(
        &mut self,
        tenant: TenantId,
        pattern: &str,
        target: Target,
    ) -> Option<(SubjectPattern, SubId)> {
        let pattern = SubjectPattern::parse(pattern.as_bytes()).ok()?;
        let inlet = Arc::new(Inlet { inbox: self.inbox.clone(), tenant, target });
        let id = self.hub.interest(tenant).subscribe(&pattern, None, inlet);
        self.hub.own_subscriptions.fetch_add(1, Relaxed);
        Some((pattern, id))
    }

    /// What is damaged may have been the last of a stream. Its sequence must not be given again: who had the one would
    /// never be given the other. So every stream goes on a little further behind.
    fn leave_gaps(&mut self, sequences: u64) {
        let mut logs: Vec<LogId> = self.cells.keys().copied().collect();
        logs.sort_unstable();
        for log in logs {
            let Some(cell) = self.cells.get_mut(&log) else { continue };
            let Body::Cold(summary) = &cell.body else { continue };
            let behind = summary.last.saturating_add(sequences);
            if cell.raised_to < behind {
                cell.raised_to = behind;
                self.out.append(Entry::State(cell.key(), Some(cell.state())));
            }
        }
    }

    fn recover(&mut self, recovered: Recovered) {
        let gaps = recovered.damage.iter().map(|damage| damage.entries.max(DAMAGE_GAP));
        let left_out = gaps.fold(0, u64::saturating_add);
        let mut summaries: HashMap<LogId, Summary, FixedState> = recovered.logs.into_iter().collect();
        let mut deltas: HashMap<Bytes, Vec<Bytes>, FixedState> =
            HashMap::with_hasher(FixedState::with_seed(self.hub.seed()));
        for (key, delta) in recovered.deltas {
            deltas.entry(key).or_default().push(delta);
        }
        let (mut others, mut is_whole) = (Vec::new(), recovered.damage.is_empty());
        for (key, value) in recovered.states {
            let mut parts = key.splitn(3, |b| *b == 0);
            match (parts.next(), parts.next(), parts.next()) {
                (Some(b"stream"), Some(tenant), Some(name)) => {
                    let read = read_stream(&value);
                    let tenant = self.tenants.iter().position(|t| t.name.as_bytes() == tenant);
                    // Whether it can be used or not, its messages stay.
                    let log = read.as_ref().ok().map(|kept| LogId(kept.log));
                    let summary = log.and_then(|log| summaries.remove(&log)).unwrap_or_default();
                    is_whole &= read.is_ok();
                    match (read, tenant) {
                        (Ok(kept), Some(tenant)) => {
                            self.seat_stream(TenantId(tenant as u32), kept, Body::Cold(summary));
                        }
                        (read, tenant) => {
                            let why = match (read, tenant) {
                                (Err(e), _) => e.to_string(),
                                _ => "its tenant is in no account".to_owned(),
                            };
                            self.trouble.push(format!("stream {}: {why}", String::from_utf8_lossy(name)));
                        }
                    }
                }
                _ => others.push((key, value)),
            }
        }
        for (key, value) in others {
            let mut parts = key.splitn(3, |b| *b == 0);
            let (kind, log, name) = (parts.next(), parts.next(), parts.next());
            let log = log.and_then(|l| u64::from_str_radix(std::str::from_utf8(l).ok()?, 16).ok()).map(LogId);
            let Some(cell) = log.and_then(|log| self.cells.get_mut(&log)) else { continue };
            match (kind, name) {
                (Some(b"consumer"), Some(name)) => match read_consumer_state(&value) {
                    Some((kept, progress)) => {
                        let deltas = deltas.remove(&key).unwrap_or_default();
                        let state = SeatState::Kept(Box::new(kept.config), progress, deltas);
                        let name = String::from_utf8_lossy(name).into();
                        cell.consumers.insert(name, Seat::new(kept.created, state));
                    }
                    None => self.trouble.push(format!(
                        "consumer {} of stream {}: its state cannot be read",
                        String::from_utf8_lossy(name),
                        cell.name
                    )),
                },
                (Some(b"producers"), None) => cell.producers = value,
                (Some(b"sweep"), None) => cell.is_sweeping = true,
                _ => {}
            }
        }
        // What belongs to no stream is the rest of one whose creation or deletion was half done.
        // Where something was damaged or could not be read, it may as well be one whose name was lost: it is kept.
        let mut orphans: Vec<LogId> = summaries.into_keys().collect();
        orphans.sort();
        match is_whole {
            true => orphans.into_iter().for_each(|log| _ = self.out.append(Entry::Forget(log))),
            false if orphans.is_empty() => {}
            false => self
                .trouble
                .push(format!("{} logs belong to no stream that is known; they are kept", orphans.len())),
        }
        // A change of what nobody knows would keep the journal from being settled for ever: what is there is written whole,
        // under another name, for whoever can read it.
        for (key, deltas) in deltas {
            let all = deltas
                .iter()
                .flat_map(|d| [&(d.len() as u32).to_le_bytes()[..], d].concat())
                .collect::<Vec<_>>();
            self.set_aside(&key, None, all.into());
        }
        if left_out > 0 {
            self.leave_gaps(left_out);
        }
        self.wake_at_start();
    }

    /// Keeps changes that cannot be applied under a key of their own, and the state that they belong to as it was, so that
    /// the journal owes nobody anything for them.
    fn set_aside(&mut self, key: &Bytes, state: Option<Bytes>, deltas: Bytes) {
        let aside = [b"aside\0", &key[..]].concat();
        self.out.append(Entry::State(aside.into(), Some(deltas)));
        self.out.append(Entry::State(key.clone(), state));
    }

    /// Streams that have something to do without being asked: messages that end, consumers that send on their own.
    fn wake_at_start(&mut self) {
        let mut active = Vec::new();
        for cell in self.cells.values_mut() {
            let Body::Cold(summary) = &cell.body else { continue };
            let is_active = cell.consumers.values().any(|seat| seat.is_active());
            if is_active || cell.is_sweeping || cell.config.allow_msg_ttl {
                active.push(cell.log);
            } else if let Some(at) = cell.cold_wakes_at(summary) {
                cell.wakes_at = Some(at);
                self.timers.move_wall(Timer::Stream(cell.log), None, Some(at));
            }
        }
        active.sort();
        active.into_iter().for_each(|log| self.warm(log));
    }

    /// Gives a stream its place: known by name, hearing its subjects.
    pub(crate) fn seat_stream(&mut self, tenant: TenantId, kept: KeptStream<StreamConfig>, body: Body) {
        let KeptStream { log, created, last, config } = kept;
        let (log, name) = (LogId(log), Arc::<str>::from(config.name.as_str()));
        // Before it hears anything, so that nobody waits for an acknowledgement that will not come.
        self.inbox.silence(log, config.no_ack);
        let captures = config.subjects.iter().filter_map(|s| self.capture(tenant, s, log)).collect();
        let level = bus::stream::level(&config).unwrap_or_default();
        let config = self.template(&config);
        let tenant_name = self.tenants.get(tenant.0 as usize).map(|t| t.name.clone()).unwrap_or_default();
        let cell = Cell {
            name: name.clone(),
            tenant_name,
            raised_to: last,
            tenant,
            log,
            created,
            config,
            level,
            body,
            captures,
            consumers: BTreeMap::new(),
            producers: Bytes::new(),
            parked: Vec::new(),
            is_sweeping: false,
            unread: 0,
            is_barred: false,
            to_show: 0,
            wakes_at: None,
            is_used: false,
            idle_at: None,
        };
        self.cells.insert(log, cell);
        if let Some(tenant) = self.tenant(tenant) {
            tenant.streams.insert(name, log);
        }
    }

    /// Lets a stream capture a subject.
    pub(crate) fn capture(
        &mut self,
        tenant: TenantId,
        subject: &str,
        log: LogId,
    ) -> Option<(SubjectPattern, SubId)> {
        let (pattern, id) = self.listen(tenant, subject, Target::Stream(log))?;
        self.tenant(tenant)?.claims.add(&pattern, log);
        Some((pattern, id))
    }

    /// Ends what [`Plane::capture`] began.
    pub(crate) fn release_capture(&mut self, tenant: TenantId, (pattern, id): &(SubjectPattern, SubId)) {
        if self.hub.interest(tenant).unsubscribe(pattern, None, *id) {
            self.hub.own_subscriptions.fetch_sub(1, Relaxed);
        }
        if let Some(tenant) = self.tenant(tenant) {
            tenant.claims.remove(pattern);
        }
    }

    /// A configuration without name and subjects, shared by all streams that are made alike.
    pub(crate) fn template(&mut self, config: &StreamConfig) -> Arc<StreamConfig> {
        let bare = StreamConfig { name: String::new(), subjects: Vec::new(), ..config.clone() };
        let key = serde_json::to_vec(&bare).unwrap_or_default();
        if self.templates.len() >= 2 * self.templates_used.max(64) {
            self.templates.retain(|_, template| Arc::strong_count(template) > 1);
            self.templates_used = self.templates.len();
        }
        self.templates.entry(key).or_insert_with(|| Arc::new(bare)).clone()
    }

    /// Keeps what came for a stream until it is loaded.
    pub(crate) fn park(&mut self, log: LogId, arrival: Arrival) {
        if let Some(cell) = self.cells.get_mut(&log) {
            if cell.is_barred {
                return self.refuse_unread(&arrival);
            }
            if cell.parked.len() >= PARKED_MAX || self.parked_bytes + arrival.len() > PARKED_BYTES_MAX {
                return api::busy(&mut self.out, &arrival);
            }
            self.parked_bytes += arrival.len();
            cell.parked.push(arrival.alone());
        }
        self.warm(log);
    }

    /// Takes what waits for a stream.
    pub(crate) fn unpark(&mut self, log: LogId) -> Vec<Arrival> {
        let parked =
            self.cells.get_mut(&log).map(|cell| std::mem::take(&mut cell.parked)).unwrap_or_default();
        self.parked_bytes -= parked.iter().map(Arrival::len).sum::<usize>();
        parked
    }

    /// Brings a stream into memory.
    pub(crate) fn warm(&mut self, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Cold(summary) = cell.body else { return };
        if cell.is_barred {
            return;
        }
        cell.body = Body::Loading(summary);
        match summary.count {
            // What it knows of its producers is needed all the same.
            0 => self.loaded(Now::default(), log, &Image::default()),
            _ => self.out.load(log),
        }
    }

    /// A stream's image has come.
    pub(crate) fn loaded(&mut self, now: Now, log: LogId, image: &Image) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Loading(summary) = cell.body else { return };
        let mut stream = cell.begun(image, &summary, self.hub.seed());
        if !cell.producers.is_empty() && stream.restore_producers(&cell.producers).is_err() {
            self.trouble.push(format!("stream {}: what it knew of producers cannot be read", cell.name));
        }
        let wanted = stream.wanted_at_restore(now);
        cell.body = Body::Restoring(Box::new(stream));
        self.read_wanted(log, summary, wanted);
    }

    /// Reads what a stream must remember, in portions and in order.
    fn read_wanted(&mut self, log: LogId, summary: Summary, mut wanted: Vec<u64>) {
        let rest = wanted.split_off(wanted.len().min(RESTORE_READ_MAX));
        self.out.read(log, wanted, Reading::Restore { log, summary, rest });
    }

    /// A stream has all that it needs to work.
    pub(crate) fn restored(
        &mut self,
        now: Now,
        log: LogId,
        records: &[Option<Record>],
        (summary, rest): (Summary, Vec<u64>),
    ) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if let Body::Restoring(stream) = &mut cell.body {
            records.iter().flatten().for_each(|record| stream.remember(record));
        }
        if !rest.is_empty() {
            return self.read_wanted(log, summary, rest);
        }
        match std::mem::replace(&mut cell.body, Body::Cold(Summary::default())) {
            Body::Restoring(stream) => {
                count(&self.figures.streams_loaded_total);
                (cell.unread, cell.producers) = (0, Bytes::new());
                cell.body = Body::Warm(stream);
            }
            other => cell.body = other,
        }
        let seed = self.hub.seed();
        let names: Vec<Box<str>> = cell.consumers.keys().cloned().collect();
        let mut broken = Vec::new();
        for name in names {
            let Some(Seat { created, state: SeatState::Kept(config, progress, deltas), .. }) =
                cell.consumers.get(&name)
            else {
                continue;
            };
            let Body::Warm(stream) = &cell.body else { return };
            let home = home(cell, &name, !config.mem_storage, seed);
            match restore_consumer(config, home, progress, deltas, stream, now) {
                Ok(consumer) => {
                    let is_dirty = !deltas.is_empty();
                    if let Some(seat) = cell.consumers.get_mut(&name) {
                        seat.state = SeatState::Live(Box::new(consumer));
                        seat.is_dirty = is_dirty;
                    }
                }
                Err(why) => {
                    let what = format!("consumer {name} of stream {}: {why}; it is left as it is", cell.name);
                    self.trouble.push(what);
                    let all = deltas.iter().flat_map(|d| [&(d.len() as u32).to_le_bytes()[..], d].concat());
                    let state = consumer_state(*created, config, progress);
                    broken.push((consumer_key(log, &name), state, Bytes::from(all.collect::<Vec<_>>())));
                }
            }
        }
        // A message that is damaged may have been the last. Its sequence is not given again: a consumer that had it
        // would never be given the other.
        let delivered = cell.consumers.values_mut().filter_map(|seat| match (&mut seat.state, &cell.body) {
            (SeatState::Live(consumer), Body::Warm(stream)) => Some(consumer.info(&**stream).delivered),
            _ => None,
        });
        // One that was given nothing may wait for a sequence that is far away.
        let delivered = delivered.filter(|place| place.consumer_seq > 0).map(|place| place.stream_seq).max();
        if let (Some(delivered), Body::Warm(stream)) = (delivered, &mut cell.body) {
            stream.raise_last(delivered);
        }
        let released = cell.consumers.values().filter_map(|seat| match &seat.state {
            SeatState::Live(consumer) => Some(consumer.released_ms()),
            SeatState::Kept(..) => None,
        });
        if let (Some(released), Body::Warm(stream)) = (released.max(), &mut cell.body) {
            stream.raise_released(released);
        }
        for seat in cell.consumers.values_mut() {
            if let SeatState::Kept(_, _, deltas) = &mut seat.state {
                deltas.clear();
            }
        }
        Self::make_all_due(cell, &mut self.due);
        let is_sweeping = cell.is_sweeping;
        let parked = self.unpark(log);
        for (key, state, deltas) in broken {
            self.set_aside(&key, Some(state), deltas);
        }
        self.expire_warm(now, log);
        self.awaits_no_more(now, log);
        if is_sweeping {
            self.drop_unwanted(now, log);
        }
        parked.into_iter().for_each(|arrival| self.arrive(now, arrival));
        self.note_use(now, log);
    }

    /// A checkpoint need not wait for this stream any longer.
    pub(crate) fn awaits_no_more(&mut self, now: Now, log: LogId) {
        if self.awaited.remove(&log)
            && self.awaited.is_empty()
            && let Some(position) = self.checkpoint
        {
            self.checkpoint(now, position);
        }
    }

    /// Writes down whole what changed bit by bit. Consumers of streams that are not loaded yet are loaded first.
    pub(crate) fn checkpoint(&mut self, now: Now, position: Position) {
        let has_deltas =
            |seat: &Seat| matches!(&seat.state, SeatState::Kept(_, _, deltas) if !deltas.is_empty());
        let is_cold = |cell: &Cell| !matches!(cell.body, Body::Warm(_)) && !cell.is_barred;
        let cold = |cell: &&Cell| is_cold(cell) && cell.consumers.values().any(has_deltas);
        let mut missing: Vec<LogId> = self.cells.values().filter(cold).map(|cell| cell.log).collect();
        if !missing.is_empty() {
            self.checkpoint = Some(position);
            missing.sort();
            self.awaited = missing.iter().copied().collect();
            return missing.into_iter().for_each(|log| self.warm(log));
        }
        self.checkpoint = None;
        let _ = now;
        for cell in self.cells.values_mut().filter(|c| !c.log.is_volatile()) {
            for (name, seat) in &mut cell.consumers {
                let consumer = match &mut seat.state {
                    SeatState::Live(consumer) => consumer,
                    SeatState::Kept(config, progress, deltas) if cell.is_barred => {
                        // The changes cannot be applied while the stream cannot be read: they are written again, behind
                        // what they change.
                        if !deltas.is_empty() {
                            let (key, state) = (
                                consumer_key(cell.log, name),
                                consumer_state(seat.created, config, progress),
                            );
                            self.out.append(Entry::State(key.clone(), Some(state)));
                            for delta in deltas {
                                self.out.append(Entry::Delta(key.clone(), delta.clone()));
                            }
                        }
                        continue;
                    }
                    SeatState::Kept(..) => continue,
                };
                if std::mem::take(&mut seat.is_dirty) {
                    let progress = consumer.snapshot();
                    let state = consumer_state(seat.created, consumer.config(), &progress);
                    self.out.append(Entry::State(consumer_key(cell.log, name), Some(state)));
                }
            }
        }
        self.out.append(Entry::Checkpoint(position));
    }

    fn expire_warm(&mut self, now: Now, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let mut changes = Changes::default();
        stream.expire(now, &mut changes);
        self.removed(now, log, changes);
        self.note_expiry(log);
    }
}

/// A consumer from what was kept of it.
fn restore_consumer(
    config: &ConsumerConfig,
    home: Home<'_>,
    progress: &Bytes,
    deltas: &[Bytes],
    stream: &Stream,
    now: Now,
) -> Result<Consumer, String> {
    let mut consumer =
        Consumer::restore(config.clone(), home, progress, stream, now).map_err(|e| format!("{e:?}"))?;
    for delta in deltas {
        consumer.apply_delta(now, delta).map_err(|e| format!("{e:?}"))?;
    }
    Ok(consumer)
}

/// A stream's own piece of state, with what the server says of itself in its metadata.
fn read_stream(state: &[u8]) -> Result<KeptStream<StreamConfig>, serde_json::Error> {
    let KeptStream { log, last, created, config } = serde_json::from_slice(state)?;
    let mut config = compact::unfold(config)?;
    note_stream_level(&mut config);
    Ok(KeptStream { log, last, created, config })
}
