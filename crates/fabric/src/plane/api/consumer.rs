//! Consumers: created, changed, listed, paused, deleted.

use bus::consumer::{Action, Consumer, Info, Place, Status, config};
use kernel::journal::Level;
use kernel::{Entry, LogId, Now};
use wire::jetstream::advisory::Action as Event;
use wire::jetstream::api::{
    ConsumerInfo, ConsumerList, ConsumerNames, ConsumerReset, ConsumersRequest, CreateAction,
    CreateConsumerRequest, LIST_MAX, NAMES_MAX, PauseRequest, Paused, ResetRequest, SequenceInfo, Success,
};
use wire::jetstream::{ApiError, ConsumerConfig, Fault, Time, read, read_optional};

use super::super::Plane;
use super::super::cell::{Body, Cell, Seat, SeatState, consumer_key, consumer_state};
use super::super::consume::home;
use super::super::out::Held;
use super::super::timers::Timer;
use super::stream::time_of;
use super::{Ask, Done, Reply, Stop, advisory, answer, expect_empty, list_level, note_level};

/// What the subject of a create request says.
pub(super) struct Named<'a> {
    pub(super) consumer: Option<&'a str>,
    pub(super) filter: Option<&'a str>,
    pub(super) is_durable: bool,
}

impl Plane {
    pub(super) fn consumer_create(&mut self, ask: &Ask<'_>, stream: &str, named: &Named<'_>) -> Done {
        let request: CreateConsumerRequest = read(ask.body)?;
        let (is_create, is_update) =
            (request.action == CreateAction::Create, request.action == CreateAction::Update);
        if request.stream_name != stream {
            return Err(Fault::StreamMismatch.into());
        }
        let mut wanted = request.config;
        check_named(&mut wanted, named)?;
        if request.pedantic {
            config::check_pedantic(&wanted)?;
        }
        let cell = self.warm_stream(ask.tenant, stream)?;
        let log = cell.log;
        let asked_threshold = wanted.inactive_threshold;
        let mut wanted = config::check(wanted, &cell.full())?;
        note_needed(&mut wanted);
        let name = match (wanted.durable_name.as_str(), wanted.name.as_str(), named.consumer) {
            (_, _, Some(name)) => name.to_owned(),
            ("", "", None) => self.some_name(),
            ("", name, None) | (name, _, None) => name.to_owned(),
        };
        let Some(cell) = self.cells.get(&log) else { return Err(Fault::StreamNotFound.into()) };
        match cell.consumers.get(&*name) {
            Some(seat) => {
                if asked_threshold <= 0 {
                    wanted.inactive_threshold = config::kept_threshold(seat.config(), &cell.config);
                }
                self.consumer_update(ask, log, &name, wanted, is_create)
            }
            None if is_update => Err(Fault::ConsumerDoesNotExist.into()),
            None => self.consumer_new(ask, log, &name, wanted),
        }
    }

    fn consumer_new(&mut self, ask: &Ask<'_>, log: LogId, name: &str, wanted: ConsumerConfig) -> Done {
        let seed = self.hub.seed();
        let Some(cell) = self.cells.get_mut(&log) else { return Err(Fault::StreamNotFound.into()) };
        config::check_new(&wanted, &cell.config, cell.consumers.values().map(Seat::config))?;
        if cell.consumers.len() >= self.options.consumers_max {
            return Err(Fault::MaxConsumers.into());
        }
        let Body::Warm(stream) = &cell.body else { return Err(Stop::Load(log)) };
        let is_kept = !wanted.mem_storage;
        let made = Consumer::new(wanted, home(cell, name, is_kept, seed), &**stream, ask.now);
        let mut consumer = made.map_err(|_| Fault::BadRequest)?;
        let progress = consumer.snapshot();
        let state = consumer_state(time_of(ask), consumer.config(), &progress);
        let reserved = consumer.reserved();
        self.seats += 1;
        let mut seat = Seat::new(time_of(ask), SeatState::Live(Box::new(consumer))).numbered(self.seats);
        seat.reserved = reserved;
        let id = seat.id(log, name);
        cell.consumers.insert(name.into(), seat);
        if !log.is_volatile() && is_kept {
            self.out.append(Entry::State(consumer_key(log, name), Some(state)));
            self.out.hold(Level::Disk, Held::Reserved { seat: id, reserved });
        }
        self.note_use(ask.now, log);
        self.settle(log, name);
        self.make_due(log, name);
        advisory::consumer(self, ask.now, log, name, Event::Create);
        self.told(ask, log, name)
    }

    fn consumer_update(
        &mut self,
        ask: &Ask<'_>,
        log: LogId,
        name: &str,
        wanted: ConsumerConfig,
        is_create: bool,
    ) -> Done {
        let Some(cell) = self.cells.get_mut(&log) else { return Err(Fault::StreamNotFound.into()) };
        let Some(old) = cell.consumers.get(name).map(|seat| seat.config().clone()) else {
            return Err(Fault::ConsumerNotFound.into());
        };
        if old == wanted {
            return self.told(ask, log, name);
        }
        if is_create {
            return Err(Fault::ConsumerExists.into());
        }
        let is_heard = !old.deliver_subject.is_empty()
            && self.out.hears_in(cell.tenant, old.deliver_subject.as_bytes(), &old.deliver_group);
        let others = cell.consumers.iter().filter(|(n, _)| ***n != *name).map(|(_, seat)| seat.config());
        config::check_update(&old, &wanted, &cell.config, others, is_heard)?;
        let Some(seat) = cell.consumers.get_mut(name) else { return Err(Fault::ConsumerNotFound.into()) };
        let SeatState::Live(consumer) = &mut seat.state else { return Err(broken()) };
        let mut actions = Vec::new();
        consumer.update(ask.now, wanted, &mut actions).map_err(|_| Fault::BadRequest)?;
        // It may send to somebody else now.
        let id = seat.id(log, name);
        self.unwatch(&id);
        self.act(ask.now, log, name, actions, Vec::new());
        self.write_whole(log, name);
        self.make_due(log, name);
        self.told(ask, log, name)
    }

    pub(super) fn consumer_info(&mut self, ask: &Ask<'_>, stream: &str, name: &str) -> Done {
        expect_empty(ask.body)?;
        let log = self.warm_stream(ask.tenant, stream)?.log;
        let info = self.consumer_told(ask, log, name)?;
        Ok(Reply::Now(answer(ask, info)))
    }

    pub(super) fn consumer_names(&mut self, ask: &Ask<'_>, stream: &str) -> Done {
        let request: ConsumersRequest = read_optional(ask.body)?;
        let cell = self.warm_stream(ask.tenant, stream)?;
        let total = cell.consumers.len() as u64;
        let offset = (request.offset.max(0) as u64).min(total);
        let some = cell.consumers.keys().skip(offset as usize).take(NAMES_MAX as usize);
        let consumers = some.map(|name| name.to_string()).collect();
        Ok(Reply::Now(answer(ask, ConsumerNames { total, offset, limit: NAMES_MAX, consumers })))
    }

    pub(super) fn consumer_list(&mut self, ask: &Ask<'_>, stream: &str) -> Done {
        let request: ConsumersRequest = read_optional(ask.body)?;
        let cell = self.warm_stream(ask.tenant, stream)?;
        let (log, total) = (cell.log, cell.consumers.len() as u64);
        let offset = (request.offset.max(0) as u64).min(total);
        let some = cell.consumers.keys().skip(offset as usize).take(LIST_MAX as usize);
        let names: Vec<Box<str>> = some.cloned().collect();
        let mut listed = |name: &str| {
            let mut info = self.consumer_told(ask, log, name).ok()?;
            list_level(&mut info.config.metadata);
            Some(info)
        };
        let consumers = names.iter().filter_map(|name| listed(name)).collect();
        let list = ConsumerList { total, offset, limit: LIST_MAX, consumers, ..ConsumerList::default() };
        Ok(Reply::Now(answer(ask, list)))
    }

    pub(super) fn consumer_delete(&mut self, ask: &Ask<'_>, stream: &str, name: &str) -> Done {
        expect_empty(ask.body)?;
        let cell = self.warm_stream(ask.tenant, stream)?;
        let log = cell.log;
        if !cell.consumers.contains_key(name) {
            return Err(Fault::ConsumerNotFound.into());
        }
        self.remove_consumer(ask.now, log, name);
        Ok(Reply::Safe(answer(ask, Success { success: true })))
    }

    pub(super) fn consumer_pause(&mut self, ask: &Ask<'_>, stream: &str, name: &str) -> Done {
        let request: PauseRequest = read_optional(ask.body)?;
        let cell = self.warm_stream(ask.tenant, stream)?;
        let log = cell.log;
        let Some(seat) = cell.consumers.get_mut(name) else { return Err(Fault::ConsumerNotFound.into()) };
        let SeatState::Live(consumer) = &mut seat.state else { return Err(broken()) };
        let until = request.pause_until.filter(|until| until.0 > 0);
        let mut changed = ConsumerConfig { pause_until: until, ..consumer.config().clone() };
        note_needed(&mut changed);
        let mut actions = Vec::new();
        consumer.update(ask.now, changed, &mut actions).map_err(|_| Fault::BadRequest)?;
        self.act(ask.now, log, name, actions, Vec::new());
        self.write_whole(log, name);
        self.make_due(log, name);
        let left = until.map_or(0, |until| until.0.saturating_sub(time_of(ask).0));
        let paused = Paused {
            paused: left > 0,
            pause_until: until.unwrap_or_default(),
            pause_remaining: i64::try_from(left).unwrap_or(i64::MAX),
        };
        Ok(Reply::Safe(answer(ask, paused)))
    }

    pub(super) fn consumer_reset(&mut self, ask: &Ask<'_>, stream: &str, name: &str) -> Done {
        let request: ResetRequest = read(ask.body)?;
        let cell = self.warm_stream(ask.tenant, stream)?;
        let log = cell.log;
        let seat = cell.consumers.get_mut(name);
        // Nobody answers for a consumer that is not there, as on the real server.
        let Some(Seat { state: SeatState::Live(consumer), .. }) = seat else { return Ok(Reply::Later) };
        let reset_seq = consumer.reset(ask.now, (request.seq > 0).then_some(request.seq));
        self.write_whole(log, name);
        self.make_due(log, name);
        let info = self.consumer_told(ask, log, name)?.into();
        Ok(Reply::Safe(answer(ask, ConsumerReset { info, reset_seq })))
    }

    /// Writes a consumer's state whole, because more than its progress changed.
    fn write_whole(&mut self, log: LogId, name: &str) {
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(name));
        let Some(seat) = seat else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        if !log.is_volatile() && !consumer.config().mem_storage {
            let progress = consumer.snapshot();
            let state = consumer_state(seat.created, consumer.config(), &progress);
            seat.is_dirty = false;
            let reserved = consumer.reserved();
            seat.reserved = reserved;
            self.out.append(Entry::State(consumer_key(log, name), Some(state)));
            self.out.hold(Level::Disk, Held::Reserved { seat: seat.id(log, name), reserved });
        }
        self.settle(log, name);
    }

    /// Ends a consumer: who waits is told, and what only it wanted goes.
    pub(crate) fn remove_consumer(&mut self, now: Now, log: LogId, name: &str) {
        self.end_consumer(now, log, name);
        self.note_use(now, log);
        self.drop_unwanted(now, log);
    }

    /// Ends a consumer: who waits is told.
    pub(crate) fn end_consumer(&mut self, now: Now, log: LogId, name: &str) {
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(name));
        let Some(seat) = seat else { return };
        let mut actions = Vec::new();
        if let SeatState::Live(consumer) = &mut seat.state {
            consumer.dismiss(&Status::ConsumerDeleted, &mut actions);
        }
        let (id, wakes_at) = (seat.id(log, name), seat.wakes_at.take());
        self.unwatch(&id);
        self.timers.move_mono(Timer::Consumer(id), wakes_at, None);
        actions.retain(|action| matches!(action, Action::Status { .. }));
        self.act(now, log, name, actions, Vec::new());
        advisory::consumer(self, now, log, name, Event::Delete);
        if let Some(cell) = self.cells.get_mut(&log) {
            let removed = cell.consumers.remove(name);
            let is_kept = removed.is_some_and(|seat| !seat.config().mem_storage);
            if is_kept && !log.is_volatile() {
                self.out.append(Entry::State(consumer_key(log, name), None));
            }
        }
    }

    fn told(&mut self, ask: &Ask<'_>, log: LogId, name: &str) -> Done {
        let info = self.consumer_told(ask, log, name)?;
        Ok(Reply::Safe(answer(ask, info)))
    }

    fn consumer_told(&mut self, ask: &Ask<'_>, log: LogId, name: &str) -> Result<ConsumerInfo, Stop> {
        let Some(cell) = self.cells.get_mut(&log) else { return Err(Fault::StreamNotFound.into()) };
        let Cell { name: stream_name, body, consumers, .. } = cell;
        let Body::Warm(stream) = body else { return Err(Stop::Load(log)) };
        let Some(seat) = consumers.get_mut(name) else { return Err(Fault::ConsumerNotFound.into()) };
        let SeatState::Live(consumer) = &mut seat.state else { return Err(Fault::ConsumerNotFound.into()) };
        let mut info = consumer.info(&**stream);
        let config = consumer.config();
        info.push_bound = !config.deliver_subject.is_empty()
            && self.out.hears_in(ask.tenant, config.deliver_subject.as_bytes(), &config.deliver_group);
        Ok(document(ask, stream_name, name, seat.created, consumer.config(), &info))
    }
}

/// Notes the level of the API that a configuration needs.
fn note_needed(config: &mut ConsumerConfig) {
    let level = u64::from(config.pause_until.is_some_and(|until| until.0 > 0));
    note_level(&mut config.metadata, level);
}

/// What clients are told of a consumer.
fn document(
    ask: &Ask<'_>,
    stream: &str,
    name: &str,
    created: Time,
    config: &ConsumerConfig,
    info: &Info,
) -> ConsumerInfo {
    let place = |place: &Place| SequenceInfo {
        consumer_seq: place.consumer_seq,
        stream_seq: place.stream_seq,
        last_active: place.at_ms.map(|ms| Time(ms * 1_000_000)),
    };
    ConsumerInfo {
        stream_name: stream.into(),
        name: name.into(),
        created,
        config: config.clone(),
        delivered: place(&info.delivered),
        ack_floor: place(&info.ack_floor),
        num_ack_pending: info.num_ack_pending,
        num_redelivered: info.num_redelivered,
        num_waiting: info.num_waiting,
        num_pending: info.num_pending,
        push_bound: info.push_bound,
        paused: info.pause_remaining_ns > 0,
        pause_remaining: i64::try_from(info.pause_remaining_ns).unwrap_or(i64::MAX),
        ts: time_of(ask),
        ..ConsumerInfo::default()
    }
}

/// What a request's subject and its configuration must agree on.
fn check_named(config: &mut ConsumerConfig, named: &Named<'_>) -> Result<(), Stop> {
    match (named.consumer, named.is_durable) {
        (Some(name), true) => {
            if config.durable_name.is_empty() {
                return Err(Fault::DurableNameNotSet.into());
            }
            if config.durable_name != name {
                return Err(Fault::DurableNameNotMatchSubject.into());
            }
        }
        (Some(name), false) => {
            if !config.durable_name.is_empty() && config.durable_name != name {
                return Err(Fault::DurableNameNotMatchSubject.into());
            }
            config.name = name.to_owned();
        }
        (None, _) if !config.durable_name.is_empty() => {
            return Err(Fault::EphemeralWithDurableName.into());
        }
        (None, _) => {}
    }
    if let Some(name) = named.consumer
        && name.contains(['/', '\\'])
    {
        return Err(Fault::ConsumerNamePathSeparators.into());
    }
    if let Some(filter) = named.filter {
        if config.filter_subjects.len() > 1 {
            return Err(Fault::MultipleFiltersNotAllowed.into());
        }
        if config.filter_subject != filter {
            return Err(Fault::CreateFilterMismatch.into());
        }
    }
    Ok(())
}

impl From<bus::consumer::Refusal> for Stop {
    fn from(refusal: bus::consumer::Refusal) -> Stop {
        Stop::Fault(ApiError {
            code: refusal.http(),
            err_code: refusal.number(),
            description: refusal.to_string().into(),
        })
    }
}

/// A consumer whose state could not be read: it can only be deleted.
fn broken() -> Stop {
    Fault::ConsumerStoreFailed.with("its state cannot be read; delete it and make it anew").into()
}
