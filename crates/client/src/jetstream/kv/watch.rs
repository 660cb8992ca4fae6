//! What happens to keys, as it happens.

use super::entry::Entry;
use crate::Error;
use crate::jetstream::{Ordered, OrderedOptions, Pull, Stream};

/// How many entries may be on their way: few, because each may be as large as a message.
const BATCH: u64 = 32;
/// As above, where no values come along.
const KEYS_BATCH: u64 = 512;

/// What to watch: every field with a default, set by the method of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    history: bool,
    only_new: bool,
    keys_only: bool,
}

impl WatchOptions {
    /// Begin with every value that is kept. Default: with the last one of each key.
    pub fn history(self) -> WatchOptions {
        WatchOptions { history: true, ..self }
    }

    /// Leave out what is there already.
    pub fn only_new(self) -> WatchOptions {
        WatchOptions { only_new: true, ..self }
    }

    /// Leave the values out.
    pub fn keys_only(self) -> WatchOptions {
        WatchOptions { keys_only: true, ..self }
    }

    fn ordered(self, pattern: String) -> OrderedOptions {
        let batch = if self.keys_only { KEYS_BATCH } else { BATCH };
        let mut options = OrderedOptions::default().filter(pattern).pull(Pull::default().batch(batch));
        if self.only_new {
            options = options.only_new();
        } else if !self.history {
            options = options.last_of_each_subject();
        }
        if self.keys_only { options.headers_only() } else { options }
    }
}

/// Entries as they come, in order: first those that were there, then every change.
#[derive(Debug)]
pub struct Watch {
    ordered: Ordered,
    prefix: String,
}

impl Watch {
    pub(super) async fn open(
        stream: &Stream,
        prefix: &str,
        keys: &str,
        options: WatchOptions,
    ) -> Result<Watch, Error> {
        let ordered = stream.ordered(options.ordered(format!("{prefix}{keys}"))).await?;
        Ok(Watch { ordered, prefix: prefix.into() })
    }

    /// The next entry; `None`: the client has been closed. A call that is dropped in the middle loses nothing.
    ///
    /// # Errors
    /// Those of [`Ordered::next`].
    pub async fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some(delivery) = self.ordered.next().await? else { return Ok(None) };
        Ok(Some(Entry::of_delivery(&delivery, &self.prefix)))
    }

    /// The next of the entries that were there when it began; `None`: all have come.
    ///
    /// # Errors
    /// Those of [`Ordered::next_waiting`].
    pub async fn next_waiting(&mut self) -> Result<Option<Entry>, Error> {
        let next = self.ordered.next_waiting().await?;
        Ok(next.map(|delivery| Entry::of_delivery(&delivery, &self.prefix)))
    }

    /// Whether everything that was there when it began has come.
    pub fn is_caught_up(&self) -> bool {
        self.ordered.waiting() == 0
    }

    /// Ends it; the server forgets it at once instead of after a minute.
    pub async fn close(self) {
        self.ordered.close().await;
    }
}
