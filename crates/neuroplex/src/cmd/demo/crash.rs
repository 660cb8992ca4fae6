//! The third act: the node dies while jobs are published, and comes back with everything that it acknowledged.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use client::Error;
use client::jetstream::{Context, PubAck};
use kernel::Code;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::crew::PATIENCE;
use super::jobs::{body, identity};
use super::stage::{QUEUE, RESULTS, Stage};
use super::told::untrue;
use crate::failure::Failure;

/// Jobs on their way at once.
const IN_FLIGHT: usize = 64;
/// How long an answer may take before the connection counts as lost.
const NOTICE: Duration = Duration::from_secs(1);
/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

impl Stage {
    /// Kills the node in the middle, starts it again, and looks for every job.
    pub(super) async fn lose_the_node(&mut self) -> Result<(), Failure> {
        let first = self.acked.len() as u64 + 1;
        let jobs = first..first + self.pace.burst;
        let open = self.publish_until_it_dies(jobs.clone()).await?;
        self.restart().await?;
        self.find_acknowledged(first).await?;
        self.send_again(open).await?;
        let unsent = self.acked.len() as u64 + 1..jobs.end;
        self.publish_the_rest(unsent).await?;
        self.each_once().await?;
        self.wait_for_the_rest().await
    }

    /// Publishes, kills the node when half of the jobs are acknowledged, and goes on until that is noticed. Gives the jobs
    /// that were on their way and not acknowledged.
    async fn publish_until_it_dies(&mut self, jobs: Range<u64>) -> Result<VecDeque<u64>, Failure> {
        let (half, already) = ((jobs.end - jobs.start) / 2, self.acked.len());
        let mut pipeline = self.streams()?.timeout(NOTICE).pipeline(IN_FLIGHT);
        let (mut open, mut dying) = (VecDeque::new(), false);
        for job in jobs {
            match pipeline.publish(body(job, 0), &identity(job)).await {
                Ok(None) => {}
                Ok(Some(ack)) => self.acknowledged(&mut open, &ack)?,
                // The connection is lost: nobody knows what became of those on their way.
                Err(_) if dying => break,
                Err(e) => return Err(e.into()),
            }
            open.push_back(job);
            if !dying && (self.acked.len() - already) as u64 >= half {
                self.node()?.kill()?;
                dying = true;
            }
        }
        if !dying || open.is_empty() {
            return Err(untrue("the node does not die in the middle of publishing"));
        }
        self.node()?.dead().await?;
        self.kills += 1;
        let (acked, unsure) = (self.acked.len() - already, open.len());
        let text =
            format!("the node is killed with SIGKILL: {acked} jobs are acknowledged, {unsure} on their way");
        self.told.holds("node_killed", json!({ "acked": acked, "on_their_way": unsure }), &text)?;
        Ok(open)
    }

    /// The oldest one that is open has been stored.
    fn acknowledged(&mut self, open: &mut VecDeque<u64>, ack: &PubAck) -> Result<(), Failure> {
        let job = open.pop_front().filter(|_| ack.stream == QUEUE);
        let job = job.ok_or_else(|| untrue("somebody acknowledges what was not published"))?;
        self.acked.insert(job, ack.seq);
        Ok(())
    }

    /// Starts the node again; clients come back by themselves.
    async fn restart(&mut self) -> Result<(), Failure> {
        let streams = self.streams()?;
        let node = self.node()?;
        node.again().await?;
        let ready = node.ready.clone();
        if ready.created {
            return Err(untrue("the node has begun with an empty folder"));
        }
        let began = Instant::now();
        while streams.stream(QUEUE)?.info().await.is_err() {
            if began.elapsed() > PATIENCE {
                return Err(untrue("the clients do not come back"));
            }
            sleep(LOOK).await;
        }
        let ms = ready.after.as_millis() as u64;
        let text = format!(
            "it is started again, process {}, ready after {ms} ms; the publisher's client has found it again by itself",
            ready.pid
        );
        self.told.holds("node_again", json!({ "pid": ready.pid, "ready_ms": ms }), &text)
    }

    /// Every acknowledged job is in the queue, or a worker has done it meanwhile.
    async fn find_acknowledged(&self, first: u64) -> Result<(), Failure> {
        let streams = self.streams()?;
        let queue = streams.stream(QUEUE)?;
        let (mut waiting, mut gone) = (0, BTreeSet::new());
        for (job, seq) in self.acked.range(first..) {
            match queue.message(*seq).await {
                Ok(stored) if stored.message.payload == body(*job, 0).1 => waiting += 1,
                Ok(_) => return Err(untrue(format!("in the place of job {job} is another"))),
                Err(Error::Api { code: Code::NotFound, .. }) => _ = gone.insert(*job),
                Err(e) => return Err(e.into()),
            }
        }
        // A worker hands in the result before it acknowledges the job, so what has left the queue has one.
        let results = streams.stream(RESULTS)?.info_with_subjects("results.*").await?.state.subjects;
        gone.retain(|job| !results.contains_key(&format!("results.{job}")));
        if !gone.is_empty() {
            return Err(untrue(format!("jobs were acknowledged and are lost: {gone:?}")));
        }
        let all = self.acked.range(first..).count();
        let done = all - waiting;
        let text = format!("every acknowledged job is there: {all}, of which {done} are done already");
        self.told.holds(
            "acked_kept",
            json!({ "acked": all, "waiting": waiting, "done": done, "lost": 0 }),
            &text,
        )
    }

    /// Sends what was not acknowledged again, each under the id that it had.
    async fn send_again(&mut self, open: VecDeque<u64>) -> Result<(), Failure> {
        let count = open.len();
        let known = self.publish_all(open).await?;
        let text = format!(
            "the {count} without an answer are sent again with the ids that they had: {known} had arrived after all, and are not stored twice"
        );
        self.told.holds("sent_again", json!({ "jobs": count, "duplicates": known }), &text)
    }

    /// Publishes what the node's death left.
    async fn publish_the_rest(&mut self, unsent: Range<u64>) -> Result<(), Failure> {
        let count = unsent.end.saturating_sub(unsent.start);
        let known = self.publish_all(unsent.collect()).await?;
        if known > 0 {
            return Err(untrue(format!("{known} jobs are known before they are published")));
        }
        let text = format!("the {count} that were still to come are published and acknowledged");
        self.told.holds("published", json!({ "jobs": count }), &text)
    }

    /// Publishes all of them; how many had been stored before.
    async fn publish_all(&mut self, mut open: VecDeque<u64>) -> Result<u64, Failure> {
        let mut known = 0;
        let mut pipeline = self.streams()?.pipeline(IN_FLIGHT);
        for job in open.clone() {
            if let Some(ack) = pipeline.publish(body(job, 0), &identity(job)).await? {
                known += u64::from(ack.duplicate);
                self.acknowledged(&mut open, &ack)?;
            }
        }
        while let Some(ack) = pipeline.next_ack().await? {
            known += u64::from(ack.duplicate);
            self.acknowledged(&mut open, &ack)?;
        }
        Ok(known)
    }

    /// Each job has one place in the queue, and there are no further ones.
    async fn each_once(&self) -> Result<(), Failure> {
        let places: BTreeSet<u64> = self.acked.values().copied().collect();
        let last = self.streams()?.stream(QUEUE)?.info().await?.state.last_seq;
        let jobs = self.acked.len() as u64;
        if places.len() as u64 != jobs || last != jobs {
            return Err(untrue(format!("{jobs} jobs have {} places, the last is {last}", places.len())));
        }
        let text = format!("no job is there twice: {jobs} jobs, numbers 1 to {last}");
        self.told.holds("each_once", json!({ "jobs": jobs, "last_seq": last }), &text)
    }

    /// The workers, who have lived through all this, do the rest.
    async fn wait_for_the_rest(&mut self) -> Result<(), Failure> {
        let streams = self.streams()?;
        let mut progress = (Instant::now(), u64::MAX);
        loop {
            // Their reports are counted, not told: there are too many.
            while let Ok(report) = timeout(LOOK, self.crew.next()).await {
                self.count(&report?);
            }
            let left = left(&streams).await?;
            if left == 0 {
                break;
            }
            if left != progress.1 {
                progress = (Instant::now(), left);
            } else if progress.0.elapsed() > PATIENCE {
                return Err(untrue(format!("{left} jobs are left, and nobody does them")));
            }
        }
        let jobs = self.acked.len();
        let text =
            format!("the workers have gone on by themselves: the queue is empty, {jobs} jobs are done");
        self.told.holds("all_done", json!({ "jobs": jobs }), &text)
    }
}

async fn left(streams: &Context) -> Result<u64, Failure> {
    Ok(streams.stream(QUEUE)?.info().await?.state.messages)
}
