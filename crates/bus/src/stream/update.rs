//! Another configuration for a stream that has messages: what is over a new limit goes. Whether the change is allowed
//! is *not* asked here.

use wire::jetstream::StreamConfig;

use super::{Bounds, Changes, Stream, level};

impl Stream {
    /// Takes a configuration that passed [`super::check_update`]. Age is applied by the next [`Stream::expire`].
    pub fn update(&mut self, config: StreamConfig, changes: &mut Changes) {
        self.level = level(&config).unwrap_or(self.level);
        self.bounds = Bounds::of(&config);
        self.config = config;
        self.surplus =
            self.subjects.iter().map(|(_, s)| s.count.saturating_sub(self.bounds.msgs_per_subject)).sum();
        self.link();
        self.keep_all(changes);
    }

    /// Applies every limit but age.
    pub(super) fn keep_all(&mut self, changes: &mut Changes) {
        let over = |visible: u64| visible > self.bounds.msgs_per_subject;
        let slots: Vec<u32> =
            self.subjects.iter().filter(|(_, s)| over(s.visible())).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.keep_subject(slot, changes);
        }
        self.keep_bounds(changes);
    }

    /// Links the messages of each subject, where the limit per subject will ask for it.
    fn link(&mut self) {
        if matches!(self.bounds.msgs_per_subject, 1 | u64::MAX) {
            return;
        }
        let mut before = vec![0; self.subjects.slots()];
        let mut from = 0;
        while let Some(row) = self.rows.next(from).and_then(|seq| self.rows.get(seq)) {
            if let Some(before) = before.get_mut(row.slot as usize) {
                if *before != 0 {
                    self.rows.set_link(*before, row.seq);
                }
                *before = row.seq;
            }
            from = row.seq + 1;
        }
    }
}
