//! A door's own questions to the node: a private inbox that answers come back to, and the session that asks. Requests,
//! publishes that wait for acknowledgements, and pulls are made of it. It does *not* know what is asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use auth::Principal;
use bytes::Bytes;
use fabric::{Hub, Session, Woken};
use kernel::limits::{PUBLISHER_PAUSE_MS_MAX, SHARED_PAYLOAD_BYTES_MIN};
use kernel::{
    Code, ConnectionId, Drain, Full, Listener, Message, Msg, Producer, Put, Spare, SubId, SubjectPattern,
};
use tokio::time::{Instant, timeout_at};
use wire::jetstream::api::PubAnswer;

use super::hold::Hold;
use super::problem::Problem;
use super::trace;

/// How long the node may take for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Most that a stream says about a message, in bytes.
const WORD_BYTES_MAX: usize = 4096;

/// What is said to somebody who is not let in any more.
pub(super) const DISMISSED: &str =
    "this account is gone, or its secret or permissions have changed: come again";

/// What hears: it keeps messages until the waiting task takes them.
struct Ear {
    kept: Mutex<Kept>,
    /// Bytes that may wait; a message always fits into an empty ear.
    bytes_max: usize,
    hold: Arc<Hold>,
    task: AtomicWaker,
    judge: Option<Arc<Principal>>,
    /// Nobody waits: what comes is dropped.
    is_deaf: AtomicBool,
}

#[derive(Default)]
struct Kept {
    queue: VecDeque<Message>,
    bytes: usize,
}

fn size(m: &Msg<'_>) -> usize {
    m.size() + m.subject.len() + m.reply.len()
}

impl Ear {
    fn take(&self) -> Option<Message> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let message = kept.queue.pop_front()?;
        let bytes = size(&message.as_msg());
        kept.bytes -= bytes;
        self.hold.sub(bytes);
        Some(message)
    }

    /// Others who hear a subject may answer too, and as much as fits. There is as much room again for what a stream says.
    fn has_room_for_word(&self, kept: &Kept, m: &Msg<'_>) -> bool {
        let is_small = size(m) <= WORD_BYTES_MAX && kept.bytes + size(m) <= self.bytes_max.saturating_mul(2);
        is_small && PubAnswer::of_stream(m.headers, m.payload).is_some()
    }

    fn clear(&self, kept: &mut Kept) {
        let cleared = std::mem::take(kept);
        self.hold.sub(cleared.bytes);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.hold.sub(kept.bytes);
    }
}

impl Drain for Ear {
    fn on_drain(&self, _: &Waker) -> bool {
        false
    }
}

impl Listener for Ear {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_deaf.load(Relaxed) {
            return Put::Full;
        }
        let is_first = kept.queue.is_empty();
        if !is_first && kept.bytes + size(m) > self.bytes_max && !self.has_room_for_word(&kept, m) {
            return Put::Full;
        }
        kept.bytes += size(m);
        self.hold.add(size(m));
        kept.queue.push_back(Message::from(m));
        if is_first { Put::First } else { Put::Queued }
    }

    fn hears(&self, subject: &[u8]) -> bool {
        self.judge.as_ref().is_none_or(|who| who.permissions.may_hear(subject))
    }

    fn full(&self) -> Full {
        Full::Drop
    }

    fn flush(&self, _: &mut Spare) {
        self.task.wake();
    }

    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

/// See the module. Nothing comes any more when it is dropped.
pub(super) struct Call {
    session: Session,
    woken: Woken,
    producer: Arc<Producer>,
    ear: Arc<Ear>,
    pattern: SubjectPattern,
    id: SubId,
    /// What every reply subject of it begins with.
    inbox: String,
    number: u64,
}

impl Call {
    /// An inbox for `who`, in which `bytes_max` may wait, held for a connection.
    pub(super) fn open(
        hub: &Hub,
        who: Arc<Principal>,
        bytes_max: usize,
        hold: &Arc<Hold>,
    ) -> Result<Call, Problem> {
        let inbox = format!("_INBOX.{}.", random_name()?);
        let pattern = SubjectPattern::parse(format!("{inbox}*").as_bytes())
            .map_err(|code| Problem::new(code, "an inbox has a name that cannot be"))?;
        let mut session = Session::new(hub, who);
        let make = |judge| {
            let (kept, task, is_deaf) = (Mutex::default(), AtomicWaker::new(), AtomicBool::new(false));
            Arc::new(Ear { kept, bytes_max, hold: hold.clone(), task, judge, is_deaf })
        };
        let (id, ear) = session.subscribe(&pattern, None, make).map_err(|code| {
            let detail = match code {
                Code::PermissionDenied => "answers come to `_INBOX.>`, which this user may not hear",
                _ => "the node remembers as many subscriptions as it may",
            };
            Problem::new(code, detail)
        })?;
        let (woken, producer) = (Woken::default(), Arc::default());
        Ok(Call { session, woken, producer, ear, pattern, id, inbox, number: 0 })
    }

    /// Who asks.
    pub(super) fn who(&self) -> &Arc<Principal> {
        self.session.who()
    }

    /// Whether what comes is kept, or dropped while nobody waits. What was kept is dropped either way.
    pub(super) fn listen(&self, listen: bool) {
        let mut kept = self.ear.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.ear.is_deaf.store(!listen, Relaxed);
        self.ear.clear(&mut kept);
    }

    /// Publishes `m`, whose answers come to this inbox; their subject ends with the number that is returned. Errors as
    /// [`Session::publish`], with [`Code::NoResponders`], and with [`Code::AuthFailed`] when who asks was dismissed.
    pub(super) fn ask(&mut self, m: &Msg<'_>) -> Result<u64, Code> {
        self.publish(m, Session::publish)
    }

    /// The same with a message that a stream must have, whatever its headers say. Errors as [`Session::publish_kept`].
    pub(super) fn ask_kept(&mut self, m: &Msg<'_>) -> Result<u64, Code> {
        self.publish(m, Session::publish_kept)
    }

    fn publish(
        &mut self,
        m: &Msg<'_>,
        how: impl FnOnce(&mut Session, &Msg<'_>, &mut Woken) -> Result<usize, Code>,
    ) -> Result<u64, Code> {
        if self.who().is_dismissed() {
            return Err(Code::AuthFailed);
        }
        self.number += 1;
        let reply = format!("{}{}", self.inbox, self.number);
        let carried = trace::carried(m.headers);
        let headers = carried.as_deref().unwrap_or(m.headers);
        let m = Msg { headers, reply: reply.as_bytes(), from: Some(&self.producer), ..*m };
        let shared = shared(&m);
        let m = Msg { shared: shared.as_ref(), ..m };
        let heard = how(&mut self.session, &m, &mut self.woken);
        self.woken.flush();
        match heard? {
            0 => Err(Code::NoResponders),
            _ => Ok(self.number),
        }
    }

    /// Publishes `m`, and nobody need answer.
    pub(super) fn say(&mut self, m: &Msg<'_>) {
        let carried = trace::carried(m.headers);
        let headers = carried.as_deref().unwrap_or(m.headers);
        let _ = self.session.publish(&Msg { headers, ..*m }, &mut self.woken);
        self.woken.flush();
    }

    /// Waits a little if what was published met somebody who has a lot to do.
    pub(super) async fn pause_if_high(&mut self) {
        if !self.woken.take_high().is_empty() {
            tokio::time::sleep(Duration::from_millis(PUBLISHER_PAUSE_MS_MAX)).await;
        }
    }

    /// What has come already.
    pub(super) fn take(&mut self) -> Option<Message> {
        self.ear.take()
    }

    /// The next message that comes; `None`: nothing came in time. A call that is dropped loses nothing.
    pub(super) async fn hear(&mut self, until: Instant) -> Option<Message> {
        let next = std::future::poll_fn(|cx| {
            self.ear.task.register(cx.waker());
            self.ear.take().map_or(Poll::Pending, Poll::Ready)
        });
        timeout_at(until, next).await.ok()
    }

    /// The number of the question that a message answers.
    pub(super) fn number_of(&self, message: &Message) -> Option<u64> {
        let tail = message.subject.strip_prefix(self.inbox.as_bytes())?;
        std::str::from_utf8(tail).ok()?.parse().ok()
    }

    /// Asks and waits for the answer. What else comes meanwhile is passed over.
    pub(super) async fn request(&mut self, m: &Msg<'_>) -> Result<Message, Problem> {
        let subject = String::from_utf8_lossy(m.subject).into_owned();
        let number = self.ask(m).map_err(|code| refused(code, &subject))?;
        let until = Instant::now() + ANSWER_TIMEOUT;
        while let Some(message) = self.hear(until).await {
            if self.number_of(&message) == Some(number) {
                return Ok(message);
            }
            if passed_over(until).await {
                break;
            }
        }
        Err(Problem::new(
            Code::Timeout,
            format!("no answer came on `{subject}` within {} s", ANSWER_TIMEOUT.as_secs()),
        ))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.session.unsubscribe(&self.pattern, None, self.id);
        // Publishers may remember the ear for a while.
        self.listen(false);
    }
}

/// What came was no answer. Lets others go on, and says whether the time is over: whoever goes on answering prolongs nothing.
pub(super) async fn passed_over(until: Instant) -> bool {
    tokio::task::coop::consume_budget().await;
    Instant::now() >= until
}

/// A large message back to back, to be shared with whoever hears it instead of copied for each.
pub(super) fn shared(m: &Msg<'_>) -> Option<Bytes> {
    (m.payload.len() >= SHARED_PAYLOAD_BYTES_MIN).then(|| [m.headers, m.payload].concat().into())
}

/// Why something could not be published.
pub(super) fn refused(code: Code, subject: &str) -> Problem {
    let detail = match code {
        Code::PermissionDenied => format!("this user may not publish on `{subject}`"),
        Code::AuthFailed => DISMISSED.to_owned(),
        Code::NoResponders => format!("nobody listens on `{subject}`"),
        Code::StreamNotFound => format!("no stream captures `{subject}`"),
        Code::Backpressure => "the streams have more to do than they can; send it again".to_owned(),
        _ => format!("`{subject}` could not be published"),
    };
    Problem::new(code, detail)
}

/// Why nobody can wait for a stream there.
pub(super) fn silent(subject: &str) -> String {
    format!("the stream that captures `{subject}` acknowledges nothing (`no_ack`)")
}

/// A name that nobody can guess: 32 letters and digits.
pub(super) fn random_name() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Problem::new(Code::InternalError, "the system gives no random numbers"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use auth::{Accounts, options::Options};
    use fabric::Limits;

    use super::*;

    fn hub() -> Hub {
        let limits = Limits {
            connections_max: 10,
            subscriptions_max: 10,
            outbox_bytes_max: 1 << 20,
            outboxes_bytes_max: 1 << 20,
            interest_bytes_max: 1 << 20,
        };
        Hub::new(Accounts::new(&Options::default()).unwrap(), limits, 1)
    }

    #[tokio::test]
    async fn an_answer_comes_back_to_its_question_and_nothing_comes_when_it_is_over() {
        let hub = hub();
        let hold = Hold::new(hub.budget());
        let mut service = Call::open(&hub, Arc::default(), 1000, &hold).unwrap();
        let to = format!("{}x", service.inbox);
        let mut call = Call::open(&hub, Arc::default(), 1000, &hold).unwrap();
        let number = call.ask(&Msg { subject: to.as_bytes(), payload: b"?", ..Msg::default() }).unwrap();
        let asked = service.hear(Instant::now() + ANSWER_TIMEOUT).await.unwrap();
        assert_eq!(asked.payload, "?");
        service.say(&Msg { subject: &asked.reply, payload: b"!", ..Msg::default() });
        let answer = call.hear(Instant::now() + ANSWER_TIMEOUT).await.unwrap();
        assert_eq!((call.number_of(&answer), &*answer.payload), (Some(number), &b"!"[..]));
        drop(service);
        assert_eq!(call.ask(&Msg { subject: to.as_bytes(), ..Msg::default() }), Err(Code::NoResponders));
        assert_eq!(hub.subscriptions(), 1);
        drop(call);
        assert_eq!((hub.subscriptions(), hub.interest_memory().used_bytes()), (0, 0));
    }

    #[tokio::test]
    async fn an_inbox_that_is_gone_holds_nothing_although_somebody_remembers_it() {
        let hub = hub();
        let hold = Hold::new(hub.budget());
        let ear = Call::open(&hub, Arc::default(), 1000, &hold).unwrap();
        let to = format!("{}1", ear.inbox);
        let mut call = Call::open(&hub, Arc::default(), 1000, &hold).unwrap();
        let m = Msg { subject: to.as_bytes(), payload: b"x", ..Msg::default() };
        call.say(&m);
        let remembered = ear.ear.clone();
        assert!(hub.budget().used_bytes() > 0);
        drop(ear);
        assert_eq!(remembered.put(&m, &mut Spare::default()), Put::Full);
        assert_eq!(hub.budget().used_bytes(), 0);
    }

    #[tokio::test]
    async fn an_inbox_holds_so_many_bytes_and_always_one_message() {
        let hub = hub();
        let hold = Hold::new(hub.budget());
        let mut ear = Call::open(&hub, Arc::default(), 100, &hold).unwrap();
        let to = format!("{}1", ear.inbox);
        let mut call = Call::open(&hub, Arc::default(), 100, &hold).unwrap();
        let large = vec![b'x'; 1000];
        for _ in 0..2 {
            call.say(&Msg { subject: to.as_bytes(), payload: &large, ..Msg::default() });
        }
        assert_eq!(ear.take().unwrap().payload.len(), 1000);
        assert_eq!(ear.take(), None, "the second one did not fit");
        let word = br#"{"stream":"S","seq":1}"#;
        call.say(&Msg { subject: to.as_bytes(), payload: &large[..70], ..Msg::default() });
        for payload in [&b"no stream says so"[..], word, &[b' '; 22]] {
            call.say(&Msg { subject: to.as_bytes(), payload, ..Msg::default() });
        }
        assert_eq!(ear.take().unwrap().payload.len(), 70);
        assert_eq!(
            ear.take().unwrap().payload,
            &word[..],
            "what a stream says fits although others filled it"
        );
        assert_eq!(ear.take(), None);
        call.say(&Msg { subject: to.as_bytes(), payload: b"y", ..Msg::default() });
        assert_eq!(ear.take().unwrap().payload, "y");
    }
}
