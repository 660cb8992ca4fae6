//! A stream as a plain list of messages: slow, and it says only what the rules say. It is *not* how the stream does it.

use kernel::SubjectPattern;
use wire::jetstream::{Discard, StreamConfig};

use super::super::*;

pub(super) const SUBJECTS: [&str; 6] = ["a", "a.1", "a.2", "b.1", "b.2", "c.d.e"];

#[derive(Clone, Debug)]
pub(super) enum Ask {
    Nothing,
    Id(u8),
    Ttl(u64),
    Never,
    RollSubject,
    RollAll,
    LastOfSubject(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limited {
    pub(super) msgs: i64,
    pub(super) bytes: i64,
    pub(super) per_subject: i64,
    pub(super) age_ms: i64,
    pub(super) new: bool,
    pub(super) new_per_subject: bool,
}

impl Limited {
    pub(super) fn config(self) -> StreamConfig {
        let config = StreamConfig {
            name: "T".into(),
            max_msgs: self.msgs,
            max_bytes: self.bytes,
            max_msgs_per_subject: self.per_subject,
            max_age: self.age_ms * 1_000_000,
            duplicate_window: 1_000_000_000,
            discard: if self.new { Discard::New } else { Discard::Old },
            discard_new_per_subject: self.new && self.new_per_subject && self.per_subject > 0,
            allow_msg_ttl: true,
            allow_rollup_hdrs: true,
            ..StreamConfig::default()
        };
        check(config, &Limits::default()).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) seq: u64,
    pub(super) ms: u64,
    pub(super) subject: usize,
    pub(super) size: u64,
    pub(super) weight: u64,
    pub(super) id: Option<u8>,
    pub(super) lives_ms: Option<u64>,
    pub(super) due_ms: Option<u64>,
    pub(super) stays: bool,
    pub(super) rolls: Option<bool>,
}

/// The rules, as a list.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) list: Vec<Message>,
    pub(super) ids: Vec<(u8, u64, u64)>,
    pub(super) last: u64,
    pub(super) shown: u64,
    pub(super) last_ms: u64,
}

impl Model {
    pub(super) fn of(&self, subject: usize) -> impl Iterator<Item = &Message> {
        self.list.iter().filter(move |m| m.subject == subject)
    }

    pub(super) fn seen(&self) -> Vec<&Message> {
        self.list.iter().filter(|m| m.seq <= self.shown).collect()
    }

    pub(super) fn publish(&mut self, limits: Limited, m: Message, ask: &Ask) -> Result<Published, Refusal> {
        let config = limits.config();
        let last_of = self.of(m.subject).map(|m| m.seq).max().unwrap_or(0);
        if let Ask::LastOfSubject(wanted) = ask
            && *wanted != last_of
        {
            return Err(Refusal::WrongLastSequence { last: last_of });
        }
        let window = config.duplicate_window as u64 / 1_000_000;
        let known = self.ids.iter().rev().find(|(id, _, ms)| Some(*id) == m.id && m.ms - ms < window);
        if let Some((_, seq, _)) = known {
            return Ok(Published::Duplicate { seq: *seq });
        }
        let per_subject = u64::try_from(config.max_msgs_per_subject).unwrap_or(u64::MAX);
        if limits.new {
            let count = |subject| self.of(subject).count() as u64;
            let full = count(m.subject) >= per_subject;
            let surplus: u64 = (0..SUBJECTS.len()).map(|s| count(s).saturating_sub(per_subject)).sum();
            if full && config.discard_new_per_subject {
                return Err(Refusal::MaxMessagesPerSubject);
            }
            let most = u64::try_from(config.max_msgs).unwrap_or(u64::MAX);
            if !full && self.list.len() as u64 - surplus >= most {
                return Err(Refusal::MaxMessages);
            }
            let replaced = if full { self.of(m.subject).next().map_or(0, |m| m.weight) } else { 0 };
            let bytes = self.list.iter().map(|m| m.weight).sum::<u64>() + m.weight - replaced;
            if bytes > u64::try_from(config.max_bytes).unwrap_or(u64::MAX) {
                return Err(Refusal::MaxBytes);
            }
        }
        self.last = m.seq;
        self.last_ms = m.ms;
        self.ids.extend(m.id.map(|id| (id, m.seq, m.ms)));
        self.list.push(m);
        Ok(Published::Stored { seq: self.last })
    }

    pub(super) fn show(&mut self, limits: Limited, to: u64) {
        for seq in self.shown + 1..=to.min(self.last) {
            self.shown = seq;
            let Some(m) = self.list.iter().find(|m| m.seq == seq).cloned() else { continue };
            match m.rolls {
                Some(true) => self.list.retain(|o| o.seq >= seq),
                Some(false) => self.list.retain(|o| o.seq >= seq || o.subject != m.subject),
                None => {}
            }
            self.keep_subject(limits, m.subject);
        }
        self.keep_bounds(limits);
    }

    pub(super) fn keep_subject(&mut self, limits: Limited, subject: usize) {
        let most = usize::try_from(limits.per_subject).ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
        let seen: Vec<u64> = self.of(subject).map(|m| m.seq).filter(|s| *s <= self.shown).collect();
        let gone = &seen[..seen.len().saturating_sub(most)];
        self.list.retain(|m| !gone.contains(&m.seq));
    }

    pub(super) fn keep_bounds(&mut self, limits: Limited) {
        let bound = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0).unwrap_or(u64::MAX);
        loop {
            let seen = self.seen();
            let bytes: u64 = seen.iter().map(|m| m.weight).sum();
            if limits.new || seen.len() as u64 <= bound(limits.msgs) && bytes <= bound(limits.bytes) {
                break;
            }
            self.list.remove(0);
        }
    }

    pub(super) fn expire(&mut self, limits: Limited, now_ms: u64) {
        let (shown, age) = (self.shown, u64::try_from(limits.age_ms).ok().filter(|a| *a > 0));
        self.list.retain(|m| m.seq > shown || m.stays || age.is_none_or(|age| now_ms - m.ms < age));
        self.list.retain(|m| m.seq > shown || m.due_ms.is_none_or(|due| due > now_ms));
        for m in self.list.iter_mut().filter(|m| m.due_ms.is_some_and(|due| due <= now_ms)) {
            m.due_ms = Some(now_ms + 100);
        }
    }

    pub(super) fn purge(
        &mut self,
        filter: Option<&SubjectPattern>,
        before: Option<u64>,
        keep: Option<u64>,
    ) -> u64 {
        let to = before.map_or(self.shown, |b| (b - 1).min(self.shown));
        let hears = |m: &&Message| filter.is_none_or(|f| f.matches(SUBJECTS[m.subject].as_bytes()));
        let found: Vec<u64> = self.list.iter().filter(|m| m.seq <= to).filter(hears).map(|m| m.seq).collect();
        let gone = &found[..found.len().saturating_sub(keep.unwrap_or(0) as usize)];
        self.list.retain(|m| !gone.contains(&m.seq));
        gone.len() as u64
    }
}
