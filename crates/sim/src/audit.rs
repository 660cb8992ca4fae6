//! Reading everything and comparing it with what must be there, as a client could. Nothing else goes on meanwhile.

use std::collections::BTreeSet;

use kernel::Headers;
use wire::jetstream::api::{Answer, ConsumerNames, StreamInfoPage, StreamNames};
use wire::jetstream::{Origin, Status};

use crate::door::Heard;
use crate::node::Step;
use crate::oracle::Life;
use crate::promise::genuine::Shown;
use crate::promise::{Broken, counts, damage, existence, progress, unread};
use crate::world::{Ask, World};

/// Rounds after which something that is not answered never will be.
const ROUNDS_MAX: usize = 60;

impl World {
    /// Lets the node do everything that it has to do at this moment. False: publishers still wait.
    pub(crate) fn quiesce(&mut self) -> Result<bool, Broken> {
        for _ in 0..ROUNDS_MAX {
            self.turn()?;
            let mut did = self.node.step(Step::Sync);
            did |= self.node.step(Step::Read);
            did |= self.node.step(Step::Settle);
            if !did {
                break;
            }
        }
        self.turn()?;
        if self.failed {
            return Ok(false);
        }
        // When settling failed, it is tried again after a while that passes for no step, and publishers wait for it.
        let waits = self.node.counter("settlings_failed") > 0;
        if waits && self.asks.values().any(|ask| matches!(ask, Ask::Publish { .. })) {
            return Ok(false);
        }
        // Acknowledgements of what a crash made the node forget have no answer.
        let open = self.asks.iter().find(|(_, ask)| !matches!(ask, Ask::Ack { .. }));
        let what = open.map(|(id, ask)| format!("{id}: {ask:?}")).unwrap_or_default();
        progress::in_time(&what, open.is_none())?;
        Ok(true)
    }

    /// Asks and waits for the whole answer; `None`: the journal has failed.
    pub(crate) fn talk(&mut self, subject: &str, body: &[u8]) -> Result<Option<Vec<Heard>>, Broken> {
        let taken = self.ask(0, subject.as_bytes(), &[], body, Ask::Talk);
        let id = self.numbers;
        self.trace.note(format!("ask {subject} ({id}): {taken:?}"));
        let is_batch = subject.starts_with("$JS.API.DIRECT.");
        for _ in 0..ROUNDS_MAX {
            self.turn()?;
            let answers = self.answers.get(&id).map_or(&[][..], |all| all);
            let ends =
                |heard: &Heard| !is_batch || Status::read(&heard.headers).is_some_and(|s| s.code >= 200);
            if answers.last().is_some_and(ends) {
                return Ok(self.answers.remove(&id));
            }
            if !self.node.step(Step::Read) && !self.node.step(Step::Sync) {
                self.node.step(Step::Settle);
            }
        }
        progress::in_time(subject, self.failed)?;
        Ok(None)
    }

    pub(crate) fn question<T: Default + for<'de> serde::Deserialize<'de>>(
        &mut self,
        subject: &str,
    ) -> Result<Option<T>, Broken> {
        let Some(heard) = self.talk(subject, &[])? else { return Ok(None) };
        let payload = heard.first().map(|h| h.payload.clone()).unwrap_or_default();
        let answer = serde_json::from_slice::<Answer<T>>(&payload).map_err(|e| Broken {
            promise: "genuine",
            what: format!("{subject}: {e}: {}", String::from_utf8_lossy(&payload)),
        })?;
        Ok(answer.error.is_none().then_some(answer.body))
    }

    /// Compares everything. False: it could not be done.
    pub(crate) fn audit(&mut self) -> Result<bool, Broken> {
        self.mend_reads()?;
        if !self.quiesce()? {
            return Ok(false);
        }
        self.figures.audits += 1;
        self.trace.note("audit".into());
        let Some(names) = self.question::<StreamNames>("$JS.API.STREAM.NAMES")? else { return Ok(false) };
        let names = names.streams.unwrap_or_default();
        for at in 0..self.streams.len() {
            let Some(book) = self.streams.get(at) else { continue };
            let (name, life) = (book.rules.name.clone(), book.life);
            let is_last = self.streams.iter().skip(at + 1).all(|later| later.rules.name != name);
            if is_last {
                existence::as_answered(&format!("stream {name}"), life, names.contains(&name))?;
            }
            if let (Life::Ending, false, Some(book)) = (life, names.contains(&name), self.streams.get_mut(at))
            {
                book.life = Life::Gone;
            }
            if life == Life::There {
                self.audit_stream(at)?;
            }
        }
        let lost = self.lost();
        self.figures.messages_lost = lost;
        let reports = self.node.damage + self.node.counter("damaged_records");
        damage::is_reported(lost, reports)?;
        unread::is_no_damage(reports, self.figures.bit_flips)?;
        Ok(true)
    }

    /// Messages whose bits were flipped and that would be there otherwise, but are not.
    fn lost(&self) -> u64 {
        let is_lost = |(stream, nonce): &&(usize, u64)| {
            let Some(book) = self.streams.get(*stream) else { return false };
            book.life == Life::There
                && book.places.values().any(|place| place.nonce == *nonce && place.damaged && place.is_missed)
        };
        self.flipped.iter().filter(is_lost).count() as u64
    }

    /// Reads a stream from end to end, and compares it. Gives the sequences in it.
    pub(crate) fn audit_stream(&mut self, at: usize) -> Result<Option<Vec<u64>>, Broken> {
        let Some(name) = self.streams.get(at).map(|book| book.rules.name.clone()) else { return Ok(None) };
        let Some(info) = self.question::<StreamInfoPage>(&format!("$JS.API.STREAM.INFO.{name}"))? else {
            return Ok(None);
        };
        let state = info.info.0.map(|info| info.state).unwrap_or_default();
        let Some(shown) = self.read_all(&name)? else { return Ok(None) };
        let seqs: Vec<u64> = shown.iter().map(|shown| shown.seq).collect();
        self.figures.audited += shown.len() as u64;
        let Some(book) = self.streams.get_mut(at) else { return Ok(None) };
        book.audited(&shown)?;
        // Nobody knows how often a content was stored whose bits were flipped before it was seen.
        let flipped: BTreeSet<u64> =
            self.flipped.iter().filter(|(stream, _)| *stream == at).map(|(_, nonce)| *nonce).collect();
        let unreadable: u64 =
            flipped.iter().filter_map(|nonce| book.sent.get(nonce)).map(|sent| sent.sends).sum();
        counts::agree(book, &state, &seqs, unreadable)?;
        let subject = format!("$JS.API.CONSUMER.NAMES.{name}");
        let Some(names) = self.question::<ConsumerNames>(&subject)? else { return Ok(None) };
        let Some(book) = self.streams.get_mut(at) else { return Ok(None) };
        // Of one name the last.
        let mut seen = BTreeSet::new();
        for consumer in book.consumers.iter_mut().rev().filter(|c| seen.insert(c.name.clone())) {
            let (what, is_there) =
                (format!("consumer {} of {name}", consumer.name), names.consumers.contains(&consumer.name));
            existence::as_answered(&what, consumer.life, is_there)?;
            if consumer.life == Life::Ending && !is_there {
                consumer.life = Life::Gone;
            }
        }
        Ok(Some(seqs))
    }

    /// All messages of a stream, read directly.
    pub(crate) fn read_all(&mut self, name: &str) -> Result<Option<Vec<Shown>>, Broken> {
        let body = br#"{"seq":1,"batch":100000}"#;
        let Some(heard) = self.talk(&format!("$JS.API.DIRECT.GET.{name}"), body)? else { return Ok(None) };
        Ok(Some(heard.iter().filter_map(shown).collect()))
    }
}

/// A message that was read directly, without what the node added to its headers.
fn shown(heard: &Heard) -> Option<Shown> {
    let origin = Origin::read(&heard.headers)?;
    let own = Headers::new(&heard.headers);
    let pairs: Vec<(&str, &str)> = own
        .iter()
        .map(|header| (header.name, header.value))
        .filter(|(name, _)| !name.starts_with("Nats-") || *name == "Nats-Msg-Id")
        .collect();
    let headers = if pairs.is_empty() { Vec::new() } else { kernel::headers::block(pairs).ok()? };
    let subject = origin.subject.to_owned();
    Some(Shown { seq: origin.sequence, subject, headers, payload: heard.payload.to_vec() })
}
