//! The columns of the lists, and what stands in them: one table for each list, for the live screen and for `--once` alike.

use super::numbers::{bytes_per_s, count, maybe, per_s};
use super::view::{ConnectionRow, StreamRow, SubjectRow};
use crate::units::size;

/// A column: its heading, how wide it is (`None`: it takes what is left), and what stands in it. Numbers stand to the right.
pub(super) struct Column<T> {
    pub(super) heading: &'static str,
    pub(super) width: Option<u16>,
    /// Only where the screen is at least this wide.
    pub(super) from_width: u16,
    pub(super) cell: fn(&T) -> String,
}

const fn column<T>(heading: &'static str, width: u16, cell: fn(&T) -> String) -> Column<T> {
    Column { heading, width: Some(width), from_width: 0, cell }
}

const fn name<T>(heading: &'static str, cell: fn(&T) -> String) -> Column<T> {
    Column { heading, width: None, from_width: 0, cell }
}

/// One that only a screen of some width has room for.
const fn wide<T>(from_width: u16, heading: &'static str, width: u16, cell: fn(&T) -> String) -> Column<T> {
    Column { heading, width: Some(width), from_width, cell }
}

impl<T> Column<T> {
    /// Whether numbers stand in it.
    pub(super) fn is_number(&self) -> bool {
        self.heading.starts_with('#')
    }

    /// Its heading as it is read.
    pub(super) fn title(&self) -> String {
        self.heading.trim_start_matches('#').to_uppercase()
    }
}

pub(super) const CONNECTIONS: &[Column<ConnectionRow>] = &[
    name("name", |c| match c.name.is_empty() {
        true => format!("({} {})", c.kind, c.id),
        false => c.name.clone(),
    }),
    wide(120, "user", 12, |c| c.user.clone()),
    column("address", 21, |c| c.address.clone()),
    column("#subs", 5, |c| count(c.subscriptions)),
    column("#in/s", 6, |c| per_s(c.messages_in_per_s)),
    column("#out/s", 6, |c| per_s(c.messages_out_per_s)),
    wide(110, "#bytes in", 12, |c| bytes_per_s(c.bytes_in_per_s)),
    wide(110, "#bytes out", 12, |c| bytes_per_s(c.bytes_out_per_s)),
    column("#pending", 10, |c| size(c.pending_bytes)),
    column("slow", 4, |c| if c.slow { "slow".into() } else { String::new() }),
];

pub(super) const STREAMS: &[Column<StreamRow>] = &[
    name("name", |s| s.name.clone()),
    column("#messages", 8, |s| count(s.messages)),
    column("#bytes", 10, |s| size(s.bytes)),
    column("#in/s", 6, |s| per_s(s.messages_in_per_s)),
    column("#consumers", 9, |s| count(s.consumers)),
    column("#pending", 7, |s| maybe(s.pending)),
    column("#ack pending", 11, |s| maybe(s.ack_pending)),
];

pub(super) const SUBJECTS: &[Column<SubjectRow>] = &[
    name("subject", |s| s.subject.clone()),
    column("#subscriptions", 13, |s| count(s.subscriptions)),
    column("#queues", 6, |s| count(s.queues)),
];
