//! Steps of traces as the plane tells them: when they begin and when they are over.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use kernel::journal::{Event, Recovered};
use kernel::trace::{Span, Spans};
use kernel::{Msg, Position};

use crate::plane::World;

/// Collects what is told, by a clock that goes on with every look.
#[derive(Default)]
struct Told {
    spans: Mutex<Vec<Span>>,
    clock_ns: AtomicU64,
}

impl Spans for Told {
    fn ended(&self, span: Span) {
        self.spans.lock().unwrap().push(span);
    }
    fn now_ns(&self) -> u64 {
        1_000_000_000 + self.clock_ns.fetch_add(1, Relaxed)
    }
}

impl Told {
    /// Takes names and errors of what was told. All of it took some time.
    fn take(&self) -> Vec<(String, String)> {
        let spans = std::mem::take(&mut *self.spans.lock().unwrap());
        let of = |span: Span| {
            assert!(span.end_ns > span.start_ns, "{span:?}");
            (span.name.into_owned(), span.error.unwrap_or_default().into_owned())
        };
        spans.into_iter().map(of).collect()
    }
}

fn traced() -> (World, Arc<Told>) {
    let (mut world, told) = (World::new(Recovered::default()), Arc::new(Told::default()));
    world.journal.is_readable = true;
    world.plane.trace_to(told.clone());
    (world, told)
}

impl World {
    /// Says something that belongs to a trace.
    fn trace(&mut self, subject: &str, payload: &str) {
        let headers =
            b"NATS/1.0\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
        let m = Msg {
            subject: subject.as_bytes(),
            reply: b"_INBOX.a",
            headers,
            payload: payload.as_bytes(),
            ..Msg::default()
        };
        let _ = self.session.publish(&m, &mut self.woken);
        self.turn();
    }

    /// The disk has taken everything.
    fn all_synced(&mut self) {
        let last = Position(self.journal.entries.len() as u64);
        self.journal.events.push(Event::Synced(last));
        self.turn();
    }
}

fn names(told: Vec<(String, String)>) -> Vec<String> {
    told.into_iter().map(|(name, error)| name + &error).collect()
}

#[test]
fn a_step_lasts_until_what_it_did_is_safe() {
    let (mut world, told) = traced();
    world.journal.is_slow = true;
    let create = r#"{"name":"S","subjects":["s.>"]}"#;
    for (subject, body, name) in [
        ("$JS.API.STREAM.CREATE.S", create, "$JS.API.STREAM.CREATE.S"),
        ("s.1", "one", "store S"),
        ("$JS.API.STREAM.PURGE.S", "", "$JS.API.STREAM.PURGE.S"),
        ("s.1", "two", "store S"),
        ("$JS.API.STREAM.PURGE.S", r#"{"filter":"s.*"}"#, "$JS.API.STREAM.PURGE.S"),
        ("$JS.API.STREAM.DELETE.S", "", "$JS.API.STREAM.DELETE.S"),
    ] {
        world.trace(subject, body);
        assert_eq!(told.take(), [], "{subject}");
        world.all_synced();
        assert_eq!(names(told.take()), [name]);
    }
}

#[test]
fn a_step_lasts_as_long_as_its_work_and_is_told_once() {
    let (mut world, told) = traced();
    world.say("$JS.API.STREAM.CREATE.S", "", r#"{"name":"S","subjects":["s.>"]}"#);
    world.trace("s.1", "one");
    assert_eq!(names(told.take()), ["store S"]);
    world.journal.reads = Some(Vec::new());
    world.trace("$JS.API.STREAM.MSG.GET.S", r#"{"seq":1}"#);
    assert_eq!(told.take(), [], "it is being read");
    let reads = world.journal.reads.take().unwrap();
    world.journal.events.extend(reads);
    world.turn();
    assert_eq!(names(told.take()), ["$JS.API.STREAM.MSG.GET.S"]);
    for (subject, body) in [
        ("$JS.API.STREAM.INFO.S", ""),
        ("$JS.API.STREAM.INFO.S", r#"{"subjects_filter":">"}"#),
        ("$JS.API.STREAM.NAMES", ""),
    ] {
        world.trace(subject, body);
        assert_eq!(names(told.take()), [subject]);
    }
    world.say(
        "$JS.API.CONSUMER.DURABLE.CREATE.S.C",
        "",
        r#"{"stream_name":"S","config":{"durable_name":"C"}}"#,
    );
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.next", "");
    assert_eq!(names(told.take()), ["deliver S"]);
}

#[test]
fn a_step_that_went_wrong_says_why() {
    let (mut world, told) = traced();
    world.trace("$JS.API.STREAM.INFO.S", "");
    assert_eq!(told.take(), [("$JS.API.STREAM.INFO.S".to_owned(), "stream not found".to_owned())]);
    world.journal.is_slow = true;
    world.trace("$JS.API.STREAM.CREATE.S", r#"{"name":"S","subjects":["s.>"]}"#);
    world.journal.events.push(Event::Failed(kernel::Code::StoreFailed, "a test".into()));
    world.turn();
    let why = "the journal has failed".to_owned();
    assert_eq!(told.take(), [("$JS.API.STREAM.CREATE.S".to_owned(), why)]);
}
