//! Which subjects a consumer hears. Asked by subject, never by number: a stream may use the number of a subject that
//! is gone for another one.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use kernel::{Code, SubjectPattern};
use wire::jetstream::ConsumerConfig;

/// So many patterns are asked one after the other; with more, verdicts are remembered.
const ASKED_EACH_TIME: usize = 3;
const REMEMBERED: usize = 256;

/// The filter subjects of a consumer; none hears all.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    patterns: Box<[SubjectPattern]>,
    /// Hashes of subjects asked lately, the verdict in the lowest bit. Two subjects of one hash would get one
    /// verdict: with 63 bits and a seed, nobody can bring that about.
    remembered: Option<Box<[u64; REMEMBERED]>>,
    seed: u64,
}

impl Filter {
    /// The filters of a configuration. Errors with [`Code::SubjectInvalid`].
    pub(super) fn of(config: &ConsumerConfig, seed: u64) -> Result<Filter, Code> {
        let patterns =
            subjects(config).map(|s| SubjectPattern::parse(s.as_bytes())).collect::<Result<_, _>>()?;
        Ok(Filter { patterns, remembered: None, seed })
    }

    /// The seed it was made with.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether every subject is heard.
    pub(super) fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether this subject is heard.
    pub(super) fn hears(&mut self, subject: &[u8]) -> bool {
        if self.patterns.len() <= ASKED_EACH_TIME {
            return self.is_all() || self.patterns.iter().any(|p| p.matches(subject));
        }
        // A hash of 0 would be taken for an empty place.
        let hash = FixedState::with_seed(self.seed).hash_one(subject) | 2;
        let slots = self.remembered.get_or_insert_with(|| Box::new([0; REMEMBERED]));
        let slot = &mut slots[(hash >> 56) as usize % REMEMBERED];
        if *slot | 1 != hash | 1 {
            *slot = (hash & !1) | u64::from(self.patterns.iter().any(|p| p.matches(subject)));
        }
        *slot & 1 == 1
    }
}

/// The filter subjects that a configuration names, whichever way it does.
pub(super) fn subjects(config: &ConsumerConfig) -> impl Iterator<Item = &str> {
    let one = (!config.filter_subject.is_empty()).then_some(config.filter_subject.as_str());
    one.into_iter().chain(config.filter_subjects.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_filters_hear_what_each_of_them_hears_however_often_asked() {
        let names: Vec<String> = (0..40).map(|i| format!("a.{i}.*")).collect();
        let config = ConsumerConfig { filter_subjects: names, ..Default::default() };
        let mut filter = Filter::of(&config, 7).unwrap();
        for _ in 0..3 {
            for i in 0..2000 {
                assert_eq!(filter.hears(format!("a.{i}.x").as_bytes()), i < 40, "{i}");
                assert!(!filter.hears(format!("a.{i}").as_bytes()));
            }
        }
        assert!(Filter::of(&ConsumerConfig::default(), 7).unwrap().hears(b"anything"));
    }
}
