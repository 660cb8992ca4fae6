//! What the acts share: the folder, the node, the workers, the connection, and what was promised so far.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::jetstream::api::Retention;
use client::jetstream::{ConsumerConfig, Context, StreamConfig, nanos};
use client::{Client, Options};
use serde_json::json;
use tempfile::TempDir;

use super::Pace;
use super::crew::Crew;
use super::node::Node;
use super::told::{Told, untrue};
use super::worker::{Report, Said};
use crate::failure::Failure;
use crate::units::span;

/// Where jobs wait.
pub(super) const QUEUE: &str = "JOBS";
/// Where results are kept.
pub(super) const RESULTS: &str = "RESULTS";
/// From whom the workers take jobs.
pub(super) const CONSUMER: &str = "workers";
/// When an acknowledgement is given: when the message is on the disk.
const LEVEL: (&str, &str) = ("np.ack", "disk");

/// See the module.
pub(super) struct Stage {
    pub(super) told: Told,
    pub(super) pace: Pace,
    folder: TempDir,
    node: Option<Node>,
    pub(super) crew: Crew,
    streams: Option<Context>,
    act: u32,
    /// Where each acknowledged job stands in the queue.
    pub(super) acked: BTreeMap<u64, u64>,
    /// Jobs that workers say are done, and the attempt that did it.
    pub(super) done: BTreeMap<u64, u64>,
    /// Processes that were killed.
    pub(super) kills: u32,
}

impl Stage {
    pub(super) fn new(told: Told, pace: Pace) -> Result<Stage, Failure> {
        let folder = tempfile::Builder::new().prefix("neuroplex-demo-").tempdir();
        Ok(Stage {
            told,
            pace,
            folder: folder.map_err(|e| untrue(format!("there is no temporary folder: {e}")))?,
            node: None,
            crew: Crew::new(),
            streams: None,
            act: 0,
            acked: BTreeMap::new(),
            done: BTreeMap::new(),
            kills: 0,
        })
    }

    /// Begins the next act.
    pub(super) async fn act(&mut self, title: &str) -> Result<(), Failure> {
        self.act += 1;
        self.told.act(self.act, title).await
    }

    /// The node, and the streams on it.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        let node = Node::start(self.folder.path(), "127.0.0.1:0").await?;
        let ready = node.ready.clone();
        self.node = Some(node);
        let fields = json!({ "pid": ready.pid, "nats": ready.nats, "folder": self.folder.path() });
        let folder = self.folder.path().display();
        let text = format!("a node: process {}, {}, data in {folder}", ready.pid, ready.nats);
        self.told.holds("node", fields, &text)?;
        let streams = self.connect("planner").await?;
        self.streams = Some(streams.clone());
        let queue = StreamConfig {
            name: QUEUE.into(),
            subjects: vec!["jobs.>".into()],
            retention: Retention::WorkQueue,
            metadata: BTreeMap::from([(LEVEL.0.into(), LEVEL.1.into())]),
            ..StreamConfig::default()
        };
        let made = streams.create_stream(&queue).await?.config;
        let level = made.metadata.get(LEVEL.0).map(String::as_str);
        if made.retention != Retention::WorkQueue || level != Some(LEVEL.1) {
            return Err(untrue("the stream is not as it was asked for"));
        }
        let (name, subjects) = (RESULTS.into(), vec!["results.*".into()]);
        streams.create_stream(&StreamConfig { name, subjects, ..queue_of_results() }).await?;
        let workers =
            ConsumerConfig { ack_wait: nanos(self.pace.lease), ..ConsumerConfig::durable(CONSUMER) };
        let made = streams.stream(QUEUE)?.create_consumer(&workers).await?.config;
        if made.ack_wait != nanos(self.pace.lease) {
            return Err(untrue("the lease is not as long as it was asked for"));
        }
        let fields = json!({ "stream": QUEUE, "lease_ms": self.pace.lease.as_millis() as u64 });
        let lease = span(self.pace.lease);
        let text = format!("stream {QUEUE}, a work queue; whoever takes a job has a lease of {lease} on it");
        self.told.holds("stream", fields, &text)
    }

    /// A connection of its own for somebody.
    pub(super) async fn connect(&self, name: &str) -> Result<Context, Failure> {
        let node = self.node.as_ref().ok_or_else(|| untrue("there is no node"))?;
        let options = Options::new(node.ready.nats.as_str())
            .name(format!("neuroplex demo {name}"))
            .reconnect_delay(Duration::from_millis(20), Duration::from_millis(200));
        Ok(Context::new(Client::connect(options).await?))
    }

    pub(super) fn node(&mut self) -> Result<&mut Node, Failure> {
        self.node.as_mut().ok_or_else(|| untrue("there is no node"))
    }

    pub(super) fn streams(&self) -> Result<Context, Failure> {
        self.streams.clone().ok_or_else(|| untrue("there is no connection"))
    }

    /// Starts a worker; its process.
    pub(super) fn hire(&mut self, name: &str) -> Result<u32, Failure> {
        let server = self.node()?.ready.nats.clone();
        self.crew.hire(name, &server, self.pace.fast)
    }

    /// What a worker reports next, counted and told.
    pub(super) async fn hear(&mut self) -> Result<Report, Failure> {
        let report = self.crew.next().await?;
        self.count(&report);
        self.told.report(&report)?;
        Ok(report)
    }

    /// Notes what is done.
    pub(super) fn count(&mut self, report: &Report) {
        if let Said::Done { job, attempt } = report.said {
            self.done.insert(job, attempt);
        }
    }

    /// Compares what was promised with what is there: jobs that are lost, and jobs that were done twice.
    async fn compare(&self) -> Result<(BTreeSet<u64>, BTreeSet<u64>), Failure> {
        let results = self.streams()?.stream(RESULTS)?.info_with_subjects("results.*").await?;
        let mut counts = BTreeMap::new();
        for (subject, count) in results.state.subjects {
            let job = subject.strip_prefix("results.").and_then(|n| n.parse::<u64>().ok());
            counts.insert(
                job.ok_or_else(|| untrue(format!("there is a result of nothing: {subject}")))?,
                count,
            );
        }
        let lost = self.acked.keys().filter(|job| !counts.contains_key(job)).copied().collect();
        let twice = counts.iter().filter(|(_, count)| **count > 1).map(|(job, _)| *job).collect();
        Ok((lost, twice))
    }

    /// What all of it comes to.
    pub(super) async fn sum_up(&mut self) -> Result<(), Failure> {
        let (lost, twice) = self.compare().await?;
        let queue = self.streams()?.stream(QUEUE)?.info().await?.state;
        let jobs = self.acked.len() as u64;
        if !lost.is_empty() || !twice.is_empty() || queue.messages > 0 {
            let left = queue.messages;
            return Err(untrue(format!("lost: {lost:?}, done twice: {twice:?}, left in the queue: {left}")));
        }
        let repeated = self.done.values().filter(|attempt| **attempt > 1).count();
        let seconds = self.told.elapsed().as_secs_f64();
        let fields = json!({
            "jobs": jobs, "lost": lost.len(), "twice": twice.len(), "kills": self.kills,
            "repeated": repeated, "seconds": seconds,
        });
        let text = format!(
            "{jobs} jobs acknowledged, {jobs} with one result each: lost 0, twice 0 ({} processes killed, {repeated} jobs done at a later attempt, {seconds:.0} s)",
            self.kills
        );
        self.told.holds("summary", fields, &text)
    }

    /// Ends everything that was started and removes the folder.
    pub(super) async fn clear(mut self) -> Result<(), Failure> {
        self.crew.dismiss().await;
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        let path = self.folder.path().to_owned();
        self.folder.close().map_err(|e| untrue(format!("{} cannot be removed: {e}", path.display())))
    }
}

/// Results are kept for good.
fn queue_of_results() -> StreamConfig {
    StreamConfig { allow_direct: true, ..StreamConfig::default() }
}
