//! What the plane gives the journal, and what it says, where the whole program would be hard to bring to it.

use std::sync::{Arc, Mutex};
use std::task::Waker;

use auth::Accounts;
use bytes::Bytes;
use fabric::{Hub, Limits, Plane, PlaneOptions, Session, Woken};
use kernel::journal::{Event, Image, Level, ReadId, Recovered, Row, Summary};
use kernel::{
    Code, ConnectionId, Drain, Entry, Full, Journal, Listener, LogId, Msg, Now, Position, Put, Record, Spare,
    SubjectPattern,
};

/// Writes down; says that everything is safe while it is well.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    pub(crate) events: Vec<Event>,
    pub(crate) is_slow: bool,
    /// It gives back the records that were written down, and no gaps.
    pub(crate) is_readable: bool,
    /// Streams that are to be loaded are not.
    pub(crate) is_loading: bool,
    /// The disk gives nothing.
    pub(crate) is_unreadable: bool,
    /// What a log that was there at the start consists of.
    pub(crate) image: Image,
    /// Reads wait here; `None`: they are answered at once.
    pub(crate) reads: Option<Vec<Event>>,
}

impl Ledger {
    fn record(&self, log: LogId, index: u64) -> Option<Record> {
        self.entries.iter().filter(|_| self.is_readable).find_map(|entry| match entry {
            Entry::Record(l, record) if (*l, record.index) == (log, index) => Some(record.clone()),
            _ => None,
        })
    }

    /// What was there at the start and what was written down since, if that can be read.
    fn image_of(&self, log: LogId) -> Image {
        let mut image = self.image.clone();
        for entry in self.entries.iter().filter(|_| self.is_readable) {
            match entry {
                Entry::Record(l, record) if *l == log => {
                    image.subjects.push(Bytes::copy_from_slice(record.subject()));
                    let (size, subject) = (record.size() as u32, image.subjects.len() as u32 - 1);
                    let Record { index, time_ns, flags, .. } = *record;
                    image.rows.push(Row { index, time_ns, size, subject, flags });
                }
                Entry::Remove(l, gone) if *l == log => {
                    image.rows.retain(|row| !gone.iter().any(|range| range.contains(&row.index)));
                }
                _ => {}
            }
        }
        image
    }
}

impl Journal for Ledger {
    fn submit(&mut self, first: Position, entries: Vec<Entry>, _: Level) {
        let last = Position(first.0 + entries.len() as u64 - 1);
        self.entries.extend(entries);
        if !self.is_slow {
            self.events.push(Event::Synced(last));
        }
    }
    fn read(&mut self, id: ReadId, log: LogId, indices: Vec<u64>) {
        if self.is_unreadable {
            return self.events.push(Event::Unread(id, "a test".into()));
        }
        let records = indices.into_iter().map(|index| self.record(log, index)).collect();
        self.reads.as_mut().unwrap_or(&mut self.events).push(Event::Read(id, records));
    }
    fn load(&mut self, log: LogId) {
        if self.is_loading {
            return;
        }
        self.events.push(match self.is_unreadable {
            true => Event::Unloaded(log, "a test".into()),
            false => Event::Loaded(log, Box::new(self.image_of(log))),
        });
    }
    fn take_events(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.events);
    }
}

/// A client that remembers what it hears.
#[derive(Default)]
pub(crate) struct Ear(Mutex<Vec<String>>, Mutex<Vec<String>>);

impl Ear {
    /// Takes what it heard.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Takes the headers of what it heard.
    fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

impl Drain for Ear {
    fn on_drain(&self, _: &Waker) -> bool {
        false
    }
}

impl Listener for Ear {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        self.0.lock().unwrap().push(String::from_utf8_lossy(m.payload).into_owned());
        self.1.lock().unwrap().push(String::from_utf8_lossy(m.headers).into_owned());
        Put::Queued
    }
    fn full(&self) -> Full {
        Full::Cut
    }
    fn flush(&self, _: &mut Spare) {}
    fn connection(&self) -> Option<ConnectionId> {
        Some(ConnectionId(1))
    }
}

pub(crate) struct World {
    pub(crate) hub: Arc<Hub>,
    pub(crate) plane: Plane,
    pub(crate) journal: Ledger,
    pub(crate) session: Session,
    pub(crate) woken: Woken,
    pub(crate) ear: Arc<Ear>,
    pub(crate) now: Now,
}

impl World {
    pub(crate) fn new(recovered: Recovered) -> World {
        let limits = Limits {
            connections_max: 10,
            subscriptions_max: 10,
            outbox_bytes_max: 1 << 20,
            outboxes_bytes_max: 1 << 24,
            interest_bytes_max: 1 << 24,
        };
        let hub = Arc::new(Hub::new(Accounts::new(&auth::options::Options::default()).unwrap(), limits, 7));
        let options = PlaneOptions {
            streams_max: 10,
            consumers_max: 5000,
            payload_bytes_max: 1 << 20,
            stream_idle_ms: Some(600_000),
            node: "n".into(),
        };
        let plane = Plane::new(hub.clone(), options, recovered);
        let mut session = Session::new(&hub, Arc::default());
        let pattern = SubjectPattern::parse(b"_INBOX.>").unwrap();
        let (_, ear) = session.subscribe(&pattern, None, |_| Arc::<Ear>::default()).unwrap();
        World {
            hub,
            plane,
            journal: Ledger::default(),
            session,
            woken: Woken::default(),
            ear,
            now: Now::default(),
        }
    }

    /// Publishes, and lets the plane have its turn.
    pub(crate) fn say(&mut self, subject: &str, reply: &str, payload: &str) {
        let m = Msg {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            payload: payload.as_bytes(),
            ..Msg::default()
        };
        let _ = self.session.publish(&m, &mut self.woken);
        self.turn();
    }

    /// Lets the plane have its turn, and gives when the next is due.
    pub(crate) fn turn(&mut self) -> Option<u64> {
        self.now.wall_ms += 1;
        self.now.mono_ns += 1_000_000;
        self.plane.turn(self.now, &mut self.journal)
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.ear.take()
    }

    /// Headers of what was heard since they were last asked for.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.ear.take();
        self.ear.take_heads().into_iter().filter(|head| !head.is_empty()).collect()
    }
}

pub(crate) fn stream(tenant: &str, name: &str, log: u64) -> (Bytes, Bytes) {
    let key = ["stream", tenant, name].join("\0");
    let state = format!(
        r#"{{"log":{log},"created":"2026-01-01T00:00:00Z","config":{{"name":"{name}","subjects":["{name}"]}}}}"#
    );
    (key.into(), state.into())
}

#[test]
fn messages_stay_when_their_stream_cannot_be_used() {
    let full = Summary { first: 1, last: 9, count: 9, bytes: 90, ..Summary::default() };
    let damaged = (Bytes::from("stream\0\0B"), Bytes::from("{"));
    for states in [vec![stream("gone", "A", 5)], vec![stream("", "C", 3), damaged]] {
        let logs = vec![(LogId(5), full), (LogId(6), full)];
        let mut world = World::new(Recovered { last: Position(20), states, logs, ..Recovered::default() });
        assert!(!world.plane.take_trouble().is_empty(), "the operator is told");
        world.turn();
        let forgotten = |entry: &Entry| matches!(entry, Entry::Forget(LogId(5)));
        assert!(!world.journal.entries.iter().any(forgotten), "{:?}", world.journal.entries);
    }
}

#[test]
fn what_belongs_to_no_stream_goes_when_everything_else_is_whole() {
    let full = Summary { first: 1, last: 9, count: 9, bytes: 90, ..Summary::default() };
    let (states, logs) = (vec![stream("", "A", 5)], vec![(LogId(5), full), (LogId(6), full)]);
    let mut world = World::new(Recovered { last: Position(20), states, logs, ..Recovered::default() });
    world.turn();
    assert_eq!(world.journal.entries, [Entry::Forget(LogId(6))]);
}

#[test]
fn an_answer_is_never_a_request() {
    let mut world = World::new(Recovered::default());
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", r#"{"name":"S","subjects":["s"]}"#);
    assert!(world.heard().concat().contains(r#""did_create":true"#));
    // The answers are empty: taken for requests, they would delete and purge.
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.nobody", "$JS.API.STREAM.DELETE.S", "");
    world.say("$JS.ACK.S.nobody.1.1.1.1.0", "$JS.API.STREAM.DELETE.S", "+ACK");
    world.say("s", "$JS.API.STREAM.PURGE.S", "one");
    world.say("s", "s", "two");
    world.say("$JS.API.STREAM.INFO.S", "_INBOX.2", "");
    let told = world.heard().concat();
    assert!(told.contains(r#""messages":2"#), "{told}");
}

#[test]
fn nothing_is_answered_before_it_is_safe_and_nothing_hangs_when_the_journal_fails() {
    let mut world = World::new(Recovered::default());
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", r#"{"name":"S","subjects":["s"]}"#);
    world.heard();
    world.journal.is_slow = true;
    world.say("s", "_INBOX.2", "one");
    world.say("$JS.API.STREAM.PURGE.S", "_INBOX.3", "");
    assert!(world.heard().is_empty(), "nothing is safe yet");
    assert!(!world.hub.has_store_failed());
    world.journal.events.push(Event::Failed(Code::DiskFull, "a test".into()));
    world.turn();
    assert!(world.hub.has_store_failed(), "a load balancer learns of it");
    assert_eq!(world.heard().iter().filter(|said| said.contains("error")).count(), 2);
    for _ in 0..2 {
        world.say("s", "_INBOX.5", "two");
        assert!(
            world.heard().concat().contains(r#""err_code":5005"#),
            "each is told why, and not to come again"
        );
    }
    let before = world.journal.entries.len();
    world.say("$JS.API.STREAM.DELETE.S", "_INBOX.4", "");
    assert!(world.heard().concat().contains("error"), "it is told at once");
    assert_eq!(world.journal.entries.len(), before, "nothing is given to a journal that failed");
    world.say("$JS.API.STREAM.CREATE.T", "_INBOX.6", r#"{"name":"T","subjects":["t"]}"#);
    assert!(world.heard().concat().contains(r#""err_code":5005"#));
    world.say("$JS.API.STREAM.NAMES", "_INBOX.7", "");
    let names = world.heard().concat();
    assert!(names.contains(r#"["S"]"#), "what was refused was not done: {names}");
}

#[test]
fn a_sequence_at_the_end_of_numbers_is_refused() {
    let mut world = World::new(Recovered::default());
    let create = r#"{"name":"S","subjects":["s"],"first_seq":18446744073709551615}"#;
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", create);
    assert!(world.heard().concat().contains("first sequence is too large"));
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", r#"{"name":"S","subjects":["s"]}"#);
    world.say("$JS.API.STREAM.PURGE.S", "_INBOX.2", r#"{"seq":18446744073709551615}"#);
    assert!(world.heard().concat().contains("bad request"));
    world.say("s", "_INBOX.3", "one");
    assert_eq!(world.heard(), [r#"{"stream":"S","seq":1}"#]);
}
