//! What a client of JSON frames has asked and not heard yet: an inbox of the connection's own, whose answers go to the
//! client under the names that it gave its questions. It does *not* wait; what takes too long is noticed when time passes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use auth::Principal;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernel::{Client as _, Code, ConnectionId, Drain, Full, Headers, Listener, Msg, Put, Spare};
use wire::jetstream::ApiError;
use wire::jetstream::api::{PubAck, PubAnswer};
use wire::talk;
use wire::websocket::{self as ws, Opcode};

use super::delivery;
use crate::http::encoded;
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

    /// What the question waits for, if it still does.
    fn wanted(&self, number: u64) -> Option<Want> {
        self.waiting().get(&number).map(|question| question.want)
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

/// What a stream says, as it is told.
fn acknowledged(sid: &str, said: Result<PubAck, ApiError>) -> String {
    match said {
        Ok(ack) => talk::stored(Some(sid), &ack.stream, ack.seq, ack.duplicate),
        Err(error) => talk::err(Some(sid), error.kernel_code(), &error.description),
    }
}

/// Whether an answer says that nobody was there.
fn is_nobody(m: &Msg<'_>) -> bool {
    m.payload.is_empty() && Headers::new(m.headers).status() == Some(503)
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
        let Some((number, want)) = number.and_then(|n| Some((n, self.wanted(n)?))) else {
            return Put::Queued;
        };
        let said = match want {
            Want::Answer => None,
            // Others who hear the subject may answer too; only a stream acknowledges.
            Want::Ack => match PubAnswer::of_stream(m.headers, m.payload) {
                None => return Put::Queued,
                said => said,
            },
        };
        // Only the first answer is an answer.
        let Some(Question { sid, .. }) = self.take(number) else { return Put::Queued };
        let Some(mut slot) = self.peer.outbox.slot() else { return Put::Gone };
        let text = match said {
            Some(said) => Some(acknowledged(&sid, said)),
            None if is_nobody(m) => Some(talk::err(Some(&sid), Code::NoResponders, "nobody listens there")),
            None => None,
        };
        let taken = match text {
            None => delivery::put(&mut slot, sid.as_bytes(), m, spare),
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
        encoded::let_go();
        self.peer.flush(spare);
    }

    fn connection(&self) -> Option<ConnectionId> {
        // Its owner asked for it, also where it does not want to hear itself.
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tests::peer;

    #[test]
    fn what_others_answer_is_no_acknowledgement_and_leaves_the_question_open() {
        let peer = Arc::new(peer());
        let answers = Answers::new(peer.clone(), None);
        assert!(answers.expect(1, "1", Want::Ack, u64::MAX));
        let answer = |payload: &str| {
            let m = Msg { subject: b"_INBOX.a.1", payload: payload.as_bytes(), ..Msg::default() };
            answers.put(&m, &mut Spare::default())
        };
        for other in ["{}", "done", r#"{"sum":3}"#, r#"{"error":"no"}"#] {
            assert_eq!((answer(other), peer.outbox.waiting_bytes()), (Put::Queued, 0), "{other}");
        }
        assert_eq!(answer(r#"{"stream":"S","seq":7}"#), Put::First);
        let told = peer.outbox.waiting_bytes();
        assert!(told > 0);
        assert_eq!((answer(r#"{"stream":"T","seq":1}"#), peer.outbox.waiting_bytes()), (Put::Queued, told));
    }
}
