//! The byte form of what a consumer must remember: a snapshot of all of it, or a delta with what a turn changed. Both
//! are a head with all numbers and rows of messages, whose state they give as it is: applying a delta twice is the
//! same as once.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::lanes::Places;
use super::leases::Pair;

const SNAPSHOT: u8 = b'S';
const DELTA: u8 = b'D';
/// Of one that delivers in the stream's order.
const VERSION: u8 = 1;
/// Of one that delivers by priority: the same, with its places in front of the rows.
const VERSION_PLACES: u8 = 2;

/// Bytes that are no state of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Another version of this program wrote them.
    Version(u8),
    /// They are damaged, or something else.
    Damaged,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Version(version) => {
                write!(
                    f,
                    "its state has format version {version}; this program knows {VERSION} to {VERSION_PLACES}"
                )
            }
            Unreadable::Damaged => f.write_str("its state is damaged"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The numbers of a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) wall_ms: u64,
    pub(super) next: u64,
    pub(super) delivered: Pair,
    pub(super) floor: Pair,
    pub(super) reserved: u64,
    pub(super) settled_unknown_to: u64,
    pub(super) delivered_ms: u64,
    pub(super) acked_ms: u64,
    /// Consumer sequences that crashes may have made us forget; `None`: as before.
    pub(super) forgotten: Option<Vec<Range<u64>>>,
    /// What is to be delivered, where something was overtaken; its place among normal messages is `next`.
    pub(super) places: Option<Places>,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Nothing is remembered of it.
    Free,
    /// Leased by its first delivery, for so many milliseconds after the head's time.
    First { latest: u64, due_ms: u64 },
    /// Leased by a later one.
    Again { first: u64, latest: u64, due_ms: u64, deliveries: u32 },
    /// It had its last delivery.
    Spent { latest: u64, deliveries: u32 },
    /// Acknowledged by a delivery that was not its first.
    Settled { latest: u64 },
    /// To be delivered before the rest.
    Picked,
}

/// Writes a snapshot or delta.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The last delivery: those of rows are written by their distance from it.
    given: u64,
    /// The run of rows that is not written yet, and where it began.
    run: Option<(u64, u64, Row)>,
    end: u64,
}

impl Writer {
    pub(super) fn new(is_delta: bool, head: &Head) -> Writer {
        let mut bytes = Vec::with_capacity(64);
        let version = if head.places.is_some() { VERSION_PLACES } else { VERSION };
        bytes.extend_from_slice(&[if is_delta { DELTA } else { SNAPSHOT }, version]);
        for number in head.numbers() {
            put(&mut bytes, number);
        }
        put(&mut bytes, head.forgotten.as_ref().map_or(0, |all| all.len() as u64 + 1));
        for range in head.forgotten.iter().flatten() {
            put(&mut bytes, range.start);
            put(&mut bytes, range.end);
        }
        if let Some(places) = &head.places {
            for number in places_out(places, head) {
                put(&mut bytes, number);
            }
        }
        Writer { bytes, given: head.delivered.consumer, run: None, end: 0 }
    }

    /// Adds a row; rows come by ascending sequence.
    pub(super) fn row(&mut self, seq: u64, row: Row) {
        if let Some((start, len, first)) = &mut self.run {
            if seq == *start + *len && follows(first, *len, &row) {
                *len += 1;
                return;
            }
            self.flush();
        }
        self.run = Some((seq, 1, row));
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.flush();
        self.bytes.into()
    }

    fn flush(&mut self) {
        let Some((start, len, row)) = self.run.take() else { return };
        let (out, given) = (&mut self.bytes, self.given);
        let (kind, numbers): (u64, [u64; 4]) = match row {
            Row::Free => (0, [0; 4]),
            Row::First { latest, due_ms } => (1, [near(latest, given), due_ms, 0, 0]),
            Row::Again { first, latest, due_ms, deliveries } => {
                (2, [near(first, given), near(latest, given), due_ms, deliveries.into()])
            }
            Row::Spent { latest, deliveries } => (3, [near(latest, given), deliveries.into(), 0, 0]),
            Row::Settled { latest } => (4, [near(latest, given), 0, 0, 0]),
            Row::Picked => (5, [0; 4]),
        };
        put(out, (start - self.end) << 3 | kind);
        put(out, len);
        for number in &numbers[..NUMBERS[kind as usize]] {
            put(out, *number);
        }
        self.end = start + len;
    }
}

/// More rows in one run than a consumer can have: the bytes are damaged.
const ROWS_MAX: u64 = 1 << 26;
/// How many numbers follow a row of each kind.
const NUMBERS: [usize; 6] = [0, 2, 4, 2, 1, 0];

/// Whether `row` is what a run that began with `first` has in place `n`.
fn follows(first: &Row, n: u64, row: &Row) -> bool {
    nth(first, n) == Some(*row)
}

/// What a run that began with `first` has in place `n`: first deliveries in a row have numbers in a row.
fn nth(first: &Row, n: u64) -> Option<Row> {
    match *first {
        Row::Free | Row::Picked => Some(*first),
        Row::First { latest, due_ms } => Some(Row::First { latest: latest.checked_add(n)?, due_ms }),
        _ if n == 0 => Some(*first),
        _ => None,
    }
}

/// Reads a snapshot or delta: gives its head, and its rows to `each`.
pub(super) fn read(bytes: &[u8], is_delta: bool, mut each: impl FnMut(u64, Row)) -> Result<Head, Unreadable> {
    let kind = if is_delta { DELTA } else { SNAPSHOT };
    let (has_places, mut input) = match bytes {
        [k, VERSION, rest @ ..] if *k == kind => (false, rest),
        [k, VERSION_PLACES, rest @ ..] if *k == kind => (true, rest),
        [k, version, ..] if *k == kind => return Err(Unreadable::Version(*version)),
        _ => return Err(Unreadable::Damaged),
    };
    let mut numbers = [0; 10];
    for number in &mut numbers {
        *number = take(&mut input)?;
    }
    let mut head = Head::of(numbers);
    head.forgotten = match take(&mut input)? {
        0 => None,
        count @ 1..=64 => {
            let ranges = (1..count).map(|_| Ok(take(&mut input)?..take(&mut input)?));
            Some(ranges.collect::<Result<_, _>>()?)
        }
        _ => return Err(Unreadable::Damaged),
    };
    if has_places {
        let mut numbers = [0; PLACES];
        for number in &mut numbers {
            *number = take(&mut input)?;
        }
        head.places = Some(places_in(numbers, &head));
    }
    let mut end: u64 = 0;
    while !input.is_empty() {
        let (gap, len) = (take(&mut input)?, take(&mut input)?);
        let mut numbers = [0; 4];
        let count = NUMBERS.get((gap & 7) as usize).ok_or(Unreadable::Damaged)?;
        for number in &mut numbers[..*count] {
            *number = take(&mut input)?;
        }
        let [a, b, c, d] = numbers;
        let delivery = |distance: u64| near_by(distance, head.delivered.consumer);
        let narrow = |number: u64| u32::try_from(number).map_err(|_| Unreadable::Damaged);
        let row = match gap & 7 {
            0 => Row::Free,
            1 => Row::First { latest: delivery(a), due_ms: b },
            2 => Row::Again { first: delivery(a), latest: delivery(b), due_ms: c, deliveries: narrow(d)? },
            3 => Row::Spent { latest: delivery(a), deliveries: narrow(b)? },
            4 => Row::Settled { latest: delivery(a) },
            _ => Row::Picked,
        };
        let start = end.checked_add(gap >> 3).ok_or(Unreadable::Damaged)?;
        end = start.checked_add(len.min(ROWS_MAX)).ok_or(Unreadable::Damaged)?;
        if len > ROWS_MAX {
            return Err(Unreadable::Damaged);
        }
        for n in 0..len {
            each(start + n, nth(&row, n).ok_or(Unreadable::Damaged)?);
        }
    }
    Ok(head)
}

impl Head {
    /// Its numbers as they are written: those that are near another one as the distance to it.
    fn numbers(&self) -> [u64; 10] {
        let given = self.delivered.consumer;
        [
            self.wall_ms,
            near(self.delivered_ms, self.wall_ms),
            near(self.acked_ms, self.wall_ms),
            self.next,
            near(self.delivered.stream, self.next),
            near(self.floor.stream, self.next),
            given,
            near(self.floor.consumer, given),
            near(self.reserved, given),
            near(self.settled_unknown_to, given),
        ]
    }

    fn of(numbers: [u64; 10]) -> Head {
        let [wall_ms, delivered_ms, acked_ms, next, ds, fs, given, fc, reserved, unknown_to] = numbers;
        Head {
            wall_ms,
            next,
            delivered: Pair { consumer: given, stream: near_by(ds, next) },
            floor: Pair { consumer: near_by(fc, given), stream: near_by(fs, next) },
            reserved: near_by(reserved, given),
            settled_unknown_to: near_by(unknown_to, given),
            delivered_ms: near_by(delivered_ms, wall_ms),
            acked_ms: near_by(acked_ms, wall_ms),
            forgotten: None,
            places: None,
        }
    }
}

/// Numbers of [`Places`]: the first message, three cursors beside the head's, and four pairs of what was kept back.
const PLACES: usize = 12;

/// Places as they are written: by their distance from the head's, which is small where little was overtaken.
fn places_out(places: &Places, head: &Head) -> [u64; PLACES] {
    let [critical, high, _, low] = places.next;
    let [a, b, c, d] = places.due.map(|(due_ms, seq)| [near(due_ms, head.wall_ms), near(seq, head.next)]);
    let next = [places.first, critical, high, low].map(|seq| near(seq, head.next));
    let mut numbers = [0; PLACES];
    numbers.iter_mut().zip([next.as_slice(), &a, &b, &c, &d].concat()).for_each(|(to, number)| *to = number);
    numbers
}

fn places_in(numbers: [u64; PLACES], head: &Head) -> Places {
    let seq = |distance: u64| near_by(distance, head.next);
    let due = |due_ms: u64, at: u64| (near_by(due_ms, head.wall_ms), seq(at));
    let [first, critical, high, low, a, a_at, b, b_at, c, c_at, d, d_at] = numbers;
    Places {
        first: seq(first),
        next: [seq(critical), seq(high), head.next, seq(low)],
        due: [due(a, a_at), due(b, b_at), due(c, c_at), due(d, d_at)],
    }
}

/// The distance of `number` from `other`, small when they are near; 0 when the number itself is 0.
fn near(number: u64, other: u64) -> u64 {
    let distance = number.wrapping_sub(other) as i64;
    let folded = ((distance << 1) ^ (distance >> 63)) as u64;
    if number == 0 { 0 } else { folded.wrapping_add(1) }
}

/// The number that [`near`] gave.
fn near_by(distance: u64, other: u64) -> u64 {
    let folded = distance.wrapping_sub(1);
    let distance_back = (folded >> 1) as i64 ^ -((folded & 1) as i64);
    if distance == 0 { 0 } else { other.wrapping_add(distance_back as u64) }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(input: &mut &[u8]) -> Result<u64, Unreadable> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first().ok_or(Unreadable::Damaged)?;
        *input = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Unreadable::Damaged)
}
