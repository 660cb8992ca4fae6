//! What a consumer may hear: the filters that were asked for, one after the other. Each may be in force from when it was
//! asked for until a later one is confirmed; after a crash both may be. It does *not* know which one the node has.

#[derive(Clone, Debug)]
struct Filter {
    /// The subject that it hears; empty: all.
    subject: String,
    /// The number of what was asked last when a later one was confirmed.
    until: Option<u64>,
}

impl Filter {
    fn hears(&self, subject: &str) -> bool {
        self.subject.is_empty() || self.subject == subject
    }

    /// Whether it may have been in force for something that was asked as number `asked`.
    fn is_possible(&self, asked: u64) -> bool {
        self.until.is_none_or(|until| asked <= until)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Filters(Vec<Filter>);

impl Filters {
    /// Of a consumer that is asked for.
    pub(crate) fn new(subject: String) -> Filters {
        Filters(vec![Filter { subject, until: None }])
    }

    /// The one that was asked for last.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", |filter| &filter.subject)
    }

    /// Another one is asked for.
    pub(crate) fn ask(&mut self, subject: String) {
        self.0.push(Filter { subject, until: None });
    }

    /// How many were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.0.len()
    }

    /// The last of the first `many` was confirmed when number `now` was the last thing asked.
    pub(crate) fn confirmed(&mut self, many: usize, now: u64) {
        for filter in self.0.iter_mut().take(many.saturating_sub(1)) {
            filter.until.get_or_insert(now);
        }
    }

    /// Whether a message of a subject may be given to a request with that number.
    pub(crate) fn may_hear(&self, subject: &str, asked: u64) -> bool {
        self.0.iter().any(|filter| filter.is_possible(asked) && filter.hears(subject))
    }

    /// Whether a message is heard for sure that was sent as that number, and still is.
    pub(crate) fn surely_hear(&self, subject: &str, asked: u64) -> bool {
        self.0.iter().all(|filter| !filter.is_possible(asked) || filter.hears(subject))
    }
}
