//! What a client of JSON frames has asked and not heard yet: an inbox of the connection's own, whose answers go to the
//! client under the names that it gave its questions. It does *not* wait; what takes too long is noticed when time passes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use auth::Principal;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernel::{Client as _, Code, ConnectionId, Drain, Full, Headers, Listener, Msg, Put, Spare};
use wire::jetstream::api::PubAnswer;
use wire::talk;
use wire::websocket::{self as ws, Opcode};

use super::delivery;
use crate::link::Peer;

/// Most questions of one connection that wait.
pub(super) const QUESTIONS_MAX: usize = 1000;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A message.
    Answer,
    /// A stream's acknowledgement.
    Ack,
}

struct Question {
    sid: Box<str>,
    want: Want,
    until_mono_ms: u64,
}

/// See the module.
pub(super) struct Answers {
    peer: Arc<Peer>,
    waiting: Mutex<HashMap<u64, Question, RandomState>>,
    judge: Option<Arc<Principal>>,
}

impl Answers {
    pub(super) fn new(peer: Arc<Peer>, judge: Option<Arc<Principal>>) -> Answers {
        Answers { peer, waiting: Mutex::default(), judge }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Question, RandomState>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question is about to be asked. False: too many wait.
    pub(super) fn expect(&self, number: u64, sid: &str, want: Want, until_mono_ms: u64) -> bool {
        let mut waiting = self.waiting();
        if waiting.len() >= QUESTIONS_MAX {
            return false;
        }
        waiting.insert(number, Question { sid: sid.into(), want, until_mono_ms });
        self.peer.deadlines.store(waiting.len() as u32, Relaxed);
        true
    }

    fn take(&self, number: u64) -> Option<Question> {
        let mut waiting = self.waiting();
        let question = waiting.remove(&number);
        self.peer.deadlines.store(waiting.len() as u32, Relaxed);
        question
    }

    /// The question was not asked.
    pub(super) fn forget(&self, number: u64) {
        self.take(number);
    }

    /// The names of the questions that have waited too long; they wait no more.
    pub(super) fn take_late(&self, mono_ms: u64) -> Vec<(Box<str>, Want)> {
        let mut waiting = self.waiting();
        let late =
            waiting.extract_if(|_, q| q.until_mono_ms <= mono_ms).map(|(_, q)| (q.sid, q.want)).collect();
        self.peer.deadlines.store(waiting.len() as u32, Relaxed);
        late
    }
}

/// A stream's acknowledgement as it is told.
fn acknowledged(sid: &str, m: &Msg<'_>) -> String {
    match PubAnswer::parse(m.payload).map(PubAnswer::into_result) {
        Ok(Ok(ack)) => talk::stored(Some(sid), &ack.stream, ack.seq, ack.duplicate),
        Ok(Err(error)) => talk::err(Some(sid), error.kernel_code(), &error.description),
        Err(_) => talk::err(Some(sid), Code::StreamNotFound, "the answer is no stream's acknowledgement"),
    }
}

impl Drain for Answers {
    fn on_drain(&self, waker: &Waker) -> bool {
        self.peer.outbox.on_drain(waker)
    }
}

impl Listener for Answers {
    fn put(&self, m: &Msg<'_>, spare: &mut Spare) -> Put {
        let number =
            m.subject.rsplit(|b| *b == b'.').next().and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
        // Only the first answer is an answer.
        let Some(question) = number.and_then(|n| self.take(n)) else { return Put::Queued };
        let Some(mut slot) = self.peer.outbox.slot() else { return Put::Gone };
        let is_nobody = Headers::new(m.headers).status() == Some(503) && m.payload.is_empty();
        let text = match question.want {
            Want::Answer if !is_nobody => None,
            Want::Answer => Some(talk::err(Some(&question.sid), Code::NoResponders, "nobody listens there")),
            Want::Ack if is_nobody => {
                Some(talk::err(Some(&question.sid), Code::StreamNotFound, "no stream hears it"))
            }
            Want::Ack => Some(acknowledged(&question.sid, m)),
        };
        let taken = match text {
            None => delivery::put(&mut slot, &question.sid, m, spare),
            Some(text) => slot.append(ws::head_len(text.len()) + text.len(), spare, |out| {
                ws::write(out, Opcode::Text, text.as_bytes());
            }),
        };
        if !taken {
            drop(slot);
            self.peer.cut(Code::SlowConsumer);
            return Put::Full;
        }
        slot.done(m.size())
    }

    fn hears(&self, subject: &[u8]) -> bool {
        self.judge.as_ref().is_none_or(|who| who.permissions.may_hear(subject))
    }

    fn full(&self) -> Full {
        Full::Cut
    }

    fn flush(&self, spare: &mut Spare) {
        self.peer.flush(spare);
    }

    fn connection(&self) -> Option<ConnectionId> {
        // Its owner asked for it, also where it does not want to hear itself.
        None
    }
}
