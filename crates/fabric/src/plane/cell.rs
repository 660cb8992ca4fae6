//! A stream as the plane keeps it: its core, its consumers, what it captures, and what waits until it is loaded. It
//! does *not* decide: that is the stream's and the consumers' core.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::consumer::{Action, Consumer};
use bus::stream::Stream;
use bytes::Bytes;
use kernel::journal::{Image, Level, Summary};
use kernel::{LogId, SubId, SubjectPattern, TenantId};
use serde::{Deserialize, Serialize};
use wire::jetstream::{ConsumerConfig, StreamConfig, Time};

use super::compact;
use super::inbox::Arrival;

/// How far a stream is in memory.
pub(crate) enum Body {
    /// Known by a few numbers.
    Cold(Summary),
    /// Asked for.
    Loading(Summary),
    /// There but for what its records must tell.
    Restoring(Box<Stream>),
    /// There.
    Warm(Box<Stream>),
}

/// A consumer as what is under way names it: a read, a timer, something held. One that was made anew under the same name
/// is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId {
    pub(crate) log: LogId,
    pub(crate) name: Box<str>,
    number: u64,
}

/// A consumer as the plane keeps it.
pub(crate) struct Seat {
    /// Tells it from those that had its name before; 0 if it was there at the start.
    number: u64,
    pub(crate) created: Time,
    pub(crate) state: SeatState,
    /// Its deliveries are being read: nothing else goes out before them.
    pub(crate) is_reading: bool,
    /// It sends on its own, and will be stepped when somebody begins or ceases to listen.
    pub(crate) is_watched: bool,
    /// It waits in the plane's line to be stepped.
    pub(crate) is_due: bool,
    /// It changed by deltas since its state was last written whole.
    pub(crate) is_dirty: bool,
    /// Consumer sequences below are reserved by what was written.
    pub(crate) reserved: u64,
    /// When it wants to be stepped next, on the monotonic clock in nanoseconds.
    pub(crate) wakes_at: Option<u64>,
    /// What it was about to deliver when the disk could not be read, and how often in a row that was.
    pub(crate) unsent: Option<Vec<Action>>,
    pub(crate) unread: u32,
}

/// How far a consumer is in memory.
pub(crate) enum SeatState {
    /// Its configuration, its progress as it was last written whole, and the changes since.
    Kept(Box<ConsumerConfig>, Bytes, Vec<Bytes>),
    /// There.
    Live(Box<Consumer>),
}

/// See the module.
pub(crate) struct Cell {
    pub(crate) name: Arc<str>,
    pub(crate) tenant: TenantId,
    pub(crate) log: LogId,
    /// Name of its tenant.
    pub(crate) tenant_name: Arc<str>,
    /// What its last sequence was raised to without a message.
    pub(crate) raised_to: u64,
    pub(crate) created: Time,
    /// Its configuration without name and subjects, which all streams have in common that are made alike.
    pub(crate) config: Arc<StreamConfig>,
    /// How safe what comes now must be before it counts.
    pub(crate) level: Level,
    pub(crate) body: Body,
    pub(crate) captures: Vec<(SubjectPattern, SubId)>,
    pub(crate) consumers: BTreeMap<Box<str>, Seat>,
    /// What it remembers of its producers, as it was written, until it is loaded.
    pub(crate) producers: Bytes,
    /// Messages that nobody wants any more are being looked for; the journal knows it.
    pub(crate) is_sweeping: bool,
    /// What came while it was being loaded.
    pub(crate) parked: Vec<Arrival>,
    /// Highest sequence that was appended in this turn and is not yet held to be shown.
    pub(crate) to_show: u64,
    /// How often in a row it could not be loaded, and whether it waits to be tried again: nothing else tries until then.
    pub(crate) unread: u32,
    pub(crate) is_barred: bool,
    /// When its oldest message ends, on the wall clock in milliseconds, as it was last noted.
    pub(crate) wakes_at: Option<u64>,
    /// It was used since it was last looked at for that.
    pub(crate) is_used: bool,
    /// When it is looked at again, on the monotonic clock in nanoseconds.
    pub(crate) idle_at: Option<u64>,
}

/// A stream's own piece of state, as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptStream<C> {
    pub(crate) log: u64,
    /// What its last sequence was raised to without a message.
    #[serde(default)]
    pub(crate) last: u64,
    pub(crate) created: Time,
    pub(crate) config: C,
}

/// The part of a consumer's state that says what it is; its progress follows.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptConsumer<C> {
    pub(crate) created: Time,
    pub(crate) config: C,
}

/// A consumer's whole state: length of the JSON (4 bytes, little endian), JSON, progress.
pub(crate) fn consumer_state(created: Time, config: &ConsumerConfig, progress: &[u8]) -> Bytes {
    let json = serde_json::to_vec(&KeptConsumer { created, config }).unwrap_or_default();
    [&(json.len() as u32).to_le_bytes(), &json[..], progress].concat().into()
}

/// Reads what [`consumer_state`] wrote.
pub(crate) fn read_consumer_state(state: &Bytes) -> Option<(KeptConsumer<ConsumerConfig>, Bytes)> {
    let (length, rest) = state.split_first_chunk::<4>()?;
    let json = rest.get(..u32::from_le_bytes(*length) as usize)?;
    let kept = serde_json::from_slice(json).ok()?;
    Some((kept, state.slice(4 + json.len()..)))
}

impl Seat {
    /// A consumer that nothing waits for yet.
    pub(crate) fn new(created: Time, state: SeatState) -> Seat {
        Seat {
            number: 0,
            created,
            state,
            is_reading: false,
            is_watched: false,
            is_due: false,
            is_dirty: false,
            reserved: 0,
            wakes_at: None,
            unsent: None,
            unread: 0,
        }
    }

    /// The same, with a number that none under its name has had.
    pub(crate) fn numbered(self, number: u64) -> Seat {
        Seat { number, ..self }
    }

    /// What is under way for it calls it this.
    pub(crate) fn id(&self, log: LogId, name: &str) -> SeatId {
        SeatId { log, name: name.into(), number: self.number }
    }

    /// Whether it sends on its own, and is not among those that learn who listens.
    pub(crate) fn is_unwatched(&self) -> bool {
        !self.is_watched && !self.config().deliver_subject.is_empty()
    }

    /// Whether it may have something to do without being asked: it sends on its own, or may be given up.
    pub(crate) fn is_active(&self) -> bool {
        !self.config().deliver_subject.is_empty() || self.config().inactive_threshold > 0
    }

    /// What it is to be.
    pub(crate) fn config(&self) -> &ConsumerConfig {
        match &self.state {
            SeatState::Kept(config, ..) => config,
            SeatState::Live(consumer) => consumer.config(),
        }
    }
}

impl Cell {
    /// Its whole configuration.
    pub(crate) fn full(&self) -> StreamConfig {
        let subjects = self.captures.iter().map(|(pattern, _)| pattern.as_str().to_owned()).collect();
        StreamConfig { name: self.name.to_string(), subjects, ..(*self.config).clone() }
    }

    /// The stream's core with the rows of its log.
    pub(crate) fn begun(&self, image: &Image, summary: &Summary, seed: u64) -> Stream {
        let mut stream = Stream::restore(self.full(), image, summary, seed);
        stream.raise_last(self.raised_to);
        stream
    }

    /// The consumer that something under way is for, if it is still that one.
    pub(crate) fn seat(&mut self, id: &SeatId) -> Option<&mut Seat> {
        self.consumers.get_mut(&id.name).filter(|seat| seat.number == id.number)
    }

    /// Whether all that clients are told of it is at hand: it is in memory, or empty.
    pub(crate) fn is_known(&self) -> bool {
        match &self.body {
            Body::Warm(_) => true,
            Body::Cold(summary) => summary.count == 0,
            _ => false,
        }
    }

    /// When a stream with these numbers is looked at although nobody asks and it is not in memory, in milliseconds: its
    /// oldest message ends by age.
    pub(crate) fn cold_wakes_at(&self, summary: &Summary) -> Option<u64> {
        let age_ns = u64::try_from(self.config.max_age).ok().filter(|age| *age > 0 && summary.count > 0)?;
        Some(summary.first_time_ns.saturating_add(age_ns) / 1_000_000)
    }

    /// Where the stream's state is kept.
    pub(crate) fn key(&self) -> Bytes {
        ["stream", &self.tenant_name, &self.name].join("\0").into()
    }

    /// What is kept of the stream beside its messages.
    pub(crate) fn state(&self) -> Bytes {
        let Cell { log, created, raised_to, .. } = self;
        let config = compact::fold(&self.full());
        let kept = KeptStream { log: log.0, created: *created, last: *raised_to, config };
        serde_json::to_vec(&kept).unwrap_or_default().into()
    }
}

/// Key of a consumer's state.
pub(crate) fn consumer_key(log: LogId, consumer: &str) -> Bytes {
    format!("consumer\0{:016x}\0{consumer}", log.0).into()
}

/// Key of the note that a stream still has messages that nobody wants.
pub(crate) fn sweep_key(log: LogId) -> Bytes {
    format!("sweep\0{:016x}", log.0).into()
}

/// Key of what a stream remembers of its producers.
pub(crate) fn producers_key(log: LogId) -> Bytes {
    format!("producers\0{:016x}", log.0).into()
}
