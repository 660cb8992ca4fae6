//! Carries out the operations of one client: what `CONNECT`, `PUB`, `SUB` and the others mean. It speaks through the
//! peer's outbox and acts through the session; it does *not* touch the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use auth::Credentials;
use bytes::Bytes;
use fabric::{Session, Woken};
use kernel::limits::SHARED_PAYLOAD_BYTES_MIN;
use kernel::{Code, Msg, Spare, Subject, SubjectPattern};
use wire::jetstream::api::{busy, unkept};
use wire::nats::{Connect, Op, Step, encode};

use super::delivery::Lines;
use super::{Door, refusal};
use crate::link::{About, Flow, Peer, Speech, Subscriptions};

/// The highest level of the client's protocol that there is.
const PROTOCOL_LEVEL_MAX: u8 = 1;

/// See the module.
pub(super) struct Protocol {
    door: Arc<Door>,
    peer: Arc<Peer>,
    session: Option<Session>,
    subscriptions: Subscriptions<Lines>,
    verbose: bool,
    pedantic: bool,
    headers: bool,
    no_responders: bool,
    /// Level of the client's protocol: from 1 on it understands `INFO` at any time.
    level: u8,
    in_messages: u64,
    in_bytes: u64,
    /// Something was said to the client itself in this turn, and nobody else will flush it.
    owes: bool,
    /// This turn brought a request that somebody heard.
    asked: bool,
    need: usize,
}

impl Protocol {
    pub(super) fn new(door: Arc<Door>, peer: Arc<Peer>) -> Protocol {
        Protocol {
            door,
            subscriptions: Subscriptions::new(peer.clone()),
            peer,
            session: None,
            // The protocol's defaults, until `CONNECT` says otherwise.
            verbose: true,
            pedantic: true,
            headers: false,
            no_responders: false,
            level: 0,
            in_messages: 0,
            in_bytes: 0,
            owes: false,
            asked: false,
            need: 0,
        }
    }

    /// Carries out all whole operations of `bytes`; says how many bytes they were. `whole`: the counted buffer that
    /// `bytes` is, if it is one.
    fn run(&mut self, bytes: &[u8], whole: Option<&Bytes>, woken: &mut Woken) -> (usize, Flow) {
        let decoder = self.door.decoder;
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            if rest.is_empty() {
                self.need = 0;
                return (used, Flow::On);
            }
            match decoder.step(rest) {
                Ok(Step::Op(op, taken)) => {
                    used += taken;
                    if self.one(op, whole, woken) == Flow::Close {
                        return (used, Flow::Close);
                    }
                    if woken.is_heavy() {
                        woken.flush();
                    }
                    if woken.is_exhausted() {
                        return (used, Flow::Later);
                    }
                }
                // Who has not shown its credentials may only be about to say CONNECT: nothing else is kept for it.
                Ok(Step::More(_)) if !self.is_admitted() && !rest[0].eq_ignore_ascii_case(&b'C') => {
                    return (used, self.end(refusal::AUTHORIZATION_VIOLATION, &mut woken.spare));
                }
                Ok(Step::More(need)) => {
                    self.need = need;
                    return (used, Flow::On);
                }
                Err(error) => {
                    let text = match self.is_admitted() {
                        true => refusal::of_protocol(error),
                        false => refusal::AUTHORIZATION_VIOLATION,
                    };
                    return (used, self.end(text, &mut woken.spare));
                }
            }
        }
    }

    fn is_admitted(&self) -> bool {
        self.session.is_some() || !self.peer.shared.hub.accounts().are_required()
    }

    #[inline]
    fn one(&mut self, op: Op<'_>, whole: Option<&Bytes>, woken: &mut Woken) -> Flow {
        if let Op::Publish(m) = op {
            return self.publish(m, whole, woken);
        }
        // The others change what everybody shares, or make an answer; they count as several messages.
        const COST_PUTS: usize = 8;
        woken.worked(COST_PUTS);
        let spare = &mut woken.spare;
        if !self.is_admitted() && !matches!(op, Op::Connect(_)) {
            return self.end(refusal::AUTHORIZATION_VIOLATION, spare);
        }
        match op {
            Op::Connect(json) => self.connect(json, spare),
            Op::Subscribe { pattern, queue, sid } => self.subscribe(pattern, queue, sid, spare),
            Op::Unsubscribe { sid, max } => self.unsubscribe(sid, max, spare),
            Op::Ping => {
                self.say(encode::PONG, spare);
                Flow::On
            }
            Op::Pong => {
                self.peer.pings_out.store(0, Relaxed);
                Flow::On
            }
            Op::Ok | Op::Info(_) => Flow::On,
            Op::Err(text) => {
                tracing::info!(client = self.peer.id.0, text = ?String::from_utf8_lossy(text), "a client reports an error");
                Flow::Close
            }
            // A server's operation; what is published was carried out above.
            Op::Deliver { .. } | Op::Publish(_) => {
                self.end(refusal::of_protocol(wire::nats::Error::UnknownOperation), spare)
            }
        }
    }

    fn connect(&mut self, json: &[u8], spare: &mut Spare) -> Flow {
        let Ok(c) = Connect::parse(json) else {
            return self.end(refusal::of_protocol(wire::nats::Error::Arguments), spare);
        };
        if c.protocol > PROTOCOL_LEVEL_MAX {
            return self.end(refusal::INVALID_CLIENT_PROTOCOL, spare);
        }
        if c.no_responders && !c.headers {
            return self.end(refusal::NO_RESPONDERS_NEEDS_HEADERS, spare);
        }
        let shown = Credentials { user: &c.user, password: &c.pass, token: &c.auth_token };
        let hub = &self.peer.shared.hub;
        let known =
            if c.account.is_empty() { hub.accounts().authenticate(shown) } else { Err(Code::AuthFailed) };
        let Ok(who) = known else {
            tracing::info!(client = self.peer.id.0, address = %self.peer.address, user = c.user, "wrong credentials");
            return self.end(refusal::AUTHORIZATION_VIOLATION, spare);
        };
        let about = About {
            name: c.name.into(),
            lang: c.lang.into(),
            version: c.version.into(),
            user: who.name.as_str().into(),
            tenant: who.tenant,
        };
        // A second CONNECT changes the settings; who somebody is stays as it was.
        if self.peer.about.set(Box::new(about)).is_ok() {
            self.peer.recheck(&who);
            self.session = Some(Session::new(hub, who));
        }
        (self.verbose, self.pedantic, self.headers) = (c.verbose, c.pedantic, c.headers);
        (self.no_responders, self.level) = (c.no_responders, c.protocol);
        self.peer.headers.store(c.headers, Relaxed);
        let id = self.peer.id;
        self.session().hear_own(id, c.echo);
        self.confirm(spare)
    }

    fn session(&mut self) -> &mut Session {
        self.subscribing().0
    }

    fn subscribing(&mut self) -> (&mut Session, &mut Subscriptions<Lines>) {
        let hub = &self.peer.shared.hub;
        let session = self.session.get_or_insert_with(|| {
            // Only reached where no credentials are needed, and then these always open.
            let who = hub.accounts().authenticate(Credentials::default()).unwrap_or_default();
            Session::new(hub, who)
        });
        (session, &mut self.subscriptions)
    }

    #[inline]
    fn publish(&mut self, m: Msg<'_>, whole: Option<&Bytes>, woken: &mut Woken) -> Flow {
        self.in_messages += 1;
        self.in_bytes += m.size() as u64;
        let shared = (m.payload.len() >= SHARED_PAYLOAD_BYTES_MIN).then(|| share(&m, whole));
        let ask = self.pedantic || !m.headers.is_empty() || self.session.is_none();
        if ask && let Some(flow) = self.before_publish(&m, &mut woken.spare) {
            return flow;
        }
        let Protocol { peer, session: Some(session), .. } = self else { return Flow::On };
        let m = Msg { shared: shared.as_ref(), ..m };
        let whose = Msg { from: Some(&peer.producer), ..m };
        match session.publish(&whose, woken) {
            Ok(0) if !m.reply.is_empty() && self.no_responders => self.nobody_listens(&m, woken),
            Ok(heard) => self.asked |= heard > 0 && !m.reply.is_empty(),
            Err(Code::PermissionDenied) => {
                let subject = String::from_utf8_lossy(m.subject);
                self.object(&format!("Permissions Violation for Publish to \"{subject}\""), &mut woken.spare);
                return Flow::On;
            }
            Err(code) if !m.reply.is_empty() => self.refuse(&m, code, woken),
            Err(_) => self.peer.shared.hub.clients.count_overflow(),
        }
        match self.verbose {
            true => self.confirm(&mut woken.spare),
            false => Flow::On,
        }
    }

    /// What most publishes need not be asked. `Some`: it goes no further.
    fn before_publish(&mut self, m: &Msg<'_>, spare: &mut Spare) -> Option<Flow> {
        if !self.is_admitted() {
            return Some(self.end(refusal::AUTHORIZATION_VIOLATION, spare));
        }
        self.session();
        if !m.headers.is_empty() && !self.headers {
            return Some(self.end(refusal::HEADERS_NOT_SUPPORTED, spare));
        }
        if self.pedantic && Subject::parse(m.subject).is_err() {
            self.object(refusal::INVALID_PUBLISH_SUBJECT, spare);
            return Some(Flow::On);
        }
        None
    }

    fn nobody_listens(&mut self, m: &Msg<'_>, woken: &mut Woken) {
        let block = encode::no_responders(m.subject);
        let answer = Msg { subject: m.reply, headers: &block, ..Msg::default() };
        let id = self.peer.id;
        self.session().tell(id, &answer, woken);
    }

    /// Says to whoever waits for the message's acknowledgement that a stream cannot take it now, or that none captures it.
    fn refuse(&mut self, m: &Msg<'_>, code: Code, woken: &mut Woken) {
        let (headers, payload) = match code {
            Code::StreamNotFound => (unkept::HEADERS, unkept::ANSWER),
            _ => (busy::HEADERS, busy::ANSWER),
        };
        let answer = Msg { subject: m.reply, headers, payload, ..Msg::default() };
        let id = self.peer.id;
        self.session().tell(id, &answer, woken);
    }

    fn subscribe(&mut self, pattern: &[u8], queue: &[u8], sid: &[u8], spare: &mut Spare) -> Flow {
        let Ok(pattern) = SubjectPattern::parse(pattern) else {
            self.object(refusal::INVALID_SUBJECT, spare);
            return Flow::On;
        };
        if self.subscriptions.has(sid) {
            return self.confirm(spare);
        }
        let queue = (!queue.is_empty()).then_some(queue);
        let (session, subscriptions) = self.subscribing();
        match subscriptions.add(session, sid, &pattern, queue) {
            Ok(()) => return self.confirm(spare),
            Err(Code::PermissionDenied) => self.object(&subscription_denied(&pattern, queue), spare),
            Err(_) => self.object(refusal::SUBSCRIPTIONS_EXCEEDED, spare),
        }
        Flow::On
    }

    fn unsubscribe(&mut self, sid: &[u8], max: Option<u64>, spare: &mut Spare) -> Flow {
        let (session, subscriptions) = self.subscribing();
        subscriptions.end(session, sid, max);
        self.confirm(spare)
    }

    /// Says something to the client itself.
    fn say(&mut self, bytes: &[u8], spare: &mut Spare) {
        self.owes |= self.peer.say(bytes, spare);
    }

    fn confirm(&mut self, spare: &mut Spare) -> Flow {
        if self.verbose {
            self.say(encode::OK, spare);
        }
        Flow::On
    }

    /// Says that something was wrong; the connection goes on.
    fn object(&mut self, text: &str, spare: &mut Spare) {
        self.say(&error_line(text), spare);
    }

    /// Says that something was wrong; the connection ends.
    fn end(&mut self, text: &str, spare: &mut Spare) -> Flow {
        tracing::info!(client = self.peer.id.0, address = %self.peer.address, text, "connection closed");
        self.owes |= self.peer.say_last(&error_line(text), spare);
        Flow::Close
    }
}

impl Speech for Protocol {
    fn carry_out(&mut self, bytes: &mut [u8], woken: &mut Woken) -> (usize, Flow) {
        self.run(bytes, None, woken)
    }

    fn carry_out_shared(&mut self, whole: &Bytes, woken: &mut Woken) -> (usize, Flow) {
        self.run(whole, Some(whole), woken)
    }

    fn need(&self) -> usize {
        self.need
    }

    fn end_turn(&mut self, woken: &mut Woken) -> bool {
        let peer = &self.peer;
        peer.in_messages.store(self.in_messages, Relaxed);
        peer.in_bytes.store(self.in_bytes, Relaxed);
        peer.active_mono_ms.store(peer.shared.mono_ms.load(Relaxed), Relaxed);
        if std::mem::take(&mut self.owes) {
            peer.flush(&mut woken.spare);
        }
        std::mem::take(&mut self.asked)
    }

    fn drop_expired(&mut self, _: &mut Woken) -> bool {
        if let Some(session) = &mut self.session {
            self.subscriptions.drop_expired(session);
        }
        false
    }

    fn drop_all(&mut self) {
        if let Some(session) = &mut self.session {
            self.subscriptions.drop_all(session);
        }
    }

    fn warning(&self) -> Option<Vec<u8>> {
        // Only such a client takes an `INFO` that it did not wait for.
        (self.level >= 1).then(|| self.door.info_line(&self.peer))
    }
}

fn error_line(text: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(text.len() + 10);
    encode::error(&mut line, text);
    line
}

/// Headers and payload in one counted buffer: a slice of the one they were read into, or a copy.
fn share(m: &Msg<'_>, whole: Option<&Bytes>) -> Bytes {
    let Some(whole) = whole else { return [m.headers, m.payload].concat().into() };
    let payload = whole.slice_ref(m.payload);
    let end = m.payload.as_ptr() as usize - whole.as_ptr() as usize + payload.len();
    whole.slice(end - m.size()..end)
}

fn subscription_denied(pattern: &SubjectPattern, queue: Option<&[u8]>) -> String {
    let queue = match queue {
        None => String::new(),
        Some(name) => format!(" using queue \"{}\"", String::from_utf8_lossy(name)),
    };
    format!("Permissions Violation for Subscription to \"{pattern}\"{queue}")
}
