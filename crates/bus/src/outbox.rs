//! Bytes on their way to one listener: a small state machine with one flusher at a time.
//!
//! ```text
//!            put              flush                 all written
//!   Idle ──────────▶ Queued ─────────▶ Flushing ──────────────────▶ Idle
//!                       ▲                 │  ▲
//!                       └── (First: the   │  │ flush, by the owner once it can be written again
//!                           caller owes   ▼  │
//!                           a flush)    Blocked          close, from anywhere ──▶ Closed
//! ```
//!
//! Whoever turns `Idle` into `Queued` owes the flush; when the world blocks, the debt passes to the connection's
//! owner, who was told by [`Flush::Blocked`]. So nothing that waits is ever without somebody who will write it. No
//! thread holds two outbox locks. It does *not* own the socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use kernel::limits::{CHUNK_BYTES, FIRST_CHUNK_BYTES};
use kernel::{Put, Spare};

use super::budget::Budget;
use super::sync::{Mutex, MutexGuard};

/// What a flush came to.
#[derive(Debug)]
pub enum Flush {
    /// Nothing waits any more, or somebody else is flushing.
    Done,
    /// Nothing waits any more, and nothing will: the outbox is sealed. The owner, who wants to close, must be told.
    Last,
    /// The world took no more: the owner must flush again when it does.
    Blocked,
    /// The outbox is closed.
    Closed,
    /// The world failed; the outbox closed itself.
    Failed(io::Error),
}

/// What the world took of the pieces that it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Bytes of theirs, from the first piece on.
    pub bytes: usize,
    /// Whether something has gone already that announces the piece which is next (the head of a frame around it): it must
    /// follow whole, whatever is cut.
    pub begun: bool,
}

impl From<usize> for Took {
    fn from(bytes: usize) -> Took {
        Took { bytes, begun: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Queued,
    Flushing,
    Blocked,
    Closed,
}

/// A stretch of bytes; `ends`: the last byte of a message.
#[derive(Debug)]
struct Chunk {
    bytes: Content,
    ends: bool,
}

#[derive(Debug)]
enum Content {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn own(bytes: Vec<u8>, ends: bool) -> Chunk {
        Chunk { bytes: Content::Own(bytes), ends }
    }

    fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            Content::Own(bytes) => bytes,
            Content::Shared(bytes) => bytes,
        }
    }

    /// What it costs the node's budget. A shared payload is counted for each outbox: it may be the last to hold it.
    fn cost(&self) -> usize {
        match &self.bytes {
            Content::Own(bytes) => bytes.capacity(),
            Content::Shared(bytes) => bytes.len(),
        }
    }
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Takes no more: what waits is written, then the owner closes.
    sealed: bool,
    /// What waits before the tail.
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that were written already.
    written: usize,
    /// Whether the first chunk was announced already, though nothing of it was written.
    begun: bool,
    /// Whether the last piece that was written whole began a message and did not end it.
    inside: bool,
    /// Where bytes gather; it ends with a message.
    tail: Vec<u8>,
    /// All bytes that wait, those being written included.
    waiting: usize,
    /// Last words, once everything else was cut.
    last_words: Option<&'static [u8]>,
    paused: Vec<Waker>,
    written_total: u64,
    written_at_pause: u64,
    /// Times in a row that a publisher asked and nothing had been written since.
    fruitless_pauses: u32,
    messages_out: u64,
    bytes_out: u64,
}

impl Inner {
    fn held_bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::cost).sum::<usize>() + self.tail.capacity()
    }
}

/// See the module. Bytes that wait are limited; above the limit nothing more is taken.
#[derive(Debug)]
pub struct Outbox {
    limit_bytes: usize,
    budget: Arc<Budget>,
    inner: Mutex<Inner>,
}

/// The outbox, held for as long as one message is put.
pub struct Slot<'a> {
    outbox: &'a Outbox,
    inner: MutexGuard<'a, Inner>,
}

/// Rounds that one flusher makes before the owner must go on, so that a publisher is never caught by others' traffic.
const ROUNDS_MAX: usize = 4;
/// Most publishers that are woken when it drains; the others' pauses end by themselves.
const PAUSED_MAX: usize = 64;
/// Times that publishers wait for a reader that reads nothing before they stop waiting for it.
const FRUITLESS_PAUSES_MAX: u32 = 16;
/// Most pieces in one vectored write.
const SLICES_MAX: usize = 64;

impl Outbox {
    /// An empty outbox that may hold `limit_bytes`.
    pub fn new(limit_bytes: usize, budget: Arc<Budget>) -> Outbox {
        let inner = Inner {
            state: State::Idle,
            sealed: false,
            chunks: VecDeque::new(),
            written: 0,
            begun: false,
            inside: false,
            tail: Vec::new(),
            waiting: 0,
            last_words: None,
            paused: Vec::new(),
            written_total: 0,
            written_at_pause: 0,
            fruitless_pauses: 0,
            messages_out: 0,
            bytes_out: 0,
        };
        Outbox { limit_bytes, budget, inner: Mutex::new(inner) }
    }

    #[inline]
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere cannot leave the state between two steps: every step here is panic-free.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Holds the outbox to put one message. `None`: it takes no more, for ever.
    #[inline]
    pub fn slot(&self) -> Option<Slot<'_>> {
        let inner = self.inner();
        match inner.sealed {
            true => None,
            false => Some(Slot { outbox: self, inner }),
        }
    }

    /// Publishers should slow down above this many bytes.
    fn high_bytes(&self) -> usize {
        self.limit_bytes / 2
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.inner().waiting
    }

    /// Memory that it holds, as the budget counts it; 0 once it is sealed, because then it only shrinks.
    pub fn held_bytes(&self) -> usize {
        let inner = self.inner();
        match inner.sealed {
            true => 0,
            false => inner.held_bytes(),
        }
    }

    /// Messages and bytes put so far.
    pub fn totals(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.messages_out, inner.bytes_out)
    }

    /// Wakes `waker` when less waits than the low-water mark, unless very many wait for that. False: there is nothing to
    /// wait for: it is so now, or the reader has stopped, and who waited for it would only be held up by it.
    pub fn on_drain(&self, waker: &Waker) -> bool {
        let mut inner = self.inner();
        if inner.waiting <= self.high_bytes() / 2 || inner.state == State::Closed {
            return false;
        }
        inner.fruitless_pauses = match inner.written_total == inner.written_at_pause {
            true => inner.fruitless_pauses.saturating_add(1),
            false => 0,
        };
        inner.written_at_pause = inner.written_total;
        if inner.fruitless_pauses > FRUITLESS_PAUSES_MAX {
            return false;
        }
        if inner.paused.len() < PAUSED_MAX && !inner.paused.iter().any(|w| w.will_wake(waker)) {
            inner.paused.push(waker.clone());
        }
        true
    }

    /// Takes no more; what waits can still be flushed.
    pub fn seal(&self) {
        self.inner().sealed = true;
    }

    /// Drops all that waits but the message that is half written, says `last_words`, and takes no more. False: it
    /// took no more already.
    pub fn cut(&self, last_words: &'static [u8]) -> bool {
        let mut inner = self.inner();
        if inner.state == State::Closed || inner.sealed {
            return false;
        }
        inner.sealed = true;
        inner.last_words = Some(last_words);
        if inner.state != State::Flushing {
            self.speak_last(&mut inner);
        }
        true
    }

    /// Closes: what waits is dropped, nothing is taken or written any more.
    pub fn close(&self) {
        let mut inner = self.inner();
        if inner.state != State::Closed {
            self.end(&mut inner);
        }
    }

    /// Whether it takes no more.
    pub fn is_sealed(&self) -> bool {
        self.inner().sealed
    }

    /// Whether nothing waits and nobody writes.
    pub fn is_idle(&self) -> bool {
        matches!(self.inner().state, State::Idle | State::Closed)
    }

    /// Whether the owner owes a flush.
    pub fn is_blocked(&self) -> bool {
        self.inner().state == State::Blocked
    }

    /// Writes what waits through `write`, which takes what it can without waiting, as a vectored write does.
    /// Harmless when somebody else is at it.
    pub fn flush(
        &self,
        spare: &mut Spare,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<Took>,
    ) -> Flush {
        let mut inner = self.inner();
        match inner.state {
            State::Queued | State::Blocked => inner.state = State::Flushing,
            State::Idle | State::Flushing => return Flush::Done,
            State::Closed => return Flush::Closed,
        }
        for _ in 0..ROUNDS_MAX {
            let mut batch = Batch::take(&mut inner);
            drop(inner);
            let Progress { sent, freed, result } = batch.write(spare, &mut write);
            self.budget.sub(freed);
            inner = self.inner();
            if inner.state == State::Closed {
                self.budget.sub(batch.cost());
                return Flush::Closed;
            }
            inner.waiting -= sent;
            inner.written_total += sent as u64;
            batch.put_back(&mut inner);
            if inner.last_words.is_some() {
                self.speak_last(&mut inner);
            }
            if inner.waiting <= self.high_bytes() / 2 {
                inner.paused.drain(..).for_each(Waker::wake);
            }
            match result {
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => {
                    self.end(&mut inner);
                    return Flush::Failed(e);
                }
                Ok(()) if inner.waiting == 0 => {
                    inner.state = State::Idle;
                    return if inner.sealed { Flush::Last } else { Flush::Done };
                }
                Ok(()) => {}
            }
        }
        inner.state = State::Blocked;
        Flush::Blocked
    }

    /// Cuts what waits behind the message that is half written and appends the last words.
    fn speak_last(&self, inner: &mut Inner) {
        let Some(words) = inner.last_words.take() else { return };
        let tail = mem::take(&mut inner.tail);
        if tail.capacity() > 0 {
            inner.chunks.push_back(Chunk::own(tail, true));
        }
        let keep = match inner.written > 0 || inner.begun || inner.inside {
            true => inner.chunks.iter().position(|c| c.ends).map_or(inner.chunks.len(), |last| last + 1),
            false => 0,
        };
        let dropped: usize = inner.chunks.drain(keep..).map(|c| c.cost()).sum();
        self.budget.sub(dropped);
        if !words.is_empty() {
            inner.chunks.push_back(Chunk { bytes: Content::Shared(Bytes::from_static(words)), ends: true });
            self.budget.add(words.len());
        }
        inner.waiting = inner.chunks.iter().map(|c| c.as_slice().len()).sum::<usize>() - inner.written;
        if inner.state == State::Idle {
            inner.state = State::Blocked;
        }
    }

    fn end(&self, inner: &mut Inner) {
        self.budget.sub(inner.held_bytes());
        inner.state = State::Closed;
        inner.sealed = true;
        inner.chunks = VecDeque::new();
        inner.tail = Vec::new();
        inner.waiting = 0;
        inner.paused.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl Slot<'_> {
    /// Appends bytes that `encode` writes, at most `bytes` of them. False: there is no room left, and nothing was
    /// written.
    #[inline]
    pub fn append(&mut self, bytes: usize, spare: &mut Spare, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let inner = &mut *self.inner;
        if inner.waiting + bytes > self.outbox.limit_bytes {
            return false;
        }
        if inner.tail.capacity() - inner.tail.len() < bytes {
            self.outbox.next_tail(inner, bytes, spare);
        }
        let before = inner.tail.len();
        encode(&mut inner.tail);
        inner.waiting += inner.tail.len() - before;
        true
    }

    /// Appends a line, then a payload that others share, then its end. False: there is no room left, and nothing
    /// was written.
    pub fn append_shared(&mut self, head: Vec<u8>, body: Bytes, end: &'static [u8]) -> bool {
        let (inner, budget) = (&mut *self.inner, &self.outbox.budget);
        let bytes = head.len() + body.len() + end.len();
        if inner.waiting + bytes > self.outbox.limit_bytes {
            return false;
        }
        // Pieces end where messages end, so that a cut finds the place.
        let tail = mem::take(&mut inner.tail);
        if tail.capacity() > 0 {
            inner.chunks.push_back(Chunk::own(tail, true));
        }
        let end = Chunk { bytes: Content::Shared(Bytes::from_static(end)), ends: true };
        for chunk in [Chunk::own(head, false), Chunk { bytes: Content::Shared(body), ends: false }, end] {
            if !chunk.as_slice().is_empty() {
                budget.add(chunk.cost());
                inner.chunks.push_back(chunk);
            }
        }
        inner.waiting += bytes;
        true
    }

    /// One message of `bytes` was put; says who must flush.
    #[inline]
    pub fn done(mut self, bytes: usize) -> Put {
        self.inner.messages_out += 1;
        self.inner.bytes_out += bytes as u64;
        self.spoken()
    }

    /// The last bytes of all were put; nothing comes behind them.
    pub fn last(mut self) -> Put {
        self.inner.sealed = true;
        self.spoken()
    }

    /// Bytes that are no message (an answer of the protocol) were put; says who must flush.
    #[inline]
    pub fn spoken(mut self) -> Put {
        match self.inner.state {
            State::Idle => {
                self.inner.state = State::Queued;
                Put::First
            }
            State::Closed => Put::Gone,
            _ if self.inner.waiting > self.outbox.high_bytes() => Put::High,
            _ => Put::Queued,
        }
    }
}

impl Outbox {
    /// Puts the full tail behind the others and starts a new one with room for `bytes`.
    fn next_tail(&self, inner: &mut Inner, bytes: usize, spare: &mut Spare) {
        // A client for whom little waits costs little, however many there are.
        let or_new =
            if inner.chunks.is_empty() && inner.tail.is_empty() { FIRST_CHUNK_BYTES } else { CHUNK_BYTES };
        let fresh = spare.take(bytes, or_new);
        self.budget.add(fresh.capacity());
        let full = mem::replace(&mut inner.tail, fresh);
        match full.is_empty() {
            true => self.budget.sub(full.capacity()),
            false => inner.chunks.push_back(Chunk::own(full, true)),
        }
    }
}

/// What one round of flushing took out of the outbox: chunks, then the last buffer.
struct Batch {
    chunks: VecDeque<Chunk>,
    last: Vec<u8>,
    /// Bytes of the first piece that were written already.
    written: usize,
    /// Whether the first piece was announced.
    begun: bool,
    /// Whether a message was begun and not ended by the pieces written whole.
    inside: bool,
}

/// How far a round came.
struct Progress {
    sent: usize,
    freed: usize,
    result: io::Result<()>,
}

impl Batch {
    fn take(inner: &mut Inner) -> Batch {
        Batch {
            chunks: mem::take(&mut inner.chunks),
            last: mem::take(&mut inner.tail),
            written: mem::take(&mut inner.written),
            begun: inner.begun,
            inside: inner.inside,
        }
    }

    /// Writes until everything is gone or the world takes no more. Written buffers go to `spare`.
    fn write(
        &mut self,
        spare: &mut Spare,
        write: &mut impl FnMut(&[IoSlice<'_>]) -> io::Result<Took>,
    ) -> Progress {
        let mut p = Progress { sent: 0, freed: 0, result: Ok(()) };
        while !self.is_empty() {
            let result = match self.chunks.is_empty() {
                // Nearly always: one buffer, one piece.
                true => write(&[IoSlice::new(&self.last[self.written..])]),
                false => self.write_many(write),
            };
            match result {
                Ok(Took { bytes: 0, begun: false }) => p.result = Err(ErrorKind::WriteZero.into()),
                Ok(Took { bytes, begun }) => {
                    p.sent += bytes;
                    self.written += bytes;
                    self.begun = begun;
                    p.freed += self.advance(spare);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => p.result = Err(e),
            }
            if p.result.is_err() {
                break;
            }
        }
        p
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.written == self.last.len()
    }

    fn write_many(&self, write: &mut impl FnMut(&[IoSlice<'_>]) -> io::Result<Took>) -> io::Result<Took> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let pieces = self.chunks.iter().map(Chunk::as_slice).chain([&self.last[..]]);
        for (slot, bytes) in slices.iter_mut().zip(pieces) {
            let skip = if count == 0 { self.written } else { 0 };
            *slot = IoSlice::new(&bytes[skip..]);
            count += 1;
        }
        write(&slices[..count])
    }

    /// Lets go of the pieces that are written whole; says what they cost the budget.
    fn advance(&mut self, spare: &mut Spare) -> usize {
        let mut freed = 0;
        while let Some(first) = self.chunks.pop_front() {
            let len = first.as_slice().len();
            if self.written < len {
                self.chunks.push_front(first);
                return freed;
            }
            self.written -= len;
            self.inside = !first.ends;
            freed += first.cost();
            if let Content::Own(buffer) = first.bytes {
                spare.give(buffer);
            }
        }
        if self.written > 0 && self.written == self.last.len() {
            let last = mem::take(&mut self.last);
            self.written = 0;
            self.inside = false;
            freed += last.capacity();
            spare.give(last);
        }
        freed
    }

    /// Puts what was not written in front of what came in the meantime.
    fn put_back(self, inner: &mut Inner) {
        inner.written = self.written;
        inner.begun = self.begun;
        inner.inside = self.inside;
        let mut chunks = self.chunks;
        if !self.last.is_empty() || self.last.capacity() > 0 {
            chunks.push_back(Chunk::own(self.last, true));
        }
        if !chunks.is_empty() {
            chunks.append(&mut inner.chunks);
            inner.chunks = chunks;
        }
    }

    fn cost(&self) -> usize {
        self.chunks.iter().map(Chunk::cost).sum::<usize>() + self.last.capacity()
    }
}
