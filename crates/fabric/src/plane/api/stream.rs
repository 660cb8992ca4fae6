//! Streams: created, changed, listed, emptied, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::stream::{Changes, Limits, Purge, Purging, State, check, check_pedantic, check_update};
use kernel::journal::{Image, Summary};
use kernel::{Entry, LogId, Now, SubjectPattern, TenantId};
use wire::jetstream::advisory::Action;
use wire::jetstream::api::{
    ClusterInfo, LIST_MAX, NAMES_MAX, PurgeRequest, Purged, SUBJECTS_MAX, StreamCreated, StreamInfo,
    StreamInfoPage, StreamInfoRequest, StreamList, StreamNames, StreamRequest, StreamState, StreamsRequest,
    Success,
};
use wire::jetstream::{Fault, PersistMode, StorageType, StreamConfig, Time, read, read_optional};

use super::super::Plane;
use super::super::cell::{Body, Cell, KeptStream, producers_key, sweep_key};
use super::super::work::{Subjects, Work};
use super::{Ask, Done, Later, Reply, Stop, advisory, answer, done, expect_empty, list_level, note_level};

impl Plane {
    pub(super) fn stream_create(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        let config = self.requested(ask, name)?;
        let mut config = check(config, &self.stream_limits())?;
        note_stream_level(&mut config);
        if let Some(log) = self.find(ask.tenant, name) {
            let Some(cell) = self.cells.get_mut(&log) else { return Err(Fault::StreamNotFound.into()) };
            if cell.full() != config {
                return Err(Fault::StreamNameExists.into());
            }
            let info = self.info_of(ask, log)?;
            // It may have been made a moment ago, and not be safe yet.
            return Ok(Reply::Safe(answer(ask, StreamCreated { info: info.into(), did_create: true })));
        }
        self.check_overlap(ask.tenant, name, &config)?;
        if self
            .tenants
            .get(ask.tenant.0 as usize)
            .is_some_and(|t| t.streams.len() >= self.options.streams_max)
        {
            return Err(Fault::MaxStreams.into());
        }
        let log = self.new_log(config.storage);
        let kept = KeptStream { log: log.0, created: time_of(ask), last: 0, config };
        self.seat_stream(ask.tenant, kept, Body::Cold(Summary::default()));
        self.write_stream(log);
        advisory::stream(self, ask.now, log, Action::Create);
        let info = self.info_of(ask, log)?;
        Ok(Reply::Safe(answer(ask, StreamCreated { info: info.into(), did_create: true })))
    }

    pub(super) fn stream_update(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        let limits = self.stream_limits();
        if wire::jetstream::document::is_empty(ask.body) {
            return Err(Fault::StreamInvalidConfig.with(NAME_REQUIRED).into());
        }
        let config = self.requested(ask, name)?;
        let old = self.warm_stream(ask.tenant, name)?.full();
        let mut config = check_update(&old, config, &limits)?;
        note_stream_level(&mut config);
        self.check_overlap(ask.tenant, name, &config)?;
        let Some(log) = self.find(ask.tenant, name) else { return Err(Fault::StreamNotFound.into()) };
        self.inbox.silence(log, config.no_ack);
        self.listen_anew(log, &config);
        let template = self.template(&config);
        self.set_level(log, bus::stream::level(&config).unwrap_or_default());
        let Some(cell) = self.cells.get_mut(&log) else { return Err(Fault::StreamNotFound.into()) };
        cell.config = template;
        let mut changes = Changes::default();
        if let Body::Warm(stream) = &mut cell.body {
            stream.update(config, &mut changes);
            stream.expire(ask.now, &mut changes);
        }
        self.write_stream(log);
        self.removed(ask.now, log, changes);
        self.note_expiry(log);
        advisory::stream(self, ask.now, log, Action::Modify);
        let info = self.info_of(ask, log)?;
        Ok(Reply::Safe(answer(ask, StreamCreated { info: info.into(), did_create: false })))
    }

    pub(super) fn stream_info(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        let request: StreamInfoRequest = read_optional(ask.body)?;
        let log = self.warm_stream(ask.tenant, name)?.log;
        let filter = match request.subjects_filter.as_str() {
            "" => None,
            text => SubjectPattern::parse(text.as_bytes()).ok(),
        };
        let Some(filter) = filter else {
            let info = self.info_told(ask.now, log, request.deleted_details).ok_or(Fault::StreamNotFound)?;
            let page = StreamInfoPage { info: info.into(), ..StreamInfoPage::default() };
            return Ok(Reply::Now(answer(ask, page)));
        };
        self.check_work()?;
        let later = self.later::<StreamInfoPage>(ask);
        let subjects = Subjects {
            log,
            filter,
            offset: request.offset.max(0) as u64,
            limit: SUBJECTS_MAX,
            is_detailed: request.deleted_details,
            later,
            found: BTreeMap::new(),
            total: 0,
            next: 0,
        };
        self.begin(ask.now, Work::Subjects(Box::new(subjects)));
        Ok(Reply::Later)
    }

    /// A stream's information, as it is told to who asks for this stream.
    fn info_told(&self, now: Now, log: LogId, is_detailed: bool) -> Option<StreamInfo> {
        let cell = self.cells.get(&log)?;
        let mut info = info(time_now(now), cell);
        info.cluster = Some(ClusterInfo { leader: self.options.node.clone(), ..ClusterInfo::default() });
        if let (Body::Warm(stream), true) = (&cell.body, is_detailed) {
            info.state.deleted = stream.deleted(DELETED_MAX);
        }
        Some(info)
    }

    /// A stream's information with the subjects that were found.
    pub(crate) fn subjects_found(&self, now: Now, subjects: &mut Subjects) -> Option<Reply> {
        let mut info = self.info_told(now, subjects.log, subjects.is_detailed)?;
        let mut page = StreamInfoPage::default();
        if subjects.total > 0 {
            (page.total, page.offset, page.limit) = (subjects.total, subjects.offset, subjects.limit);
            let found = std::mem::take(&mut subjects.found).into_iter();
            let some = found.skip(usize::try_from(subjects.offset).unwrap_or(usize::MAX));
            let told = some.map(|(subject, count)| (String::from_utf8_lossy(&subject).into_owned(), count));
            info.state.subjects = told.collect();
        }
        page.info = info.into();
        Some(Reply::Now(done(subjects.later.kind, page)))
    }

    pub(super) fn stream_names(&mut self, ask: &Ask<'_>) -> Done {
        let request: StreamsRequest = read_optional(ask.body)?;
        let all = self.listed(ask.tenant, &request);
        let (total, offset) = (all.len() as u64, (request.offset.max(0) as u64).min(all.len() as u64));
        let some = all.iter().skip(offset as usize).take(NAMES_MAX as usize);
        let names: Vec<String> = some.map(|(name, _)| name.to_string()).collect();
        let streams = (!names.is_empty()).then_some(names);
        Ok(Reply::Now(answer(ask, StreamNames { total, offset, limit: NAMES_MAX, streams })))
    }

    pub(super) fn stream_list(&mut self, ask: &Ask<'_>) -> Done {
        let request: StreamsRequest = read_optional(ask.body)?;
        let all = self.listed(ask.tenant, &request);
        let (total, offset) = (all.len() as u64, (request.offset.max(0) as u64).min(all.len() as u64));
        let some: Vec<LogId> =
            all.iter().skip(offset as usize).take(LIST_MAX as usize).map(|(_, log)| *log).collect();
        // Those that are listed again and again do not leave memory in between.
        for log in &some {
            self.cells.get_mut(log).into_iter().for_each(|cell| cell.is_used = true);
        }
        let is_cold =
            |log: &&LogId| self.cells.get(*log).is_some_and(|cell| !cell.is_known() && !cell.is_barred);
        let cold: Vec<LogId> = some.iter().filter(is_cold).copied().collect();
        if let Some(first) = cold.first() {
            cold.iter().for_each(|log| self.warm(*log));
            return Err(Stop::Load(*first));
        }
        let listed = |cell| {
            let mut info = info(time_of(ask), cell);
            list_level(&mut info.config.metadata);
            info
        };
        let streams = some.iter().filter_map(|log| self.cells.get(log)).map(listed).collect();
        let list =
            StreamList { total, offset, limit: LIST_MAX, streams: Some(streams), ..StreamList::default() };
        Ok(Reply::Now(answer(ask, list)))
    }

    pub(super) fn stream_delete(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        expect_empty(ask.body)?;
        let barred =
            self.find(ask.tenant, name).filter(|log| self.cells.get(log).is_some_and(|c| c.is_barred));
        let log = match barred {
            // Nothing of it must be read for it to go.
            Some(log) => log,
            None => self.warm_stream(ask.tenant, name)?.log,
        };
        let consumers: Vec<Box<str>> =
            self.cells.get(&log).map(|cell| cell.consumers.keys().cloned().collect()).unwrap_or_default();
        for consumer in consumers {
            // What it alone wanted goes with all the rest.
            self.end_consumer(ask.now, log, &consumer);
        }
        advisory::stream(self, ask.now, log, Action::Delete);
        let (mut key, mut is_sweeping) = (bytes::Bytes::new(), false);
        if let Some(cell) = self.cells.remove(&log) {
            (key, is_sweeping) = (cell.key(), cell.is_sweeping);
            cell.captures.iter().for_each(|capture| self.release_capture(ask.tenant, capture));
            self.timers.move_wall(super::super::timers::Timer::Stream(log), cell.wakes_at, None);
            self.timers.move_mono(super::super::timers::Timer::Idle(log), cell.idle_at, None);
        }
        if let Some(tenant) = self.tenants.get_mut(ask.tenant.0 as usize) {
            tenant.streams.remove(name);
        }
        self.out.append(Entry::Forget(log));
        self.inbox.silence(log, false);
        if !log.is_volatile() {
            self.out.append(Entry::State(key, None));
            self.out.append(Entry::State(producers_key(log), None));
            if is_sweeping {
                self.out.append(Entry::State(sweep_key(log), None));
            }
        }
        Ok(Reply::Safe(answer(ask, Success { success: true })))
    }

    pub(super) fn stream_purge(&mut self, ask: &Ask<'_>, name: &str) -> Done {
        let request: PurgeRequest = read_optional(ask.body)?;
        let is_busy = self.check_work();
        let cell = self.warm_stream(ask.tenant, name)?;
        let log = cell.log;
        if request.seq > 0 && request.keep > 0 {
            return Err(Fault::BadRequest.into());
        }
        let filter = match request.filter.as_str() {
            "" => None,
            text => match SubjectPattern::parse(text.as_bytes()) {
                Ok(pattern) => Some(pattern),
                // No message has such a subject.
                Err(_) => return Ok(Reply::Now(answer(ask, Purged { success: true, purged: 0 }))),
            },
        };
        let what = Purge { filter: filter.as_ref(), before: Some(request.seq), keep: Some(request.keep) };
        is_busy?;
        let mut changes = Changes::default();
        let Body::Warm(stream) = &mut cell.body else { return Err(Stop::Load(log)) };
        let purging = stream.purge(what, &mut changes)?;
        self.removed(ask.now, log, changes);
        let later = self.later::<Purged>(ask);
        self.begin(ask.now, Work::Purge { log, purging, later });
        Ok(Reply::Later)
    }

    /// The configuration that a request asks for, for the stream that its subject names.
    fn requested(&self, ask: &Ask<'_>, name: &str) -> Result<StreamConfig, Stop> {
        let request: StreamRequest = read(ask.body)?;
        if request.config.name != name {
            return Err(Fault::StreamMismatch.into());
        }
        if request.pedantic {
            check_pedantic(&request.config)?;
        }
        Ok(request.config)
    }

    fn stream_limits(&self) -> Limits {
        Limits::default()
    }

    /// No two streams capture the same subject.
    fn check_overlap(&self, tenant: TenantId, name: &str, config: &StreamConfig) -> Result<(), Stop> {
        let own = self.find(tenant, name);
        let Some(tenant) = self.tenants.get(tenant.0 as usize) else { return Ok(()) };
        let mut patterns = config.subjects.iter().filter_map(|s| SubjectPattern::parse(s.as_bytes()).ok());
        match patterns.any(|pattern| tenant.claims.is_taken(&pattern, own)) {
            true => Err(Fault::SubjectOverlap.into()),
            false => Ok(()),
        }
    }

    /// An identity that no log had before: the position of the entry that makes it known.
    fn new_log(&mut self, storage: StorageType) -> LogId {
        match storage {
            StorageType::File => LogId(self.out.last().0 + 1),
            StorageType::Memory => {
                self.volatile += 1;
                LogId::volatile(self.volatile)
            }
        }
    }

    /// Writes down that a stream exists, and as what.
    fn write_stream(&mut self, log: LogId) {
        if let Some(cell) = self.cells.get(&log).filter(|cell| !cell.log.is_volatile()) {
            self.out.append(Entry::State(cell.key(), Some(cell.state())));
        }
    }

    /// Hears other subjects from now on.
    fn listen_anew(&mut self, log: LogId, config: &StreamConfig) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let old = cell.captures.iter().map(|(pattern, _)| pattern.as_str());
        if old.eq(config.subjects.iter().map(String::as_str)) {
            return;
        }
        let (tenant, old) = (cell.tenant, std::mem::take(&mut cell.captures));
        // The new ones first, so that a subject in both is never without its stream; a message in between might come
        // twice, so each pattern that stays is kept as it is.
        let (stay, go): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|(p, _)| config.subjects.iter().any(|s| s == p.as_str()));
        let is_new = |s: &&String| !stay.iter().any(|(p, _)| p.as_str() == s.as_str());
        let fresh: Vec<String> = config.subjects.iter().filter(is_new).cloned().collect();
        go.iter().for_each(|capture| self.release_capture(tenant, capture));
        let mut captures = stay;
        captures.extend(fresh.iter().filter_map(|s| self.capture(tenant, s, log)));
        // In the order of the configuration.
        captures.sort_by_key(|(p, _)| config.subjects.iter().position(|s| s == p.as_str()));
        if let Some(cell) = self.cells.get_mut(&log) {
            cell.captures = captures;
        }
    }

    /// The streams of a tenant that hear a subject, by name.
    fn listed(&self, tenant: TenantId, request: &StreamsRequest) -> Vec<(Arc<str>, LogId)> {
        let Some(tenant) = self.tenants.get(tenant.0 as usize) else { return Vec::new() };
        let wanted = SubjectPattern::parse(request.subject.as_bytes()).ok();
        let hears = |log: &LogId| match &wanted {
            None => request.subject.is_empty(),
            Some(wanted) => {
                let cell = self.cells.get(log);
                cell.is_some_and(|cell| cell.captures.iter().any(|(own, _)| own.overlaps(wanted)))
            }
        };
        tenant.streams.iter().filter(|(_, log)| hears(log)).map(|(n, log)| (n.clone(), *log)).collect()
    }

    fn info_of(&mut self, ask: &Ask<'_>, log: LogId) -> Result<StreamInfo, Stop> {
        match self.cells.get(&log) {
            Some(cell) if cell.is_known() => Ok(info(time_of(ask), cell)),
            Some(_) => Err(Stop::Load(log)),
            None => Err(Fault::StreamNotFound.into()),
        }
    }
}

/// Puts into a stream's metadata what the server says of itself there, and the level of the API that it needs.
pub(crate) fn note_stream_level(config: &mut StreamConfig) {
    let needed = match config.persist_mode {
        PersistMode::Async => 2,
        PersistMode::Default => u64::from(config.allow_msg_ttl),
    };
    note_level(&mut config.metadata, needed);
}

const NAME_REQUIRED: &str = "stream name is required and can not contain '.', '*', '>', '\\', '/'";
/// Most deleted sequences that one answer lists.
const DELETED_MAX: usize = 100_000;

/// The answer to a purge that is done.
pub(crate) fn purged(later: &Later, purging: &Purging) -> Reply {
    Reply::Safe(done(later.kind, Purged { success: true, purged: purging.purged() }))
}

pub(super) fn time_of(ask: &Ask<'_>) -> Time {
    time_now(ask.now)
}

fn time_now(now: Now) -> Time {
    Time(now.wall_ms * 1_000_000)
}

/// What clients are told of a stream.
pub(super) fn info(at: Time, cell: &Cell) -> StreamInfo {
    let state = match &cell.body {
        Body::Warm(stream) => state(&stream.state()),
        // One that cannot be read now is told by what is known of it.
        Body::Cold(summary) => StreamState {
            messages: summary.count,
            bytes: summary.bytes,
            first_seq: if summary.count > 0 { summary.first } else { begun(cell, summary).first_seq },
            first_ts: Time(summary.first_time_ns),
            ..begun(cell, summary)
        },
        _ => StreamState::default(),
    };
    StreamInfo {
        config: cell.full(),
        created: cell.created,
        state: StreamState { consumer_count: cell.consumers.len() as u64, ..state },
        ts: at,
        ..StreamInfo::default()
    }
}

/// The state of a stream that is not loaded, without its messages.
fn begun(cell: &Cell, summary: &Summary) -> StreamState {
    state(&cell.begun(&Image::default(), summary, 0).state())
}

fn state(state: &State) -> StreamState {
    StreamState {
        messages: state.messages,
        bytes: state.bytes,
        first_seq: state.first_seq,
        first_ts: Time(state.first_time_ns),
        last_seq: state.last_seq,
        last_ts: Time(state.last_time_ns),
        num_subjects: state.num_subjects,
        num_deleted: state.num_deleted,
        ..StreamState::default()
    }
}

impl From<bus::stream::Refusal> for Stop {
    fn from(refusal: bus::stream::Refusal) -> Stop {
        Stop::Fault(refusal.api())
    }
}
