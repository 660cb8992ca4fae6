//! Streams made, changed and deleted; messages purged, deleted and read.

use kernel::journal::Level;
use wire::jetstream::api::{MsgDeleteRequest, MsgGetRequest, PurgeRequest};
use wire::jetstream::{Discard, Retention, StreamConfig, write};

use crate::oracle::{Life, Rules, Stream};
use crate::promise::Kept;
use crate::world::{Ask, World};

/// Most streams at once.
const STREAMS_MAX: usize = 4;
const NS_PER_MS: u64 = 1_000_000;

/// What a stream's rules are as a configuration.
fn config(rules: &Rules, note: &str) -> StreamConfig {
    let level = if rules.level == Level::Disk { "disk" } else { "os" };
    StreamConfig {
        name: rules.name.clone(),
        description: note.into(),
        subjects: vec![format!("{}.>", rules.name)],
        retention: rules.retention,
        max_msgs: rules.max_msgs as i64,
        max_msgs_per_subject: rules.per_subject as i64,
        max_age: (rules.max_age_ms * NS_PER_MS) as i64,
        duplicate_window: (rules.window_ms * NS_PER_MS) as i64,
        discard: if rules.discard_new { Discard::New } else { Discard::Old },
        allow_direct: true,
        metadata: [("np.ack".to_owned(), level.to_owned())].into(),
        ..StreamConfig::default()
    }
}

impl World {
    pub(crate) fn make_stream(&mut self) -> Kept {
        let unanswered = |at: &usize| self.streams.get(*at).is_some_and(|s| s.life == Life::Making);
        let making: Vec<usize> = (0..self.streams.len()).filter(unanswered).collect();
        if let Some(stream) = self.random.pick(&making) {
            return self.ask_for_stream(stream);
        }
        // A name is used again once its last stream is surely gone.
        let name = format!("S{}", self.random.below(STREAMS_MAX as u64));
        if self.streams.iter().any(|s| s.rules.name == name && s.life != Life::Gone) {
            return Ok(());
        }
        let random = &mut self.random;
        let mut some = |one_in: u64, from: u64, to: u64| match random.one_in(one_in) {
            true => random.between(from, to),
            false => 0,
        };
        let (max_msgs, per_subject) = (some(4, 5, 40), some(5, 1, 10));
        let max_age_ms = some(5, 2_000, 60_000);
        let is_lonely = some(3, 1, 1) == 1;
        let windows = if is_lonely { [120_000, 5_000, 1_000, 200] } else { [120_000, 120_000, 5_000, 1_000] };
        let window_ms = windows[some(1, 0, 3) as usize];
        let window_ms = if max_age_ms > 0 { window_ms.min(max_age_ms) } else { window_ms };
        let retention = [Retention::Limits, Retention::Limits, Retention::WorkQueue, Retention::Interest];
        let retention = retention[some(1, 0, 3) as usize];
        let level = if some(4, 1, 1) == 1 { Level::Os } else { Level::Disk };
        let discard_new = max_msgs > 0 && per_subject == 0 && some(3, 1, 1) == 1;
        let is_marked = some(2, 1, 1) == 1;
        let rules = Rules {
            name,
            level,
            retention,
            max_msgs,
            per_subject,
            max_age_ms,
            window_ms,
            discard_new,
            is_marked,
            is_lonely,
        };
        self.figures.streams += 1;
        self.streams.push(Stream::new(rules));
        self.ask_for_stream(self.streams.len() - 1)
    }

    fn ask_for_stream(&mut self, stream: usize) -> Kept {
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let rules = book.rules.clone();
        let subject = format!("$JS.API.STREAM.CREATE.{}", rules.name);
        let client = self.client();
        let body = write(&config(&rules, ""));
        let taken = self.ask(client, subject.as_bytes(), &[], &body, Ask::MakeStream { stream });
        self.trace.note(format!("make stream {rules:?} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    pub(crate) fn change_stream(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let note = format!("note {}", self.random.below(100));
        let body = write(&config(&book.rules, &note));
        let subject = format!("$JS.API.STREAM.UPDATE.{}", book.rules.name);
        let client = self.client();
        let taken = self.ask(client, subject.as_bytes(), &[], &body, Ask::ChangeStream);
        self.trace.note(format!("change {subject} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    pub(crate) fn end_stream(&mut self) -> Kept {
        let ending = |at: &usize| self.streams.get(*at).is_some_and(|s| s.life == Life::Ending);
        let ending: Vec<usize> = (0..self.streams.len()).filter(ending).collect();
        let again = self.random.pick(&ending);
        let Some(stream) = again.or_else(|| self.a_stream()) else { return Ok(()) };
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        book.life = Life::Ending;
        book.consumers.iter_mut().for_each(|c| c.life = Life::Ending);
        let subject = format!("$JS.API.STREAM.DELETE.{}", book.rules.name);
        let client = self.client();
        let taken = self.ask(client, subject.as_bytes(), &[], &[], Ask::EndStream { stream });
        self.trace.note(format!("end {subject} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    /// A sequence that is known of a stream.
    fn a_place(&mut self, stream: usize) -> Option<u64> {
        let book = self.streams.get(stream)?;
        let known: Vec<u64> = book.places.keys().copied().collect();
        self.random.pick(&known)
    }

    pub(crate) fn purge(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let known = self.a_place(stream).unwrap_or(0);
        let (mut filter, mut seq, mut keep) = (String::new(), 0, 0);
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        if self.random.one_in(3) {
            filter = format!("{}.a", book.rules.name);
        }
        match self.random.below(4) {
            0 => seq = known,
            1 => keep = self.random.between(1, 5),
            _ => {}
        }
        self.purge_of(stream, filter, seq, keep)
    }

    /// Asks for a purge: see `Stream::purge` of the oracle.
    pub(crate) fn purge_of(&mut self, stream: usize, filter: String, seq: u64, keep: u64) -> Kept {
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let takes = book.purge(&filter, seq, keep);
        let subject = format!("$JS.API.STREAM.PURGE.{}", book.rules.name);
        let body = write(&PurgeRequest { seq, filter, keep });
        let client = self.client();
        let text = format!("purge {subject} {}", String::from_utf8_lossy(&body));
        let taken = self.ask(client, subject.as_bytes(), &[], &body, Ask::Purge { stream, takes });
        self.trace.note(format!("{text} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    pub(crate) fn delete(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(seq) = self.a_place(stream) else { return Ok(()) };
        let Some(book) = self.streams.get_mut(stream) else { return Ok(()) };
        let was_there = book.must_hold(seq);
        if let Some(place) = book.places.get_mut(&seq) {
            place.may_go = true;
        }
        let subject = format!("$JS.API.STREAM.MSG.DELETE.{}", book.rules.name);
        let body = write(&MsgDeleteRequest { seq, no_erase: true });
        let client = self.client();
        let taken = self.ask(client, subject.as_bytes(), &[], &body, Ask::Delete { stream, seq, was_there });
        self.trace.note(format!("delete {seq} {subject} ({}): {taken:?}", self.numbers));
        Ok(())
    }

    pub(crate) fn get(&mut self) -> Kept {
        let Some(stream) = self.a_stream() else { return Ok(()) };
        let Some(seq) = self.a_place(stream) else { return Ok(()) };
        let Some(book) = self.streams.get(stream) else { return Ok(()) };
        let was_there = book.must_hold(seq);
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", book.rules.name);
        let body = write(&MsgGetRequest { seq, ..MsgGetRequest::default() });
        let client = self.client();
        let taken = self.ask(client, subject.as_bytes(), &[], &body, Ask::Get { stream, seq, was_there });
        self.trace.note(format!("get {seq} {subject} ({}): {taken:?}", self.numbers));
        Ok(())
    }
}
