//! Carries out the JSON frames of one client. What is wrong in a frame is answered and the connection goes on; it ends
//! where the frames themselves are none, a text is not UTF-8, or a message is too large. It does *not* touch the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use auth::{Credentials, Principal};
use bytes::Bytes;
use fabric::{Captured, Session, Woken};
use kernel::limits::SHARED_PAYLOAD_BYTES_MIN;
use kernel::{Code, Message, Msg, Spare, SubId, Subject, SubjectPattern};
use wire::talk::{self, Op, Sid};
use wire::websocket::{self as ws, Opcode, Reader, Step, close};

use super::answers::{Answers, QUESTIONS_MAX, Want};
use super::delivery::Frames;
use crate::http::call::{random_name, refused, silent};
use crate::link::{About, Flow, Peer, Speech, Subscriptions};
use crate::nearest;

/// What a frame may have besides a payload that is written as JSON or base64, in bytes.
const FRAME_EXTRA_BYTES: usize = 16 * 1024;
/// What may gather of somebody who has not said who it is, in bytes.
const STRANGER_BYTES_MAX: usize = 4096;
const FIRST_IS_AUTH: &str = "2001 AUTH_FAILED: the first frame is auth";
/// How long an answer is waited for, unless the client says, and at most, in milliseconds.
const TIMEOUT_MS: (u64, u64) = (5000, 300_000);
/// A gathered message below this keeps its buffer for the next one, in bytes.
const KEPT_BYTES_MAX: usize = 4096;

/// The connection's own inbox.
struct Inbox {
    answers: Arc<Answers>,
    pattern: SubjectPattern,
    id: SubId,
    prefix: String,
    number: u64,
}

/// See the module.
pub(super) struct Talk {
    peer: Arc<Peer>,
    reader: Reader,
    /// A message that has not come whole, or came in pieces.
    partial: Vec<u8>,
    session: Option<Session>,
    subscriptions: Subscriptions<Frames>,
    inbox: Option<Inbox>,
    payload_bytes_max: usize,
    in_messages: u64,
    in_bytes: u64,
    owes: bool,
    asked: bool,
}

/// What is told of an operation that failed: its code and words.
type Refusal = (Code, String);

fn refuse(code: Code, detail: impl Into<String>) -> Refusal {
    (code, detail.into())
}

fn nobody(message: &Message) -> Refusal {
    refuse(Code::NoResponders, format!("nobody listens on `{}`", String::from_utf8_lossy(&message.subject)))
}

impl Talk {
    /// `who`: known from the handshake, or said by a first frame.
    pub(super) fn new(peer: Arc<Peer>, who: Option<Arc<Principal>>, payload_bytes_max: usize) -> Talk {
        let mut talk = Talk {
            subscriptions: Subscriptions::new(peer.clone()),
            peer,
            reader: Reader::of_client(STRANGER_BYTES_MAX),
            partial: Vec::new(),
            session: None,
            inbox: None,
            payload_bytes_max,
            in_messages: 0,
            in_bytes: 0,
            owes: false,
            asked: false,
        };
        if let Some(who) = who {
            talk.admit(who);
        }
        talk
    }

    fn admit(&mut self, who: Arc<Principal>) {
        let about = About {
            lang: "json".into(),
            user: who.name.as_str().into(),
            tenant: who.tenant,
            ..About::default()
        };
        // Who somebody is stays as it was.
        if self.peer.about.set(Box::new(about)).is_ok() {
            self.peer.recheck(&who);
            self.session = Some(Session::new(&self.peer.shared.hub, who));
            self.reader.allow(2 * self.payload_bytes_max + FRAME_EXTRA_BYTES);
        }
    }

    /// A message has come whole.
    fn heard(&mut self, is_text: bool, bytes: &[u8], woken: &mut Woken) -> Flow {
        // They make an answer, or change what everybody shares; they count as several messages.
        const COST_PUTS: usize = 8;
        woken.worked(COST_PUTS);
        let text = std::str::from_utf8(bytes);
        // Of a stranger nothing else is read, and nothing is answered.
        if self.session.is_none() && !(is_text && text.is_ok_and(talk::is_auth)) {
            return self.end(close::POLICY, FIRST_IS_AUTH, &mut woken.spare);
        }
        if !is_text {
            self.say(&talk::err(None, Code::InvalidRequest, "a frame is text"), &mut woken.spare);
            return Flow::On;
        }
        let Ok(text) = text else {
            return self.end(close::NOT_TEXT, "a text is UTF-8", &mut woken.spare);
        };
        let op = match talk::read(text) {
            Ok(op) => op,
            Err(e) => {
                let detail = match e.unknown {
                    None => e.detail,
                    Some((name, known)) => e.detail + &meant(&name, known),
                };
                self.say(&talk::err(e.sid, Code::InvalidRequest, &detail), &mut woken.spare);
                return Flow::On;
            }
        };
        self.one(op, woken)
    }

    fn one(&mut self, op: Op<'_>, woken: &mut Woken) -> Flow {
        let (sid, done) = match op {
            Op::Auth { sid, user, password, token } => {
                let shown = Credentials { user: &user, password: &password, token: &token };
                let Ok(who) = self.peer.shared.hub.accounts().authenticate(shown) else {
                    tracing::info!(client = self.peer.id.0, address = %self.peer.address, user, "wrong credentials");
                    return self.end(close::POLICY, "2001 AUTH_FAILED", &mut woken.spare);
                };
                self.admit(who);
                (sid, Ok(Some(talk::ok(sid))))
            }
            Op::Ping { sid } => (sid, Ok(Some(talk::pong(sid)))),
            Op::Sub { sid, subject, queue, ok } => {
                (Some(sid), self.subscribe(sid, &subject, queue).map(|()| ok.then(|| talk::ok(Some(sid)))))
            }
            Op::Unsub { sid, max, ok } => {
                (Some(sid), self.unsubscribe(sid, max).map(|()| ok.then(|| talk::ok(Some(sid)))))
            }
            Op::Pub { sid, message, ack: false, ok, .. } => {
                let done = self.publish(&message, false, woken).and_then(|heard| match heard {
                    0 if !message.reply.is_empty() => Err(nobody(&message)),
                    _ => Ok(ok.then(|| talk::ok(sid))),
                });
                (sid, done)
            }
            Op::Pub { sid, message, timeout_ms, .. } => {
                let sid = sid.unwrap_or_default();
                (Some(sid), self.ask(sid, message, Want::Ack, timeout_ms, woken).map(|()| None))
            }
            Op::Request { sid, message, timeout_ms } => {
                (Some(sid), self.ask(sid, message, Want::Answer, timeout_ms, woken).map(|()| None))
            }
        };
        match done {
            Ok(None) => {}
            Ok(Some(text)) => self.say(&text, &mut woken.spare),
            Err((code, detail)) => self.say(&talk::err(sid, code, &detail), &mut woken.spare),
        }
        Flow::On
    }

    fn subscribe(&mut self, sid: Sid<'_>, subject: &str, queue: Option<String>) -> Result<(), Refusal> {
        let pattern = SubjectPattern::parse(subject.as_bytes())
            .map_err(|code| refuse(code, format!("`{subject}` is no subject and no pattern")))?;
        if queue.as_deref().is_some_and(|q| q.is_empty() || q.bytes().any(|b| b <= b' ')) {
            return Err(refuse(Code::InvalidRequest, "queue: a name without space"));
        }
        if self.subscriptions.has(sid.as_bytes()) {
            return Err(refuse(Code::InvalidRequest, "there is a subscription of this sid"));
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        let queue = queue.as_deref().map(str::as_bytes);
        self.subscriptions.add(session, sid.as_bytes(), &pattern, queue).map_err(|code| match code {
            Code::PermissionDenied => refuse(code, format!("this user may not hear `{subject}`")),
            _ => {
                let limit = self.peer.shared.hub.limits().subscriptions_max;
                refuse(Code::LimitExceeded, format!("at most {limit} subscriptions of one client"))
            }
        })
    }

    fn unsubscribe(&mut self, sid: Sid<'_>, max: Option<u64>) -> Result<(), Refusal> {
        if !self.subscriptions.has(sid.as_bytes()) {
            return Err(refuse(Code::InvalidRequest, "there is no subscription of this sid"));
        }
        if let Some(session) = &mut self.session {
            self.subscriptions.end(session, sid.as_bytes(), max);
        }
        Ok(())
    }

    /// Publishes; says how many took it. `must_be_kept`: a stream among them, or it fails.
    fn publish(
        &mut self,
        message: &Message,
        must_be_kept: bool,
        woken: &mut Woken,
    ) -> Result<usize, Refusal> {
        let m = message.as_msg();
        let shown = || String::from_utf8_lossy(m.subject);
        if Subject::parse(m.subject).is_err() || !m.reply.is_empty() && Subject::parse(m.reply).is_err() {
            return Err(refuse(Code::SubjectInvalid, format!("`{}` or its replyTo is no subject", shown())));
        }
        if m.size() > self.payload_bytes_max {
            let detail = format!("{} bytes: at most {} are allowed", m.size(), self.payload_bytes_max);
            return Err(refuse(Code::PayloadTooLarge, detail));
        }
        self.in_messages += 1;
        self.in_bytes += m.size() as u64;
        let shared: Option<Bytes> = (m.payload.len() >= SHARED_PAYLOAD_BYTES_MIN).then(|| match m.headers {
            [] => message.payload.clone(),
            headers => [headers, m.payload].concat().into(),
        });
        let Some(session) = &mut self.session else { return Ok(0) };
        let m = Msg { shared: shared.as_ref(), from: Some(&self.peer.producer), ..m };
        let done = match must_be_kept {
            true => session.publish_kept(&m, woken),
            false => session.publish(&m, woken),
        };
        let heard = done.map_err(|code| {
            let problem = refused(code, &shown());
            refuse(problem.code(), problem.text())
        })?;
        self.asked |= heard > 0 && !m.reply.is_empty();
        Ok(heard)
    }

    /// Publishes with the connection's own inbox as its reply.
    fn ask(
        &mut self,
        sid: Sid<'_>,
        mut message: Message,
        want: Want,
        timeout_ms: Option<u64>,
        woken: &mut Woken,
    ) -> Result<(), Refusal> {
        let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS.0);
        if !(1..=TIMEOUT_MS.1).contains(&timeout_ms) {
            return Err(refuse(Code::InvalidRequest, format!("timeoutMs: 1 to {}", TIMEOUT_MS.1)));
        }
        if !message.reply.is_empty() {
            return Err(refuse(Code::InvalidRequest, "replyTo does not go with ack"));
        }
        if want == Want::Ack {
            self.check_acknowledged(&message)?;
        }
        let until = self.peer.shared.mono_ms.load(Relaxed).saturating_add(timeout_ms);
        let inbox = self.inbox()?;
        inbox.number += 1;
        let (number, answers) = (inbox.number, inbox.answers.clone());
        message.reply = format!("{}{number}", inbox.prefix).into();
        if !answers.expect(number, sid, want, until) {
            let detail = format!("at most {QUESTIONS_MAX} questions wait at once");
            return Err(refuse(Code::Backpressure, detail));
        }
        let heard = self.publish(&message, want == Want::Ack, woken);
        if !matches!(heard, Ok(1..)) {
            answers.forget(number);
        }
        match (heard?, want) {
            (0, Want::Answer) => Err(nobody(&message)),
            (0, Want::Ack) => {
                let subject = String::from_utf8_lossy(&message.subject);
                Err(refuse(Code::StreamNotFound, format!("no stream captures `{subject}`")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what a stream captures that acknowledges nothing.
    fn check_acknowledged(&self, message: &Message) -> Result<(), Refusal> {
        let captured = self.session.as_ref().map(|session| session.capturing(&message.subject));
        match captured {
            Some(Captured { streams: 1.., acknowledging: 0 }) => {
                let subject = String::from_utf8_lossy(&message.subject);
                Err(refuse(Code::StreamNotFound, silent(&subject)))
            }
            _ => Ok(()),
        }
    }

    fn inbox(&mut self) -> Result<&mut Inbox, Refusal> {
        let Talk { peer, session: Some(session), inbox, .. } = self else {
            return Err(refuse(Code::AuthFailed, "the first frame is auth"));
        };
        if inbox.is_none() {
            let name = random_name().map_err(|p| refuse(p.code(), p.text()))?;
            let prefix = format!("_INBOX.{name}.");
            let pattern = SubjectPattern::parse(format!("{prefix}*").as_bytes())
                .map_err(|code| refuse(code, "an inbox has a name that cannot be"))?;
            let own = peer.clone();
            let make = |judge| Arc::new(Answers::new(own, judge));
            let (id, answers) = session.subscribe(&pattern, None, make).map_err(|code| match code {
                Code::PermissionDenied => {
                    refuse(code, "answers come to `_INBOX.>`, which this user may not hear")
                }
                _ => refuse(code, "the node remembers as many subscriptions as it may"),
            })?;
            *inbox = Some(Inbox { answers, pattern, id, prefix, number: 0 });
        }
        inbox.as_mut().ok_or_else(|| refuse(Code::InternalError, "there is no inbox"))
    }

    /// Says something to the client itself.
    fn say(&mut self, text: &str, spare: &mut Spare) {
        self.owes |= self.peer.say(&frame(text), spare);
    }

    /// The last frame; the connection ends.
    fn end(&mut self, code: u16, reason: &str, spare: &mut Spare) -> Flow {
        tracing::info!(client = self.peer.id.0, address = %self.peer.address, code, reason, "connection closed");
        self.owes |= self.peer.say_last(&closing(code, reason), spare);
        Flow::Close
    }
}

impl Speech for Talk {
    fn carry_out(&mut self, bytes: &mut [u8], woken: &mut Woken) -> (usize, Flow) {
        let mut at = 0;
        loop {
            let (used, step) = match self.reader.step(bytes.get_mut(at..).unwrap_or_default()) {
                Ok(step) => step,
                Err(ws::Error::TooLarge(_)) if self.session.is_none() => {
                    return (at, self.end(close::POLICY, FIRST_IS_AUTH, &mut woken.spare));
                }
                Err(e) => return (at, self.end(e.close_code(), &e.to_string(), &mut woken.spare)),
            };
            at += used;
            let flow = match step {
                Step::More => return (at, Flow::On),
                Step::Piece { is_text, bytes, ends: true } if self.partial.is_empty() => {
                    self.heard(is_text, bytes, woken)
                }
                Step::Piece { is_text, bytes, ends } => {
                    self.partial.extend_from_slice(bytes);
                    match ends {
                        false => Flow::On,
                        true => {
                            let mut whole = std::mem::take(&mut self.partial);
                            let flow = self.heard(is_text, &whole, woken);
                            whole.clear();
                            if whole.capacity() <= KEPT_BYTES_MAX {
                                self.partial = whole;
                            }
                            flow
                        }
                    }
                }
                Step::Ping(content) => {
                    let mut pong = Vec::new();
                    ws::write(&mut pong, Opcode::Pong, content.as_slice());
                    self.owes |= self.peer.say(&pong, &mut woken.spare);
                    woken.worked(1);
                    Flow::On
                }
                Step::Pong(_) => {
                    self.peer.pings_out.store(0, Relaxed);
                    Flow::On
                }
                Step::Close(code) => {
                    self.owes |=
                        self.peer.say_last(&closing(code.unwrap_or(close::NORMAL), ""), &mut woken.spare);
                    Flow::Close
                }
            };
            if flow == Flow::Close {
                return (at, Flow::Close);
            }
            if woken.is_heavy() {
                woken.flush();
            }
            if woken.is_exhausted() {
                return (at, Flow::Later);
            }
        }
    }

    fn need(&self) -> usize {
        0
    }

    fn end_turn(&mut self, woken: &mut Woken) -> bool {
        let peer = &self.peer;
        peer.in_messages.store(self.in_messages, Relaxed);
        peer.in_bytes.store(self.in_bytes, Relaxed);
        peer.active_mono_ms.store(peer.shared.mono_ms.load(Relaxed), Relaxed);
        if std::mem::take(&mut self.owes) {
            peer.flush(&mut woken.spare);
        }
        if self.partial.is_empty() {
            // An idle connection owns no buffer.
            self.partial = Vec::new();
        }
        std::mem::take(&mut self.asked)
    }

    fn drop_expired(&mut self, woken: &mut Woken) -> bool {
        if let Some(session) = &mut self.session {
            self.subscriptions.drop_expired(session);
        }
        let Some(inbox) = &self.inbox else { return false };
        for (sid, want) in inbox.answers.take_late(self.peer.shared.mono_ms.load(Relaxed)) {
            let detail = match want {
                Want::Answer => "no answer came in time",
                Want::Ack => "no acknowledgement came in time; a stream may have it",
            };
            self.say(&talk::err(Some(&sid), Code::Timeout, detail), &mut woken.spare);
        }
        std::mem::take(&mut self.owes)
    }

    fn drop_all(&mut self) {
        let Some(session) = &mut self.session else { return };
        self.subscriptions.drop_all(session);
        if let Some(inbox) = self.inbox.take() {
            session.unsubscribe(&inbox.pattern, None, inbox.id);
        }
        self.partial = Vec::new();
    }

    fn warning(&self) -> Option<Vec<u8>> {
        Some(frame(&talk::err(None, Code::ServiceUnavailable, "the node is about to stop")))
    }

    fn goodbye(&self) -> Vec<u8> {
        closing(close::GOING_AWAY, "1003 SERVICE_UNAVAILABLE")
    }

    fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(ws::PLAIN_HEAD_BYTES_MAX + text.len());
    ws::write(&mut out, Opcode::Text, text.as_bytes());
    out
}

fn closing(code: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    ws::write_close(&mut out, code, reason);
    out
}

/// What was probably meant, or what there is.
fn meant(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

/// The last frame for a client that is cut: the reason names our code.
pub(super) fn of_cut(why: Code) -> &'static [u8] {
    match why {
        Code::SlowConsumer => b"\x88\x14\x03\xf01005 SLOW_CONSUMER",
        Code::Timeout => b"\x88\x0e\x03\xf01002 TIMEOUT",
        Code::AuthFailed => b"\x88\x12\x03\xf02001 AUTH_FAILED",
        Code::LimitExceeded => b"\x88\x15\x03\xf54004 LIMIT_EXCEEDED",
        _ => b"\x88\x02\x03\xf0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tests::peer;

    /// What comes of frames of a client that has not said who it is: how it goes on, and what is kept of them.
    fn of_a_stranger(frames: &[(Opcode, bool, &[u8])]) -> (Talk, Flow) {
        let (mut talk, mut flow) = (Talk::new(Arc::new(peer()), None, 1 << 20), Flow::On);
        for (opcode, ends, content) in frames {
            let mut bytes = Vec::new();
            ws::write_masked(&mut bytes, *opcode, *ends, [1, 2, 3, 4], content);
            if flow == Flow::On {
                flow = talk.carry_out(&mut bytes, &mut Woken::default()).1;
            }
            assert!(talk.session.is_some() || talk.held_bytes() <= 2 * STRANGER_BYTES_MAX);
        }
        (talk, flow)
    }

    #[test]
    fn of_a_stranger_nothing_is_gathered_or_read_but_who_it_is() {
        let large = [b' '; STRANGER_BYTES_MAX];
        for frames in [
            &[(Opcode::Text, true, &br#"{"op":"pub","subject":"a","payload":{}}"#[..])][..],
            &[(Opcode::Text, true, b"{")],
            &[(Opcode::Text, true, br#"{"op":"ping"}"#)],
            &[(Opcode::Text, true, br#"{"op":"auth","op":"ping"}"#)],
            &[(Opcode::Binary, true, br#"{"op":"auth"}"#)],
            &[(Opcode::Text, true, &[&large[..], br#"{"op":"auth"}"#].concat())],
            &[(Opcode::Text, false, &large[1..]), (Opcode::Continuation, true, b"{}")],
        ] {
            let (talk, flow) = of_a_stranger(frames);
            assert_eq!((flow, talk.session.is_some()), (Flow::Close, false), "{frames:?}");
            let told = talk.peer.outbox.waiting_bytes();
            assert_eq!(told, closing(close::POLICY, FIRST_IS_AUTH).len(), "{frames:?}");
        }
        let (talk, flow) = of_a_stranger(&[
            (Opcode::Text, false, &large[..4000]),
            (Opcode::Continuation, true, br#"{"op":"auth","sid":1}"#),
            (Opcode::Text, true, &[&large[..], br#"{"op":"ping"}"#].concat()),
        ]);
        assert_eq!((flow, talk.session.is_some()), (Flow::On, true));
    }

    #[test]
    fn the_last_frame_of_who_is_cut_names_the_code() {
        for (code, number) in [
            (Code::SlowConsumer, close::POLICY),
            (Code::Timeout, close::POLICY),
            (Code::AuthFailed, close::POLICY),
            (Code::LimitExceeded, close::TRY_LATER),
        ] {
            assert_eq!(of_cut(code), closing(number, &format!("{} {}", code.number(), code.name())));
        }
        assert_eq!(of_cut(Code::InternalError), closing(close::POLICY, ""));
    }

    #[test]
    fn what_was_probably_meant_is_said() {
        assert_eq!(meant("subject", &["sid", "subjects"]), "; did you mean `subjects`?");
        assert_eq!(meant("zzz", &["sid", "max"]), "; there are sid, max");
    }
}
