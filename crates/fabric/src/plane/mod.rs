//! The control plane: everything that must be remembered. One owner, no locks, no IO: a turn takes what arrived, lets
//! the cores decide, gives the journal one submission, and says what has become safe to say. The driver gives it
//! time, a journal and turns; it does *not* know whether these are real.

mod acked;
mod api;
mod cell;
mod claims;
mod compact;
mod consume;
mod deliver;
mod figures;
mod idle;
mod inbox;
mod levels;
mod listeners;
mod out;
mod publish;
mod reading;
mod recover;
mod survey;
mod timers;
mod traced;
mod unread;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bus::Stamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::journal::{Event, Level};
use kernel::{Code, Journal, LogId, Now, Position, TenantId};
use wire::jetstream::StreamConfig;

pub use figures::Figures;
pub use inbox::Inbox;
pub use survey::{ConsumerSeen, StreamSeen, Survey};

use figures::count;

use crate::hub::Hub;
use cell::{Cell, Seat, SeatId};
use claims::Claims;
use inbox::{Arrival, Target};
use levels::Levels;
use out::{Held, Out};
use timers::{Timer, Timers};
use work::Work;

/// Most timers that are looked at in one round of a turn.
const TIMERS_MAX: usize = 1024;

/// Limits and facts of the plane, as the node's configuration sets them.
#[derive(Clone, Debug)]
pub struct PlaneOptions {
    /// Most streams of one tenant.
    pub streams_max: usize,
    /// Most consumers of one stream.
    pub consumers_max: usize,
    /// Largest message, in bytes.
    pub payload_bytes_max: usize,
    /// How long a stream that nobody uses stays in memory at least, in milliseconds; `None`: for ever.
    pub stream_idle_ms: Option<u64>,
    /// Name of the node, as answers give it.
    pub node: String,
}

/// See the module.
pub struct Plane {
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    options: PlaneOptions,
    tenants: Vec<Tenant>,
    cells: HashMap<LogId, Cell, FixedState>,
    out: Out,
    levels: Levels,
    timers: Timers,
    /// Consumers that may have something to deliver.
    due: VecDeque<SeatId>,
    /// Work that is done in slices.
    work: VecDeque<Work>,
    /// Push consumers, and since when no subscription may have changed for them to go on as they are.
    watched: BTreeMap<SeatId, (TenantId, Stamp)>,
    /// Number of the last consumer that was made.
    seats: u64,
    /// Streams with messages that are appended and not yet shown.
    to_show: Vec<LogId>,
    arrivals: Vec<Arrival>,
    events: Vec<Event>,
    /// Numbers for names that nobody chose.
    names: u64,
    /// A checkpoint that waits for streams to be loaded.
    checkpoint: Option<Position>,
    /// The streams that it waits for.
    awaited: BTreeSet<LogId>,
    figures: Arc<Figures>,
    traced: traced::Traced,
    survey: survey::Surveying,
    /// Configurations without name and subjects, by their JSON, and how many were in use when that was last counted.
    templates: HashMap<Vec<u8>, Arc<StreamConfig>, FixedState>,
    templates_used: usize,
    /// Number of the last stream that lives in memory only.
    volatile: u64,
    /// Bytes of what waits for streams to be loaded.
    parked_bytes: usize,
    /// State that could not be read, to be told.
    trouble: Vec<String>,
    /// The next look at who listens to push consumers is no sooner, on the monotonic clock.
    next_look: u64,
}

/// A tenant as the plane knows it.
struct Tenant {
    name: Arc<str>,
    streams: BTreeMap<Arc<str>, LogId>,
    claims: Claims,
}

impl Plane {
    /// Takes a turn: all that has arrived and become safe, until nothing is left to do at once. Says when the next turn
    /// is due at the latest, on the monotonic clock in nanoseconds.
    pub fn turn(&mut self, now: Now, journal: &mut dyn Journal) -> Option<u64> {
        // A bound, so that a clock that stands still cannot hold the plane.
        for _ in 0..64 {
            let mut busy = self.take_events(now, journal);
            busy |= self.take_arrivals(now);
            busy |= self.take_timers(now);
            busy |= self.consume(now);
            busy |= self.work_on(now);
            self.hold_shows();
            busy |= self.out.submit(journal);
            if self.out.failed.is_some() {
                self.refuse_lost(now);
            }
            // A turn with much to say says it bit by bit, before outboxes fill.
            self.out.woken.flush();
            busy |= self.take_events(now, journal);
            if !busy {
                break;
            }
        }
        self.out.woken.flush();
        // What its own messages filled is waited for by nobody here.
        drop(self.out.woken.take_high());
        self.hub.keep_budget();
        self.look_around(now);
        self.figures.streams.store(self.cells.len() as u64, Relaxed);
        self.next_wake(now)
    }

    fn next_wake(&self, now: Now) -> Option<u64> {
        let look = self.hub.watch().is_changed().then_some(self.next_look);
        let soon = (!self.due.is_empty() || !self.work.is_empty()).then_some(now.mono_ns);
        [self.timers.next(now), look, soon, self.survey.next_wake(now)].into_iter().flatten().min()
    }

    fn take_events(&mut self, now: Now, journal: &mut dyn Journal) -> bool {
        let mut events = std::mem::take(&mut self.events);
        journal.take_events(&mut events);
        let mut busy = !events.is_empty();
        for event in events.drain(..) {
            self.event(now, event);
        }
        self.events = events;
        busy |= self.release_all(now);
        busy
    }

    /// Lets go of everything that waits no longer. True: there was something.
    fn release_all(&mut self, now: Now) -> bool {
        let mut any = false;
        while let Some(held) = self.out.released() {
            any = true;
            held.into_iter().for_each(|held| self.release(now, held));
        }
        any
    }

    fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Written(position) => self.out.reach(Level::Os, position),
            Event::Synced(position) => self.out.reach(Level::Disk, position),
            Event::Failed(code, why) => self.fail(now, code, why),
            Event::Read(id, records) => {
                if let Some(reading) = self.out.take_reading(id) {
                    self.read(now, reading, records);
                }
            }
            Event::Unread(id, why) => {
                if let Some(reading) = self.out.take_reading(id) {
                    self.unread(now, reading, &why);
                }
            }
            Event::Loaded(log, image) => self.loaded(now, log, &image),
            Event::Unloaded(log, why) => self.unloaded(now, log, None, &why),
            Event::Checkpoint(position) => self.checkpoint(now, position),
            Event::Pressed(pressed) => {
                self.figures.pressed.store(pressed.into(), Relaxed);
                self.inbox.press(pressed);
            }
        }
    }

    fn take_arrivals(&mut self, now: Now) -> bool {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.inbox.take(&mut arrivals);
        let busy = !arrivals.is_empty();
        for arrival in arrivals.drain(..) {
            self.arrive(now, arrival);
        }
        self.arrivals = arrivals;
        busy
    }

    /// The one table of what arrives.
    fn arrive(&mut self, now: Now, arrival: Arrival) {
        match arrival.target {
            Target::Stream(log) => self.captured(now, log, arrival),
            Target::Call => self.call(now, arrival),
            Target::Ack => self.acknowledged(now, arrival),
            Target::Flow => self.flowed(&arrival),
        }
    }

    fn take_timers(&mut self, now: Now) -> bool {
        // One that is due again at once waits for the next round, as do those beyond the first of very many.
        let due: Vec<Timer> = std::iter::from_fn(|| self.timers.due(now)).take(TIMERS_MAX).collect();
        let busy = !due.is_empty();
        for timer in due {
            match timer {
                Timer::Stream(log) => self.expire(now, log),
                Timer::Load(log) => self.load_again(log),
                Timer::Unsent(id) => self.read_again(id),
                Timer::Idle(log) => self.look_for_idle(now, log),
                Timer::Consumer(id) => {
                    if let Some(seat) = self.seat(&id) {
                        seat.wakes_at = None;
                        self.make_due(id.log, &id.name);
                    }
                }
            }
        }
        self.look_for_listeners(now) || busy
    }

    /// Something that waited for an entry has become true.
    fn release(&mut self, now: Now, held: Held) {
        match held {
            Held::Ack { tenant, reply, stream, seq, duplicate, from, span } => {
                drop(from);
                self.traced.end(span, None);
                count(&self.figures.acknowledged_total);
                if !reply.is_empty() {
                    self.out.acknowledge(tenant, &reply, &stream, seq, duplicate);
                }
            }
            Held::Show { log, seq } => self.show(now, log, seq),
            Held::Reserved { seat, reserved } => self.reserved(&seat, reserved),
            Held::Lower(log) => self.levels.lowered(&mut self.out, log),
            Held::Say(said) => self.out.say_kept(&said),
            Held::Tell(said) => self.out.tell_kept(&said),
            Held::Answer { said, asked, span } => {
                self.traced.end(span, None);
                self.out.say_kept(&said);
                if let Some(asked) = asked {
                    api::advisory::audited(self, now, said.tenant, &asked, &said.payload);
                }
            }
        }
    }

    /// The journal failed: whoever waits for safety is told that it will not come.
    fn fail(&mut self, now: Now, code: Code, why: String) {
        if self.out.failed.is_some() {
            return;
        }
        // What became safe just before is safe.
        self.release_all(now);
        self.inbox.fail();
        self.hub.note_store_failed();
        self.figures.failed.store(1, Relaxed);
        self.out.failed = Some((code, why));
        self.refuse_lost(now);
    }

    /// Tells whoever waits for an entry that will never be safe.
    fn refuse_lost(&mut self, now: Now) {
        let behind = self.levels.lost();
        for held in self.out.lost().into_iter().chain(behind) {
            match held {
                Held::Ack { tenant, reply, stream, from, span, .. } => {
                    drop(from);
                    self.traced.end(span, Some("the journal has failed"));
                    let error = api::store_failed(&self.out);
                    self.refuse_publish(tenant, &reply, &stream, &error);
                }
                // What an event would speak of may not have happened, and a confirmation was not earned.
                Held::Show { .. } | Held::Reserved { .. } | Held::Lower(_) | Held::Tell(_) | Held::Say(_) => {
                }
                Held::Answer { said, asked, span } => {
                    self.traced.end(span, Some("the journal has failed"));
                    let answer = api::say_store_failed(&mut self.out, &said);
                    if let Some(asked) = asked {
                        api::advisory::audited(self, now, said.tenant, &asked, &answer);
                    }
                }
            }
        }
    }

    /// What operators see of it.
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Why nothing more is stored, if that is so.
    pub fn failure(&self) -> Option<&(Code, String)> {
        self.out.failed.as_ref()
    }

    /// Messages that were appended in this turn are shown when they are safe.
    fn hold_shows(&mut self) {
        for log in std::mem::take(&mut self.to_show) {
            self.hold_show(log);
        }
    }

    /// The consumer that something under way is for, if it is still that one.
    fn seat(&mut self, id: &SeatId) -> Option<&mut Seat> {
        self.cells.get_mut(&id.log)?.seat(id)
    }

    fn tenant(&mut self, tenant: TenantId) -> Option<&mut Tenant> {
        self.tenants.get_mut(tenant.0 as usize)
    }
}
