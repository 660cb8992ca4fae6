//! What a journal should hold after some entries: the simplest thing that can be right.

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::journal::{Record, Summary};
use kernel::{Entry, LogId};

/// A log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) records: BTreeMap<u64, Record>,
    pub(crate) last: u64,
    pub(crate) last_time_ns: u64,
}

impl Log {
    pub(crate) fn summary(&self) -> Summary {
        let first = self.records.values().next();
        Summary {
            first: first.map_or(0, |record| record.index),
            last: self.last,
            count: self.records.len() as u64,
            bytes: self.records.values().map(|record| record.size() as u64).sum(),
            first_time_ns: first.map_or(0, |record| record.time_ns),
            last_time_ns: self.last_time_ns,
        }
    }
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) logs: BTreeMap<LogId, Log>,
    pub(crate) states: BTreeMap<Bytes, Bytes>,
    pub(crate) deltas: Vec<(Bytes, Bytes)>,
}

impl Model {
    /// What these entries come to. Volatile logs are left out.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Model {
        let mut model = Model::default();
        entries.into_iter().for_each(|entry| model.apply(entry));
        model.logs.retain(|id, _| !id.is_volatile());
        model
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Record(id, record) => {
                let log = self.logs.entry(*id).or_default();
                (log.last, log.last_time_ns) = (record.index, record.time_ns);
                log.records.insert(record.index, record.clone());
            }
            Entry::Remove(id, ranges) => {
                if let Some(log) = self.logs.get_mut(id) {
                    log.records.retain(|index, _| !ranges.iter().any(|range| range.contains(index)));
                }
            }
            Entry::Forget(id) => {
                self.logs.remove(id);
            }
            Entry::State(key, value) => {
                self.deltas.retain(|(of, _)| of != key);
                match value {
                    Some(value) => self.states.insert(key.clone(), value.clone()),
                    None => self.states.remove(key),
                };
            }
            Entry::Delta(key, change) => self.deltas.push((key.clone(), change.clone())),
            Entry::Checkpoint(_) => {}
        }
    }

    /// The summaries of the logs, as a recovery gives them.
    pub(crate) fn summaries(&self) -> Vec<(LogId, Summary)> {
        self.logs.iter().map(|(id, log)| (*id, log.summary())).collect()
    }
}
