//! The port between a stream and its consumers: what a consumer may ask about messages. It is *not* a way to read
//! their content: whoever delivers does that.

use crate::marked::{Mark, Marked};

/// What a consumer may ask about the messages of its stream: only those that are visible.
pub trait Messages {
    /// Sequence of the first message that is there, or one behind the last when none is.
    fn first(&self) -> u64;
    /// Sequence of the last visible message ever stored; 0: none was.
    fn last(&self) -> u64;
    /// Time in ns since 1970, size in bytes and subject number of a message that is there and visible.
    fn row(&self, seq: u64) -> Option<Stored>;
    /// The subject behind a number that `row` gave.
    fn subject(&self, number: u32) -> &[u8];
    /// The first visible message at or behind `from` whose subject `hears` accepts (asked by number; may be cached by it).
    fn next(&self, from: u64, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Option<u64>;
    /// How many visible messages at or behind `from` there are; `None`: of all subjects.
    fn count(&self, from: u64, hears: Option<&mut dyn FnMut(u32, &[u8]) -> bool>) -> u64;
    /// The first visible message stored at or after a time; one behind the last when none is.
    fn at_time(&self, time_ns: u64) -> u64;
    /// The last visible message of each subject that `hears` accepts, ascending.
    fn last_of_each(&self, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Vec<u64>;
    /// The messages with a mark, those that are not visible yet included; `None`: there are none.
    fn marked(&self) -> Option<&Marked>;
    /// Up to when what was kept back is due, in milliseconds since 1970. Never falls while a consumer lives.
    fn released_ms(&self) -> u64;
}

/// A message without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// When it was stored, in nanoseconds since 1970.
    pub time_ns: u64,
    /// Bytes of subject, headers and payload.
    pub size: u32,
    /// The number of its subject.
    pub subject: u32,
    /// What its place among the undelivered depends on.
    pub mark: Mark,
}
