//! The first two acts: jobs that are kept, and a worker that dies in the middle of one.

use std::time::{Duration, Instant};

use client::Headers;
use client::jetstream::PublishOptions;
use kernel::Code;
use serde_json::json;

use super::stage::{QUEUE, Stage};
use super::told::untrue;
use super::worker::{Job, Said};
use crate::failure::Failure;
use crate::units::span;

/// The job whose worker dies: it is longer than the others, so that there is something to interrupt.
const FATAL: u64 = 1;
/// How many steps it has, and the others.
const STEPS: (u32, u32) = (8, 4);
/// Who works.
const NAMES: [&str; 3] = ["ada", "ben", "cleo"];
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A job as it is published.
pub(super) fn body(job: u64, steps: u32) -> (String, Vec<u8>) {
    (format!("jobs.{job}"), serde_json::to_vec(&Job { job, steps }).unwrap_or_default())
}

/// Its identity: however often it is published with this, it is stored once.
pub(super) fn identity(job: u64) -> PublishOptions {
    PublishOptions::default().id(format!("job-{job}"))
}

impl Stage {
    /// Jobs are published, and each is acknowledged.
    pub(super) async fn publish_jobs(&mut self) -> Result<(), Failure> {
        let (streams, jobs) = (self.streams()?, self.pace.jobs);
        let began = Instant::now();
        for job in 1..=jobs {
            let steps = if job == FATAL { STEPS.0 } else { STEPS.1 };
            let ack = streams.publish_with(body(job, steps), &identity(job)).await?;
            if ack.stream != QUEUE || ack.duplicate {
                return Err(untrue(format!("job {job} is not acknowledged by the queue as new")));
            }
            self.acked.insert(job, ack.seq);
        }
        let took = began.elapsed();
        let waiting = streams.stream(QUEUE)?.info().await?.state.messages;
        if waiting != jobs {
            return Err(untrue(format!("{jobs} jobs are acknowledged, and {waiting} are in the queue")));
        }
        let fields = json!({ "jobs": jobs, "took_ms": took.as_millis() as u64 });
        let each = took.as_secs_f64() * 1000.0 / jobs as f64;
        let text = format!(
            "{jobs} jobs published one after the other, {jobs} acknowledged as on the disk: {each:.1} ms each"
        );
        self.told.holds("published", fields, &text)
    }

    /// A worker dies; its job does not.
    pub(super) async fn lose_a_worker(&mut self) -> Result<(), Failure> {
        let (victim, lease) = self.hire_all().await?;
        while !self.hear().await.map(|r| matches!(r.said, Said::Step { job: FATAL, step: 2.. }))? {}
        // It told the node so a moment before.
        let seen = Instant::now();
        self.crew.kill(&victim).await?;
        self.kills += 1;
        let fields = json!({ "worker": victim, "job": FATAL, "step": 2 });
        let text = format!("{victim} is killed with SIGKILL, in job {FATAL}, after step 2 of {}", STEPS.0);
        self.told.holds("worker_killed", fields, &text)?;
        let heir = loop {
            let report = self.hear().await?;
            if let Said::Took { job: FATAL, attempt, .. } = report.said {
                break (report.worker, attempt);
            }
        };
        self.inherited(&victim, heir.0.as_str(), heir.1, seen.elapsed())?;
        self.replay(&victim, &lease).await?;
        while self.done.len() < self.acked.len() {
            self.hear().await?;
        }
        let attempts = self.done.get(&FATAL).copied().unwrap_or_default();
        if attempts != 2 {
            return Err(untrue(format!("job {FATAL} was done at attempt {attempts}, not 2")));
        }
        let left = self.streams()?.stream(QUEUE)?.info().await?.state.messages;
        if left != 0 {
            return Err(untrue(format!("every job is done, and {left} are left in the queue")));
        }
        let jobs = self.done.len();
        let text = format!("all {jobs} jobs are done, job {FATAL} at attempt 2; the queue is empty");
        self.told.holds("all_done", json!({ "jobs": jobs, "attempt": attempts }), &text)
    }

    /// The first worker takes the fatal job, then the others come. Who has it, and on which lease.
    async fn hire_all(&mut self) -> Result<(String, String), Failure> {
        let mut taken = None;
        for name in NAMES {
            let pid = self.hire(name)?;
            self.told.happens(
                "worker",
                json!({ "worker": name, "pid": pid }),
                &format!("{name:<5} is process {pid}"),
            )?;
            while taken.is_none() {
                let report = self.hear().await?;
                if let Said::Took { job: FATAL, lease, .. } = report.said {
                    taken = Some((report.worker, lease));
                }
            }
        }
        taken.ok_or_else(|| untrue("nobody takes the first job"))
    }

    /// The job has gone to another worker, once its lease was over and not before.
    fn inherited(&self, victim: &str, heir: &str, attempt: u64, after: Duration) -> Result<(), Failure> {
        if heir == victim || attempt != 2 {
            return Err(untrue(format!("{heir} has job {FATAL} at attempt {attempt}")));
        }
        if after < self.pace.lease.mul_f64(0.9) {
            return Err(untrue(format!("the lease ended after {}", span(after))));
        }
        let ms = after.as_millis() as u64;
        let text = format!(
            "its lease of {} is over: {heir} has job {FATAL} now, {:.1} s after {victim}'s last sign of life, attempt {attempt}",
            span(self.pace.lease),
            after.as_secs_f64()
        );
        let fields = json!({ "worker": heir, "job": FATAL, "attempt": attempt, "after_ms": ms });
        self.told.holds("lease_ended", fields, &text)
    }

    /// What the dead worker would say, had it only slept: that it is done.
    async fn replay(&mut self, victim: &str, lease: &str) -> Result<(), Failure> {
        let streams = self.streams()?;
        let answer = streams.client().request((lease, "+ACK"), ANSWER).await?;
        let code = Headers::new(&answer.headers).first("Np-Code").unwrap_or("nothing").to_owned();
        let stale = Code::StaleLease;
        if code != stale.number().to_string() {
            return Err(untrue(format!("an acknowledgement of a lease that is over is answered {code}")));
        }
        let seq = self.acked.get(&FATAL).copied().unwrap_or_default();
        let there = streams.stream(QUEUE)?.message(seq).await?;
        let fields = json!({ "code": stale.number(), "job": FATAL, "seq": there.seq });
        let text = format!(
            "an acknowledgement of {victim}'s delivery, as from a worker that only slept: {} {}, and job {FATAL} stays in the queue",
            stale.number(),
            stale.name()
        );
        self.told.holds("stale_refused", fields, &text)
    }
}
