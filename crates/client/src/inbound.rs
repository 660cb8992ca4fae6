//! From bytes to deliveries. Messages are slices of what was read, so nothing is copied.

use bytes::{Bytes, BytesMut};
use kernel::Message;
use wire::nats::{Decoder, Info, Op, Step, encode};

use crate::refusal::{Denied, denied, is_of_subscription, refused};
use crate::state::State;
use crate::{Error, Event};

/// Room for one read, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// Below so much room a new buffer is made.
const READ_BYTES_MIN: usize = 4 * 1024;
/// Largest message that is taken, in bytes: what servers of the protocol allow at most.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest line that is taken, in bytes: above what servers take from their clients.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What was read and not yet understood.
#[derive(Debug)]
pub(crate) struct Inbound {
    buffer: BytesMut,
    /// Less than this is not worth looking at.
    needed: usize,
    decoder: Decoder,
}

impl Inbound {
    pub(crate) fn new(buffer: BytesMut) -> Inbound {
        let decoder =
            Decoder { control_line_bytes_max: LINE_BYTES_MAX, payload_bytes_max: MESSAGE_BYTES_MAX };
        Inbound { buffer, needed: 0, decoder }
    }

    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let missing = self.needed.saturating_sub(self.buffer.len());
        if self.buffer.capacity() - self.buffer.len() < missing.clamp(READ_BYTES_MIN, READ_BYTES) {
            self.buffer.reserve(missing.max(READ_BYTES));
        }
        &mut self.buffer
    }

    /// Carries out what is there in full.
    pub(crate) fn absorb(&mut self, state: &mut State, events: &mut Vec<Event>) -> Result<(), Error> {
        if self.buffer.len() < self.needed {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        let mut at = 0;
        loop {
            match self.decoder.step(&chunk[at..])? {
                Step::Op(op, used) => {
                    carry_out(op, &chunk, state, events)?;
                    at += used;
                }
                Step::More(needed) => {
                    self.needed = needed;
                    self.buffer.extend_from_slice(&chunk[at..]);
                    return Ok(());
                }
            }
        }
    }
}

fn carry_out(op: Op<'_>, chunk: &Bytes, state: &mut State, events: &mut Vec<Event>) -> Result<(), Error> {
    match op {
        Op::Deliver { sid, msg } => {
            let slice = |part: &[u8]| if part.is_empty() { Bytes::new() } else { chunk.slice_ref(part) };
            let message = Message {
                subject: slice(msg.subject),
                reply: slice(msg.reply),
                headers: slice(msg.headers),
                payload: slice(msg.payload),
            };
            let sid = std::str::from_utf8(sid).ok().and_then(|sid| sid.parse().ok());
            let sid = sid.ok_or_else(|| Error::Protocol("a subscription's number is no number".into()))?;
            state.deliver(sid, message, events);
        }
        Op::Ping => state.pending.extend_from_slice(encode::PONG),
        Op::Pong => state.on_pong(),
        Op::Info(json) => on_info(json, state, events)?,
        Op::Err(text) => on_error(text, state, events),
        Op::Ok => {}
        Op::Publish(_) | Op::Subscribe { .. } | Op::Unsubscribe { .. } | Op::Connect(_) => {
            return Err(Error::Protocol("an operation that only clients send".into()));
        }
    }
    Ok(())
}

fn on_info(json: &[u8], state: &mut State, events: &mut Vec<Event>) -> Result<(), Error> {
    let info: Info = serde_json::from_slice(json).map_err(|e| Error::Protocol(format!("INFO: {e}")))?;
    if info.ldm && !state.info.ldm {
        events.push(Event::LameDuck);
    }
    state.info = info;
    Ok(())
}

/// Tells everybody, and ends what was denied.
fn on_error(text: &[u8], state: &mut State, events: &mut Vec<Event>) {
    let error = refused(text);
    let text = String::from_utf8_lossy(text);
    match denied(&text) {
        Some(Denied::Publish(subject)) => state.requests.fail(Some(subject.as_bytes()), &error),
        Some(Denied::Subscribe { pattern, .. }) if pattern == state.requests.pattern() => {
            state.inbox_denied(&error);
        }
        Some(Denied::Subscribe { pattern, queue }) => {
            let same = |q: Option<&str>| queue.is_none() || q == queue;
            let denied = state.slots.extract_if(|_, s| *s.pattern == *pattern && same(s.queue.as_deref()));
            denied.for_each(|(_, slot)| slot.end(error.clone()));
        }
        None if is_of_subscription(&text) && state.subscription_refused(&error) => {}
        // Whatever else is refused may end the connection next; the next PONG shows that it did not.
        None => state.refusal = Some(error.clone()),
    }
    events.push(Event::Refused(error));
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
