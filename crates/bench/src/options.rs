//! What to run: the options of `neuroplex bench`, checked once before anything is started.

use crate::BenchError;
use std::time::Duration;

/// The traffic of a run. The words are those of `nats bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `clients` publishers, nobody listens here.
    Pub,
    /// `clients` subscribers, somebody else publishes; time starts with the first message.
    Sub,
    /// `clients` publishers, one subscriber.
    PubSub,
    /// One publisher, `clients` subscribers.
    Fanout,
    /// `clients` requesters with wildcard inboxes, one responder.
    Request,
    /// `clients` connections with one subscription each, then silence.
    Connections,
    /// `clients` publishers to `streams` durable streams, `in_flight` publishes waiting for their acknowledgement. With a
    /// `redis://` server the same as `XADD`.
    #[serde(rename = "publish-ack")]
    PublishAck,
    /// A stream of `msgs` messages from its start through an ordered push consumer.
    Replay,
    /// The same through a pull consumer that acknowledges nothing.
    #[serde(rename = "replay-pull")]
    ReplayPull,
    /// A stream of `msgs` messages through a durable pull consumer that acknowledges each.
    #[serde(rename = "pull-consume")]
    PullConsume,
    /// `streams` empty durable streams, then silence.
    Streams,
    /// One publisher and `clients` subscribers in JSON frames over WebSocket; the server is `ws://host[:port]`.
    #[serde(rename = "ws-fanout")]
    WsFanout,
    /// The same publisher, and `clients` who hear it as server-sent events; the server is `http://host[:port]`.
    #[serde(rename = "sse-fanout")]
    SseFanout,
    /// `clients` connections that stay open, each with one `POST /v1/publish` on the way.
    #[serde(rename = "http-publish")]
    HttpPublish,
    /// Critical messages, one after another, into a stream that has a backlog of `msgs`, and a worker that takes one
    /// message after another.
    Overtake,
}

impl Mode {
    /// The word that a person types.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pub => "pub",
            Self::Sub => "sub",
            Self::PubSub => "pubsub",
            Self::Fanout => "fanout",
            Self::Request => "request",
            Self::Connections => "connections",
            Self::PublishAck => "publish-ack",
            Self::Replay => "replay",
            Self::ReplayPull => "replay-pull",
            Self::PullConsume => "pull-consume",
            Self::Streams => "streams",
            Self::WsFanout => "ws-fanout",
            Self::SseFanout => "sse-fanout",
            Self::HttpPublish => "http-publish",
            Self::Overtake => "overtake",
        }
    }

    /// Whether it is about durable streams.
    pub fn is_durable(self) -> bool {
        use Mode::{Overtake, PublishAck, PullConsume, Replay, ReplayPull, Streams};
        matches!(self, PublishAck | Replay | ReplayPull | PullConsume | Streams | Overtake)
    }

    /// Whether it goes through the HTTP door.
    pub fn is_web(self) -> bool {
        matches!(self, Self::WsFanout | Self::SseFanout | Self::HttpPublish)
    }
}

/// A whole run. [`Options::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// What traffic.
    pub mode: Mode,
    /// Where to publish. With many `subjects` the messages go to `subject.000000` and up, and subscribers take
    /// `subject.*`.
    pub subject: String,
    /// `nats://[user:password@|token@]host[:port]`.
    pub server: String,
    /// Messages to publish (requests to send) in the measured window; with `duration`, the most.
    pub msgs: u64,
    /// Payload bytes of a message.
    pub size: usize,
    /// Connections of the kind that the mode multiplies.
    pub clients: usize,
    /// Distinct subjects, drawn at random for each message.
    pub subjects: usize,
    /// Send `HPUB` with one small header instead of `PUB`.
    pub headers: bool,
    /// Messages a second, on a fixed schedule (open loop); latency counts from the scheduled moment.
    pub rate: Option<u64>,
    /// End the measured window after this time, if `msgs` did not end it before.
    pub duration: Option<Duration>,
    /// Seed of everything that is drawn at random.
    pub seed: u64,
    /// Process whose CPU time and memory are the server's.
    pub server_pid: Option<u32>,
    /// Undelivered bytes that the publishers may be ahead of the slowest subscriber.
    pub window_bytes: usize,
    /// Wait for answers by asking again and again instead of sleeping: the load's own wake-up is then no part of a
    /// latency. Only where latency is measured.
    pub spin: bool,
    /// Part of the run, in percent of `msgs` or `duration`, that comes first and is not measured.
    pub warmup_percent: u32,
    /// Publishes that wait for their acknowledgement at the same time, on all connections together.
    pub in_flight: usize,
    /// Durable streams; with several the messages go to `subject.000000` and up, one subject a stream.
    pub streams: usize,
    /// Messages that a pull request asks for.
    pub batch: usize,
    /// What an acknowledgement of the streams promises, as metadata `np.ack`: `mem`, `os`, `disk`. Other servers than
    /// neuroplex keep it and do nothing with it.
    pub ack: Option<String>,
    /// Leave the streams there.
    pub keep: bool,
}

/// The most connections that a run may ask for: the file limit decides before it.
pub(crate) const CLIENTS_LIMIT: usize = 1_000_000;
/// The most subjects: six digits.
pub(crate) const SUBJECTS_LIMIT: usize = 1_000_000;
/// The largest payload that is built in memory.
pub(crate) const SIZE_LIMIT_BYTES: usize = 64 << 20;

impl Options {
    /// A run of `mode` on `subject` with the default of everything else.
    pub fn new(mode: Mode, subject: impl Into<String>) -> Self {
        Self {
            mode,
            subject: subject.into(),
            server: "nats://127.0.0.1:4222".into(),
            msgs: 1_000_000,
            size: 128,
            clients: 1,
            subjects: 1,
            headers: false,
            rate: None,
            duration: None,
            seed: 1,
            server_pid: None,
            window_bytes: 4 << 20,
            spin: true,
            warmup_percent: 10,
            in_flight: 500,
            streams: 1,
            batch: 256,
            ack: None,
            keep: false,
        }
    }

    /// What the subscribers of this run ask for.
    pub(crate) fn pattern(&self) -> String {
        if self.subjects > 1 { format!("{}.*", self.subject) } else { self.subject.clone() }
    }

    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: &str| Err(BenchError::Usage(text.to_owned()));
        let listens_only = self.mode == Mode::Sub;
        if self.subject.is_empty() || self.subject.split('.').any(str::is_empty) {
            return wrong("the subject is empty or has an empty token");
        }
        if self.subject.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return wrong("the subject has a blank or a control character");
        }
        if !listens_only && self.subject.split('.').any(|t| t == "*" || t == ">") {
            return wrong("one cannot publish to a wildcard: only `sub` takes `*` and `>`");
        }
        if self.msgs == 0 || self.clients == 0 || self.subjects == 0 || self.rate == Some(0) {
            return wrong("--msgs, --clients, --subjects and --rate are at least 1");
        }
        if self.clients > CLIENTS_LIMIT || self.subjects > SUBJECTS_LIMIT || self.size > SIZE_LIMIT_BYTES {
            return wrong("at most 1000000 clients, 1000000 subjects and 64 MiB a message");
        }
        if self.warmup_percent > 100 {
            return wrong("--warmup is a percentage");
        }
        if self.rate.is_some() && !matches!(self.mode, Mode::Request | Mode::PubSub) {
            return wrong("--rate goes with `request` and `pubsub`");
        }
        if self.rate.is_some() && self.mode == Mode::PubSub && self.clients > 1 {
            return wrong(
                "`pubsub --rate` measures one publisher: the order of one is how a message is recognised",
            );
        }
        if self.in_flight == 0 || self.streams == 0 || self.batch == 0 {
            return wrong("--in-flight, --streams and --batch are at least 1");
        }
        if self.streams > SUBJECTS_LIMIT || self.in_flight > CLIENTS_LIMIT || self.batch > CLIENTS_LIMIT {
            return wrong("at most 1000000 streams, messages in flight and messages a batch");
        }
        if self.streams > 1 && !matches!(self.mode, Mode::PublishAck | Mode::Streams) {
            return wrong("--streams goes with `publish-ack` and `streams`");
        }
        if self.mode.is_durable() && (self.subjects > 1 || self.headers) {
            return wrong("--subjects and --headers do not go with durable streams");
        }
        if self.mode == Mode::Replay && self.clients > 1 {
            return wrong("`replay` has one reader: an ordered consumer is one connection's");
        }
        if self.mode.is_web() && (self.subjects > 1 || self.headers) {
            return wrong(
                "--subjects and --headers do not go with `ws-fanout`, `sse-fanout` and `http-publish`",
            );
        }
        if self.mode == Mode::Overtake && self.clients > 1 {
            return wrong("`overtake` has one worker");
        }
        if self.mode == Mode::Request && self.subjects > 1 {
            return wrong("`request` has one subject");
        }
        Ok(())
    }
}
