//! A connection that publishes, and remembers over kills what was not acknowledged: with ids it sends that again, without
//! it lets it be.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bench::{BenchError, Caller, Delivered, Rng};
use serde_json::Value;

use super::Scene;
use super::message;
use super::plan::{PublisherPlan, STREAMS};

/// Publishes that wait for their acknowledgement.
const IN_FLIGHT_MAX: usize = 64;
/// Publishes in one write.
const BURST_MAX: u64 = 12;
/// The longest pause between bursts.
const PAUSE_MAX_US: u64 = 4000;
/// How long acknowledgements may take while nobody is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// One publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    plan: &'static PublisherPlan,
    /// In front of the number of each of its messages.
    number: u64,
    sent: u64,
    /// With ids: what is to be sent again.
    open: BTreeSet<u64>,
    rng: Rng,
}

impl Publisher {
    pub(super) fn new(plan: &'static PublisherPlan, nth: usize, seed: u64) -> Self {
        let number = (nth as u64 + 1) << 40;
        Self { plan, number, sent: 0, open: BTreeSet::new(), rng: Rng::new(seed ^ number) }
    }

    /// Publishes until the server is killed, or until the scene ends and everything is acknowledged.
    pub(super) fn run(&mut self, scene: &Scene<'_>) {
        match self.publish(scene) {
            Err(why) if !scene.killed() => {
                scene.oracle().refused(|| format!("publisher to {}: {why}", self.stream()));
            }
            _ => {}
        }
    }

    fn stream(&self) -> &'static str {
        STREAMS.get(self.plan.stream).map_or("", |stream| stream.name)
    }

    fn publish(&mut self, scene: &Scene<'_>) -> Result<(), BenchError> {
        let mut caller = Caller::connect(scene.url)?;
        let mut waiting = HashMap::new();
        if !self.plan.ids {
            self.open.clear();
        }
        for number in self.open.clone() {
            self.send(&mut caller, scene, number, &mut waiting)?;
        }
        let mut moved_at = Instant::now();
        loop {
            if scene.ending() && waiting.is_empty() {
                return Ok(());
            }
            if !scene.ending() && waiting.len() < IN_FLIGHT_MAX {
                for _ in 0..=self.rng.below(BURST_MAX) {
                    self.sent += 1;
                    let number = self.number | self.sent;
                    self.open.insert(number);
                    self.send(&mut caller, scene, number, &mut waiting)?;
                }
            }
            let mut pause = Duration::from_micros(self.rng.below(PAUSE_MAX_US));
            while let Some(answer) = caller.next(pause)? {
                self.answered(scene, &answer, &mut waiting);
                moved_at = Instant::now();
                pause = Duration::ZERO;
            }
            if !waiting.is_empty() && moved_at.elapsed() > PATIENCE {
                return Err(BenchError::Refused(format!("no acknowledgement for {PATIENCE:?}")));
            }
        }
    }

    fn send(
        &self,
        caller: &mut Caller,
        scene: &Scene<'_>,
        number: u64,
        waiting: &mut HashMap<String, u64>,
    ) -> Result<(), BenchError> {
        let PublisherPlan { stream, ids, subjects, first } = *self.plan;
        let subject = first + number % subjects;
        scene.oracle().sent(stream, number, subject as u32);
        let headers =
            if ids { format!("NATS/1.0\r\nNats-Msg-Id: {number:x}\r\n\r\n") } else { String::new() };
        let reply = caller.reply_subject();
        let prefix = STREAMS.get(stream).map_or("", |stream| stream.subject);
        caller.publish(
            &format!("{prefix}.{subject}"),
            &reply,
            headers.as_bytes(),
            &message::payload(number),
        )?;
        waiting.insert(reply, number);
        Ok(())
    }

    fn answered(&mut self, scene: &Scene<'_>, answer: &Delivered, waiting: &mut HashMap<String, u64>) {
        let Some(number) = waiting.remove(&answer.subject) else {
            return scene.oracle().refused(|| format!("an answer to nothing: {}", answer.subject));
        };
        let value: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        let seq = value.get("seq").and_then(Value::as_u64).filter(|_| value.get("error").is_none());
        let duplicate = value.get("duplicate").and_then(Value::as_bool).unwrap_or_default();
        match seq.filter(|seq| *seq > 0) {
            Some(seq) => {
                self.open.remove(&number);
                scene.oracle().acked(self.plan.stream, number, seq, duplicate);
            }
            None if scene.killed() => {}
            None => scene.oracle().refused(|| {
                let text = String::from_utf8_lossy(&answer.payload);
                format!("a publish to {} was answered {:?} {text}", self.stream(), answer.status())
            }),
        }
    }
}
