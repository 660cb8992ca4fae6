//! A connection that consumes: it asks for messages, acknowledges most of them, some with confirmation, and tells the
//! oracle everything in the order in which it arrived.

use std::collections::HashMap;
use std::time::Duration;

use bench::{BenchError, Caller, Delivered, Rng};

use super::Scene;
use super::message;
use super::oracle::Stored;
use super::plan::{ConsumerPlan, STREAMS, subject_number};

/// Messages that one request asks for.
const BATCH: u64 = 64;
/// How long a request is valid.
const EXPIRES_NS: u64 = 2_000_000_000;
/// One message in so many is not acknowledged, so that it comes again.
const FORGETS: u64 = 50;
const NAP: Duration = Duration::from_millis(20);

/// One consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    plan: &'static ConsumerPlan,
    nth: usize,
    rng: Rng,
}

/// What one connection of it knows.
struct Session {
    caller: Caller,
    inbox: u64,
    next: String,
    deliver: String,
    /// Messages asked for and not delivered.
    asked: u64,
    /// Acknowledgements that wait to be confirmed: the sequence of each reply subject.
    confirming: HashMap<String, u64>,
}

impl Consumer {
    pub(super) fn new(plan: &'static ConsumerPlan, nth: usize, seed: u64) -> Self {
        Self { plan, nth, rng: Rng::new(seed ^ (0xc0 + nth as u64)) }
    }

    /// Consumes until the server is killed or the scene is over.
    pub(super) fn run(&mut self, scene: &Scene<'_>) {
        match self.consume(scene) {
            Err(why) if !scene.killed() => {
                scene.oracle().refused(|| format!("consumer {}: {why}", self.plan.name));
            }
            _ => {}
        }
    }

    fn consume(&mut self, scene: &Scene<'_>) -> Result<(), BenchError> {
        let stream = STREAMS.get(self.plan.stream).map_or("", |stream| stream.name);
        let mut caller = Caller::connect(scene.url)?;
        let deliver = caller.reply_subject().replace("_INBOX", "_DELIVER");
        let inbox = caller.subscribe(&deliver)?;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.plan.name);
        let mut session = Session { caller, inbox, next, deliver, asked: 0, confirming: HashMap::new() };
        while !scene.over() {
            if session.asked < BATCH / 2 {
                session.ask()?;
            }
            let Some(message) = session.caller.next(NAP)? else { continue };
            if message.sid == session.inbox {
                self.delivered(scene, &mut session, &message)?;
            } else if let Some(seq) = session.confirming.remove(&message.subject) {
                match message.status() {
                    None => scene.oracle().confirmed(self.nth, seq),
                    Some(status) => {
                        scene
                            .oracle()
                            .refused(|| format!("the acknowledgement of {seq} was answered {status}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        scene: &Scene<'_>,
        session: &mut Session,
        delivery: &Delivered,
    ) -> Result<(), BenchError> {
        if let Some(status) = delivery.status() {
            if status != 100 {
                // The request is over, for whatever reason; the next one asks anew.
                session.asked = 0;
            }
            return Ok(());
        }
        session.asked = session.asked.saturating_sub(1);
        let seq = stream_sequence(&delivery.reply);
        let (subject, message) = (subject_number(&delivery.subject), message::number(&delivery.payload));
        scene.oracle().delivered(self.nth, Stored { seq, subject, message });
        if !scene.ending() && self.rng.below(FORGETS) == 0 {
            return Ok(());
        }
        scene.oracle().acknowledges(self.nth, seq);
        let answer = if self.plan.confirms { session.caller.reply_subject() } else { String::new() };
        session.caller.publish(&delivery.reply, &answer, b"", b"+ACK")?;
        if self.plan.confirms {
            session.confirming.insert(answer, seq);
        }
        Ok(())
    }
}

impl Session {
    fn ask(&mut self) -> Result<(), BenchError> {
        let request = format!("{{\"batch\":{BATCH},\"expires\":{EXPIRES_NS}}}");
        self.caller.publish(&self.next, &self.deliver, b"", request.as_bytes())?;
        self.asked += BATCH;
        Ok(())
    }
}

/// The stream's sequence in the reply subject of a delivery, in its short or its long form.
pub(super) fn stream_sequence(reply: &str) -> u64 {
    const SHORT_TOKENS: usize = 9;
    let tokens: Vec<&str> = reply.split('.').collect();
    let place = if tokens.len() > SHORT_TOKENS { 7 } else { 5 };
    tokens.get(place).and_then(|token| token.parse().ok()).unwrap_or_default()
}
